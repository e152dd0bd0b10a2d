"""The sink table and the six flow rules against the table as text."""

from collections import Counter
from itertools import product

import pytest

from nucleus_tokens import flow as F
from nucleus_tokens import label_names as LN
from nucleus_tokens import labelling as K
from nucleus_tokens import labels as B
from nucleus_tokens import names as N
from nucleus_tokens import sinks as S
from tests.algebra import reference as R
from tests.algebra.reference import Deriv, Integ

PROVS = [frozenset[str](), frozenset({"web"}), frozenset(R.SOURCES) - {"web"}, R.PROVS[-1]]
LABELS = [(label, label.pack()) for label in R.labels(PROVS)]
FRESH = (0, 0, 50)
OLD = (0, 10, 50)
UNKNOWN = (-1, 19, 20, S.UNKNOWN_SINK)


# -- 1. the table ----------------------------------------------------------------------------


def test_names_and_numbers_agree_with_the_table() -> None:
    assert list(LN.SINKS) == [s.name for s in R.SINKS]
    assert len(LN.SINKS) == S.SINK_COUNT
    constants = {k: v for k, v in vars(S).items() if k.isupper() and k.lower() in LN.SINKS}
    assert all(LN.SINKS[v] == k.lower() for k, v in constants.items())
    assert LN.SINKS[S.GIT_COMMIT_SINK] == "git_commit"
    assert LN.SINKS[S.GIT_PUSH_SINK] == "git_push"
    assert len(constants) == 17


def test_requirements_are_the_table() -> None:
    for i, sink in enumerate(R.SINKS):
        assert S.known_sink(i)
        assert S.exfil(i) == sink.exfil, sink.name
        assert S.required_authority(i) == sink.auth, sink.name
        assert S.required_integrity(i) == sink.integ, sink.name
        assert S.requires_verified(i) == sink.verified, sink.name
        assert S.reversible(i) == (sink.name in R.REVERSIBLE), sink.name
        if S.reversible(i):
            assert not S.exfil(i)


def test_default_sinks_are_the_table() -> None:
    for i, op in enumerate(R.OPS):
        assert LN.SINKS[F.default_sink(i)] == R.DEFAULT_SINK[op]
    for op_number in (-1, 13, 99):
        assert F.default_sink(op_number) == S.UNKNOWN_SINK


@pytest.mark.parametrize("sink", UNKNOWN)
def test_an_unknown_sink_requires_everything_and_accepts_nothing(sink: int) -> None:
    assert not S.known_sink(sink)
    assert S.exfil(sink)
    assert S.required_authority(sink) == max(s.auth for s in R.SINKS)
    assert S.required_integrity(sink) == B.TRUSTED
    assert S.requires_verified(sink)
    assert not S.reversible(sink)
    assert S.flow_failures(B.BOTTOM, sink, *FRESH) == S.ALL_RULES
    assert F.check_flow(B.BOTTOM, sink, *FRESH) == 1
    assert not F.meets(B.BOTTOM, sink, *FRESH)
    assert S.secret_to_exfil(K.conf_bits(B.SECRET), sink)


# -- 2. the rules ----------------------------------------------------------------------------


def test_the_six_rules_on_every_sink_and_label() -> None:
    for (i, sink), (label, raw), times in product(enumerate(R.SINKS), LABELS, (FRESH, OLD)):
        broken = R.failing_rules(label, sink, times == OLD)
        got = S.flow_failures(raw, i, *times)
        assert got == sum(1 << rule - 1 for rule in broken)
        assert F.check_flow(raw, i, *times) == (broken[0] if broken else 0)
        assert F.meets(raw, i, *times) == (not broken)
        assert S.secret_to_exfil(raw, i) == (1 in broken)
        assert B.flows_to(raw, F.ceiling(i)) == (not set(broken) - {5})


def test_first_rule_on_every_set() -> None:
    for failures in range(64):
        first = next((r for r in range(1, 7) if failures >> r - 1 & 1), 0)
        assert F.first_rule(failures) == first
    assert len(N.FLOW_RULES) == 7


def test_the_ceiling_is_a_valid_label_and_grows_with_what_is_excused() -> None:
    for i in range(19):
        assert B.valid(F.ceiling(i))
    assert F.ceiling(S.SECRET_READ) == F.ceiling(S.AUDIT_LOG_APPEND) == B.TOP
    assert all(F.ceiling(sink) == B.BOTTOM for sink in UNKNOWN)


def test_a_worse_label_never_breaks_fewer_rules() -> None:
    """One defect at a time is enough: every worse label is reached by adding defects."""
    for i, (label, raw) in product(range(19), LABELS[::7]):
        before = S.flow_failures(raw, i, *FRESH)
        for bit in range(16):
            worse = raw | 1 << bit
            if B.valid(worse):
                after = S.flow_failures(worse, i, *FRESH)
                assert before & ~after == 0, label


# -- 3. the original's grids, as a check that its tables were read right ----------------------

# An operation counts through its own thresholds only where no sink is given.
AUTHORITY_OPS = [
    "write_files",
    "edit_files",
    "run_bash",
    "git_commit",
    "git_push",
    "create_pr",
    "manage_pods",
    "spawn_agent",
    "web_fetch",
]
UNTRUSTED_OPS = ("write_files", "edit_files", "run_bash", "git_commit", "manage_pods")
EXFIL_OPS = {op for op, bits in R.AUGUST.items() if R.Leg.X in bits} | {"web_fetch"}
REASONS = ("allow", "exfil", "authority", "integrity", "exfil", "freshness", "derivation")


def _by_operation(op: str) -> R.Sink:
    """The requirement of the original for an operation without a sink."""
    trusted = op in ("git_push", "create_pr")
    return R.Sink(
        op,
        R.Auth.SUGGESTIVE if op in AUTHORITY_OPS else R.Auth.NONE,
        Integ.TRUSTED if trusted else Integ(op in UNTRUSTED_OPS),
        op in EXFIL_OPS,
        op in ("git_commit", "git_push", "create_pr"),
    )


def _first_reasons(sink: R.Sink) -> Counter[str]:
    broken = (R.failing_rules(label, sink, False) for label in R.labels(PROVS[:2]))
    return Counter(REASONS[rules[0] if rules else 0] for rules in broken)


def _times(counts: Counter[str], n: int) -> Counter[str]:
    return Counter({k: v * n for k, v in counts.items()})


def test_the_original_flow_grid_is_reproduced() -> None:
    """93 600 = 13 operations x (19 sinks or none) x 3 x 3 x 4 x 5 x {no source, web}. The counts
    come out with the August column, and with an operation's own way out counting only where no
    sink is given. Every one of our 19 rows is in it 13 times."""
    seen: Counter[str] = Counter()
    for sink in R.SINKS:
        seen += _times(_first_reasons(sink), 13)
    for op in R.OPS:
        seen += _first_reasons(_by_operation(op))
    assert seen.total() == 93_600
    assert seen == {
        "allow": 26_816,
        "authority": 35_400,
        "exfil": 14_960,
        "integrity": 14_660,
        "derivation": 1_764,
    }


def test_our_flow_grid() -> None:
    """6 840 = the same without the operations, which have no thresholds of their own here: each
    goes to a sink, by default or by its binding."""
    seen = Counter(
        REASONS[F.check_flow(raw, i, *FRESH)]
        for i in range(19)
        for label, raw in LABELS
        if label.prov in PROVS[:2]
    )
    assert seen == {
        "allow": 1_928,
        "authority": 2_640,
        "exfil": 1_040,
        "integrity": 1_100,
        "derivation": 132,
    }


# -- 4. one integrity table (docs/adr: one integrity table) -----------------------------------


def test_the_table_we_kept_refuses_all_that_the_other_refuses_and_ten_cells_more() -> None:
    looser = {
        (sink.name, integ)
        for sink, integ in product(R.SINKS, Integ)
        if integ >= R.SECOND_INTEGRITY[sink.name] and integ < sink.integ
    }
    stricter = {
        (sink.name, integ)
        for sink, integ in product(R.SINKS, Integ)
        if integ < R.SECOND_INTEGRITY[sink.name] and integ >= sink.integ
    }
    assert stricter == set()
    leaving = ("git_push", "pr_comment_write", "email_send", "verified_table_write", "ticket_write")
    local = (
        "workspace_write",
        "bash_exec",
        "proposed_table_write",
        "search_index_write",
        "cache_write",
    )
    assert looser == {(name, Integ.UNTRUSTED) for name in leaving} | {
        (name, Integ.ADVERSARIAL) for name in local
    }


PAIRS = {
    "write_files": "workspace_write system_write proposed_table_write verified_table_write "
    "cache_write search_index_write audit_log_append",
    "edit_files": "workspace_write system_write",
    "git_commit": "git_commit",
    "git_push": "git_push",
    "create_pr": "pr_comment_write",
    "run_bash": "bash_exec",
    "web_search": "http_egress",
    "web_fetch": "http_egress",
    "spawn_agent": "agent_spawn",
    "manage_pods": "cloud_mutation agent_spawn",
    **dict.fromkeys(
        ("read_files", "glob_search", "grep_search"), "audit_log_append memory_persist cache_write"
    ),
}


def _preflight(op: str, sink: R.Sink, integ: Integ, deriv: Deriv, adversarial: bool) -> str:
    if integ < R.SECOND_INTEGRITY[sink.name]:
        return "integrity"
    if sink.name not in PAIRS[op].split():
        return "pair"
    verified = sink.name in ("git_push", "git_commit", "pr_comment_write")
    if verified and deriv not in (Deriv.DET, Deriv.HUMAN):
        return "derivation"
    return "ancestry" if adversarial else "allowed"


def test_the_second_table_was_read_right() -> None:
    """The original's 7 410 preflight cases come out with it."""
    grid = product(R.OPS, R.SINKS, Integ, Deriv, (False, True))
    assert Counter(_preflight(*case) for case in grid) == {
        "allowed": 317,
        "pair": 5180,
        "integrity": 1560,
        "ancestry": 317,
        "derivation": 36,
    }
