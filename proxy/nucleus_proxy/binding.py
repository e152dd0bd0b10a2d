"""Law: a call is judged by what the operator says its tool is and by what its arguments resolve to.

The agent's word counts for nothing here: labels come from the cells, costs from the policy file,
and an argument nobody declared is a selector without evidence. What the server says of itself can
only make a call stricter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from nucleus_proxy import resolve, schema
from nucleus_proxy.toolrules import ToolBinding
from nucleus_tokens import exposure, projection
from nucleus_tokens.authority import MISSING, Authority, lookup
from nucleus_tokens.exposure import EXFIL_VECTOR, UNTRUSTED_CONTENT
from nucleus_tokens.lattice import NETWORK, READS, with_level
from nucleus_tokens.sinks import UNKNOWN_SINK
from nucleus_verifier.choosing import SelectorRule, chosen, payload_label, undeclared
from nucleus_verifier.facts import Call, Selector

if TYPE_CHECKING:
    from nucleus_proxy.fieldlabels import Fields
    from nucleus_proxy.flow import Looked

# No operation has this number, so the kernel denies it at step 9.
UNCLASSIFIED: Final = -1


@dataclass(frozen=True, slots=True)
class Hints:
    """What the server says of a tool: only what makes it stricter is kept."""

    obliged: bool = False  # it admits to changing something
    open_world: bool = False  # it admits to reaching out
    schema: Any = None  # what it says its arguments are


# For a tool that the server does not list: nobody knows what it would say.
UNLISTED: Final = Hints(obliged=True, open_world=True)


def hints(annotations: Any, binding: ToolBinding | None) -> Hints:
    """The explicit annotations of a tool (MCP ToolAnnotations); defaults and grants are ignored."""
    if type(annotations) is not dict or binding is None:
        return Hints()
    reads = with_level(binding.operation, 2) & (READS | NETWORK) != 0
    changes = annotations.get("destructiveHint") is True or annotations.get("readOnlyHint") is False
    return Hints(reads and changes, annotations.get("openWorldHint") is True)


@dataclass(frozen=True, slots=True)
class BoundCall:
    """A call resolved once. Its payload's label depends on the cells, so it is finished by `at`."""

    tool: str
    args: Any
    operation: int
    sink: int
    resources: Mapping[str, tuple[Any, ...] | None]
    selectors: tuple[Selector, ...]
    records: int
    projects: int
    costs: Mapping[str, int]
    obliged: bool
    classified: bool
    # What the call touches may depend on what its credential permits: a cell shows no more.
    within: Callable[[BoundCall, Authority], BoundCall] | None = None
    references: Mapping[str, str] = field(default_factory=dict)  # what the caller claims them to be
    # What it would change, for a person who is asked; it is shown to nobody else.
    preview: Callable[[BoundCall], str] | None = None
    # What parts of its result are. `later` is the exposure that is recorded only once a result
    # shows what brings it.
    fields: Fields | None = None
    later: int = 0

    def priced(self, costs: Mapping[str, int]) -> BoundCall:
        """The same call at other costs."""
        return replace(self, costs=costs)

    def touching(self, kind: str, values: tuple[Any, ...]) -> BoundCall:
        """The same call, known to touch exactly these resources of a kind."""
        return replace(self, resources={**self.resources, kind: values})

    def at(self, cells: int, looked: Looked | None = None) -> Call:
        """The call as it stands while the session has seen `cells` (the join of both cells), with
        what the proxy knows of its values."""
        if looked is None:
            known: dict[str, Any] = {"selectors": self.selectors, "label": payload_label(cells)}
        else:
            known = {
                "selectors": self.selectors + looked.more,
                "label": looked.payload.label,
                "observed": looked.payload.observed,
                "ttl": looked.payload.ttl,
                "bad_declassification": looked.bad_declassification,
            }
        return Call(
            tool=self.tool,
            operation=self.operation,
            args=self.args,
            sink=self.sink,
            resources=self.resources,
            records=self.records,
            projects=self.projects,
            costs=self.costs,
            **known,
        )


def unclassified(tool: str, args: Any) -> BoundCall:
    """A call of a tool that the policy file does not name: the kernel denies it."""
    return BoundCall(
        tool, args, UNCLASSIFIED, UNKNOWN_SINK, {}, (), exposure.ALL, exposure.ALL, {},
        obliged=True, classified=False,
    )  # fmt: skip


def bind(tool: str, args: Any, binding: ToolBinding | None, said: Hints, cwd: str) -> BoundCall:
    """Resolve a call's arguments by its tool's binding. `args` is a parsed JSON object.
    What the tool's own schema does not admit has no evidence: the server says what is wrong with
    it, if the call comes that far."""
    if binding is None:
        return unclassified(tool, args)
    bound = binding.called(args) if binding.given else binding

    def path(rule: SelectorRule, value: Any) -> str | None:
        return resolve.path(value, _base(rule, bound, args, cwd))

    selectors, touched = chosen(bound.selectors, args, path, bound.trusted_sink)
    declared = {rule.pointer for rule in bound.selectors} | bound.payload
    selectors += undeclared(declared, args)
    # Where nothing chooses, nothing was vouched for.
    if selectors and schema.mismatch(said.schema, args) is not None:
        selectors.append(Selector("", "undeclared", None))
    operation = bound.operation
    hinted = UNTRUSTED_CONTENT if said.open_world else 0
    may, now = bound.adds, bound.adds
    if bound.fields is not None:
        # A way out is one whatever comes back; the rest comes with a result that shows it.
        may, now = may | bound.fields.adds, may & EXFIL_VECTOR
    records = projection.with_binding(projection.raises(operation, False, 0), now | hinted)
    projects = projection.projects(operation, bound.trusted_sink, False, 0)
    return BoundCall(
        tool=tool,
        args=args,
        operation=operation,
        sink=bound.sink,
        resources=touched,
        selectors=tuple(selectors),
        records=records,
        projects=projection.with_binding(projects, may | hinted),
        costs=bound.costs,
        obliged=said.obliged,
        classified=True,
        fields=bound.fields,
        later=may & ~records,
    )


def _base(rule: SelectorRule, binding: ToolBinding, args: Any, cwd: str) -> str | None:
    if not rule.base:
        return cwd
    given = lookup(args, rule.base)
    if given is MISSING or given is None:
        base = next(r for r in binding.selectors if r.pointer == rule.base)
        return cwd if base.optional else None
    return resolve.path(given, cwd)
