"""Law: a record says what was called and what it touched, and repeats no argument.

JSON lines: first what it is, then one line for each call that ran or was refused. Paths, hosts,
commands and refs stand there as they were resolved; of all else there is a salted digest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from nucleus.shapes import items, table, text
from nucleus_tokens import crypto, jcs, names
from nucleus_tokens.errors import CallerError

FORMAT: Final = "nucleus/observed/v1"
MOST_CALLS: Final = 100_000
KINDS: Final = ("path", "host", "cmd", "ref")


@dataclass(frozen=True, slots=True)
class Seen:
    """One call. `resources` has None for a kind that is touched and not known."""

    tool: str
    operation: str
    sink: int
    at: int
    verdict: str  # allow, or deny with its `code`
    resources: Mapping[str, tuple[Any, ...] | None]
    records: int
    projects: int
    label: tuple[int, int, int]
    costs: Mapping[str, int] = field(default_factory=dict[str, int])
    asked: tuple[str, ...] = ()  # obligations that the observer approved
    code: str = ""
    args: str = ""  # digest


@dataclass(frozen=True, slots=True)
class Record:
    """What was observed. `start` is the exposure that the session began with."""

    agent: str
    calls: tuple[Seen, ...]
    start: int = 0
    seconds: int = 0

    @property
    def ran(self) -> tuple[Seen, ...]:
        """The calls that ran."""
        return tuple(call for call in self.calls if call.verdict == "allow")


def of_trace(
    agent: str,
    lines: Iterable[Mapping[str, Any]],
    reveals: Mapping[str, Mapping[str, Any]],
    salt: bytes,
) -> Record:
    """A record from the decisions of a trace; `reveals` by their digests."""
    calls: list[Seen] = []
    start: int | None = None
    first = last = 0
    for line in lines:
        if line.get("type") != "decision":
            continue
        decision, facts, call = line["decision"], line["facts"], line["call"]
        reveal = reveals.get(call["digest"])
        if start is None:
            start, first = facts["wall"][2] | facts["tree"][2], facts["now"]
        last = facts["now"]
        if decision["verdict"] == "ask" or reveal is None:
            continue  # the same call comes again when it is approved
        number: int = call["operation"]
        operation = names.OPERATIONS[number] if 0 <= number < len(names.OPERATIONS) else ""
        calls.append(
            Seen(
                tool=call["tool"],
                operation=operation,
                sink=call["sink"],
                at=facts["now"],
                verdict=decision["verdict"],
                resources={
                    kind: None if values is None else tuple(map(_frozen, items(values) or ()))
                    for kind, values in (table(reveal["resources"]) or {}).items()
                },
                records=reveal["records"],
                projects=reveal["projects"],
                label=_label(reveal["label"]),
                costs=dict(reveal["costs"]),
                asked=tuple(str(each) for each in items(decision.get("discharged")) or ()),
                code=str(decision.get("code", "")),
                args=crypto.sha256(salt + jcs.digest(reveal["args"])).hex()[:32],
            )
        )
    return Record(agent, tuple(calls), start or 0, max(0, last - first))


def write(record: Record) -> str:
    """The record as JSON lines."""
    head = {
        "format": FORMAT, "agent": record.agent, "start": record.start, "seconds": record.seconds,
    }  # fmt: skip
    return "".join(
        json.dumps(each, sort_keys=True) + "\n" for each in (head, *map(asdict, record.calls))
    )


def read(data: str) -> Record:
    """Raises CallerError `observe.record`."""
    lines = data.splitlines()
    try:
        head = table(json.loads(lines[0])) or {}
        if head.get("format") != FORMAT or len(lines) > MOST_CALLS:
            raise ValueError("it is no record of this program, or too long")
        calls = tuple(_seen(table(json.loads(line)) or {}) for line in lines[1:])
        return Record(str(head["agent"]), calls, _whole(head["start"]), _whole(head["seconds"]))
    except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
        raise CallerError("observe.record", f"The record cannot be read: {error}.") from error


def _seen(value: Mapping[str, Any]) -> Seen:
    operation = value["operation"]
    if operation and operation not in names.OPERATION_NUMBER:
        raise ValueError(f"unknown operation {operation!r}")
    return Seen(
        tool=_text(value["tool"]),
        operation=operation,
        sink=_whole(value["sink"]),
        at=_whole(value["at"]),
        verdict=_text(value["verdict"]),
        resources={
            kind: None if values is None else tuple(map(_frozen, items(values) or ()))
            for kind, values in (table(value["resources"]) or {}).items()
        },
        records=_whole(value["records"]),
        projects=_whole(value["projects"]),
        label=_label(value["label"]),
        costs={unit: _whole(n) for unit, n in (table(value["costs"]) or {}).items()},
        asked=tuple(map(_text, items(value["asked"]) or ())),
        code=_text(value["code"]),
        args=_text(value["args"]),
    )


def _label(value: Any) -> tuple[int, int, int]:
    label, observed, ttl = (_whole(each) for each in items(value) or ())
    return label, observed, ttl


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("a whole number is needed")
    return value


def _text(value: Any) -> str:
    found = text(value)
    if found is None:
        raise ValueError("a text is needed")
    return found


def _frozen(value: Any) -> Any:
    listed = items(value)
    return value if listed is None else tuple(listed)


def findings(record: Record) -> list[str]:
    """What would have been refused whatever a policy says, in sentences."""
    return [
        f"{call.tool} was refused: {call.code}" for call in record.calls if call.verdict == "deny"
    ]


def digest_of(calls: Sequence[Seen]) -> int:
    """How many different calls there are."""
    return len({(call.tool, call.args) for call in calls})
