"""Law: a record says what was called and what it touched, and repeats no argument unasked.

JSON lines: first what it is, then one line for each call that ran or was refused. Paths, hosts,
commands and refs stand there as they were resolved, without what looks like a credential; what
stands there of the arguments is `arguments`' law. A line without its end was never acknowledged.
"""

from __future__ import annotations

import json
import os.path
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from nucleus.audit import credentials
from nucleus.observe import arguments
from nucleus.observe.arguments import Keep, Sketch
from nucleus.shapes import items, table, text
from nucleus_tokens import names
from nucleus_tokens.errors import CallerError
from nucleus_tokens.limits import PATTERN_SEGMENTS

FORMAT: Final = "nucleus/observed/v2"
MOST_CALLS: Final = 100_000
KINDS: Final = ("path", "host", "cmd", "ref")


@dataclass(frozen=True, slots=True)
class Seen:
    """One call. `resources` has None for a kind that is touched and not known; `before` is the
    exposure that it met; `folders` are those of its paths that were folders."""

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
    before: int = 0
    folders: tuple[str, ...] = ()
    arguments: Sketch | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """What was observed. `torn` says that a last line had no end, and was left out."""

    agent: str
    calls: tuple[Seen, ...]
    torn: bool = False

    @property
    def ran(self) -> tuple[Seen, ...]:
        """The calls that ran."""
        return tuple(call for call in self.calls if call.verdict == "allow")

    @property
    def start(self) -> int:
        """The exposure that the session began with."""
        return self.calls[0].before if self.calls else 0

    @property
    def seconds(self) -> int:
        """From the first call to the last."""
        times = [call.at for call in self.calls]
        return max(times) - min(times) if times else 0


def of_decision(line: Mapping[str, Any], revealed: Mapping[str, Any], keep: Keep) -> Seen:
    """One call, from its decision in the trace and what `reveal` kept of it."""
    decision, facts, call = line["decision"], line["facts"], line["call"]
    number: int = call["operation"]
    return Seen(
        tool=keep.scrub.text(call["tool"]),
        operation=names.OPERATIONS[number] if 0 <= number < len(names.OPERATIONS) else "",
        sink=call["sink"],
        at=facts["now"],
        verdict=decision["verdict"],
        asked=tuple(str(each) for each in items(decision.get("discharged")) or ()),
        code=str(decision.get("code", "")),
        before=facts["wall"][2] | facts["tree"][2],
        **revealed,
    )


def of_reveal(reveal: Mapping[str, Any], keep: Keep) -> dict[str, Any]:
    """What is kept of a reveal: the part of `Seen` that the trace only digests."""
    resources = {
        kind: None if values is None else _clean(kind, tuple(map(_frozen, values)), keep)
        for kind, values in (table(reveal["resources"]) or {}).items()
    }
    return {
        "resources": resources,
        "folders": tuple(path for path in resources.get("path") or () if os.path.isdir(path)),
        "records": reveal["records"],
        "projects": reveal["projects"],
        "label": _label(reveal["label"]),
        "costs": dict(reveal["costs"]),
        "arguments": arguments.sketch(reveal["args"], reveal["selectors"], keep),
    }


def _clean(kind: str, values: tuple[Any, ...], keep: Keep) -> tuple[Any, ...] | None:
    """Resources without credentials: of a command the words before one, of the rest none."""
    if kind == "cmd":
        cut = tuple(_words(value, keep) for value in values)
        return cut if all(cut) else None
    return None if any(keep.scrub.holds(str(value)) for value in values) else values


def _words(argv: tuple[Any, ...], keep: Keep) -> tuple[Any, ...]:
    for number, word in enumerate(argv[:PATTERN_SEGMENTS]):
        if keep.scrub.holds(str(word)) or any(credentials.in_words(argv[: number + 1])):
            return argv[:number]
    return argv[:PATTERN_SEGMENTS]


def head(agent: str) -> str:
    """The first line of a record."""
    return json.dumps({"format": FORMAT, "agent": agent}, sort_keys=True) + "\n"


def line(call: Seen) -> str:
    """The line of a call."""
    return json.dumps(asdict(call), sort_keys=True) + "\n"


def write(record: Record) -> str:
    """The record as JSON lines."""
    return head(record.agent) + "".join(map(line, record.calls))


def read(data: str) -> Record:
    """Raises CallerError `observe.record`."""
    *lines, rest = data.split("\n")
    try:
        first = table(json.loads(lines[0])) or {}
        if first.get("format") != FORMAT or len(lines) > MOST_CALLS:
            raise ValueError("it is no record of this version, or too long")
        calls = tuple(_seen(table(json.loads(line)) or {}) for line in lines[1:])
        return Record(_text(first["agent"]), calls, rest != "")
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
        before=_whole(value["before"]),
        folders=tuple(map(_text, items(value["folders"]) or ())),
        arguments=arguments.read(value["arguments"]),
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
