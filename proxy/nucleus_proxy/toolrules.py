"""Law: what a tool is, which of its arguments choose and what of its results vouches is one table;
what the table does not say is asked about or denied.

The part of a policy file that stands under `tools`, and all of a shipped binding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from nucleus_proxy import fieldlabels, fields
from nucleus_proxy import rules as result_rules
from nucleus_proxy.fieldlabels import Fields
from nucleus_proxy.rules import ResultRule
from nucleus_tokens import flow, label_names, names
from nucleus_tokens.authority import MISSING, lookup
from nucleus_tokens.caveats import BUDGET_UNITS
from nucleus_verifier.choosing import SELECTOR_KINDS, SelectorRule


@dataclass(frozen=True, slots=True)
class Given:
    """What a call is when an optional argument is there: an entry with guests is a mail."""

    pointer: str
    operation: int
    sink: int
    adds: int = 0


@dataclass(frozen=True, slots=True)
class ToolBinding:
    """What one tool of the server is, in the kernel's terms."""

    tool: str
    operation: int
    sink: int
    selectors: tuple[SelectorRule, ...] = ()
    payload: frozenset[str] = frozenset()
    # Of the payload: the value by which an argument says what it says by being left out.
    defaults: Mapping[str, str] = field(default_factory=dict)
    adds: int = 0
    costs: Mapping[str, int] = field(default_factory=dict)
    trusted_sink: bool = False
    verbs: frozenset[str] = frozenset()  # words of which the prompt must hold one
    scan: frozenset[str] = frozenset()  # free texts whose links and addresses need evidence
    results: tuple[ResultRule, ...] = ()
    label: str = ""  # the kind of node a result is; empty: by the operation
    given: tuple[Given, ...] = ()  # what it is as well when an argument is there
    fields: Fields | None = None  # what parts of its results are

    def called(self, args: Any) -> ToolBinding:
        """What a call with these arguments is: with an argument of `given` it is that instead."""
        made = self
        for each in self.given:
            value = lookup(args, each.pointer)
            if value is not MISSING and value is not None:
                made = replace(
                    made, operation=each.operation, sink=each.sink, adds=made.adds | each.adds
                )
        return made


def tool(name: str, value: Any, kind: str = "tools") -> ToolBinding:
    """One table of the policy file's `kind`. Raises CallerError `policy.*`, ValueError."""
    where = f"{kind}.{name}"
    table = fields.keys(
        where, value,
        "operation", "sink", "selectors", "payload", "adds", "costs", "trusted_sink",
        "verbs", "scan", "results", "label", "given", "fields",
    )  # fmt: skip
    if "operation" not in table:
        fields.bad(where, "it needs an 'operation'")
    if "fields" in table and kind != "tools":
        fields.bad(where, "only what a tool answers has fields")
    operation = names.operation(table["operation"])
    sink = label_names.sink(table["sink"]) if "sink" in table else flow.default_sink(operation)
    selectors = table.get("selectors", {})
    if type(selectors) is not dict:
        fields.bad(f"{where}.selectors", "a table is needed")
    rules = tuple(_selector(f"{where}.selectors", p, rule) for p, rule in selectors.items())
    free = fields.texts(f"{where}.payload", table.get("payload", []))
    payload = frozenset(fields.pointer(f"{where}.payload", p) for p in free)
    given = tuple(
        _given(f"{where}.given", pointer, each)
        for pointer, each in fields.table(f"{where}.given", table.get("given", {})).items()
    )
    declared = [*(rule.pointer for rule in rules), *payload]
    for each in given:
        if each.pointer not in declared:
            fields.bad(f"{where}.given", f"{each.pointer!r} is no argument of this tool")
    for rule in rules:
        if not set(rule.within) <= {r.pointer for r in rules}:
            fields.bad(where, "an amount lies 'within' what other selectors name")
    for pointer in declared:
        if declared.count(pointer) > 1 or any(p.startswith(pointer + "/") for p in declared):
            fields.bad(where, f"{pointer!r} is named twice, or one name contains another")
    for rule in rules:
        if rule.base and rule.base not in {r.pointer for r in rules if r.kind == "path"}:
            fields.bad(where, f"the base {rule.base!r} is not a path selector of this tool")
        if rule.base and next(r for r in rules if r.pointer == rule.base).base:
            fields.bad(where, f"the base {rule.base!r} has a base of its own")
    scan = frozenset(fields.texts(f"{where}.scan", table.get("scan", [])))
    if not scan <= payload:
        fields.bad(f"{where}.scan", "only arguments of the payload are scanned")
    label = table.get("label", "")
    if "label" in table and label not in label_names.NODE_KINDS:
        fields.bad(f"{where}.label", f"it is one of {', '.join(label_names.NODE_KINDS)}")
    verbs = fields.texts(f"{where}.verbs", table.get("verbs", []))
    units = [unit for unit in BUDGET_UNITS if unit != "calls"]  # every call counts as one
    costs = fields.keys(f"{where}.costs", table.get("costs", {}), *units)
    return ToolBinding(
        tool=name,
        operation=operation,
        sink=sink,
        selectors=rules,
        payload=payload,
        adds=names.exposure_bits(fields.texts(f"{where}.adds", table.get("adds", []))),
        costs={u: fields.count(f"{where}.costs.{u}", n, 0, 2**53 - 1) for u, n in costs.items()},
        trusted_sink=fields.flag(f"{where}.trusted_sink", table.get("trusted_sink", False)),
        verbs=frozenset(verb.lower() for verb in verbs),
        scan=scan,
        results=result_rules.results(f"{where}.results", table.get("results", []), fields.pointer),
        label=label,
        given=given,
        fields=fieldlabels.parse(f"{where}.fields", table.get("fields", [])),
    )


def _given(where: str, pointer: str, value: Any) -> Given:
    table = fields.keys(f"{where}.{pointer}", value, "operation", "sink", "adds")
    if "operation" not in table:
        fields.bad(f"{where}.{pointer}", "it needs an 'operation'")
    operation = names.operation(table["operation"])
    return Given(
        fields.pointer(where, pointer),
        operation,
        label_names.sink(table["sink"]) if "sink" in table else flow.default_sink(operation),
        names.exposure_bits(fields.texts(f"{where}.adds", table.get("adds", []))),
    )


# What only some kinds of selector have.
_ONLY: Final[Mapping[str, tuple[str, ...]]] = {
    "base": ("path",),
    "of": ("id",),
    "least": ("choice",),
    "words": ("flag",),
    "within": ("amount",),
}


def _selector(where: str, pointer: str, value: Any) -> SelectorRule:
    pointer = fields.pointer(where, pointer)
    where = f"{where}.{pointer}"
    table = {"kind": value} if type(value) is str else value
    fields.keys(where, table, "kind", "optional", "item", "beside", *_ONLY)
    kind = table.get("kind")
    if kind not in SELECTOR_KINDS:
        fields.bad(where, f"a kind is one of {', '.join(SELECTOR_KINDS)}")
    for key, kinds in _ONLY.items():
        if key in table and kind not in kinds:
            fields.bad(where, f"only {' and '.join(kinds)} has {key!r}")
    if "beside" in table and "item" not in table:
        fields.bad(where, "only what has an 'item' has something 'beside' it")
    beside = fields.table(f"{where}.beside", table.get("beside", {}))
    return SelectorRule(
        pointer,
        kind,
        fields.pointer(where, table["base"]) if "base" in table else "",
        fields.flag(where, table.get("optional", False)),
        fields.text(f"{where}.of", table["of"]) if "of" in table else "",
        fields.text(f"{where}.least", table["least"]) if "least" in table else "",
        words=fields.texts(f"{where}.words", table.get("words", [])),
        within=tuple(
            fields.pointer(where, each)
            for each in fields.texts(f"{where}.within", table.get("within", []))
        ),
        item=fields.text(f"{where}.item", table["item"]) if "item" in table else "",
        beside={key: fields.text(f"{where}.beside", each) for key, each in beside.items()},
    )
