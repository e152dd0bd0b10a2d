"""Law: a repair names the smallest thing that would let a call pass, in words a program can act on.

A pure function of the decision, outside the kernel, like the hints. `automatic` says that the
caller can do it by itself; `approval` that a person must answer; `none` that this call as it stands
cannot be repaired.

Source: docs/spec/flow.md, "Repairs".
"""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple

from nucleus_verifier.decision import LAST_SILENT_STEP, Allow, Ask, Decision, Deny

Way = Literal["automatic", "approval", "none"]


class Repair(NamedTuple):
    """`kind` is stable; `of` is the obligation or the code it repairs; `pointer` the argument, if
    it is about one."""

    kind: str
    way: Way
    of: str
    pointer: str = ""

    def fields(self) -> dict[str, Any]:
        """In JSON form."""
        made: dict[str, Any] = {"kind": self.kind, "of": self.of, "way": self.way}
        return {**made, "pointer": self.pointer} if self.pointer else made


APPROVAL: Final = "obtain_human_approval"
KINDS: Final = (
    "raise_integrity", "correct_operation_sink_pair", "promote_derivation",
    "declassify_or_replace_input", "wire_budget_gate", APPROVAL, "reduce_capability_request",
    "out_of_task_scope", "provide_content_addressed_inputs",
)  # fmt: skip

# What to do about what would be written, besides asking: pass on, by reference, a value that is
# better than the session, or have one released.
_FLOW: Final[dict[str, tuple[str, Way]]] = {
    "flow:authority": ("provide_content_addressed_inputs", "automatic"),
    "flow:integrity": ("raise_integrity", "automatic"),
    "flow:web_to_exfil": ("declassify_or_replace_input", "automatic"),
    "flow:freshness": ("declassify_or_replace_input", "automatic"),
    "flow:derivation": ("promote_derivation", "approval"),
}
_DENIED: Final[dict[str, tuple[str, Way]]] = {
    "budget.exhausted": ("reduce_capability_request", "none"),
    "budget.unknown": ("wire_budget_gate", "none"),
    "exposure.exceeded": ("out_of_task_scope", "none"),
    "flow.bad_declassification": ("declassify_or_replace_input", "approval"),
    "flow.secret": ("declassify_or_replace_input", "approval"),
    "flow.unknown_sink": ("correct_operation_sink_pair", "none"),
    "level.never": ("out_of_task_scope", "none"),
    "scope.arguments": ("reduce_capability_request", "automatic"),
    "scope.outside": ("reduce_capability_request", "automatic"),
    "scope.unknown": ("correct_operation_sink_pair", "none"),
}


def repairs(decision: Decision) -> tuple[Repair, ...]:
    """What would let this call pass. For an Ask every obligation has one; a stranger gets none."""
    match decision:
        case Allow():
            return ()
        case Ask():
            return tuple(r for o in decision.obligations for r in _of_obligation(o.id))
        case Deny():
            known = _DENIED.get(decision.code)
            if known is None or decision.step <= LAST_SILENT_STEP:
                return ()
            return (Repair(*known, decision.code),)


def _of_obligation(name: str) -> tuple[Repair, ...]:
    asked = Repair(APPROVAL, "approval", name)
    kind, _, rest = name.partition(":")
    if kind == "input":
        asked = asked._replace(pointer=rest)
        # Only a named argument can be passed by reference, or taken from the user's own words.
        if not rest:
            return (asked,)
        return (Repair("provide_content_addressed_inputs", "automatic", name, rest), asked)
    if name in _FLOW:
        return (Repair(*_FLOW[name], name), asked)
    return (asked,)
