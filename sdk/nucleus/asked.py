"""Law: a person is shown one question, the same on every surface, and all of it.

What was recorded of a request becomes a `Question`: who asks (the whole chain), what in words and
exactly, why, and what an answer would allow. Nothing here is made safe for a screen: that is each
surface's affair, and its duty.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from nucleus import shapes
from nucleus.offers import Offer, offers
from nucleus_tokens import crypto
from nucleus_tokens.names import OPERATIONS
from nucleus_verifier.ports import PendingRequest

_VERBS: Final[Mapping[str, str]] = {
    "read_files": "read files",
    "write_files": "write a file",
    "edit_files": "change a file",
    "run_bash": "run a command",
    "glob_search": "find files by name",
    "grep_search": "search in files",
    "web_search": "search the web",
    "web_fetch": "fetch a page",
    "git_commit": "commit",
    "git_push": "push commits",
    "create_pr": "open a pull request",
    "manage_pods": "manage pods",
    "spawn_agent": "start another agent",
}
_AT: Final[Mapping[str, str]] = {"path": "at", "host": "with", "cmd": "namely", "ref": "on"}


def _always() -> bool:
    return True


class Owed(NamedTuple):
    """One thing that is answered for: its name, why, and who demands it (or nobody: it follows
    from the call and the session)."""

    id: str
    why: str
    demanded_by: str = ""


class Seen(NamedTuple):
    """One leg of the session's exposure, and the call that raised it; of `seq` 0 it was there from
    the start."""

    leg: str
    seq: int
    tool: str


class Origin(NamedTuple):
    """Where an argument, that nothing vouches for, was seen first: in the user's words (`prompt`),
    in a `trusted` or `untrusted` answer of `tool` (record `seq`), or nowhere (`agent`)."""

    obligation: str
    value: str
    where: str
    tool: str = ""
    seq: int = 0

    @property
    def words(self) -> str:
        """The same as a clause."""
        match self.where:
            case "prompt":
                return "it stands in the user's own words"
            case "trusted" | "untrusted":
                whose = "" if self.where == "trusted" else ", which a stranger may have written"
                return f"first seen in the answer of {self.tool}, record {self.seq}{whose}"
            case _:
                return "seen in no answer: the agent's own"


@dataclass(frozen=True, slots=True)
class Question:
    """One call that waits, as it was recorded."""

    id: str
    who: tuple[str, ...]  # the chain of delegation, the first holder first
    tool: str
    operation: str
    arguments: str  # JSON text, perhaps cut
    owed: tuple[tuple[str, str], ...]
    exposure: tuple[str, ...]
    cell: str
    expires: int
    issuer: str = ""
    tid: str = ""
    rid: str = ""
    whole: bool = True  # the arguments are all there
    resources: Mapping[str, tuple[Any, ...] | None] = field(default_factory=dict[str, Any])
    diff: str = ""
    diff_whole: bool = True
    demanded: tuple[Owed, ...] = ()
    seen: tuple[Seen, ...] = ()
    records: tuple[str, ...] = ()  # what the session will have seen more, afterwards
    needed: int = 1  # so many approvers
    voices: tuple[str, ...] = ()  # those who approved already
    origins: tuple[Origin, ...] = ()
    offers: tuple[Offer, ...] = ()
    alike: tuple[Question, ...] = ()  # others that can be answered with it
    mark: str = ""  # of what was recorded: an answer names it, so that it is about this
    task: str = ""  # the prefix its task began with, if that is known here: what a stop revokes
    waits: Callable[[], bool] = field(default=_always, compare=False, repr=False)

    @property
    def kind(self) -> tuple[Any, ...]:
        """Two questions of one kind differ in their arguments only."""
        owed = tuple(id_ for id_, _ in self.owed)
        return (self.who, self.tid, self.rid, self.cell, self.tool, self.operation, owed)

    @property
    def strange(self) -> bool:
        """Whether an argument came from what a stranger may have written."""
        return any(origin.where == "untrusted" for origin in self.origins)

    @property
    def stoppable(self) -> bool:
        """Whether who says no is offered to stop the task: the agent may obey somebody else, and
        its token is known here."""
        return self.strange and bool(self.task)

    @property
    def words(self) -> str:
        """What the call would do."""
        verb = _VERBS.get(self.operation, self.operation)
        touched = [
            f"{_AT.get(kind, kind)} {', '.join(map(spelled, items))}"
            if items
            else f"{kind} not known"
            for kind, items in self.resources.items()
            if items is None or items
        ]
        return " ".join([verb, *touched])


def spelled(resource: Any) -> str:
    """A resource as text; a command's words as JSON, so that each is seen."""
    return resource if type(resource) is str else json.dumps(resource, ensure_ascii=False)


def question(
    request: PendingRequest,
    *,
    voices: Sequence[str] = (),
    task: str = "",
    waits: Callable[[], bool] = _always,
) -> Question:
    """A request in words; `voices`, `task` and `waits` are what the desk knows of it beside."""
    shown = shapes.table(json.loads(request.shown)) or {}
    who = tuple(map(str, shapes.items(shown.get("chain")) or ()))
    arguments = shapes.text(shown.get("args")) or ""
    whole = shown.get("args_whole") is True
    demanded_by = [*map(str, shapes.items(shown.get("demanded_by")) or ())]
    demanded_by += [""] * len(request.obligations)
    resources = {
        kind: None if values is None else tuple(shapes.items(values) or ())
        for kind, values in (shapes.table(shown.get("resources")) or {}).items()
    }
    needed = shown.get("needed")
    origins = tuple(_origin(each) for each in shapes.items(shown.get("origins")) or ())
    first = {origin.obligation: f"; {origin.value!r}: {origin.words}" for origin in origins}
    return Question(
        id=request.id,
        who=who,
        tool=request.tool,
        operation=OPERATIONS[request.operation],
        arguments=arguments,
        owed=request.obligations,
        exposure=tuple(map(str, shapes.items(shown.get("exposure")) or ())),
        cell=request.cell,
        expires=request.expires,
        issuer=shapes.text(shown.get("issuer")) or "",
        tid=request.tid,
        rid=request.rid,
        whole=whole,
        resources=resources,
        diff=_unspelled(shown.get("diff")),
        diff_whole=shown.get("diff_whole") is not False,
        demanded=tuple(
            Owed(id_, why + first.get(id_, ""), by)
            for (id_, why), by in zip(request.obligations, demanded_by, strict=False)
        ),
        seen=tuple(_seen(each) for each in shapes.items(shown.get("legs")) or ()),
        records=tuple(map(str, shapes.items(shown.get("records")) or ())),
        needed=needed if type(needed) is int and needed > 0 else 1,
        voices=tuple(voices),
        origins=origins,
        offers=offers(request.tool, resources, arguments if whole else ""),
        mark=mark(request),
        task=task,
        waits=waits,
    )


def mark(request: PendingRequest) -> str:
    """Names what a person was shown: two requests that differ anywhere have two marks."""
    said = json.dumps(
        [request.id, request.tid, request.rid, request.cell, request.operation, request.tool,
         request.call_digest, request.obligations, request.shown]
    )  # fmt: skip
    return crypto.sha256(b"nucleus/shown/v1\0" + said.encode()).hex()[:32]


def _unspelled(value: object) -> str:
    text = shapes.text(value)
    return str(json.loads(text)) if text else ""


def _origin(value: object) -> Origin:
    given = shapes.table(value) or {}
    seq = given.get("seq")
    texts = [str(given.get(key, "")) for key in ("obligation", "value", "where", "tool")]
    return Origin(texts[0], texts[1], texts[2], texts[3], seq if type(seq) is int else 0)


def _seen(value: object) -> Seen:
    leg = shapes.table(value) or {}
    seq = leg.get("seq")
    return Seen(str(leg.get("leg")), seq if type(seq) is int else 0, str(leg.get("tool", "")))
