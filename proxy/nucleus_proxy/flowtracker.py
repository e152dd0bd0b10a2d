"""Law: a value is never cleaner than what it was made from, a session never cleaner than what it
has seen, and what could not be followed closes it.

Nodes are values, from 1. A node's label is its own joined with those of its parents, of which it
has at most eight. The ceiling is the join of all nodes there ever were; it only rises, and nothing
here lowers it (docs/adr/0021). After `poison` nothing is safe.

Source: definitions of labels and their joins in `nucleus_tokens.labels` and `labelling`.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from nucleus_tokens import labelling, labels
from nucleus_tokens.errors import CallerError

MOST_PARENTS: Final = 8
MOST_NODES: Final = 4096


class Labelled(NamedTuple):
    """A packed label with its freshness: seen at `observed` (unix seconds), good for `ttl` seconds
    (0: for ever)."""

    label: int
    observed: int = 0
    ttl: int = 0

    def join(self, other: Labelled) -> Labelled:
        """The label of a value made from both."""
        return Labelled(labels.join(self.label, other.label), *_freshness(self, other))


def _freshness(a: Labelled, b: Labelled) -> tuple[int, int]:
    """What never expires has no age: of the rest the oldest and the shortest."""
    if a.ttl == 0 or b.ttl == 0:
        older = b if a.ttl == 0 else a
        return older.observed, older.ttl
    return labelling.join_observed(a.observed, b.observed), labelling.join_ttl(a.ttl, b.ttl)


CLEAN: Final = Labelled(labels.BOTTOM)


class Safety(StrEnum):
    """Whether a value may be acted on, or the first reason why not."""

    SAFE = "safe"
    POISONED = "poisoned"
    UNKNOWN_NODE = "unknown_node"
    ADVERSARIAL_ANCESTRY = "adversarial_ancestry"
    INSUFFICIENT_AUTHORITY = "insufficient_authority"
    SESSION_CEILING_EXCEEDED = "session_ceiling_exceeded"
    CONFIDENTIALITY_VIOLATION = "confidentiality_violation"


class FlowTracker:
    """The values of one session. Old nodes are forgotten; what is forgotten is not known."""

    def __init__(self, ceiling: Labelled = CLEAN, *, poisoned: bool = False) -> None:
        """`ceiling` and `poisoned` are those of the same session before this process started."""
        self._nodes: dict[int, Labelled] = {}
        self._last = 0
        self._ceiling = ceiling
        self._poisoned = poisoned

    @property
    def ceiling(self) -> Labelled:
        """The join of everything the session has seen."""
        return self._ceiling

    @property
    def taint_ceiling(self) -> int:
        """The derivation of that, 0 deterministic to 4 opaque."""
        return labels.derivation(self._ceiling.label)

    @property
    def confidentiality_ceiling(self) -> int:
        """The confidentiality of that, 0 public to 2 secret."""
        return labels.conf(self._ceiling.label)

    @property
    def poisoned(self) -> bool:
        """Something went in that could not be followed."""
        return self._poisoned

    def observe(self, own: Labelled, parents: Sequence[int] = ()) -> int:
        """A new value with this label of its own, made from `parents`; its node.

        Raises CallerError `flow.parents` for more than eight parents or one that is not known,
        `flow.label` for what is no label; the session is poisoned then, since something was seen
        and nobody can say what.
        """
        found = [self._nodes.get(parent) for parent in parents]
        known = [each for each in found if each is not None]
        if len(parents) > MOST_PARENTS or len(known) != len(parents):
            self._poisoned = True
            raise CallerError("flow.parents", "A value has at most eight parents, all known.")
        if not labels.valid(own.label) or own.ttl < 0:
            self._poisoned = True
            raise CallerError("flow.label", "A value was seen whose label is none.")
        made = own
        for each in known:
            made = made.join(each)
        self._last += 1
        self._nodes[self._last] = made
        self._ceiling = self._ceiling.join(made)
        if len(self._nodes) > MOST_NODES:
            del self._nodes[next(iter(self._nodes))]
        return self._last

    def label(self, node: int) -> Labelled | None:
        """The label of a node; None if it is not known."""
        return self._nodes.get(node)

    def raise_ceiling(self, seen: Labelled) -> None:
        """Something was seen elsewhere, by another process of this session."""
        self._ceiling = self._ceiling.join(seen)

    def poison(self) -> None:
        """From now on nothing is safe."""
        self._poisoned = True

    # Checks -----------------------------------------------------------------------------------

    def action(self, node: int, *, needs_authority: bool) -> Safety:
        """Whether to act on a value: no adversarial ancestor, and some authority if needed."""
        if self._poisoned:
            return Safety.POISONED
        found = self._nodes.get(node)
        if found is None:
            return Safety.UNKNOWN_NODE
        if labels.integ(found.label) == labels.ADVERSARIAL:
            return Safety.ADVERSARIAL_ANCESTRY
        if needs_authority and labels.authority(found.label) == labels.NO_AUTHORITY:
            return Safety.INSUFFICIENT_AUTHORITY
        return Safety.SAFE

    def action_below(self, node: int, threshold: int, *, needs_authority: bool) -> Safety:
        """The same, and the session has seen nothing as opaque as `threshold` (a derivation)."""
        found = self.action(node, needs_authority=needs_authority)
        if found is not Safety.SAFE:
            return found
        if labels.flows_to(labelling.deriv_bits(threshold), self._ceiling.label):
            return Safety.SESSION_CEILING_EXCEEDED
        return Safety.SAFE

    def confidentiality(self, node: int, most: int) -> Safety:
        """Whether a value may go where at most `most` (0 public to 2 secret) may be."""
        if self._poisoned:
            return Safety.POISONED
        found = self._nodes.get(node)
        if found is None:
            return Safety.UNKNOWN_NODE
        if labels.conf(found.label) > most:
            return Safety.CONFIDENTIALITY_VIOLATION
        return Safety.SAFE

    def exfiltration(self, node: int, most: int, *, needs_authority: bool) -> Safety:
        """All of these, and nothing the session has seen is more confidential than `most`."""
        found = self.action(node, needs_authority=needs_authority)
        if found is Safety.SAFE:
            found = self.confidentiality(node, most)
        if found is Safety.SAFE and self.confidentiality_ceiling > most:
            return Safety.CONFIDENTIALITY_VIOLATION
        return found
