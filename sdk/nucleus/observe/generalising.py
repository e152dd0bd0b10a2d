"""Law: a policy permits every call that was seen, and of the rest as little as the knob says.

Each restriction is explained by the calls behind it. Where a call touched something that nobody
knows, no scope of that kind can stand for all tools: it would deny the call. There it stands for
each of the others alone, as rules on their arguments. What does not fit into a token is widened
step by step, and what is left out is said.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from nucleus.observe import arguments, paths
from nucleus.observe.record import KINDS, Record, Seen
from nucleus.shapes import items, table, text
from nucleus_tokens import caveats, lattice, names, writing
from nucleus_tokens.errors import CallerError, CredentialError
from nucleus_tokens.limits import PATTERN_SEGMENTS, PATTERNS, TOKEN_LIFETIME
from nucleus_tokens.patterns import MATCHERS
from nucleus_verifier.facts import RESOURCE_KINDS

FORMAT: Final = "nucleus/policy/v1"
TIGHT: Final = ("exact", "folder", "root")
_LEAST_SECONDS: Final = 3600
_SAID: Final = 3  # values that an explanation names
# What a ceiling may take of a header, or append to a token, beside what stands there already.
_BYTES: Final = 2800
_CAVEATS: Final = 48
Tell = Callable[[str], None]


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


class _Ceiling:
    """Caveats, as many as fit into one token."""

    def __init__(self) -> None:
        self.caveats: list[list[Any]] = []
        self._bytes = self._patterns = 0

    def takes(self, caveat: list[Any] | None) -> bool:
        """Add it, if there is one and it fits."""
        if caveat is None:
            return False
        try:
            size = self._bytes + len(writing.caveat(caveat))
        except CredentialError:
            return False
        patterns = self._patterns + (len(caveat[2]) if caveat[0] in caveats.SCOPE_KINDS else 0)
        if size > _BYTES or patterns > PATTERNS or len(self.caveats) >= _CAVEATS:
            return False
        self._bytes, self._patterns = size, patterns
        self.caveats.append(caveat)
        return True


def policy(record: Record, tight: str = "folder") -> Observed:
    """The policy of a record. Raises CallerError `observe.tight`."""
    if tight not in TIGHT:
        raise CallerError("observe.tight", f"It is one of {', '.join(TIGHT)}.")
    # A tool's name is a pattern in a scope: one that matches others is permitted nowhere.
    ran = [call for call in record.ran if call.operation and "*" not in call.tool]
    why: list[str] = []
    ceiling = _Ceiling()
    granted = _levels(ran, why.append)
    ceiling.takes(["only", granted])
    _budgets(ceiling, ran, why.append)
    tools = sorted({call.tool for call in ran})
    fits = ceiling.takes(["tool", "in", tools])
    why.append(
        f"tools: the {len(tools)} that were called" if fits
        else f"tools: no scope, since {len(tools)} names do not fit into a token"
    )  # fmt: skip
    folders = frozenset(folder for call in ran for folder in call.folders)
    for kind in KINDS:
        _scope(ceiling, kind, ran, tight, folders, why.append)
    _arguments(ceiling, ran, tight, folders, why.append)
    seconds = min(TOKEN_LIFETIME, max(_LEAST_SECONDS, 2 * record.seconds))
    why.append(f"time: {seconds} s, twice the {record.seconds} s that it took, an hour at least")
    obligations = names.obligation_names(lattice.nu(names.pack_levels(granted), 0))
    if obligations:
        why.append(f"a person is asked about {', '.join(obligations)}: all three legs stand")
    name = f"observed-{record.agent}"
    return Observed(name, tuple(ceiling.caveats), obligations, seconds, tuple(why))


def _levels(ran: Sequence[Seen], tell: Tell) -> dict[str, str]:
    counts: dict[str, int] = {}
    for call in ran:
        counts[call.operation] = counts.get(call.operation, 0) + 1
    for operation, count in counts.items():
        tell(f"{operation}: {count} call{'s' * (count > 1)}")
    return {operation: "always" for operation in names.OPERATIONS if operation in counts}


def _budgets(ceiling: _Ceiling, ran: Sequence[Seen], tell: Tell) -> None:
    ceiling.takes(["budget", "calls", max(1, 2 * len(ran))])
    tell(f"budget: twice the {len(ran)} calls that ran")
    for unit in sorted({unit for call in ran for unit in call.costs} - {"calls"}):
        spent = sum(call.costs.get(unit, 0) for call in ran)
        if ceiling.takes(["budget", unit, 2 * spent]):
            tell(f"budget: twice the {spent} {unit} that were spent")


def _scope(
    ceiling: _Ceiling,
    kind: str,
    ran: Sequence[Seen],
    tight: str,
    folders: frozenset[str],
    tell: Tell,
) -> None:
    """What of a kind was touched, as a scope."""
    touching = [
        call for call in ran if kind in RESOURCE_KINDS.get(names.operation(call.operation), ())
    ]
    if not touching:
        return
    unknown = sorted({call.tool for call in touching if call.resources.get(kind) is None})
    if unknown:
        named = ", ".join(unknown[:_SAID])
        tell(f"{kind}: no scope for all, since nobody knows what {named} touched")
        return
    values = {value for call in touching for value in call.resources.get(kind) or ()}
    # From the knob on, ever wider, until it fits.
    for step in TIGHT[TIGHT.index(tight) :] if kind == "path" else (tight,):
        patterns = _patterns_of(kind, values, step, folders)
        if patterns is not None and ceiling.takes([kind, "in", patterns]):
            said = ", ".join(map(_shown, patterns[:_SAID])) + " …" * (len(patterns) > _SAID)
            tell(f"{kind}: {said or 'nothing'}, from {len(touching)} calls ({step})")
            return
    tell(f"{kind}: no scope, since {len(values)} values cannot be spelled in a token")


def _patterns_of(
    kind: str, values: Iterable[Any], tight: str, folders: frozenset[str]
) -> list[Any] | None:
    """Sorted and each once; None where one of them has no pattern."""
    if kind == "path":
        made: set[Any] = set(paths.widened(set(values), tight, folders))
    elif kind == "cmd":
        made = {_command(value) for value in values}
    else:
        made = set(values)
    spelled: list[Any] = [list(each) if kind == "cmd" else each for each in sorted(made)]
    return spelled if all(map(MATCHERS[kind].well_formed, spelled)) else None


def _command(words: Any) -> tuple[str, ...]:
    """As much of a command as a pattern holds: its first words."""
    kept = tuple(words)[:PATTERN_SEGMENTS]
    return kept[: kept.index("")] if "" in kept else kept


def _arguments(
    ceiling: _Ceiling, ran: Sequence[Seen], tight: str, folders: frozenset[str], tell: Tell
) -> None:
    """For each tool, the most called first, which arguments it takes and what they may be."""
    calls: dict[str, list[Seen]] = {}
    for call in ran:
        calls.setdefault(call.tool, []).append(call)
    for tool, mine in sorted(calls.items(), key=lambda pair: (-len(pair[1]), pair[0])):
        found = [call.arguments for call in mine]
        steps = TIGHT[TIGHT.index(tight) :]
        made = [arguments.rules(tool, found, step, folders) for step in steps]
        fit = next((each for each in made if each is not None and ceiling.takes(each)), None)
        if fit is None:
            why = "do not fit into a token" if made[0] is not None else "cannot be named"
            tell(f"{tool}: no rule on its arguments, since they {why}")
            continue
        ruled = [f"{p} {arguments.text(r)}" for p, r in fit[2].items()]
        tell(f"{tool}: {'; '.join(ruled) or 'no arguments'}, from {len(mine)} calls")
        same = arguments.constant(found)
        if same:
            tell(f"{tool}: {', '.join(same)} never changed; observe --values keeps what it was")


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


def _shown(value: Any) -> str:
    words = items(value)
    return str(value) if words is None else " ".join(map(str, words))
