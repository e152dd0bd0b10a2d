"""Law: of the processes that hold what others must not have, none can look into another one.

Two roads of the kernel, and no code of ours on either. `unseen` protects this process from the
others of its user: its memory, its descriptors, ptrace(2). It does not against root, and what this
process starts begins anew. `alone` protects all others from this process and from what it starts
later, for root too: a Landlock domain cannot look out of itself, nor send signals out of itself.
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

from nucleus_tokens.errors import WorldError

# The Landlock ABI that can bound signals alone, of Linux 6.12. A domain that bounds files or ports
# would keep what we start from making cells.
LEAST_ABI: Final = 6
_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38
_CREATE, _RESTRICT = 444, 446  # landlock_*, the same on every architecture
_VERSION: Final = 1
_SCOPE_SIGNAL: Final = 1 << 1

_libc = ctypes.CDLL(None, use_errno=True)


def unseen() -> None:
    """No other process of this user may look into this one's memory. See prctl(2)."""
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def alone() -> None:
    """Nor may this one, with all it starts, look into others or end them, where the kernel can
    say so (`able`). Call it before threads are started. Raises WorldError `wall.landlock`."""
    unseen()
    if not able():
        return
    wants = (ctypes.c_uint64 * 3)(0, 0, _SCOPE_SIGNAL)
    ruleset = _syscall(_CREATE, wants, ctypes.c_size_t(24), ctypes.c_uint32(0))
    try:
        _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        _syscall(_RESTRICT, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)


def able() -> bool:
    """Whether this kernel's Landlock can do it."""
    found = _libc.syscall(ctypes.c_long(_CREATE), None, ctypes.c_size_t(0), _VERSION)
    return bool(found >= LEAST_ABI)


def _syscall(number: int, *args: object) -> int:
    answer: int = _libc.syscall(ctypes.c_long(number), *args)
    if answer < 0:
        why = os.strerror(ctypes.get_errno())
        raise WorldError("wall.landlock", f"Landlock does not set this process apart: {why}.")
    return answer
