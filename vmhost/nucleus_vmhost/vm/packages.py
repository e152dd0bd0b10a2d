"""Law: a package comes from the archives that this system trusts, checked by apt, or not at all.

apt resolves against a system that has nothing but what is of no use in a guest, so that the answer
depends on the archives alone, and what is named is everything.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nucleus_tokens.errors import CallerError, WorldError

KERNEL: Final = "linux-image-cloud-amd64"
_SECONDS: Final = 600
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9+.-]{1,127}")
_URI: Final = re.compile(r"'[^']+' (\S+\.deb) \d+ (\S*)")
# What configures a system that lasts, or boots one: a guest does neither.
_PRESENT: Final = (
    "adduser", "coreutils", "debconf", "dpkg", "initramfs-tools", "kmod", "libpam-modules",
    "libpam-runtime", "libpam0g", "linux-base", "mount", "passwd", "perl-base", "sed", "tar",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Package:
    """One file of an archive, and the digest its signed index has for it."""

    file: str
    digest: str

    @property
    def name(self) -> str:
        return self.file.partition("_")[0]


def resolved(names: Sequence[str]) -> tuple[Package, ...]:
    """The packages and all they depend on, in the order of their names.

    Raises CallerError `vm.package`, WorldError `vm.archives`.
    """
    for name in names:
        if not _NAME.fullmatch(name):
            raise CallerError("vm.package", f"{name!r} is no name of a package.")
    said = _apt(names, None, "--print-uris")
    found = {Package(*match.groups()) for match in map(_URI.match, said.splitlines()) if match}
    return tuple(sorted(found, key=lambda package: package.file))


def fetched(names: Sequence[str], packages: Sequence[Package], folder: Path) -> None:
    """Have the files of resolved packages in the folder. Raises WorldError `vm.archives`."""
    if all((folder / package.file).exists() for package in packages):
        return
    _apt(names, folder, "--download-only")
    missing = [package.file for package in packages if not (folder / package.file).exists()]
    if missing:
        raise WorldError("vm.archives", f"apt-get did not bring {missing[0]}.")


def _apt(names: Sequence[str], archives: Path | None, *options: str) -> str:
    with tempfile.TemporaryDirectory(prefix="nucleus-") as folder:
        # What is there already is not named: without archives all is.
        archives = archives or Path(folder)
        (archives / "partial").mkdir(parents=True, exist_ok=True)
        status = Path(folder, "status")
        status.write_text("".join(map(_stanza, _PRESENT)))
        argv = [
            "apt-get", "install", "-qq", "-y", "--no-install-recommends",
            "-o", f"Dir::State::status={status}", "-o", "Debug::NoLocking=1",
            "-o", f"Dir::Cache::archives={archives}", "-o", f"Dir::Cache::pkgcache={folder}/cache",
            "-o", "APT::Architecture=amd64", "-o", "APT::Sandbox::User=root",
            *options, "--", *names,
        ]  # fmt: skip
        env = {"PATH": os.defpath + ":/usr/sbin:/sbin", "LC_ALL": "C"}
        try:
            done = subprocess.run(
                argv, capture_output=True, text=True, env=env, timeout=_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise WorldError("vm.archives", f"apt-get did not run: {error}.") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise WorldError(
            "vm.archives",
            f"apt-get cannot give the packages of the image: {last}",
            hint="Fresh lists of packages may help: sudo apt-get update",
        )
    return done.stdout


def _stanza(name: str) -> str:
    return (
        f"Package: {name}\nStatus: install ok installed\nMulti-Arch: foreign\n"
        "Architecture: amd64\nVersion: 99:99\nMaintainer: none\nDescription: none\n\n"
    )
