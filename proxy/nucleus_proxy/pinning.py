"""Law: a tool is the one that was accepted, or nobody is shown it and nobody can call it.

What a server says of itself and of its tools is read by a model, so a changed word is a changed
program. Who keeps the accepted definitions is given at composition; this file says what is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final, Protocol

from nucleus_proxy.answers import Refusal

# In the result of a hello by many servers: what each said of itself.
SERVERS: Final = "nucleus/servers"
_ACCEPT: Final = "See `nucleus mcp pins diff`; `nucleus mcp pins accept` takes it as it is now."
CHANGED: Final = "tool.changed"
FLAGGED: Final = "tool.flagged"
UNACCEPTED: Final = "tool.unaccepted"
ALIKE: Final = "tool.lookalike"
_WHY: Final[Mapping[str, str]] = {
    CHANGED: "This tool is no longer what was accepted.",
    FLAGGED: "What this tool says of itself is hidden from people, or steers the agent.",
    UNACCEPTED: "Nobody has accepted this tool yet.",
    ALIKE: "The name of this tool can be taken for another one's.",
}


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose tools they are: the operator's name of the server, and what it is started by."""

    server: str
    command: tuple[str, ...] = ()
    url: str = ""
    strict: bool = False  # nothing is accepted by being the first that was seen


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of one page of definitions: tool -> one of the codes; and whether what the server
    says of itself beside its tools may be shown."""

    withheld: Mapping[str, str]
    speaks: bool = True


class Pins(Protocol):
    """Who keeps what was accepted. It blocks; raises WorldError where it cannot be read."""

    def judge(
        self,
        origin: Origin,
        said: Mapping[str, Any],
        tools: Sequence[Mapping[str, Any]],
        beside: Set[str],
    ) -> Judged:
        """`said` is what the server said of itself (`serverInfo`, `instructions`), as far as it is
        known; `tools` are definitions under the names that it gave them, `beside` the names of
        other servers' tools that the same client sees."""
        ...


def refusal(code: str) -> Refusal:
    """What whoever calls such a tool is told."""
    return Refusal(code, 0, _WHY[code], _ACCEPT)


def introduction(result: Mapping[str, Any]) -> dict[str, Any]:
    """What of a hello belongs to a server's identity. In the new era it is stamped in `_meta`."""
    meta = result.get("_meta")
    stamp = meta.get("io.modelcontextprotocol/serverInfo") if type(meta) is dict else None
    said = {key: result[key] for key in ("serverInfo", "instructions") if key in result}
    return said if stamp is None else {"serverInfo": stamp, **said}
