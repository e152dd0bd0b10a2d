"""Law: what an agent changed in a microVM is asked about once, as it would be written, and is
written so or not at all; what is not written is kept.

One call of the host half's own, under the agent's token: the same decision, desk and trace as any
call of the agent's. At the agent's end, or when it asks for it (`workspace_bring`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nucleus_issuer import files
from nucleus_proxy import native, wire
from nucleus_proxy.answers import Granted, Presented, Refusal, Withdrawn
from nucleus_proxy.effects import changing, patching
from nucleus_proxy.effects.changing import Change, ChangeSet
from nucleus_proxy.native import NativeTool, Tools, Value
from nucleus_proxy.toolrules import ToolBinding
from nucleus_proxy.waiting import Caller
from nucleus_tokens import flow, lattice
from nucleus_tokens.errors import CallerError, NucleusError
from nucleus_verifier.choosing import payload_label
from nucleus_vmhost.vm.packing import Copied

if TYPE_CHECKING:
    from nucleus.proxying import Proxy
    from nucleus_proxy.binding import BoundCall
    from nucleus_proxy.effects.cells import View
    from nucleus_proxy.effects.opening import Root
    from nucleus_proxy.policy import PolicyFile
    from nucleus_tokens.authority import Authority
    from nucleus_vmhost.vm.changes import Told
    from nucleus_vmhost.vm.working import Inside

NAME: Final = "workspace_bring"
_KEPT: Final = 32
_NAMED: Final = 20


@dataclass(frozen=True, slots=True)
class Brought:
    """What was written, and what stays inside, in words."""

    changes: tuple[Change, ...]
    left: tuple[str, ...]

    @property
    def answer(self) -> dict[str, Any]:
        """As an agent is told."""
        paths = [change.path for change in self.changes]
        return {"code": "ok", "paths": paths, "left": list(self.left)}

    @property
    def copied(self) -> dict[str, Copied | None]:
        """What counts as copied from now on; None for what is gone."""
        return {change.path: _copied(change) for change in self.changes}


@dataclass(frozen=True, slots=True)
class Bringing:
    """Whose changes are brought out, and of what: `shown` was copied, `policy` is the one behind
    the agent's wall."""

    proxy: Proxy
    policy: PolicyFile
    root: Root
    authority: Authority
    shown: View
    token: Presented

    def tools(self, inside: Inside) -> Tools:
        """The tool by which an agent has its changes brought out before its end."""
        made = ToolBinding(
            NAME, lattice.READ_FILES, flow.default_sink(lattice.READ_FILES), (), frozenset()
        )
        says = "Have what you changed in your copy of the workspace written out, if it is approved."
        return {NAME: NativeTool(made, says, {}, partial(self._run, inside), self._refined)}

    def _refined(self, call: BoundCall) -> BoundCall:
        """By itself it looks at the copy; what is written is a call of its own."""
        return replace(call, resources={**call.resources, "path": self.shown.readable})

    async def _run(self, inside: Inside, granted: Granted, cell: str) -> Value:
        permit, call = granted.permit, granted.call
        permit.use(operation=call.operation, call_digest=call.digest, cell=cell)
        async with inside.looked() as told:
            brought = await self.out(told)
            inside.brought(brought.copied)
        text = "\n".join((f"{len(brought.changes)} files are written.", *brought.left))
        return Value(brought.answer, text, payload_label(granted.exposure))

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
                await self._call(changes)
            except NucleusError:
                self.proxy.log(f"what was changed inside is kept; git apply takes it: {kept}")
                raise
            kept.unlink()
        return Brought(changes.changes, named)

    async def _call(self, changes: ChangeSet) -> None:
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


def _path(folder: str, name: str) -> str:
    return f"{folder.rstrip('/')}/{name}"


def _changes(folder: str, told: Told) -> list[Change]:
    return [
        Change(_path(folder, each.name), each.data, each.runs, each.was, each.ran, each.gone)
        for each in told.changes
    ]


def _copied(change: Change) -> Copied | None:
    """What counts as copied once a change is written."""
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
