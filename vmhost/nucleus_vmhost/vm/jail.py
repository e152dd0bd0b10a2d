"""Law: QEMU is taken over in our minds already: it is nobody, sees its own program and nothing of
ours on any disk, has no network, and can write no file and start no program.

What it needs beyond its program it gets as open descriptors.
"""

from __future__ import annotations

import os
import secrets
import shutil
from dataclasses import dataclass
from typing import Final

from nucleus_tokens.errors import WorldError
from nucleus_vmhost import diagnose

_QEMU: Final = "qemu-system-x86_64"
_SHOWN: Final = ("/usr/lib", "/usr/lib64", "/usr/share/qemu", "/usr/share/seabios")
_LINKS: Final = ("/lib", "/lib64")
_UIDS: Final = range(0x70000000, 0x70100000)
_ID: Final = "65534"
# So much more where the first signal was not obeyed.
_GRACE_SECONDS: Final = 5


@dataclass(frozen=True, slots=True)
class Jail:
    """One jail: what stands before the program, and who it is started as. `uid` is None where we
    are nobody special ourselves: then it is us outside, and nobody inside."""

    argv: tuple[str, ...]
    uid: int | None
    groups: tuple[int, ...] = ()


def program() -> str:
    """QEMU. Raises WorldError `vm.qemu`."""
    found = shutil.which(_QEMU)
    if found is None:
        raise WorldError(
            "vm.qemu",
            "There is no QEMU here.",
            hint="Install it: sudo apt-get install --no-install-recommends qemu-system-x86",
        )
    return os.path.realpath(found)


def one_uid() -> int:
    """A uid that is nobody's, for one machine alone."""
    return _UIDS[secrets.randbelow(len(_UIDS))]


def prlimit(cpu_seconds: int, *more: str) -> list[str]:
    """What stands before a command whose CPU time, with that of all its threads, is bounded: first
    SIGXCPU, then SIGKILL. Raises WorldError `vm.qemu`."""
    cpu = f"--cpu={cpu_seconds}:{cpu_seconds + _GRACE_SECONDS}"
    return [_found("prlimit"), "--core=0", cpu, *more, "--"]


def jail(*, address_mib: int, cpu_seconds: int, kvm: bool) -> Jail:
    """A jail for one QEMU."""
    qemu = program()
    limits = prlimit(cpu_seconds, "--fsize=0", "--nofile=256", f"--as={address_mib << 20}")
    said = [
        diagnose.bwrap(), "--unshare-all", "--unshare-user", "--disable-userns",
        "--uid", _ID, "--gid", _ID, "--hostname", "vm", "--die-with-parent", "--new-session",
        "--cap-drop", "ALL", "--clearenv", "--ro-bind", qemu, qemu,
    ]  # fmt: skip
    for path in _SHOWN:
        said += ["--ro-bind-try", path, path]
    for path in _LINKS:
        said += ["--symlink", os.readlink(path), path] if os.path.islink(path) else []
    said += ["--proc", "/proc", "--dev", "/dev"]
    if kvm:
        said += ["--dev-bind", "/dev/kvm", "/dev/kvm"]
    said += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/", "--", qemu]
    uid = one_uid() if os.geteuid() == 0 else None
    groups = (os.stat("/dev/kvm").st_gid,) if kvm else ()
    return Jail((*limits, *said), uid, tuple(group for group in groups if group != 0))


def _found(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise WorldError("vm.qemu", f"There is no {name} here; it is of the package util-linux.")
    return found
