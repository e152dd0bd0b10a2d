"""Law: a call in a question is read as strictly as one on the wire, and says what it leaves open.

It comes as JSON, in one of two forms. With a policy file it is what an agent would send: `{"tool",
"arguments"}`. Without one it says what it is: `{"tool", "operation", "arguments", "resources", …}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from nucleus import shapes
from nucleus_proxy import binding
from nucleus_proxy.binding import BoundCall, Hints
from nucleus_proxy.policy import PolicyFile
from nucleus_tokens import exposure, flow, label_names, names, projection
from nucleus_tokens.errors import CallerError
from nucleus_verifier.facts import Selector

KINDS: Final = ("path", "host", "cmd", "ref")
_FORM: Final = (
    "tool", "operation", "arguments", "resources", "selectors", "sink", "costs", "adds",
    "trusted_sink",
)  # fmt: skip


def bind(asked: Any, policy: PolicyFile | None) -> BoundCall:
    """A call from JSON. Raises CallerError `call.form`."""
    question = shapes.table(asked)
    if question is None:
        raise _bad("it is an object with a tool and its arguments")
    for key in question:
        if key not in _FORM:
            raise _bad(f"it has no {key!r}; it may have {', '.join(_FORM)}")
    tool, args = shapes.text(question.get("tool")), shapes.table(question.get("arguments", {}))
    if tool is None or args is None:
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
    table = shapes.table(value)
    if table is None:
        raise ValueError("resources is an object of kinds")
    made: dict[str, tuple[Any, ...] | None] = {}
    for kind, given in table.items():
        items = shapes.items(given)
        if kind not in KINDS or (items is None and given is not None):
            raise ValueError(f"resources are lists (or null) of {', '.join(KINDS)}")
        made[kind] = None if items is None else tuple(_resource(kind, item) for item in items)
    return made


def _resource(kind: str, item: Any) -> Any:
    if kind != "cmd":
        return _texts([item], kind)[0]
    return tuple(_texts(item, "a command"))


def _selectors(value: Any) -> tuple[Selector, ...]:
    made: list[Selector] = []
    listed = shapes.items(value)
    for each in [None] if listed is None else listed:
        item = shapes.items(each)
        if item is None or len(item) != 3 or type(item[0]) is not str:
            raise ValueError("selectors is a list of [pointer, kind, value]")
        made.append(Selector(item[0], _texts([item[1]], "a kind")[0], item[2]))
    return tuple(made)


def _costs(value: Any) -> dict[str, int]:
    table = shapes.table(value)
    if table is None or any(type(n) is not int or n < 0 for n in table.values()):
        raise ValueError("costs are whole numbers by unit")
    return table


def _texts(value: Any, what: str) -> list[str]:
    items = shapes.items(value)
    if items is None or any(type(item) is not str for item in items):
        raise ValueError(f"{what} is made of texts")
    return items


def _bad(why: str) -> CallerError:
    return CallerError("call.form", f"The call cannot be read: {why}.")
