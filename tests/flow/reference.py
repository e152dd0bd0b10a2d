"""The flow of labels once more, slowly: records of enums, and ancestry walked anew each time."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.algebra.reference import Auth, Conf, Deriv, Integ, Label


@dataclass
class SlowTracker:
    """Keeps what was said and computes everything from it when asked."""

    own: dict[int, Label] = field(default_factory=dict)
    parents: dict[int, tuple[int, ...]] = field(default_factory=dict)
    poisoned: bool = False

    def observe(self, label: Label, parents: tuple[int, ...]) -> int | None:
        if len(parents) > 8 or any(p not in self.own for p in parents):
            self.poisoned = True
            return None
        node = len(self.own) + 1
        self.own[node], self.parents[node] = label, parents
        return node

    def ancestry(self, node: int) -> set[int]:
        found, todo = set(), [node]
        while todo:
            at = todo.pop()
            if at not in found:
                found.add(at)
                todo.extend(self.parents[at])
        return found

    def ancestors(self, node: int) -> list[Label]:
        return [self.own[n] for n in self.ancestry(node)]

    def label(self, node: int) -> Label:
        first, *rest = self.ancestors(node)
        for each in rest:
            first = first.join(each)
        return first

    def action(self, node: int, needs_authority: bool) -> str:
        if self.poisoned:
            return "poisoned"
        if node not in self.own:
            return "unknown_node"
        if any(each.integ == Integ.ADVERSARIAL for each in self.ancestors(node)):
            return "adversarial_ancestry"
        if needs_authority and any(e.auth == Auth.NONE for e in self.ancestors(node)):
            return "insufficient_authority"
        return "safe"

    def seen_opaque_as(self, threshold: Deriv) -> bool:
        """Whether the join of all derivations seen is at or above the threshold."""
        kinds = {each.deriv for each in self.own.values()}
        if threshold == Deriv.DET:
            return True
        if Deriv.OPAQUE in kinds:
            return True
        mixed = Deriv.MIXED in kinds or {Deriv.AI, Deriv.HUMAN} <= kinds
        if mixed:
            return threshold != Deriv.OPAQUE
        return threshold in kinds

    def confidentiality(self, node: int, most: Conf) -> str:
        if self.poisoned:
            return "poisoned"
        if node not in self.own:
            return "unknown_node"
        if any(each.conf > most for each in self.ancestors(node)):
            return "confidentiality_violation"
        return "safe"

    def exfiltration(self, node: int, most: Conf, needs_authority: bool) -> str:
        for found in (self.action(node, needs_authority), self.confidentiality(node, most)):
            if found != "safe":
                return found
        if any(each.conf > most for each in self.own.values()):
            return "confidentiality_violation"
        return "safe"
