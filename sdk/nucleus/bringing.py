"""Law: what an agent changed in a microVM is asked about once, as it would be written, and is
written so or not at all; what is not written is kept.

One call of the host half's own, under the agent's token: the same decision, desk and trace as any
call of the agent's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nucleus_issuer import files
from nucleus_proxy import native, wire
from nucleus_proxy.answers import Presented, Refusal, Withdrawn
from nucleus_proxy.effects import changing, patching
from nucleus_proxy.effects.changing import Change, ChangeSet
from nucleus_proxy.waiting import Caller
from nucleus_tokens.errors import CallerError, NucleusError, WorldError

if TYPE_CHECKING:
    from nucleus.proxying import Proxy
    from nucleus_proxy.effects.opening import Root
    from nucleus_tokens.authority import Authority
    from nucleus_vmhost.vm.changes import Told

_KEPT: Final = 32
_NAMED: Final = 20


@dataclass(frozen=True, slots=True)
class Bringing:
    """Whose changes are brought out, and of what."""

    proxy: Proxy
    root: Root
    authority: Authority
    masked: Collection[str]
    token: Presented

    async def out(self, told: Mapping[str, Told]) -> bool:
        """Ask and write; `told` is by copied folder. False where nothing was changed. Raises
        CallerError `changes.*`, WorldError: then nothing was written, or it says how much."""
        found = [each for top, one in told.items() for each in _changes(top, one)]
        changes, left = changing.admitted(self.root, found, self.authority, self.masked)
        more = [(f"{top}/{name}", why) for top, one in told.items() for name, why in one.left]
        _name(sorted([*left, *more]), self.proxy.log)
        if not changes.changes:
            return False
        kept = self._keep(changes)
        self.proxy.log(f"{len(changes.changes)} files were changed inside; the diff: {kept}")
        try:
            changing.check(changes)
            await self._call(changes)
        except NucleusError as error:
            raise _unwritten(error, kept) from error
        kept.unlink()
        return True

    async def _call(self, changes: ChangeSet) -> None:
        proxy = self.proxy
        row = changing.tool(changes, labels=proxy.file_labels, draw=proxy.home.random)
        mediator = proxy.mediator(native.bound(proxy.policy, {changing.NAME: row}))
        build = partial(row.bind, changes.arguments, self.root.path)
        done = await mediator.call(self.token, build, progress=_unheard, caller=Caller())
        match done:
            case Refusal():
                raise CallerError(done.code, done.sentence, hint=done.hint)
            case Withdrawn():
                raise CallerError("approval.withdrawn", "Nobody waits for it any more.")
            case granted:
                pass
        value = None
        try:
            value = await row.run(granted, mediator.wall)
            await mediator.saw(granted, value.structured, label=value.label)
        finally:
            said = b"" if value is None else wire.spell(value.structured)
            await mediator.outcome(granted.permit, ok=value is not None, result=said)
        proxy.log(f"{len(changes.changes)} changed files are written to {self.root.path}")

    def _keep(self, changes: ChangeSet) -> Path:
        """The whole of it, for a person to read, and to apply by hand where it is not written."""
        home = self.proxy.home
        folder = home.state / "changes"
        files.private_directory(folder)
        path = folder / f"{home.clock()}-{changes.digest[:12]}.patch"
        files.create(path, patching.patch(changes.pairs()))
        for old in sorted(folder.glob("*.patch"))[:-_KEPT]:
            old.unlink(missing_ok=True)
        return path


def _changes(top: str, told: Told) -> list[Change]:
    return [
        Change(
            f"{top.rstrip('/')}/{each.name}", each.data, each.runs, each.was, each.ran, each.gone
        )
        for each in told.changes
    ]


def _name(left: list[tuple[str, str]], log: Callable[[str], None]) -> None:
    for path, why in left[:_NAMED]:
        log(f"not brought out: {os.fsencode(path)!a}: {why}")
    if len(left) > _NAMED:
        log(f"not brought out: {len(left) - _NAMED} more")


def _unwritten(error: NucleusError, kept: Path) -> NucleusError:
    made = WorldError if isinstance(error, WorldError) else CallerError
    hint = f"What the agent changed is kept in {kept}; git apply takes it. {error.hint}"
    return made(error.code, error.message, hint=hint.strip())


async def _unheard(_: str) -> None:
    return None
