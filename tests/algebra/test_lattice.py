"""The packed lattice against the lattice of dictionaries, and its laws."""

from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleus_tokens import heyting as H
from nucleus_tokens import label_names as LN
from nucleus_tokens import lattice as L
from nucleus_tokens import names as N
from tests.algebra import reference as R
from tests.algebra.reference import CAPS, LAW, OP_SETS, Caps, Level, ops_set, pack

PACKED = CAPS.map(pack)
OBLIGATIONS = st.integers(0, L.OPS)


# -- 1. the packing is the product of thirteen three-level chains ---------------------------


def test_levels_of_one_dimension_in_every_dimension() -> None:
    for (op, name), low, high in product(enumerate(R.OPS), (0, 1), (0, 1)):
        raw = (low << 2 * op) | (high << 2 * op + 1)
        assert L.valid(raw) == (low >= high)
        # a bare high bit is not read as authority
        assert L.level_of(raw, op) == (low + high if low else 0), name
        if low >= high:
            level = Level(low + high)
            assert pack({**R.all_at(Level.NEVER), name: level}) == raw == L.with_level(op, level)


def test_valid_refuses_everything_outside_the_26_bits() -> None:
    assert not L.valid(1 << 26)
    assert not L.valid(-1)
    assert L.valid(L.TOP)
    assert L.valid(L.BOTTOM)


@LAW
@given(st.integers(0, 2**27), st.integers(0, 12))
def test_valid_is_exactly_the_image_of_the_packing(raw: int, op: int) -> None:
    back = L.BOTTOM
    for dim in range(13):
        back |= L.with_level(dim, L.level_of(raw, dim))
    assert L.valid(raw) == (back == raw)
    assert L.level_of(raw, op) == L.level_of(back, op)


@LAW
@given(CAPS, CAPS)
def test_pointwise_operations_are_those_of_the_reference(a: Caps, b: Caps) -> None:
    x, y = pack(a), pack(b)
    assert L.meet(x, y) == pack(R.meet(a, b))
    assert L.join(x, y) == pack(R.join(a, b))
    assert L.leq(x, y) == R.leq(a, b)
    assert L.leq(L.meet(x, y), x)
    assert H.implies(x, y) == pack(R.implies(a, b))
    assert H.neg(x) == pack(R.neg(a))
    assert H.permission_gap(x, y) == pack(R.implies(a, b))
    assert H.requires_escalation(x, y) == (not R.leq(b, a))
    assert H.diamond(x, y) == pack(R.join(a, b))
    assert [L.level_of(x, i) for i in range(13)] == [a[op] for op in R.OPS]
    assert N.unpack_levels(x) == {op: N.LEVELS[a[op]] for op in R.OPS}


@LAW
@given(CAPS, st.sampled_from(R.OPS), st.sampled_from(Level))
def test_set_level_replaces_one_dimension(a: Caps, op: str, level: Level) -> None:
    assert H.set_level(pack(a), R.OPS.index(op), level) == pack({**a, op: level})


@pytest.mark.parametrize("op", [-1, 13, 14, 31, -13])
def test_an_unknown_operation_has_no_authority_and_always_needs_a_person(op: int) -> None:
    assert not L.known(op)
    assert L.level_of(L.TOP, op) == L.NEVER
    assert L.level_of(-1, op) == L.NEVER
    assert L.with_level(op, L.ALWAYS) == L.BOTTOM
    assert H.set_level(L.LO, op, L.ALWAYS) == L.LO
    assert L.obliged(0, op)


@pytest.mark.parametrize("level", [-1, 3, 4])
def test_an_unknown_level_is_never(level: int) -> None:
    assert L.with_level(L.READ_FILES, level) == L.BOTTOM


def test_the_masks_agree_with_each_other() -> None:
    """Some bits of them are redundant on valid values; they are pinned all the same."""
    assert L.HI == L.LO << 1
    assert L.TOP == L.LO | L.HI == pack(R.all_at(Level.ALWAYS))
    assert pack(R.all_at(Level.LOW_RISK)) == L.LO
    assert L.OPS == (1 << L.DIMS) - 1 == L.granted(L.LO)
    assert ops_set({"run_bash", "git_push", "create_pr"}) == L.NU_OPS
    assert H.spread(L.NU_OPS) == L.NU_DIMS
    assert H.READ_ONLY == L.READS | L.NETWORK


# -- 2. a distributive lattice, and a Heyting algebra ----------------------------------------


@LAW
@given(PACKED, PACKED, PACKED)
def test_lattice_laws(a: int, b: int, c: int) -> None:
    for op, other, unit, zero in (
        (L.meet, L.join, L.TOP, L.BOTTOM),
        (L.join, L.meet, L.BOTTOM, L.TOP),
    ):
        assert op(a, a) == a
        assert op(a, b) == op(b, a)
        assert op(a, op(b, c)) == op(op(a, b), c)
        assert op(a, other(a, b)) == a
        assert op(a, unit) == a
        assert op(a, zero) == zero
        assert op(a, other(b, c)) == other(op(a, b), op(a, c))
        assert L.valid(op(a, b))
    assert L.leq(a, b) == (L.meet(a, b) == a) == (L.join(a, b) == b)
    # the meet is the greatest lower bound, the join the least upper one
    assert (L.leq(c, a) and L.leq(c, b)) == L.leq(c, L.meet(a, b))
    assert (L.leq(a, c) and L.leq(b, c)) == L.leq(L.join(a, b), c)


@LAW
@given(PACKED, PACKED, PACKED)
def test_order_laws(a: int, b: int, c: int) -> None:
    assert L.leq(a, a)
    assert L.leq(L.BOTTOM, a)
    assert L.leq(a, L.TOP)
    if L.leq(a, b) and L.leq(b, a):
        assert a == b
    if L.leq(a, b) and L.leq(b, c):
        assert L.leq(a, c)
    # not left to luck: a chain made on purpose
    low, high = L.meet(a, b), L.join(a, c)
    assert L.leq(low, a)
    assert L.leq(a, high)
    assert L.leq(low, high)


@LAW
@given(PACKED, PACKED, PACKED)
def test_heyting_adjunction(a: int, b: int, c: int) -> None:
    arrow = H.implies(a, b)
    assert L.valid(arrow)
    assert L.leq(L.meet(c, a), b) == L.leq(c, arrow)
    assert L.leq(L.meet(arrow, a), b)
    assert H.entails(a, b) == L.leq(a, b)
    assert H.implies(a, a) == L.TOP
    assert H.implies(L.TOP, a) == a
    assert H.implies(a, L.meet(b, c)) == L.meet(H.implies(a, b), H.implies(a, c))
    assert H.implies(L.join(a, b), c) == L.meet(H.implies(a, c), H.implies(b, c))
    assert H.implies(L.meet(a, b), c) == H.implies(a, H.implies(b, c))


def test_the_adjunction_holds_for_all_triples_of_every_dimension() -> None:
    for op, x, y, z in product(range(13), Level, Level, Level):
        a, b, c = (H.set_level(L.LO, op, v) for v in (x, y, z))
        assert L.leq(L.meet(c, a), b) == L.leq(c, H.implies(a, b))


def test_heyting_but_not_boolean() -> None:
    low = L.with_level(L.GIT_PUSH, L.LOW_RISK)
    assert L.level_of(H.neg(low), L.GIT_PUSH) == L.NEVER
    assert L.level_of(H.neg(H.neg(low)), L.GIT_PUSH) == L.ALWAYS
    assert L.join(low, H.neg(low)) != L.TOP


@LAW
@given(PACKED, PACKED)
def test_pseudo_complement(a: int, b: int) -> None:
    assert L.meet(a, H.neg(a)) == L.BOTTOM
    assert L.leq(a, H.neg(H.neg(a)))
    assert H.neg(H.neg(H.neg(a))) == H.neg(a)
    assert H.neg(L.join(a, b)) == L.meet(H.neg(a), H.neg(b))


@LAW
@given(PACKED, PACKED, PACKED)
def test_conditional_permissions(p: int, premise: int, consequence: int) -> None:
    arrow = H.condition(premise, consequence)
    assert H.condition_satisfied(p, premise, consequence) == L.leq(p, arrow)
    got = H.condition_apply(p, premise, consequence)
    assert L.leq(got, p)
    assert got == (L.meet(p, consequence) if L.leq(premise, p) else L.BOTTOM)
    # who satisfies it and holds the premise gets no more than the consequence there
    if L.leq(p, arrow):
        assert L.leq(L.meet(p, premise), consequence)


# -- 3. groups -------------------------------------------------------------------------------


def test_groups_partition_the_dimensions() -> None:
    masks = list(LN.GROUPS.values())
    assert set(LN.GROUPS) == set(R.GROUPS)
    assert sum(masks) == L.TOP
    for a, b in permutations(masks, 2):
        assert a & b == 0
    for name, mask in LN.GROUPS.items():
        assert mask == pack(R.project(R.all_at(Level.ALWAYS), R.GROUPS[name]))


@LAW
@given(CAPS, CAPS, st.sampled_from(sorted(R.GROUPS)))
def test_group_operations(a: Caps, b: Caps, group: str) -> None:
    x, y, mask, ops = pack(a), pack(b), LN.GROUPS[group], R.GROUPS[group]
    assert H.project(x, mask) == pack(R.project(a, ops))
    assert H.inject(x, y, mask) == pack(R.inject(a, b, ops))
    assert H.merge_from(x, y, mask) == pack(R.join(a, R.project(b, ops)))
    assert H.project(H.inject(x, y, mask), mask) == H.project(y, mask)
    # projecting is always narrowing
    assert L.leq(H.project(x, mask), x)


@LAW
@given(CAPS)
def test_lockdown_keeps_reading_and_the_web(a: Caps) -> None:
    keep = R.GROUPS["reads"] | R.GROUPS["network"]
    assert H.read_only(pack(a)) == pack(R.project(a, keep))


# -- 4. obligations and nu -------------------------------------------------------------------


@LAW
@given(CAPS, OP_SETS)
def test_sets_of_operations_and_the_modal_operators(a: Caps, o: set[str]) -> None:
    x, y = pack(a), ops_set(o)
    assert L.granted(x) == ops_set(R.granted(a))
    assert H.spread(y) == pack({op: Level.ALWAYS if op in o else Level.NEVER for op in R.OPS})
    assert L.granted(H.spread(y)) == y
    assert H.box(x, y) == pack(R.box(a, o))
    assert L.leq(H.box(x, y), x)
    assert H.box(H.box(x, y), y) == H.box(x, y)
    assert L.leq(x, H.diamond(x, y))
    assert [L.obliged(y, i) for i in range(13)] == [op in o for op in R.OPS]
    assert set(N.obligation_names(y)) == o
    assert N.obligation_bits(sorted(o)) == y


@LAW
@given(CAPS, OP_SETS)
def test_nu_is_the_reference_and_is_idempotent_and_deflationary(a: Caps, o: set[str]) -> None:
    x, y = pack(a), ops_set(o)
    once = L.nu(x, y)
    assert once == ops_set(R.nu(a, o))
    assert L.nu_fires(x) == (L.nu(x, 0) != 0)
    assert L.nu(x, once) == once
    assert H.perm_leq(x, once, x, y)


def test_nu_on_every_combination_of_its_legs() -> None:
    dims = [op for op in R.OPS if op in {*R.GROUPS["reads"], *R.GROUPS["network"]}]
    dims += ["run_bash", "git_push", "create_pr"]
    for levels in product((Level.NEVER, Level.LOW_RISK), repeat=len(dims)):
        a = {**R.all_at(Level.NEVER), **dict(zip(dims, levels, strict=True))}
        assert L.nu(pack(a), 0) == ops_set(R.nu(a, set()))


def test_the_other_dimensions_are_no_leg_of_nu() -> None:
    others = L.WRITES | L.INFRA | L.with_level(L.GIT_COMMIT, L.ALWAYS)
    assert not L.nu_fires(L.READS | L.NETWORK | others)
    assert L.nu(L.TOP, 0) == ops_set({"run_bash", "git_push", "create_pr"})


def test_nu_is_not_monotone() -> None:
    """The exact counterexample: a way out, added above, brings an obligation that is not below."""
    x = N.pack_levels({"read_files": "low_risk", "web_fetch": "low_risk"})
    y = N.pack_levels({"read_files": "low_risk", "web_fetch": "low_risk", "git_push": "low_risk"})
    assert H.perm_leq(x, 0, y, 0)
    assert L.nu(x, 0) == 0
    assert L.nu(y, 0) == ops_set({"git_push"})
    assert not H.perm_leq(x, L.nu(x, 0), y, L.nu(y, 0))


@LAW
@given(CAPS, CAPS, OBLIGATIONS, OBLIGATIONS)
def test_nu_is_monotone_where_the_legs_agree(a: Caps, b: Caps, o: int, p: int) -> None:
    small = pack(R.meet(a, b))
    # same ways out above and below, and both fire or neither does
    big = L.join(small, pack(a) & ~L.NU_DIMS)
    if L.nu_fires(small) == L.nu_fires(big):
        assert H.perm_leq(small, L.nu(small, o | p), big, L.nu(big, o))


def test_recomputing_nu_from_a_meet_would_let_a_child_do_what_its_parent_must_ask_for() -> None:
    ceiling = N.pack_levels({"read_files": "always", "web_fetch": "always", "git_push": "always"})
    child = L.meet(ceiling, L.TOP & ~L.NETWORK)
    assert L.obliged(L.nu(ceiling, 0), L.GIT_PUSH)
    assert not L.obliged(L.nu(child, 0), L.GIT_PUSH)
    # computed once, it is kept
    assert L.obliged(H.chain_obligations(L.nu(ceiling, 0), (0, 0)), L.GIT_PUSH)


@LAW
@given(PACKED, PACKED, OBLIGATIONS)
def test_obligations_from_the_ceiling_cover_those_of_everything_below(
    a: int, b: int, o: int
) -> None:
    assert L.nu(L.meet(a, b), o) & ~L.nu(a, o) == 0


@LAW
@given(CAPS, CAPS, OP_SETS, OP_SETS)
def test_order_of_permissions(a: Caps, b: Caps, o: set[str], p: set[str]) -> None:
    x, y, s, t = pack(a), pack(b), ops_set(o), ops_set(p)
    assert H.perm_leq(x, s, y, t) == (R.leq(a, b) and o >= p)
    assert H.perm_leq(x & y, s | t, y, t)


PROFILES = {
    # name: (row of the registry, what nu adds)
    "safe-pr-fixer": ("A L L L A A N L L N N N", {"run_bash"}),
    "doc-editor": ("A L L N A A N N L N N N", set[str]()),
    "test-runner": ("A N N L A A N N N N N N", set[str]()),
    "triage-bot": ("A N N N A A L L N N N N", set[str]()),
    "code-review": ("A N N N A A L N N N N N", set[str]()),
    "codegen": ("A L L L A A N N L N N N", set[str]()),
    "release": ("A L L L A A L L L L L N", {"run_bash", "git_push", "create_pr"}),
    "research-web": ("L N N N A A L L N N N N", set[str]()),
    "read-only": ("A N N N A A N N N N N N", set[str]()),
    "local-dev": ("A L L L A A N N L N N N", set[str]()),
}


@pytest.mark.parametrize("name", PROFILES)
def test_nu_on_the_canonical_profiles(name: str) -> None:
    row, added = PROFILES[name]
    assert L.nu(pack(R.caps_of(row)), 0) == ops_set(added)


# -- 5. the trust bridge ---------------------------------------------------------------------


@LAW
@given(PACKED, PACKED, PACKED)
def test_galois_connection(a: int, b: int, k: int) -> None:
    assert L.leq(H.alpha(a, k), b) == L.leq(a, H.gamma(b, k))
    up, down = H.closure(a, k), H.kernel(a, k)
    assert up == H.gamma(H.alpha(a, k), k)
    assert down == H.alpha(H.gamma(a, k), k)
    assert L.leq(a, up)
    assert L.leq(down, a)
    assert H.closure(up, k) == up
    assert H.kernel(down, k) == down
    low = L.meet(a, b)
    assert L.leq(H.closure(low, k), up)
    assert L.leq(H.kernel(low, k), down)
    assert L.valid(up)
    assert L.valid(down)


# -- 6. chains -------------------------------------------------------------------------------


@LAW
@given(PACKED, st.lists(PACKED, max_size=8), st.lists(OBLIGATIONS, max_size=8))
def test_delegation_ceiling(root: int, caveats: list[int], added: list[int]) -> None:
    leaf = H.chain_caps(root, tuple(caveats))
    assert L.valid(leaf)
    assert all(L.leq(leaf, bound) for bound in (root, *caveats))
    # and it is the greatest such
    for dim in range(13):
        least = min(L.level_of(bound, dim) for bound in (root, *caveats))
        assert L.level_of(leaf, dim) == least
    assert leaf == H.chain_caps(root, tuple(reversed(caveats)))
    obligations = H.chain_obligations(0x10, tuple(added))
    assert all(bound & ~obligations == 0 for bound in (0x10, *added))
    union = 0x10
    for bits in added:
        union |= bits
    assert obligations == union


def test_an_empty_chain_is_its_root() -> None:
    assert H.chain_caps(L.LO, ()) == L.LO
    assert H.chain_obligations(5, ()) == 5
