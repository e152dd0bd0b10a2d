"""Law: a policy permits every call that was seen, and of the rest as little as the knob says.

Each restriction is explained by the calls behind it. Where a call touched something that nobody
knows, no scope of that kind can stand: it would deny the call. It is said so, not left out.
"""

from __future__ import annotations

import json
import os.path
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from nucleus.observe.record import KINDS, Record, Seen
from nucleus.shapes import items, table, text
from nucleus_tokens import caveats, lattice, names
from nucleus_tokens.errors import CallerError, CredentialError
from nucleus_tokens.limits import LIST_ITEMS, TOKEN_LIFETIME
from nucleus_tokens.patterns import MATCHERS
from nucleus_verifier.facts import RESOURCE_KINDS

FORMAT: Final = "nucleus/policy/v1"
TIGHT: Final = ("exact", "folder", "root")
_LEAST_SECONDS: Final = 3600
_SAID: Final = 3  # values that an explanation names


@dataclass(frozen=True, slots=True)
class Observed:
    """A policy: a ceiling in caveat language, and why each part of it stands there."""

    name: str
    ceil: tuple[list[Any], ...]
    obligations: tuple[str, ...]
    seconds: int
    why: tuple[str, ...] = field(default=())

    @property
    def levels(self) -> Mapping[str, str]:
        for each in self.ceil:
            if each[0] == "only":
                return {name: str(level) for name, level in (table(each[1]) or {}).items()}
        return {}


def policy(record: Record, tight: str = "folder") -> Observed:
    """The policy of a record. Raises CallerError `observe.tight`."""
    if tight not in TIGHT:
        raise CallerError("observe.tight", f"It is one of {', '.join(TIGHT)}.")
    ran = [call for call in record.ran if call.operation]
    why: list[str] = []
    granted = _levels(ran, why)
    ceil: list[list[Any]] = [["only", granted]]
    tools = sorted({call.tool for call in ran})
    if len(tools) <= LIST_ITEMS:
        ceil.append(["tool", "in", tools])
        why.append(f"tools: the {len(tools)} that were called")
    for kind in KINDS:
        made = _scope(kind, ran, tight, why)
        if made is not None:
            ceil.append(made)
    ceil.append(["budget", "calls", max(1, 2 * len(ran))])
    why.append(f"budget: twice the {len(ran)} calls that ran")
    for unit in sorted({unit for call in ran for unit in call.costs} - {"calls"}):
        spent = sum(call.costs.get(unit, 0) for call in ran)
        ceil.append(["budget", unit, 2 * spent])
        why.append(f"budget: twice the {spent} {unit} that were spent")
    seconds = min(TOKEN_LIFETIME, max(_LEAST_SECONDS, 2 * record.seconds))
    obligations = names.obligation_names(lattice.nu(names.pack_levels(granted), 0))
    if obligations:
        why.append(f"a person is asked about {', '.join(obligations)}: all three legs stand")
    return Observed(f"observed-{record.agent}", tuple(ceil), obligations, seconds, tuple(why))


def _levels(ran: Sequence[Seen], why: list[str]) -> dict[str, str]:
    counts: dict[str, int] = {}
    for call in ran:
        counts[call.operation] = counts.get(call.operation, 0) + 1
    for operation, count in counts.items():
        why.append(f"{operation}: {count} call{'s' * (count > 1)}")
    return {operation: "always" for operation in names.OPERATIONS if operation in counts}


def _scope(kind: str, ran: Sequence[Seen], tight: str, why: list[str]) -> list[Any] | None:
    """What of a kind was touched, as a scope."""
    touching = [
        call for call in ran if kind in RESOURCE_KINDS.get(names.operation(call.operation), ())
    ]
    if not touching:
        return None
    unknown = sorted({call.tool for call in touching if call.resources.get(kind) is None})
    if unknown:
        why.append(
            f"{kind}: no scope, since nobody knows what {', '.join(unknown[:_SAID])} touched"
        )
        return None
    values = {value for call in touching for value in call.resources.get(kind) or ()}
    if kind == "path":
        values = _paths(values, tight)
    patterns = sorted({_pattern(kind, value) for value in values}, key=_order)
    if len(patterns) > LIST_ITEMS or not all(MATCHERS[kind].well_formed(p) for p in patterns):
        why.append(f"{kind}: no scope, since what was touched cannot be spelled as one")
        return None
    spelled: list[Any] = [list(each) if kind == "cmd" else each for each in patterns]
    said = ", ".join(map(_shown, spelled[:_SAID])) + (" …" if len(spelled) > _SAID else "")
    why.append(f"{kind}: {said or 'nothing'}, from {len(touching)} calls ({tight})")
    return [kind, "in", spelled]


def _pattern(kind: str, value: Any) -> Any:
    return tuple(value) if kind == "cmd" else value


def _order(value: Any) -> Any:
    return value


def _shown(value: Any) -> str:
    words = items(value)
    return str(value) if words is None else " ".join(map(str, words))


def _paths(values: Iterable[Any], tight: str) -> set[Any]:
    """Exactly these; or their folders, of which none lies in another; or the folder of all."""
    found = {str(value) for value in values}
    if tight == "exact" or not found:
        return set(found)
    folders = {os.path.dirname(path) for path in found}
    if tight == "root":
        return {os.path.commonpath(sorted(folders))}
    kept: set[Any] = set()
    for folder in sorted(folders):
        if not any(folder == each or folder.startswith(each.rstrip("/") + "/") for each in kept):
            kept.add(folder)
    return kept


# On disk --------------------------------------------------------------------------------------


def write(made: Observed) -> str:
    """As JSON, with the reasons beside the restrictions."""
    value = {
        "format": FORMAT,
        "name": made.name,
        "ceil": list(made.ceil),
        "obligations": list(made.obligations),
        "seconds": made.seconds,
        "why": list(made.why),
    }
    return json.dumps(value, indent=2) + "\n"


def read(data: str) -> Observed:
    """Raises CallerError `observe.policy`."""
    try:
        value = table(json.loads(data)) or {}
        ceil = tuple(items(each) or [] for each in items(value["ceil"]) or ())
        for caveat in ceil:
            caveats.from_value(caveat)
            if caveat[0] not in caveats.IN_CEIL:
                raise ValueError(f"{caveat[0]} does not stand in a ceiling")
        names.obligation_bits(value["obligations"])
        seconds = value["seconds"]
        if value.get("format") != FORMAT or type(seconds) is not int or seconds < 1:
            raise ValueError("it is no policy of this program")
        return Observed(
            text(value["name"]) or "",
            ceil,
            tuple(value["obligations"]),
            seconds,
            tuple(str(each) for each in items(value["why"]) or ()),
        )
    except (ValueError, KeyError, TypeError, RecursionError, CredentialError) as error:
        raise CallerError("observe.policy", f"The policy cannot be read: {error}.") from error


def diff(old: Observed, new: Observed) -> list[str]:
    """What the new one permits that the old one does not, and the reverse; empty if nothing."""
    lines: list[str] = []
    for operation in names.OPERATIONS:
        before, after = old.levels.get(operation, "never"), new.levels.get(operation, "never")
        if before != after:
            wider = names.LEVEL_NUMBER[after] > names.LEVEL_NUMBER[before]
            lines.append(f"{'+' if wider else '-'} {operation}: {before} → {after}")
    for kind in ("tool", *KINDS):
        one, two = _patterns(old, kind), _patterns(new, kind)
        if one is None and two is None:
            continue
        if one is None or two is None:
            sign, said = ("-", "a scope stands now") if one is None else ("+", "no scope any more")
            lines.append(f"{sign} {kind}: {said}")
            continue
        lines += [f"+ {kind}: {each}" for each in sorted(two - one)]
        lines += [f"- {kind}: {each}" for each in sorted(one - two)]
    for unit, (least, most) in _budgets(old, new).items():
        if least != most:
            more = least is not None and (most is None or most > least)
            lines.append(f"{'+' if more else '-'} budget {unit}: {least} → {most}")
    for operation in sorted(set(old.obligations) ^ set(new.obligations)):
        lines.append(f"{'+' if operation in old.obligations else '-'} asked about: {operation}")
    if old.seconds != new.seconds:
        sign = "+" if new.seconds > old.seconds else "-"
        lines.append(f"{sign} seconds: {old.seconds} → {new.seconds}")
    return lines


def _patterns(made: Observed, kind: str) -> set[str] | None:
    for each in made.ceil:
        if each[0] == kind and each[1] == "in":
            return {_shown(value) for value in each[2]}
    return None


def _budgets(old: Observed, new: Observed) -> dict[str, tuple[int | None, int | None]]:
    before, after = ({c[1]: c[2] for c in p.ceil if c[0] == "budget"} for p in (old, new))
    return {unit: (before.get(unit), after.get(unit)) for unit in sorted({*before, *after})}
