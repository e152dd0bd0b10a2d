"""Law: a number stands here once, for each architecture, and a test compares it with libseccomp.

The numbers of what a cell is denied, as (x86_64, aarch64); None where an architecture lacks it.
Source: the Linux kernel's syscall tables. `NEWEST` is the last number that was read and judged:
whatever a kernel adds later is unknown here, and answered as a kernel without it would.
"""

from __future__ import annotations

from typing import Final

NEWEST: Final = 456  # futex_requeue, Linux 6.7

# Other views of the file system, other namespaces.
_PLACES: Final = {
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "setns": (308, 268), "unshare": (272, 97), "open_tree": (428, 428), "move_mount": (429, 429),
    "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
}  # fmt: skip
# Other processes.
_OTHERS: Final = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "kcmp": (312, 272), "pidfd_getfd": (438, 438), "process_madvise": (440, 440),
    "process_mrelease": (448, 448), "migrate_pages": (256, 238), "move_pages": (279, 239),
}  # fmt: skip
# Parts of the kernel with a long history of holes, that ordinary programs do without. io_uring
# also does what this filter forbids, where it cannot be seen.
_DEPTHS: Final = {
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "bpf": (321, 280), "userfaultfd": (323, 282), "perf_event_open": (298, 241),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "fanotify_init": (300, 262), "fanotify_mark": (301, 263), "memfd_secret": (447, 447),
    "modify_ldt": (154, None), "uselib": (134, None), "lookup_dcookie": (212, 18),
    "nfsservctl": (180, 42), "_sysctl": (156, None), "sysfs": (139, None), "ustat": (136, None),
}  # fmt: skip
# The machine itself. A cell has no capability for these; they are not worth a second look.
_MACHINE: Final = {
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "create_module": (174, None), "query_module": (178, None), "get_kernel_syms": (177, None),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142),
    "swapon": (167, 224), "swapoff": (168, 225), "syslog": (103, 116), "acct": (163, 89),
    "quotactl": (179, 60), "quotactl_fd": (443, 443), "iopl": (172, None), "ioperm": (173, None),
    "sethostname": (170, 161), "setdomainname": (171, 162), "settimeofday": (164, 170),
    "clock_settime": (227, 112), "clock_adjtime": (305, 266), "adjtimex": (159, 171),
    "vhangup": (153, 58),
}  # fmt: skip

DENIED: Final[dict[str, tuple[int | None, int | None]]] = {
    **_PLACES, **_OTHERS, **_DEPTHS, **_MACHINE,
}  # fmt: skip

# Judged by their arguments.
CLONE: Final = (56, 220)
CLONE3: Final = (435, 435)
SOCKET: Final = (41, 198)
SOCKETPAIR: Final = (53, 199)
IOCTL: Final = (16, 29)
PERSONALITY: Final = (135, 92)
