"""Labels as sets of defects against labels as records of enums."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleus_tokens import exposure as E
from nucleus_tokens import label_names as LN
from nucleus_tokens import labelling as K
from nucleus_tokens import labels as B
from tests.algebra import reference as R
from tests.algebra.reference import LABELS, LAW, Auth, Conf, Deriv, Integ, Label

EVERY = R.labels(R.PROVS)
NO_PROV = [frozenset[str]()]
BASE = Label(Conf.PUBLIC, Integ.TRUSTED, Auth.DIRECTIVE, frozenset(), Deriv.DET)


def _axes() -> dict[str, list[Label]]:
    """For each axis all its values, the rest clean."""
    c, i, a, p, d = BASE.conf, BASE.integ, BASE.auth, BASE.prov, BASE.deriv
    return {
        "conf": [Label(x, i, a, p, d) for x in Conf],
        "integ": [Label(c, x, a, p, d) for x in Integ],
        "auth": [Label(c, i, x, p, d) for x in Auth],
        "prov": [Label(c, i, a, x, d) for x in R.PROVS],
        "deriv": [Label(c, i, a, p, x) for x in Deriv],
    }


# -- 1. the encoding -------------------------------------------------------------------------


def test_the_valid_labels_are_exactly_the_11520() -> None:
    packed = {label.pack() for label in EVERY}
    assert len(packed) == len(EVERY) == 11520
    assert {raw for raw in range(0x10000) if B.valid(raw)} == packed
    assert not B.valid(0x10000)
    assert not B.valid(-1)


def test_make_and_the_accessors_are_inverse_on_every_label() -> None:
    kinds = list(Deriv)
    for label in EVERY:
        raw = label.pack()
        sources = R.pack_set(label.prov, R.SOURCES)
        assert K.make(label.conf, label.integ, label.auth, sources, kinds.index(label.deriv)) == raw
        assert B.conf(raw) == label.conf
        assert B.integ(raw) == label.integ
        assert B.authority(raw) == label.auth
        assert B.provenance(raw) == sources
        assert B.derivation(raw) == kinds.index(label.deriv)


def test_ends_and_default() -> None:
    assert BASE.pack() == B.BOTTOM
    worst = Label(Conf.SECRET, Integ.ADVERSARIAL, Auth.NONE, R.PROVS[-1], Deriv.OPAQUE)
    assert worst.pack() == B.TOP
    default = Label(Conf.PUBLIC, Integ.UNTRUSTED, Auth.NONE, frozenset(), Deriv.DET)
    assert default.pack() == B.DEFAULT


def test_the_masks_of_the_axes_partition_the_label() -> None:
    masks = (B.CONF_MASK, B.INTEG_MASK, B.AUTH_MASK, B.PROV_MASK, B.DERIV_MASK)
    assert sum(masks) == B.TOP
    for axis, mask in zip(("conf", "integ", "auth", "prov", "deriv"), masks, strict=True):
        union = 0
        for label in _axes()[axis]:
            union |= label.pack()
        assert union == mask


def test_a_level_that_does_not_exist_is_the_worst() -> None:
    for wrong in (-1, 5, 99):
        assert K.conf_bits(wrong) == B.CONF_MASK
        assert K.integ_bits(wrong) == B.INTEG_MASK
        assert K.auth_bits(wrong) == B.AUTH_MASK
        assert K.deriv_bits(wrong) == B.DERIV_MASK
        assert K.make(wrong, wrong, wrong, -1, wrong) == B.TOP
    assert K.prov_bits(64) == B.PROV_MASK


def test_an_invalid_label_reads_as_its_worst_bit() -> None:
    assert B.conf(0x02) == B.SECRET
    assert B.integ(0x08) == B.ADVERSARIAL
    assert B.authority(0x40) == B.NO_AUTHORITY
    assert B.authority(0x20) == B.INFORMATIONAL
    assert B.derivation(0x8000) == B.OPAQUE_EXTERNAL


# -- 2. join and order -----------------------------------------------------------------------


@pytest.mark.parametrize("axis", ["conf", "integ", "auth", "deriv", "prov"])
def test_join_laws_exhaustively_on_each_axis(axis: str) -> None:
    values = _axes()[axis]
    for a, b in product(values, repeat=2):
        x, y = a.pack(), b.pack()
        assert B.join(x, y) == a.join(b).pack()
        assert B.flows_to(x, y) == a.flows_to(b)
        assert B.join(x, y) == B.join(y, x)
        assert B.join(x, x) == x == B.join(x, B.BOTTOM)
        assert B.flows_to(x, B.join(x, y))
        assert B.valid(B.join(x, y))
    packed = [each.pack() for each in values]
    for x, y, z in product(packed, repeat=3):
        assert B.join(x, B.join(y, z)) == B.join(B.join(x, y), z)
        assert (B.flows_to(x, z) and B.flows_to(y, z)) == B.flows_to(B.join(x, y), z)


@LAW
@given(LABELS, LABELS, LABELS)
def test_join_is_a_semilattice_and_flows_to_its_order(a: Label, b: Label, c: Label) -> None:
    x, y, z = a.pack(), b.pack(), c.pack()
    assert B.join(x, y) == a.join(b).pack()
    assert B.flows_to(x, y) == a.flows_to(b) == (B.join(x, y) == y)
    assert B.join(x, B.join(y, z)) == B.join(B.join(x, y), z)
    # monotone: worse in, worse out
    assert B.flows_to(B.join(x, y), B.join(B.join(x, z), y))
    assert K.propagate(x, (y, z)) == a.join(b).join(c).pack()
    assert K.propagate(x, ()) == x


def test_absorbing_elements() -> None:
    for label in EVERY:
        x = label.pack()
        assert B.conf(B.join(x, K.conf_bits(B.SECRET))) == B.SECRET
        assert B.integ(B.join(x, K.integ_bits(B.ADVERSARIAL))) == B.ADVERSARIAL
        assert B.authority(B.join(x, K.auth_bits(B.NO_AUTHORITY))) == B.NO_AUTHORITY
        assert B.derivation(B.join(x, K.deriv_bits(B.OPAQUE_EXTERNAL))) == B.OPAQUE_EXTERNAL
        assert B.provenance(B.join(x, K.prov_bits(B.PROV_ALL))) == B.PROV_ALL
        assert B.join(x, B.TOP) == B.TOP


@pytest.mark.parametrize("axis", ["conf", "integ", "auth", "deriv", "prov"])
def test_each_axis_has_one_unit_and_one_absorbing_element(axis: str) -> None:
    """And no axis moves another: a join is the join of each."""
    values = [each.pack() for each in _axes()[axis]]
    units = [u for u in values if all(B.join(u, v) == v for v in values)]
    absorbing = [z for z in values if all(B.join(z, v) == z for v in values)]
    assert units == [B.BOTTOM]
    assert absorbing == [max(values, key=int.bit_count)]
    mask = absorbing[0]
    for v in values:
        for raw in (B.BOTTOM, B.DEFAULT, B.TOP):
            assert B.join(v, raw) & ~mask == raw & ~mask


def test_the_order_of_derivations() -> None:
    """Deterministic below ai and human, which meet in mixed, below opaque: all 25 pairs."""
    order = {
        (a, b)
        for a, b in product(range(5), repeat=2)
        if B.flows_to(K.deriv_bits(a), K.deriv_bits(b))
    }
    below = {0: {0, 1, 2, 3, 4}, 1: {1, 3, 4}, 2: {2, 3, 4}, 3: {3, 4}, 4: {4}}
    assert order == {(a, b) for a, more in below.items() for b in more}


def test_freshness_joins_exhaustively_on_small_times() -> None:
    """Every triple of times to live from 0 to 4, and of observations from 0 to 4."""
    for a, b, c in product(range(5), repeat=3):
        for join in (K.join_ttl, K.join_observed):
            assert join(a, b) == join(b, a)
            assert join(a, join(b, c)) == join(join(a, b), c)
            assert join(a, a) == a
        # 0 never expires, so it is the unit; the shortest, 1, absorbs the rest
        assert K.join_ttl(0, a) == a
        assert K.join_ttl(1, a) == 1
        assert K.join_observed(0, a) == 0


def test_ai_and_human_make_mixed() -> None:
    made = B.join(K.deriv_bits(B.AI_DERIVED), K.deriv_bits(B.HUMAN_PROMOTED))
    assert B.derivation(made) == B.MIXED


# -- 3. intrinsic labels, exposure, freshness ------------------------------------------------


def test_intrinsic_labels_are_the_table() -> None:
    assert set(LN.NODE_KINDS) == set(R.NODES)
    for kind, (label, ttl) in R.NODES.items():
        assert LN.node_label(kind) == (label.pack(), ttl), kind
    assert LN.node_label("a kind of tomorrow") == LN.node_label("web_content")


def test_the_bridge_to_exposure_preserves_joins() -> None:
    few = R.labels([frozenset(), frozenset({"web"})])[::3]
    for label in few:
        private = {R.Leg.P} if label.conf >= Conf.INTERNAL else set[R.Leg]()
        untrusted = {R.Leg.U} if label.integ <= Integ.UNTRUSTED else set[R.Leg]()
        assert K.to_exposure(label.pack()) == R.legs(private | untrusted)
    for a, b in product(few, repeat=2):
        x, y = a.pack(), b.pack()
        assert K.to_exposure(B.join(x, y)) == E.join(K.to_exposure(x), K.to_exposure(y))


TIMES = st.integers(0, 10**6)


@LAW
@given(TIMES, TIMES, TIMES, TIMES, TIMES, TIMES, TIMES)
def test_freshness(o1: int, o2: int, o3: int, t1: int, t2: int, t3: int, now: int) -> None:
    assert K.join_observed(o1, o2) == min(o1, o2)
    assert K.join_ttl(t1, t2) == (min(t for t in (t1, t2) if t) if t1 or t2 else 0)
    assert K.join_ttl(t1, K.join_ttl(t2, t3)) == K.join_ttl(K.join_ttl(t1, t2), t3)
    assert K.join_ttl(0, t1) == t1 == K.join_ttl(t1, 0)
    # a mixture is stale as soon as either part is
    mixed = B.expired(K.join_observed(o1, o2), K.join_ttl(t1, t2), now)
    if B.expired(o1, t1, now) or B.expired(o2, t2, now):
        assert mixed
    assert B.expired(o1, t1, now) == (t1 > 0 and now > o1 + t1)


def test_freshness_at_its_edges() -> None:
    assert not B.expired(100, 10, 110)
    assert B.expired(100, 10, 111)
    assert not B.expired(0, 0, 10**12)
    assert B.expired(100, -1, 100)


# -- 4. declassification ---------------------------------------------------------------------


def test_declassification_moves_exactly_the_named_step_on_every_label() -> None:
    few = R.labels([frozenset(), frozenset({"web", "user"})])
    steps = range(-1, 5)
    for label, src, dst in product(few, steps, steps):
        x = label.pack()
        lowers = label.conf == src and 0 <= dst < src
        lower = Label(Conf(dst), *_rest(label)[1:]).pack() if lowers else x
        assert K.lowers_conf(x, src, dst) == lowers
        assert K.lower_conf(x, src, dst) == lower
        raises = label.integ == src and src < dst <= 2
        assert K.raises_integ(x, src, dst) == raises
        after = Label(label.conf, Integ(dst), *_rest(label)[2:]).pack() if raises else x
        assert K.raise_integ(x, src, dst) == after
        raises = label.auth == src and src < dst <= 3
        assert K.raises_authority(x, src, dst) == raises
        if raises:
            after = Label(label.conf, label.integ, Auth(dst), label.prov, label.deriv).pack()
            assert K.raise_authority(x, src, dst) == after
        else:
            assert K.raise_authority(x, src, dst) == x


def _rest(label: Label) -> tuple[Conf, Integ, Auth, frozenset[str], Deriv]:
    return label.conf, label.integ, label.auth, label.prov, label.deriv
