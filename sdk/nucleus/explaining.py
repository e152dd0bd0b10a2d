"""Law: a question is judged exactly as a call would be: the same binding, the same kernel, the same
state; and asking changes nothing.

A call comes as JSON, in one of two forms. With a policy file it is what an agent would send:
`{"tool", "arguments"}`. Without one it says what it is: `{"tool", "operation", "arguments", …}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from nucleus_proxy import binding
from nucleus_proxy.binding import BoundCall, Hints
from nucleus_proxy.policy import NO_WALL, PolicyFile
from nucleus_tokens import exposure, flow, label_names, names, projection
from nucleus_tokens.errors import CallerError
from nucleus_verifier import gather
from nucleus_verifier.authenticate import authenticate
from nucleus_verifier.clear import clear
from nucleus_verifier.decision import Allow, Ask, Decision, Deny
from nucleus_verifier.facts import Cell, Keys, Policy, Selector
from nucleus_verifier.hints import Explanation, explain
from nucleus_verifier.ports import Ledger, Snapshot

KINDS: Final = ("path", "host", "cmd", "ref")
_FORM: Final = (
    "tool", "operation", "arguments", "resources", "selectors", "sink", "costs", "adds",
    "trusted_sink",
)  # fmt: skip
# A name that no run has: a session that nobody started has its own cell.
_NOBODY: Final = "explain"


@dataclass(frozen=True, slots=True)
class Answer:
    """What would become of a call, and why."""

    decision: Decision
    explanation: Explanation
    obligations: tuple[tuple[str, str], ...]
    rids: tuple[str, ...]
    session: tuple[str, ...]  # the exposure under which it was judged

    def as_json(self) -> dict[str, Any]:
        made = asdict(self.explanation)
        made["obligations"] = [{"id": id_, "why": why} for id_, why in self.obligations]
        made["rid"] = self.rids[-1] if self.rids else None
        made["session_has_seen"] = list(self.session)
        return made


def judge(
    text: str,
    question: Any,
    *,
    keys: Keys,
    ledger: Ledger,
    policy: PolicyFile | None,
    now: int,
    run: str | None = None,
    seen: int | None = None,
) -> Answer:
    """Decide a call without committing it. `seen` is the exposure to judge it under; without it,
    that of the token's tree and of the wall or, without a wall, of this `run` or of a new one.
    Raises CallerError `call.*` or WorldError."""
    bound = bind(question, policy)
    credential = authenticate(text, keys)
    if isinstance(credential, Deny):
        return Answer(credential, explain(credential, None), (), (), ())
    wall = policy.wall if policy is not None else None
    cell = f"run:{run or _NOBODY}" if wall is None else f"wall:{wall.id}"
    snapshot = ledger.read(gather.wanted(credential, cell))
    bits = _session(snapshot, NO_WALL if wall is None else wall.shows, seen)
    facts = gather.facts(
        keys,
        _under(snapshot, bits),
        arrived=now,
        instance="explain",
        channel="held",
        peer=None,
        policy=Policy() if policy is None else policy.verifier,
    )
    decision = clear(credential, bound.at(bits), facts)
    said = explain(decision, credential)
    if isinstance(decision, Deny) and not bound.classified:
        said = _unclassified(said)
    owed = tuple(decision.obligations) if isinstance(decision, Ask) else ()
    return Answer(decision, said, owed, credential.prefix.rids, names.exposure_names(bits))


def verdict(decision: Decision) -> str:
    """`allow`, `ask` or `deny`."""
    match decision:
        case Allow():
            return "allow"
        case Ask():
            return "ask"
        case Deny():
            return "deny"


def _session(snapshot: Snapshot, shows: int, seen: int | None) -> int:
    if seen is not None:
        return seen
    # A cell that nobody opened is as its wall will open it.
    wall = snapshot.wall.bits | shows if snapshot.wall.version else shows
    return wall | snapshot.tree.bits


def _under(snapshot: Snapshot, bits: int) -> Snapshot:
    from dataclasses import replace

    wall, tree = snapshot.wall, snapshot.tree
    return replace(
        snapshot,
        wall=Cell(wall.id, wall.version, bits),
        tree=Cell(tree.id, tree.version, bits),
    )


def _unclassified(said: Explanation) -> Explanation:
    from dataclasses import replace

    return replace(
        said,
        code="tool.unclassified",
        detail="The policy file does not say what this tool is.",
        enough="Name the tool in the policy file.",
    )


# Calls ----------------------------------------------------------------------------------------


def bind(question: Any, policy: PolicyFile | None) -> BoundCall:
    """A call from JSON. Raises CallerError `call.form`."""
    if type(question) is not dict:
        raise _bad("it is an object with a tool and its arguments")
    for key in question:
        if key not in _FORM:
            raise _bad(f"it has no {key!r}; it may have {', '.join(_FORM)}")
    tool, args = question.get("tool"), question.get("arguments", {})
    if type(tool) is not str or type(args) is not dict:
        raise _bad("its tool is a text and its arguments are an object")
    if "operation" in question:
        return _explicit(tool, args, question)
    if set(question) - {"tool", "arguments"}:
        raise _bad("a call that is bound by a policy file has only a tool and arguments")
    if policy is None:
        raise CallerError(
            "call.no_policy",
            "What this tool is, only a policy file says.",
            hint="Give --policy FILE, or an operation in the call.",
        )
    # What a running server would say of its tools is not known here, and only makes it stricter.
    return binding.bind(tool, args, policy.tools.get(tool), Hints(), policy.server.cwd)


def _explicit(tool: str, args: Any, question: Mapping[str, Any]) -> BoundCall:
    try:
        operation = names.operation(question["operation"])
        added = names.exposure_bits(_texts(question.get("adds", []), "adds"))
        sink = (
            label_names.sink(question["sink"])
            if "sink" in question
            else flow.default_sink(operation)
        )
        trusted = question.get("trusted_sink", False)
        if type(trusted) is not bool:
            raise ValueError("trusted_sink is true or false")
        return BoundCall(
            tool=tool,
            args=args,
            operation=operation,
            sink=sink,
            resources=_resources(question.get("resources", {})),
            selectors=_selectors(question.get("selectors", [])),
            records=projection.with_binding(projection.raises(operation, False, 0), added),
            projects=projection.with_binding(
                projection.projects(operation, trusted, False, exposure.NOTHING), added
            ),
            costs=_costs(question.get("costs", {})),
            obliged=False,
            classified=True,
        )
    except ValueError as error:
        raise _bad(str(error)) from error


def _resources(value: Any) -> dict[str, tuple[Any, ...] | None]:
    if type(value) is not dict:
        raise ValueError("resources is an object of kinds")
    made: dict[str, tuple[Any, ...] | None] = {}
    for kind, items in value.items():
        if kind not in KINDS or (items is not None and type(items) is not list):
            raise ValueError(f"resources are lists (or null) of {', '.join(KINDS)}")
        made[kind] = None if items is None else tuple(_resource(kind, item) for item in items)
    return made


def _resource(kind: str, item: Any) -> Any:
    if kind != "cmd":
        return _texts([item], kind)[0]
    return tuple(_texts(item, "a command"))


def _selectors(value: Any) -> tuple[Selector, ...]:
    if type(value) is not list:
        raise ValueError("selectors is a list of [pointer, kind, value]")
    made: list[Selector] = []
    for item in value:
        if type(item) is not list or len(item) != 3 or type(item[0]) is not str:
            raise ValueError("selectors is a list of [pointer, kind, value]")
        made.append(Selector(item[0], _texts([item[1]], "a kind")[0], item[2]))
    return tuple(made)


def _costs(value: Any) -> dict[str, int]:
    if type(value) is not dict or any(type(n) is not int or n < 0 for n in value.values()):
        raise ValueError("costs are whole numbers by unit")
    return dict(value)


def _texts(value: Any, what: str) -> list[str]:
    if type(value) is not list or any(type(item) is not str for item in value):
        raise ValueError(f"{what} is made of texts")
    return list(value)


def _bad(why: str) -> CallerError:
    return CallerError("call.form", f"The call cannot be read: {why}.")
