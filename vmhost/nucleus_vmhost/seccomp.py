"""Law: what this filter does not know, it refuses; it is pure, so that a test can read it.

A program for the kernel's seccomp filter (classic BPF). What the kernel compares of an argument is
what we compare: the low 32 bits where it takes an int, so that high bits hide nothing.
"""

from __future__ import annotations

import errno
import struct
from typing import Final

from nucleus_tokens.errors import WorldError
from nucleus_vmhost import syscalls

# machine -> (AUDIT_ARCH_*, column of the table)
MACHINES: Final = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}

_LOAD, _AND, _JEQ, _JGT, _JSET, _RET = 0x20, 0x54, 0x15, 0x25, 0x45, 0x06
_ALLOW: Final = 0x7FFF0000
_KILL: Final = 0x80000000
_ERRNO: Final = 0x00050000

AF_UNIX, AF_INET, AF_INET6 = 1, 2, 10
_STREAM, _SEQPACKET, _TYPE_BITS = 1, 5, 0xF
_TCP: Final = 6
# CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}; CLONE_NEWTIME is a signal's bit in clone().
_NAMESPACES: Final = 0x7E020000
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_PERSONALITIES: Final = (0, 8, 0xFFFFFFFF)  # Linux, Linux with 32-bit addresses, "which is it?"

_Code = list[tuple[int, int, int, int]]


def program(machine: str, *, unix_sockets: bool = False) -> bytes:
    """The filter. `unix_sockets` leaves AF_UNIX to a second filter, `sockets_program`.

    Raises WorldError `wall.architecture` for a machine whose numbers are not in the table.
    """
    arch, column = _machine(machine)
    code: _Code = [
        *_head(arch),
        (_JGT, 0, 1, syscalls.NEWEST),
        _refuse(errno.ENOSYS),
    ]
    for numbers in syscalls.DENIED.values():
        number = numbers[column]
        if number is not None:
            code += [(_JEQ, 0, 1, number), _refuse(errno.EPERM)]
    # Its flags are behind a pointer: no filter can read them. C libraries fall back to clone.
    code += [(_JEQ, 0, 1, syscalls.CLONE3[column]), _refuse(errno.ENOSYS)]
    code += _when(
        syscalls.CLONE[column],
        [_argument(0), (_JSET, 0, 1, _NAMESPACES), _refuse(errno.EPERM), _allow()],
    )
    code += _when(
        syscalls.IOCTL[column],
        [
            _argument(1),
            (_JEQ, 0, 1, _TIOCSTI),
            _refuse(errno.EPERM),
            (_JEQ, 0, 1, _TIOCLINUX),
            _refuse(errno.EPERM),
            _allow(),
        ],
    )
    known: _Code = [_argument(0)]
    for value in _PERSONALITIES:
        known += [(_JEQ, 0, 1, value), _allow()]
    code += _when(syscalls.PERSONALITY[column], [*known, _refuse(errno.EPERM)])
    code += _sockets(column, unix_sockets)
    return _assemble([*code, _allow()])


def sockets_program(machine: str) -> bytes:
    """Only the rules for sockets, AF_UNIX refused: for the work beside a pump that needs one."""
    arch, column = _machine(machine)
    return _assemble([*_head(arch), *_sockets(column, False), _allow()])


def _machine(machine: str) -> tuple[int, int]:
    found = MACHINES.get(machine)
    if found is None:
        raise WorldError(
            "wall.architecture",
            f"There is no system call filter for {machine}.",
            hint=f"A wall stands on {' and '.join(MACHINES)}.",
        )
    return found


def _head(arch: int) -> _Code:
    return [(_LOAD, 0, 0, 4), (_JEQ, 1, 0, arch), (_RET, 0, 0, _KILL), (_LOAD, 0, 0, 0)]


def _sockets(column: int, unix_sockets: bool) -> _Code:
    """TCP over IP, which in an empty network namespace ends at the cell's own loopback; pairs of
    connected unix sockets, which lead nowhere else. Datagram pairs can be pointed elsewhere."""
    tcp: _Code = [
        _argument(1),
        (_AND, 0, 0, _TYPE_BITS),
        (_JEQ, 1, 0, _STREAM),
        _refuse(errno.EPERM),
        _argument(2),
        (_JEQ, 1, 0, 0),
        (_JEQ, 0, 1, _TCP),
        _allow(),
        _refuse(errno.EPERM),
    ]
    unix: _Code = [(_JEQ, 0, 1, AF_UNIX), _allow() if unix_sockets else _refuse(errno.EPERM)]
    socket: _Code = [
        _argument(0),
        *unix,
        (_JEQ, 2, 0, AF_INET),
        (_JEQ, 1, 0, AF_INET6),
        _refuse(errno.EAFNOSUPPORT),
        *tcp,
    ]
    pair: _Code = [
        _argument(0),
        (_JEQ, 1, 0, AF_UNIX),
        _refuse(errno.EAFNOSUPPORT),
        _argument(1),
        (_AND, 0, 0, _TYPE_BITS),
        (_JEQ, 1, 0, _STREAM),
        (_JEQ, 0, 1, _SEQPACKET),
        _allow(),
        _refuse(errno.EPERM),
    ]
    return [*_when(syscalls.SOCKET[column], socket), *_when(syscalls.SOCKETPAIR[column], pair)]


def _when(number: int, block: _Code) -> _Code:
    """`block`, which must end in a return, for one system call."""
    return [(_JEQ, 0, len(block), number), *block]


def _argument(index: int) -> tuple[int, int, int, int]:
    return (_LOAD, 0, 0, 16 + 8 * index)  # low word: both machines are little-endian


def _refuse(code: int) -> tuple[int, int, int, int]:
    return (_RET, 0, 0, _ERRNO | code)


def _allow() -> tuple[int, int, int, int]:
    return (_RET, 0, 0, _ALLOW)


def _assemble(code: _Code) -> bytes:
    return b"".join(struct.pack("<HBBI", *step) for step in code)
