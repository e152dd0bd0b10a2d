"""The filter means what its law says: run by an interpreter of its own, compared with a reference
that is slow and obvious; its numbers are those of libseccomp."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleus_tokens.errors import WorldError
from nucleus_vmhost import seccomp, syscalls

SCALE = int(os.environ.get("NUCLEUS_SCALE", "1"))
Machine = Literal["x86_64", "aarch64"]
MACHINES: tuple[Machine, ...] = ("x86_64", "aarch64")
ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOW, KILL = "allow", "kill"
WORDS = st.one_of(
    st.sampled_from([0, 1, 2, 3, 5, 6, 8, 10, 16, 17, 40, 0x5412, 0x541C, 0x10000000, 0x7E020000]),
    st.integers(0, 2**32 - 1),
)
ARGUMENTS = st.builds(lambda low, high: high << 32 | low, WORDS, st.sampled_from([0, 1, 2**31]))


def run(program: bytes, arch: int, number: int, args: tuple[int, ...]) -> str | int:
    """What the kernel would do: ALLOW, KILL, or the error number."""
    data = struct.pack("<IIQ6Q", number, arch, 0, *args)
    steps: list[tuple[int, int, int, int]] = list(struct.iter_unpack("<HBBI", program))
    at = accumulator = 0
    while True:
        op, yes, no, k = steps[at]
        at += 1
        if op == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, k)
        elif op == 0x54:
            accumulator &= k
        elif op == 0x06:
            kind = k & 0xFFFF0000
            return {0x7FFF0000: ALLOW, 0x80000000: KILL}.get(kind, k & 0xFFFF)
        else:
            hit = {0x15: accumulator == k, 0x25: accumulator > k, 0x45: bool(accumulator & k)}[op]
            at += yes if hit else no


def reference(column: int, number: int, args: tuple[int, ...], unix: bool) -> str | int:
    a = [value & 0xFFFFFFFF for value in args]
    if number > 456 or number == 435:
        return errno.ENOSYS
    if number in [pair[column] for pair in syscalls.DENIED.values()]:
        return errno.EPERM
    if number == (56, 220)[column]:
        return errno.EPERM if a[0] & 0x7E020000 else ALLOW
    if number == (16, 29)[column]:
        return errno.EPERM if a[1] in (0x5412, 0x541C) else ALLOW
    if number == (135, 92)[column]:
        return ALLOW if a[0] in (0, 8, 0xFFFFFFFF) else errno.EPERM
    if number == (41, 198)[column]:
        if a[0] == 1:
            return ALLOW if unix else errno.EPERM
        if a[0] not in (2, 10):
            return errno.EAFNOSUPPORT
        return ALLOW if a[1] & 15 == 1 and a[2] in (0, 6) else errno.EPERM
    if number == (53, 199)[column]:
        if a[0] != 1:
            return errno.EAFNOSUPPORT
        return ALLOW if a[1] & 15 in (1, 5) else errno.EPERM
    return ALLOW


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("unix", [False, True])
@settings(max_examples=25 * SCALE)
@given(args=st.tuples(*[ARGUMENTS] * 6), more=st.integers(0, 2**32 - 1))
def test_every_call_is_answered_as_the_reference_says(
    machine: Machine, unix: bool, args: tuple[int, ...], more: int
) -> None:
    program = seccomp.program(machine, unix_sockets=unix)
    column = MACHINES.index(machine)
    for number in (*range(470), more):
        expected = reference(column, number, args, unix)
        assert run(program, ARCH[machine], number, args) == expected, (number, args)


@pytest.mark.parametrize("machine", MACHINES)
@given(args=st.tuples(*[ARGUMENTS] * 6))
def test_the_second_filter_only_takes_away(machine: Machine, args: tuple[int, ...]) -> None:
    """Both together are the first one without unix sockets."""
    both = [seccomp.program(machine, unix_sockets=True), seccomp.sockets_program(machine)]
    alone = seccomp.program(machine)
    for number in (*syscalls.SOCKET, *syscalls.SOCKETPAIR, 0, 56, 435, 460):
        answers = [run(program, ARCH[machine], number, args) for program in both]
        refused = [answer for answer in answers if answer != ALLOW]
        assert (refused or [ALLOW])[0] == run(alone, ARCH[machine], number, args)


@pytest.mark.parametrize("machine", MACHINES)
@given(arch=st.integers(0, 2**32 - 1), number=st.integers(0, 2**32 - 1))
def test_a_call_of_another_architecture_ends_the_process(
    machine: Machine, arch: int, number: int
) -> None:
    if arch != ARCH[machine]:
        for program in (seccomp.program(machine), seccomp.sockets_program(machine)):
            assert run(program, arch, number, (0,) * 6) == KILL


def test_what_must_be_denied_is_in_the_table() -> None:
    """The reference above reads the table; this does not."""
    names = (
        "mount umount2 pivot_root chroot setns unshare open_tree move_mount fsopen fsconfig "
        "fsmount fspick mount_setattr name_to_handle_at open_by_handle_at ptrace process_vm_readv "
        "process_vm_writev kcmp pidfd_getfd io_uring_setup io_uring_enter io_uring_register bpf "
        "userfaultfd perf_event_open add_key request_key keyctl init_module finit_module "
        "delete_module kexec_load kexec_file_load reboot swapon swapoff syslog acct iopl ioperm "
        "settimeofday clock_settime fanotify_init quotactl modify_ldt memfd_secret"
    )
    assert set(names.split()) <= set(syscalls.DENIED)


def test_an_unknown_machine_has_no_filter() -> None:
    with pytest.raises(WorldError, match="riscv64") as caught:
        seccomp.program("riscv64")
    assert caught.value.code == "wall.architecture"


def test_the_numbers_are_those_of_libseccomp() -> None:
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError as error:
        raise AssertionError("install it with: sudo apt-get install -y libseccomp2") from error
    named = {
        **syscalls.DENIED,
        "clone": syscalls.CLONE,
        "clone3": syscalls.CLONE3,
        "socket": syscalls.SOCKET,
        "socketpair": syscalls.SOCKETPAIR,
        "ioctl": syscalls.IOCTL,
        "personality": syscalls.PERSONALITY,
    }
    wrong = []
    for column, machine in enumerate(MACHINES):
        for name, numbers in named.items():
            found = library.seccomp_syscall_resolve_name_arch(
                ctypes.c_uint32(ARCH[machine]), name.encode()
            )
            if (numbers[column] if numbers[column] is not None else -1) != max(found, -1):
                wrong.append(f"{name} on {machine}: {numbers[column]}, libseccomp says {found}")
    assert not wrong, "\n".join(wrong)
