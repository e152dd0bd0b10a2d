"""How an attack is run: a Python program inside prints GOT for each thing it should not get."""

from __future__ import annotations

import textwrap
from typing import Any

from nucleus_vmhost.work import Limits
from tests.vmhost.cells import python, ran

_TOOLS = """
import ctypes, errno, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def syscall(number, *args):
    ctypes.set_errno(0)
    return libc.syscall(ctypes.c_long(number), *args), ctypes.get_errno()
def attempt(name, work):
    try:
        value = work()
        print("GOT", name, repr(value)[:200])
    except OSError as error:
        print("no", name, errno.errorcode.get(error.errno, error.errno))
def call(name, number, *args):
    value, error = syscall(number, *args)
    if value >= 0:
        print("GOT", name, value)
    else:
        print("no", name, errno.errorcode.get(error, error))
"""


async def attack(program: str, *, limits: Limits | None = None, **more: Any) -> dict[str, str]:
    """What was refused, and with which error. Fails if anything was got, or the program fell."""
    done = await ran(python(_TOOLS + textwrap.dedent(program), **more), limits)
    lines = done.stdout.decode(errors="replace").splitlines()
    got = [line for line in lines if line.startswith("GOT")]
    assert not got, got
    assert done.code == 0, done
    refused = dict(line.split()[1:3] for line in lines if line.startswith("no "))
    assert refused or "ok" in lines, done
    return refused
