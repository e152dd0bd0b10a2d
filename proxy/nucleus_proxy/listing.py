"""Law: a tool is shown iff no refusal of it is certain; the same token answers for list and call.

A list is not authority: what is shown may still be asked about or denied for its arguments. What is
hidden would be denied with any arguments, now and later, as cells and counters only grow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nucleus_proxy.binding import BoundCall
from nucleus_proxy.methods import TOOLS_LIST
from nucleus_proxy.toolrules import ToolBinding
from nucleus_tokens.authority import args_admit, scope_admits
from nucleus_tokens.exposure import leq
from nucleus_tokens.flow import default_sink
from nucleus_tokens.lattice import READ_FILES, level_of
from nucleus_verifier.authenticate import VerifiedCredential
from nucleus_verifier.choosing import RESOURCE_OF, payload_label
from nucleus_verifier.facts import RESOURCE_KINDS, Call
from nucleus_verifier.ports import Snapshot
from nucleus_verifier.verdict import budget_suffices


def would_ever(
    credential: VerifiedCredential, binding: ToolBinding | None, snapshot: Snapshot
) -> bool:
    """Whether some call of this tool could still be allowed or asked about."""
    if binding is None:
        return False
    authority = credential.prefix.authority
    if level_of(authority.levels, binding.operation) == 0:
        return False
    if not leq(snapshot.wall.bits | snapshot.tree.bits, authority.exposure):
        return False
    known = {RESOURCE_OF[rule.kind] for rule in binding.selectors if rule.kind in RESOURCE_OF}
    unknown = RESOURCE_KINDS[binding.operation] - known
    for _, scope in authority.scopes:
        if scope.kind == "tool":
            if not scope_admits(scope, (binding.tool,)):
                return False
        elif scope.kind in unknown:
            return False
    return all(
        counter.id in snapshot.spent
        and budget_suffices(snapshot.spent[counter.id], _cost(binding, counter.unit), counter.limit)
        for counter in authority.counters
    )


def never(credential: VerifiedCredential, bound: BoundCall, snapshot: Snapshot) -> bool:
    """Whether this very call would be denied for what its credential permits. `would_ever` for one
    whose arguments are known."""
    authority = credential.prefix.authority
    if level_of(authority.levels, bound.operation) == 0:
        return True
    if not leq(snapshot.wall.bits | snapshot.tree.bits, authority.exposure):
        return True
    for _, scope in authority.scopes:
        if scope.kind == "tool":
            if not scope_admits(scope, (bound.tool,)):
                return True
        elif scope.kind in RESOURCE_KINDS[bound.operation]:
            touched = bound.resources.get(scope.kind)
            if touched is None or not scope_admits(scope, touched):
                return True
    resolved = {s.pointer: s.value for s in bound.selectors if s.kind == "path"}
    if not all(args_admit(arg, bound.tool, bound.args, resolved) for _, arg in authority.args):
        return True
    return any(
        counter.id not in snapshot.spent
        or not budget_suffices(
            snapshot.spent[counter.id],
            1 if counter.unit == "calls" else bound.costs.get(counter.unit, 0),
            counter.limit,
        )
        for counter in authority.counters
    )


def called(binding: ToolBinding, tool: str) -> ToolBinding:
    """What is judged under another name than it is bound by."""
    return replace(binding, tool=tool)


def _cost(binding: ToolBinding, unit: str) -> int:
    return 1 if unit == "calls" else binding.costs.get(unit, 0)


def visible(
    credential: VerifiedCredential, tools: Mapping[str, ToolBinding], snapshot: Snapshot
) -> frozenset[str]:
    """The tools that this credential may see."""
    return frozenset(n for n, tool in tools.items() if would_ever(credential, tool, snapshot))


def as_call(params: Any) -> Call:
    """A list as a call that touches nothing: only who came, how and when can refuse it."""
    sink = default_sink(READ_FILES)
    return Call(TOOLS_LIST, READ_FILES, params, sink, {}, (), 0, 0, payload_label(0))


def record(credential: VerifiedCredential, shown: frozenset[str], now: int) -> dict[str, object]:
    """The trace record of a list."""
    prefix = credential.prefix
    return {
        "at": now,
        "rid": prefix.rids[-1],
        "shown": sorted(shown),
        "tid": prefix.opened.header.tid,
        "type": "list",
    }
