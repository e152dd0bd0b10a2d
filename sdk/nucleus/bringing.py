"""Law: what an agent changed in a microVM is asked about once, as it would be written, and is
written so or not at all; what is not written is kept.

One call of the host half's own, under the agent's token: the same decision, desk and trace as any
call of the agent's. At the agent's end, or when it asks for it (`workspace_bring`).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nucleus_issuer import files
from nucleus_proxy import native, wire
from nucleus_proxy.answers import Granted, Presented, Refusal, Withdrawn
from nucleus_proxy.effects import bringing, changing, patching
from nucleus_proxy.effects.bringing import Brought
from nucleus_proxy.effects.changing import Change, ChangeSet
from nucleus_proxy.native import NativeTool, Tools
from nucleus_proxy.waiting import Caller
from nucleus_tokens.errors import CallerError, NucleusError
from nucleus_vmhost.vm.packing import Copied

if TYPE_CHECKING:
    from nucleus.proxying import Proxy
    from nucleus_proxy.effects.cells import View
    from nucleus_proxy.effects.opening import Root
    from nucleus_proxy.mediator import Mediator
    from nucleus_proxy.policy import PolicyFile
    from nucleus_tokens.authority import Authority
    from nucleus_vmhost.vm.changes import Told
    from nucleus_vmhost.vm.working import Inside

_KEPT: Final = 32
_NAMED: Final = 20


@dataclass(frozen=True, slots=True)
class Bringing:
    """Whose changes are brought out, and of what: `shown` was copied into the machine that
    `inside` knows, `policy` is the one behind the agent's wall."""

    proxy: Proxy
    policy: PolicyFile
    root: Root
    authority: Authority
    shown: View
    token: Presented
    inside: Inside

    def tools(self) -> Tools:
        """The tool by which an agent has its changes brought out before its end."""
        return bringing.tools(self.shown.readable, self._now)

    async def _now(self) -> Brought:
        async with self.inside.looked() as told:
            return await self.out(told)

    async def out(self, told: Sequence[tuple[str, Told]]) -> Brought:
        """Ask and write; `told` is by the folder that names are in. Raises CallerError
        `changes.*`, WorldError: then nothing was written, or it says how much."""
        found = [each for folder, one in told for each in _changes(folder, one)]
        changes, left = changing.admitted(self.root, found, self.authority, self.shown.masked)
        more = [(_path(folder, name), why) for folder, one in told for name, why in one.left]
        named = _named(sorted([*left, *more]))
        for line in named:
            self.proxy.log(line)
        if changes.changes:
            kept = self._keep(changes)
            self.proxy.log(f"{len(changes.changes)} files were changed inside; the diff: {kept}")
            try:
                changing.check(changes)
                await self._call(changes, kept)
            except NucleusError:
                self.proxy.log(f"what was changed inside is kept; git apply takes it: {kept}")
                raise
        return Brought(changes.changes, named)

    async def _call(self, changes: ChangeSet, kept: Path) -> None:
        proxy = self.proxy
        row = changing.tool(changes, labels=proxy.file_labels, draw=proxy.home.random)
        mediator = proxy.mediator(native.bound(self.policy, {changing.NAME: row}))
        build = partial(row.bind, changes.arguments, self.root.path)
        done = await mediator.call(self.token, build, progress=_unheard, caller=Caller())
        match done:
            case Refusal():
                raise CallerError(done.code, done.sentence, hint=done.hint)
            case Withdrawn():
                raise CallerError("approval.withdrawn", "Nobody waits for it any more.")
            case Granted():
                pass
        writing = asyncio.ensure_future(self._write(changes, kept, row, mediator, done))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait({writing})  # what has begun is written whole, and is on record
            raise

    async def _write(
        self, changes: ChangeSet, kept: Path, row: NativeTool, mediator: Mediator, granted: Granted
    ) -> None:
        try:
            value = await row.run(granted, mediator.wall)
            self.inside.brought({each.path: _copied(each) for each in changes.changes})
            await mediator.saw(granted, value.structured, label=value.label)
        except NucleusError:
            await mediator.outcome(granted, ok=False, result=b"")
            raise
        await mediator.outcome(granted, ok=True, result=wire.spell(value.structured))
        kept.unlink()
        self.proxy.log(f"{len(changes.changes)} changed files are written to {self.root.path}")

    def _keep(self, changes: ChangeSet) -> Path:
        """The whole of it, for a person to read, and to apply by hand where it is not written."""
        home = self.proxy.home
        folder = home.state / "changes"
        files.private_directory(folder)
        # The same may be told twice in a second.
        name = f"{home.clock()}-{changes.digest[:12]}-{home.random(3).hex()}.patch"
        path = folder / name
        files.create(path, patching.patch(changes.pairs(as_is=True)))
        for old in sorted(folder.glob("*.patch"))[:-_KEPT]:
            old.unlink(missing_ok=True)
        return path


def _path(folder: str, name: str) -> str:
    return f"{folder.rstrip('/')}/{name}"


def _changes(folder: str, told: Told) -> list[Change]:
    return [
        Change(_path(folder, each.name), each.data, each.runs, each.was, each.ran, each.gone)
        for each in told.changes
    ]


def _copied(change: Change) -> Copied | None:
    """What counts as copied once it is written; None for what is gone."""
    if change.gone:
        return None
    now = change.was if change.data is None else hashlib.sha256(change.data).digest()
    return Copied(now or b"", change.runs)


def _named(left: list[tuple[str, str]]) -> tuple[str, ...]:
    lines = [f"not brought out: {path!a}: {why}" for path, why in left[:_NAMED]]
    more = [f"not brought out: {len(left) - _NAMED} more"] if len(left) > _NAMED else []
    return (*lines, *more)


async def _unheard(_: str) -> None:
    return None
