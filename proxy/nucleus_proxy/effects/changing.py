"""Law: what came out of a machine is written whole as it was shown, under one permit, or not at
all.

A set of changes is one call, named by the digest of all that it would do; a person is always asked.
A file that is not what was copied any more refuses the set before anything is written. Then each
file takes its place in one step: nobody sees half of one, and after a kill each is old or new.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import unicodedata
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Final

from nucleus_proxy.answers import Granted
from nucleus_proxy.binding import BoundCall
from nucleus_proxy.effects import fs, opening, patching
from nucleus_proxy.effects.opening import Root
from nucleus_proxy.effects.patching import Pair, Side
from nucleus_proxy.later import runs_later
from nucleus_proxy.native import FileLabels, NativeTool, Param, Value
from nucleus_proxy.toolrules import ToolBinding
from nucleus_tokens import canonical, flow, labels, lattice
from nucleus_tokens.authority import Authority, scope_admits
from nucleus_tokens.errors import CallerError, NucleusError, WorldError
from nucleus_tokens.patterns import is_path, under
from nucleus_verifier.choosing import payload_label

NAME: Final = "workspace_apply"
MOST: Final = 256  # files of one set
_PATH_CHARS: Final = 12 * 1024  # of all their names together: a person is shown each
_RUNS: Final = 0o111
_CONFLICTS: Final = ("fs.missing", "fs.moved", "fs.is_directory", "fs.not_directory", "fs.special")
_DOMAIN: Final = b"nucleus/changes/v1\0"

Left = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One file at a path that was resolved. `data` is None where the bytes stay, or where it goes
    (`gone`); `was` is the SHA-256 of what has to stand there, None for nothing."""

    path: str
    data: bytes | None = field(repr=False)
    runs: bool
    was: bytes | None
    ran: bool
    gone: bool = False

    @property
    def spelled(self) -> list[Any]:
        now = None if self.data is None else hashlib.sha256(self.data).hexdigest()
        was = None if self.was is None else self.was.hex()
        return [self.path, was, self.ran, now, self.runs, self.gone]


class ChangeSet:
    """Changes that go together, and the workspace that they are of."""

    def __init__(self, root: Root, changes: Sequence[Change]) -> None:
        self.root = root
        self.changes = tuple(sorted(changes, key=lambda change: change.path))

    @cached_property
    def digest(self) -> str:
        """Of everything that would be done: paths, bytes, rights, and what has to stand there."""
        spelled = canonical.encode([change.spelled for change in self.changes])
        return hashlib.sha256(_DOMAIN + spelled).hexdigest()

    @property
    def arguments(self) -> dict[str, Any]:
        """Of the call that writes them."""
        return {
            "workspace": self.root.path,
            "digest": self.digest,
            "files": len(self.changes),
            "bytes": sum(len(change.data or b"") for change in self.changes),
        }

    def pairs(self, *, as_is: bool = False) -> list[Pair]:
        """Before and after, from the files as they are. Raises CallerError `changes.conflict` for
        one that is not what was copied; `as_is` takes what stands there."""
        made: list[Pair] = []
        for change in self.changes:
            old = _there(self.root, change) if as_is else _standing(self.root, change)
            if old is None and change.data is None:
                continue
            name = change.path[len(self.root.path.rstrip("/")) + 1 :]
            side = None if old is None else Side(old[0], bool(old[2].st_mode & _RUNS))
            data = change.data if change.data is not None or old is None else old[0]
            new = None if change.gone else Side(data or b"", change.runs)
            made.append(Pair(name, side, new))
        return made


def admitted(
    root: Root, found: Sequence[Change], authority: Authority, masked: Collection[str]
) -> tuple[ChangeSet, Left]:
    """Those that may be asked about, and those that stay behind, with the reason."""
    kept: list[Change] = []
    left: list[tuple[str, str]] = []
    for change in found:
        why = _why_not(root, change.path, authority, masked)
        if why:
            left.append((change.path, why))
        else:
            kept.append(change)
    return ChangeSet(root, kept), tuple(left)


def _why_not(root: Root, path: str, authority: Authority, masked: Collection[str]) -> str:
    if not is_path(path) or not under(root.path, path) or not _plain(path):
        return "its name is not plain text"
    if runs_later(path):
        return "what stands there would run later: ask for it with fs_write"
    if any(under(hidden, path) for hidden in masked):
        return "it is hidden"
    scopes = [scope for _, scope in authority.scopes if scope.kind == "path"]
    if not all(scope_admits(scope, (path,)) for scope in scopes):
        return "the token does not admit it"
    return ""


def _plain(path: str) -> bool:
    """A path that is read by a person as it is by a program."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return path.isprintable() and unicodedata.is_normalized("NFC", path)


def check(changes: ChangeSet) -> None:
    """Raises CallerError `changes.too_many` for what nobody could look through."""
    chars = sum(len(change.path) for change in changes.changes)
    if len(changes.changes) > MOST or chars > _PATH_CHARS:
        raise CallerError(
            "changes.too_many",
            f"{len(changes.changes)} files were changed; a person is asked about at most {MOST}.",
            hint="Build outside of the workspace, in /tmp: what is made there stays inside.",
        )


# The call -------------------------------------------------------------------------------------


def tool(changes: ChangeSet, *, labels: FileLabels, draw: fs.Draw) -> NativeTool:
    """The one call that writes them."""
    made = ToolBinding(
        NAME,
        lattice.WRITE_FILES,
        flow.default_sink(lattice.WRITE_FILES),
        (),
        frozenset(f"/{name}" for name in _PARAMS),
    )
    return NativeTool(
        made,
        "Write what an agent changed in its copy of the workspace.",
        _PARAMS,
        partial(_run, changes, labels, draw),
        partial(_refined, changes),
        lambda _: patching.shown(changes.pairs()),
    )


_PARAMS: Final = {
    "workspace": Param("string", "what the copy was of"),
    "digest": Param("string", "SHA-256 of all that is changed"),
    "files": Param("integer", "how many"),
    "bytes": Param("integer", "how much is written"),
}


def _refined(changes: ChangeSet, call: BoundCall) -> BoundCall:
    paths = tuple(change.path for change in changes.changes)
    touched = {**call.resources, "path": paths}
    return replace(call, resources=touched, obliged=True, within=partial(_within, changes))


def _within(changes: ChangeSet, call: BoundCall, authority: Authority) -> BoundCall:
    """To change a file is to edit it: judged as that where the token forbids just that."""
    edits = any(change.was is not None for change in changes.changes)
    if edits and not lattice.level_of(authority.levels, lattice.EDIT_FILES):
        return replace(call, operation=lattice.EDIT_FILES)
    return call


async def _run(
    changes: ChangeSet, labels: FileLabels, draw: fs.Draw, granted: Granted, cell: str
) -> Value:
    permit, call = granted.permit, granted.call
    permit.use(operation=call.operation, call_digest=call.digest, cell=cell)
    if call.args != changes.arguments:
        raise CallerError("changes.other", "These are not the changes that were approved.")
    return await asyncio.to_thread(_apply, changes, labels, draw, granted)


def _apply(changes: ChangeSet, kept: FileLabels, draw: fs.Draw, granted: Granted) -> Value:
    """Look at all of them, and then write: what came out of a machine is as tainted as it is."""
    label = labels.join(granted.call.label, payload_label(granted.exposure))
    for change in changes.changes:
        _standing(changes.root, change)
    done = 0
    try:
        for change in sorted(changes.changes, key=lambda each: each.gone):
            put(changes.root, change, partial(kept.wrote, change.path, label=label), draw)
            done += 1
    except NucleusError as error:
        raise WorldError(
            "changes.stopped",
            f"{done} of {len(changes.changes)} files were written, and then: {error.message}",
        ) from error
    structured = {**changes.arguments, "paths": [change.path for change in changes.changes]}
    return Value(structured, f"Wrote {done} files.", label)


def put(root: Root, change: Change, wrote: Callable[..., None], draw: fs.Draw) -> None:
    """Write one file, or remove it, if it is still what was copied."""
    with root.parent(change.path, make=not change.gone) as (directory, name):
        old = _read(directory, name) if change.was is not None else None
        if (None if old is None else old[1]) != change.was:
            raise _conflict(change.path)
        if change.gone:
            os.unlink(name, dir_fd=directory)
            os.fsync(directory)
            return
        data = change.data if change.data is not None or old is None else old[0]
        wrote(digest=hashlib.sha256(data or b"").digest())
        before = None if old is None else old[2]
        runs = change.runs if old is None or change.runs != change.ran else None
        fs.replace(directory, name, data or b"", before, draw, runs=runs)


def _standing(root: Root, change: Change) -> tuple[bytes, bytes, os.stat_result] | None:
    """What stands there: what was copied. Raises CallerError `changes.conflict`."""
    try:
        with root.parent(change.path) as (directory, name):
            if change.was is None and not _exists(directory, name):
                return None
            old = _read(directory, name)
    except CallerError as error:
        if error.code == "fs.missing" and change.was is None:
            return None
        raise (_conflict(change.path) if error.code in _CONFLICTS else error) from error
    if old[1] != change.was or bool(old[2].st_mode & _RUNS) != change.ran:
        raise _conflict(change.path)
    return old


def _there(root: Root, change: Change) -> tuple[bytes, bytes, os.stat_result] | None:
    """What stands there, if it is a file that could be changed."""
    try:
        with root.parent(change.path) as (directory, name):
            return _read(directory, name)
    except CallerError:
        return None


def _read(directory: int, name: str) -> tuple[bytes, bytes, os.stat_result]:
    with opening.opened(directory, name) as (fd, found):
        if found.st_size > fs.FILE_BYTES:
            raise CallerError("fs.too_large", f"A file of at most {fs.FILE_BYTES} bytes is read.")
        data, digest = fs.contents(fd, found, 0, found.st_size)
        return data, digest, found


def _exists(directory: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _conflict(path: str) -> CallerError:
    return CallerError(
        "changes.conflict",
        f"{path} is not what was copied into the microVM any more.",
        hint="Nothing is written over it. The kept patch is against what stands there now.",
    )
