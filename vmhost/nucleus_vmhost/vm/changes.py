"""Law: what a machine says of its copy is hostile: it is read within bounds, name by name, and
whatever no honest guest says refuses all of it.

Only plain files below the copied folder are ever a change: their bytes, whether they may be run,
and that they are gone. The rest is named as left behind, with the reason. Whether a change may be
written is not judged here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from nucleus_tokens.errors import WorldError
from nucleus_vmhost.vm.packing import ENTRIES, Copied, Copy
from nucleus_vmhost.vm.session import Session

BYTES: Final = 64 << 20  # of all that a machine says of one folder
_LINE: Final = 64 * 1024
_NAME: Final = 4096
_RUNS: Final = 0o111
_SPECIAL: Final = 0o7000
_PROGRAM: Final = "/lib/nucleus/guest/nucleus_vmhost/vm/guest/changes.pyc"


@dataclass(frozen=True, slots=True)
class Change:
    """One file that is not what was copied. `data` is None where the bytes are those that were
    copied, or where it is `gone`; `was` is their SHA-256, None where nothing was copied."""

    name: str
    data: bytes | None
    runs: bool
    was: bytes | None
    ran: bool
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one copied folder; `left` are names that stay behind, and why."""

    changes: tuple[Change, ...]
    left: tuple[tuple[str, str], ...]


async def told(vm: Session, copy: Copy, only: Collection[str] = ()) -> Told:
    """What became of a copy by now, or of `only` these names in it. Raises WorldError `vm.*`."""
    asked = sorted(only) or [copy.alone] * bool(copy.alone)
    copied = {name: copy.files[name] for name in only or copy.files if name in copy.files}
    known = {name: one.digest.hex() for name, one in copied.items() if one.target is None}
    order = json.dumps({"known": known, "only": asked}).encode()
    said = await vm.run(
        ("python3", "-ISB", _PROGRAM), order, cwd=copy.folder, beside=True, most=BYTES
    )
    return read(said, copied, asked)


def read(said: bytes, copied: Mapping[str, Copied], only: Sequence[str] = ()) -> Told:
    """What was said of a folder of which `copied` had been put there, or of `only` some names in
    it. Raises WorldError `vm.changes` for anything that cannot be meant."""
    reading = _Reading(said, copied, only)
    reading.folders.update(above for name in only for above in _above(name))
    while reading.entry():
        pass
    return reading.over()


@dataclass(slots=True)
class _Reading:
    said: bytes
    copied: Mapping[str, Copied]
    only: Sequence[str]
    at: int = 0
    last: str = ""
    folders: set[str] = field(default_factory=lambda: {""})
    met: set[str] = field(default_factory=set[str])
    closed: set[str] = field(default_factory=set[str])  # nobody looked below
    changes: list[Change] = field(default_factory=list[Change])
    left: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def entry(self) -> bool:
        """Read one; False after the last."""
        end = self.said.find(b"\n", self.at, self.at + _LINE)
        try:
            line: Any = json.loads(self.said[self.at : end]) if end > 0 else None
        except (ValueError, RecursionError):
            line = None
        self.at = end + 1
        match line:
            case ["end"] if self.at == len(self.said):
                return False
            case ["folder", str(name)]:
                self._named(name)
                self.folders.add(name)
                self._kind(name, "there is a folder in its place")
            case ["link", str(name), str(target)]:
                self._named(name)
                was = self.copied.get(name)
                if was is None or was.target != target:
                    self.left.append((name, "a link is not brought out"))
            case ["same", str(name), int(mode)] if not isinstance(mode, bool):
                self._named(name)
                was = self.copied.get(name)
                if was is None or was.target is not None:
                    raise _refused("it says that a file is what was copied, and none was")
                self._file(name, mode, None)
            case ["file", str(name), int(mode), int(size)] if not isinstance(mode, bool):
                self._named(name)
                if not 0 <= size <= len(self.said) - self.at:
                    raise _refused("a file does not hold what it says")
                self._file(name, mode, self.said[self.at : self.at + size])
                self.at += size
            case ["other", str(name)]:
                self._named(name)
                self.closed.add(name)
                self.left.append((name, "it cannot be read, is no file, or is too large"))
            case _:
                raise _refused("it does not speak as it should")
        return True

    def _named(self, name: str) -> None:
        """The next name: canonical, in order, and below folders that were named."""
        parts = name.split("/")
        if not 0 < len(name) <= _NAME or "\0" in name or {"", ".", ".."} & set(parts):
            raise _refused("a name leads elsewhere")
        if name <= self.last or name.rpartition("/")[0] not in self.folders:
            raise _refused("a name comes twice, or stands nowhere")
        if self.only and not any(each in self.only for each in (name, *_above(name))):
            raise _refused("nobody asked for a name")
        self.last = name
        self.met.add(name)
        if len(self.met) > ENTRIES:
            raise _refused(f"it has more than {ENTRIES} names")

    def _kind(self, name: str, why: str) -> None:
        if name in self.copied:
            self.left.append((name, why))

    def _file(self, name: str, mode: int, data: bytes | None) -> None:
        was, runs = self.copied.get(name), bool(mode & _RUNS)
        if was is not None and was.target is not None:
            self.left.append((name, "there is a file in the place of a link"))
            return
        if mode & _SPECIAL or not 0 <= mode <= 0o7777:
            self.left.append((name, "it has rights that are not brought out (set-user-ID …)"))
            return
        if was is not None and (data is None or hashlib.sha256(data).digest() == was.digest):
            if runs != was.runs:
                self.changes.append(Change(name, None, runs, was.digest, was.runs))
            return
        known = (None, False) if was is None else (was.digest, was.runs)
        self.changes.append(Change(name, data, runs, *known))

    def over(self) -> Told:
        for name, was in self.copied.items():
            if name in self.met or any(each in self.closed for each in _above(name)):
                continue
            if was.target is not None:
                self.left.append((name, "a link was removed"))
            else:
                self.changes.append(Change(name, None, False, was.digest, was.runs, gone=True))
        return Told(tuple(self.changes), tuple(self.left))


def _above(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]


def _refused(why: str) -> WorldError:
    return WorldError(
        "vm.changes",
        f"What the microVM says of its files cannot be: {why}.",
        hint="Nothing of it was brought out.",
    )
