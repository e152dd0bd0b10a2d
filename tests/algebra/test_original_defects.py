"""What the original got wrong and belongs to the algebra; the numbers are those of its review.

B1, B2, B3, B7, B11 are about scopes, B4 to B6, B10 about tokens and traces. Where the same
mistake could be made with packed integers, its shape is tested here too.
"""

from itertools import product

from nucleus_tokens import exposure as E
from nucleus_tokens import flow as F
from nucleus_tokens import heyting as H
from nucleus_tokens import label_names as LN
from nucleus_tokens import labelling as K
from nucleus_tokens import labels as B
from nucleus_tokens import lattice as L
from nucleus_tokens import names as N
from nucleus_tokens import projection as P
from nucleus_tokens import sinks as S
from nucleus_verifier import verdict as V
from tests.algebra import reference as R
from tests.algebra.reference import Level


def test_b1_the_meet_of_disjoint_authorities_is_nothing_not_everything() -> None:
    for a, b in product(LN.GROUPS.values(), repeat=2):
        if a != b:
            assert L.meet(a, b) == L.BOTTOM
    assert L.granted(L.BOTTOM) == 0
    assert all(L.level_of(L.BOTTOM, op) == L.NEVER for op in range(13))


def test_b2_leq_is_the_order_of_the_meet_and_nothing_is_below_a_part_but_parts() -> None:
    """All is not below some, for each dimension and each step down."""
    for op in range(13):
        for level in (L.NEVER, L.LOW_RISK):
            assert not L.leq(L.TOP, H.set_level(L.TOP, op, level))
            assert L.leq(H.set_level(L.TOP, op, level), L.TOP)


def test_b3_a_join_never_shrinks() -> None:
    for group in LN.GROUPS.values():
        assert L.join(L.TOP, group) == L.TOP
        assert L.leq(group, L.join(group, H.READ_ONLY))


def test_b8_a_release_of_internal_data_does_not_release_a_secret() -> None:
    secret = K.conf_bits(B.SECRET)
    internal = K.conf_bits(B.INTERNAL)
    assert B.conf(K.lower_conf(internal, B.INTERNAL, B.PUBLIC)) == B.PUBLIC
    assert K.lower_conf(secret, B.INTERNAL, B.PUBLIC) == secret
    assert not K.lowers_conf(secret, B.INTERNAL, B.PUBLIC)


def test_b8_lifting_untrusted_data_does_not_lift_adversarial_data() -> None:
    adversarial = K.integ_bits(B.ADVERSARIAL)
    assert K.raise_integ(adversarial, B.UNTRUSTED, B.TRUSTED) == adversarial
    untrusted = K.integ_bits(B.UNTRUSTED)
    assert B.integ(K.raise_integ(untrusted, B.UNTRUSTED, B.TRUSTED)) == B.TRUSTED


def test_b8_the_same_for_authority() -> None:
    silent = K.auth_bits(B.NO_AUTHORITY)
    assert K.raise_authority(silent, B.INFORMATIONAL, B.DIRECTIVE) == silent
    told = K.auth_bits(B.INFORMATIONAL)
    assert B.authority(K.raise_authority(told, B.INFORMATIONAL, B.DIRECTIVE)) == B.DIRECTIVE


def test_b8_a_step_in_the_wrong_direction_is_no_step() -> None:
    public = K.conf_bits(B.PUBLIC)
    assert K.lower_conf(public, B.PUBLIC, B.SECRET) == public
    trusted = K.integ_bits(B.TRUSTED)
    assert K.raise_integ(trusted, B.TRUSTED, B.ADVERSARIAL) == trusted


def test_b4_b9_no_function_forgets_a_dimension() -> None:
    """The original's arrow left out spawn_agent, its justified meet five dimensions."""
    for op, a, b in product(range(13), Level, Level):
        x, y = L.with_level(op, a), L.with_level(op, b)
        assert L.level_of(L.meet(x, y), op) == min(a, b)
        assert L.level_of(L.join(x, y), op) == max(a, b)
        assert L.leq(x, y) == (a <= b)
        assert L.level_of(H.implies(x, y), op) == (Level.ALWAYS if a <= b else b)
        assert H.entails(x, y) == (a <= b)
        assert N.unpack_levels(x)[N.OPERATIONS[op]] == N.LEVELS[a]
        if a != b:
            assert x != y
    for op in range(13):
        assert L.granted(L.with_level(op, L.LOW_RISK)) == 1 << op
        assert H.box(L.TOP, 1 << op) == L.TOP & ~L.with_level(op, L.ALWAYS)


def test_b12_there_is_one_engine_and_low_risk_means_one_thing() -> None:
    """Of the original's four, one asks at low_risk, three allow; two look at obligations only
    when the exposure is complete. Here low_risk allows with evidence, asks without, and an
    obligation asks by itself."""

    def low(evidence: bool, obliged: bool) -> int:
        return V.verdict(0, V.asks(L.LOW_RISK, obliged, False, True, False, evidence, False), 0)

    assert low(True, False) == V.ALLOW
    assert low(False, False) == V.ASK
    assert low(True, True) == V.ASK


def test_b12_every_operation_may_use_its_own_default_sink() -> None:
    """The original refused reads for theirs."""
    for op in range(13):
        sink = F.default_sink(op)
        assert S.known_sink(sink)
        assert F.check_flow(B.BOTTOM, sink, 0, 0, 0) == 0
        if R.OPS[op] in R.GROUPS["reads"]:
            assert F.check_flow(B.TOP, sink, 0, 0, 0) == 0


def test_b14_a_shell_is_not_the_unwatched_way_out() -> None:
    """In every state an open shell meets the gate, and what it may have done is remembered."""
    for e in range(8):
        assert E.gates(e, P.projects(L.RUN_BASH, False, False, 0))
    assert P.raises(L.RUN_BASH, False, 0) == E.ALL
