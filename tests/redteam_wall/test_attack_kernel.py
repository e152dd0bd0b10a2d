"""Red team: through parts of the kernel that ordinary programs do without."""

from __future__ import annotations

import platform

from tests.redteam_wall.attacks import attack

MACHINE = platform.machine()
COLUMN = {"x86_64": 0, "aarch64": 1}[MACHINE]


async def test_io_uring_is_refused() -> None:
    """It does what the filter forbids, where no filter sees it."""
    refused = await attack("""
        params = ctypes.create_string_buffer(120)
        call("setup", 425, 8, params); call("enter", 426, 0, 1, 0, 0, None)
        call("register", 427, 0, 0, None, 0)
    """)
    assert set(refused.values()) == {"EPERM"}


async def test_what_looks_into_the_kernel_or_others_is_refused() -> None:
    numbers = {
        "bpf": (321, 280), "userfaultfd": (323, 282), "perf_event_open": (298, 241),
        "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
        "kexec_load": (246, 104), "init_module": (175, 105), "finit_module": (313, 273),
        "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264), "syslog": (103, 116),
        "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "pidfd_getfd": (438, 438),
        "kcmp": (312, 272), "fanotify_init": (300, 262), "memfd_secret": (447, 447),
        "quotactl": (179, 60), "swapon": (167, 224), "reboot": (169, 142), "acct": (163, 89),
    }  # fmt: skip
    lines = "\n".join(f'call("{n}", {p[COLUMN]}, 0, 0, 0, 0, 0)' for n, p in numbers.items())
    refused = await attack(lines)
    assert refused == dict.fromkeys(numbers, "EPERM")


async def test_no_other_namespace_is_entered_or_made() -> None:
    """Of a new user namespace somebody is root, with all of the kernel that only root reaches."""
    unshare, setns, clone, clone3 = (272, 97), (308, 268), (56, 220), (435, 435)
    refused = await attack(f"""
        def forked(name, *args):
            pid, error = syscall(*args)
            if pid == 0: os._exit(0)
            print("GOT" if pid > 0 else "no", name, errno.errorcode.get(error, error))
        for name, bit in (("user", 28), ("net", 30), ("mount", 17), ("pid", 29), ("uts", 26),
                          ("ipc", 27), ("cgroup", 25), ("time", 7)):
            call("unshare-" + name, {unshare[COLUMN]}, 1 << bit)
            if name != "time":
                flags = ctypes.c_ulong(1 << bit | 17)
                forked("clone-" + name, {clone[COLUMN]}, flags, None, None, None, None)
        args = (ctypes.c_uint64 * 11)(1 << 28, 0, 0, 0, 17)
        forked("clone3", {clone3[COLUMN]}, args, 88)
        for name in ("user", "net", "mnt", "pid"):
            fd = os.open(f"/proc/self/ns/{{name}}", os.O_RDONLY)
            call("setns-" + name, {setns[COLUMN]}, fd, 0)
    """)
    assert refused.pop("clone3") == "ENOSYS"
    assert set(refused.values()) == {"EPERM"}


async def test_nothing_is_mounted() -> None:
    mount, umount, pivot, chroot = (165, 40), (166, 39), (155, 41), (161, 51)
    refused = await attack(f"""
        os.mkdir("/tmp/m")
        call("mount", {mount[COLUMN]}, b"none", b"/tmp/m", b"tmpfs", 0, None)
        call("bind", {mount[COLUMN]}, b"/usr", b"/tmp/m", None, 4096, None)
        call("remount", {mount[COLUMN]}, None, b"/usr", None, 32 | 4096, None)
        call("umount", {umount[COLUMN]}, b"/usr", 2)
        call("pivot", {pivot[COLUMN]}, b"/tmp", b"/tmp/m")
        call("chroot", {chroot[COLUMN]}, b"/tmp")
        call("fsopen", 430, b"tmpfs", 0); call("open_tree", 428, -100, b"/usr", 1)
        call("move_mount", 429, 3, b"", -100, b"/tmp/m", 4)
        call("mount_setattr", 442, -100, b"/", 0, None, 0)
    """)
    assert set(refused.values()) == {"EPERM"}
    assert len(refused) == 10


async def test_calls_that_a_newer_kernel_adds_are_unknown() -> None:
    refused = await attack("""
        for number in (457, 458, 462, 467, 480, 1000, (1 << 30) | 41, (1 << 30) | 101):
            call(str(number), number, 0, 0, 0, 0, 0, 0)
    """)
    assert set(refused.values()) == {"ENOSYS"}
    assert len(refused) == 8
