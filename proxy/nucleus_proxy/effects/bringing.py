"""Law: an agent asks to have brought out what it changed, and hears what became of it.

By itself this is a read of what was copied. What is written is a call of its own, which is judged
and asked about (`changing`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from nucleus_proxy.answers import Granted
from nucleus_proxy.binding import BoundCall
from nucleus_proxy.effects.changing import Change
from nucleus_proxy.native import NativeTool, Tools, Value
from nucleus_proxy.toolrules import ToolBinding
from nucleus_tokens import flow, lattice
from nucleus_verifier.choosing import SelectorRule, payload_label

NAME: Final = "workspace_bring"
_SAYS: Final = "Have what you changed in your copy of the workspace written out, if it is approved."


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


Bring = Callable[[], Awaitable[Brought]]


def tools(shown: tuple[str, ...], bring: Bring) -> Tools:
    """The tool of an agent with a copy of what is `shown`; `bring` asks and writes."""
    # It takes no path, but is about some: so it is listed for a token that is scoped to paths.
    about = (SelectorRule("/path", "path", optional=True),)
    made = ToolBinding(
        NAME, lattice.READ_FILES, flow.default_sink(lattice.READ_FILES), about, frozenset()
    )
    return {NAME: NativeTool(made, _SAYS, {}, partial(_run, bring), partial(_refined, shown))}


def _refined(shown: tuple[str, ...], call: BoundCall) -> BoundCall:
    return replace(call, resources={**call.resources, "path": shown})


async def _run(bring: Bring, granted: Granted, cell: str) -> Value:
    permit, call = granted.permit, granted.call
    permit.use(operation=call.operation, call_digest=call.digest, cell=cell)
    brought = await bring()
    text = "\n".join((f"{len(brought.changes)} files are written.", *brought.left))
    return Value(brought.answer, text, payload_label(granted.exposure))
