"""The tracker against a slow reference on random graphs; ceilings only rise; poison stays."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleus_proxy.flowtracker import CLEAN, MOST_NODES, FlowTracker, Labelled, Safety
from nucleus_tokens import labels
from nucleus_tokens.errors import CallerError
from tests.algebra.reference import LABELS, SCALE, Auth, Conf, Deriv, Integ, Label
from tests.flow.reference import SlowTracker

# A graph: each node's own label, and its parents as numbers that are taken modulo what there is.
GRAPHS = st.lists(
    st.tuples(LABELS, st.lists(st.integers(0, 40), max_size=10)), min_size=1, max_size=14
)
CLEANER = Label(Conf.PUBLIC, Integ.TRUSTED, Auth.DIRECTIVE, frozenset(), Deriv.DET)


@settings(max_examples=300 * SCALE)
@given(GRAPHS, st.data())
def test_it_says_what_the_slow_reference_says(graph: Any, data: st.DataObject) -> None:
    fast, slow = FlowTracker(), SlowTracker()
    before = CLEAN.label
    for own, wanted in graph:
        # Mostly nodes that exist; sometimes 0, or one that does not.
        parents = tuple(p % (len(slow.own) + 1) if p < 38 else p for p in wanted)
        expected = slow.observe(own, parents)
        try:
            node: int | None = fast.observe(Labelled(own.pack()), parents)
        except CallerError:
            node = None
        assert node == expected
        # the ceiling only rises, and holds everything
        assert labels.flows_to(before, fast.ceiling.label)
        before = fast.ceiling.label
    assert fast.poisoned == slow.poisoned
    joined = 0
    for node in slow.own:
        found = fast.label(node)
        assert found is not None
        assert found.label == slow.label(node).pack()
        joined |= found.label
    assert fast.ceiling.label == joined
    for node in [*slow.own, 0, -1, len(slow.own) + 1]:
        needs = data.draw(st.booleans())
        most, threshold = data.draw(st.sampled_from(Conf)), data.draw(st.sampled_from(Deriv))
        assert fast.action(node, needs_authority=needs) == slow.action(node, needs)
        assert fast.confidentiality(node, int(most)) == slow.confidentiality(node, most)
        assert fast.exfiltration(node, int(most), needs_authority=needs) == slow.exfiltration(
            node, most, needs
        )
        expected_below = slow.action(node, needs)
        if expected_below == "safe" and slow.seen_opaque_as(threshold):
            expected_below = "session_ceiling_exceeded"
        below = fast.action_below(node, list(Deriv).index(threshold), needs_authority=needs)
        assert below == expected_below


@settings(max_examples=200 * SCALE)
@given(LABELS, LABELS, LABELS, st.lists(st.integers(0, 100), min_size=7, max_size=7))
def test_freshness_joins_and_a_mixture_is_stale_when_a_part_is(
    a: Label, b: Label, c: Label, n: list[int]
) -> None:
    x, y, z = (
        Labelled(each.pack(), n[i] if n[i + 3] else 0, n[i + 3]) for i, each in enumerate((a, b, c))
    )
    assert x.join(y) == y.join(x)
    assert x.join(y).join(z) == x.join(y.join(z))
    assert x.join(x) == x == x.join(CLEAN)
    now = n[6]
    parts = [labels.expired(v.observed, v.ttl, now) for v in (x, y)]
    mixed = x.join(y)
    assert labels.expired(mixed.observed, mixed.ttl, now) or not any(parts)


def test_one_page_from_the_web_taints_itself_and_what_is_made_from_it() -> None:
    tracker = FlowTracker()
    file = tracker.observe(Labelled(CLEANER.pack()))
    page = tracker.observe(Labelled(labels.TOP & ~labels.CONF_MASK))
    both = tracker.observe(Labelled(0), (file, page))
    assert tracker.action(file, needs_authority=True) is Safety.SAFE
    assert tracker.action(page, needs_authority=False) is Safety.ADVERSARIAL_ANCESTRY
    assert tracker.action(both, needs_authority=False) is Safety.ADVERSARIAL_ANCESTRY
    assert tracker.exfiltration(file, labels.PUBLIC, needs_authority=True) is Safety.SAFE


@pytest.mark.parametrize("parents", [(1,) * 9, (0,), (2,), (1, 7), (-1,)])
def test_what_cannot_be_followed_closes_the_session(parents: tuple[int, ...]) -> None:
    tracker = FlowTracker()
    node = tracker.observe(CLEAN)
    with pytest.raises(CallerError, match="eight parents"):
        tracker.observe(CLEAN, parents)
    assert tracker.action(node, needs_authority=False) is Safety.POISONED
    assert tracker.confidentiality(node, labels.SECRET) is Safety.POISONED
    assert tracker.exfiltration(node, labels.SECRET, needs_authority=False) is Safety.POISONED
    again = tracker.observe(CLEAN)
    assert tracker.action(again, needs_authority=False) is Safety.POISONED


@pytest.mark.parametrize("label", [-1, 0x10000, 0x02, 0x40, 0x8000])
def test_what_is_no_label_closes_it_too(label: int) -> None:
    tracker = FlowTracker()
    with pytest.raises(CallerError, match="label is none"):
        tracker.observe(Labelled(label))
    assert tracker.poisoned


def test_a_ceiling_is_carried_over_and_never_falls() -> None:
    tracker = FlowTracker(Labelled(labels.TOP))
    tracker.observe(CLEAN)
    assert tracker.ceiling.label == labels.TOP
    assert tracker.confidentiality_ceiling == labels.SECRET
    assert tracker.taint_ceiling == labels.OPAQUE_EXTERNAL
    assert not [name for name in dir(tracker) if "reset" in name or "cleanse" in name]


def test_an_old_node_is_forgotten_and_then_not_known() -> None:
    tracker = FlowTracker()
    first = tracker.observe(Labelled(labels.DEFAULT))
    for _ in range(MOST_NODES):
        tracker.observe(CLEAN)
    assert tracker.label(first) is None
    assert tracker.action(first, needs_authority=False) is Safety.UNKNOWN_NODE
    # the ceiling does not forget
    assert tracker.ceiling.label == labels.DEFAULT
