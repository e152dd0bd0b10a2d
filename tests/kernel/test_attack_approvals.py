"""Somebody wants a yes that nobody gave: for another token, another call, or by his own hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nucleus_tokens import canonical
from nucleus_tokens.errors import CredentialError
from nucleus_tokens.limits import APPROVALS_PER_CALL
from nucleus_verifier.facts import Approver, Cell, Policy
from tests.support import world
from tests.support.judging import allowed, asked, denied, judge
from tests.support.world import NOW

WRITE = world.write()
OWED = ["op:write_files"]
TOKEN = world.mint(obligations=["write_files"])


def answer(**change: Any) -> Any:
    """The decision on one write, with an approval that differs in what is given."""
    what = change.pop("what", WRITE)
    facts = change.pop("facts", {})
    agreed = world.approve(TOKEN, what, change.pop("owed", OWED), **change)
    return judge(TOKEN, WRITE, approvals=(agreed,), **facts)


def test_the_honest_way_works_and_spends_the_approval() -> None:
    assert asked(judge(TOKEN, WRITE)) == set(OWED)
    intent = allowed(answer())
    assert intent.discharged == ("op:write_files",)
    assert intent.spends[-1] == (f"approval:{world.hex16('approval')}/uses", 1, 1)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"rid": "00" * 16}, "another prefix"),
        ({"tid": "00" * 16}, "another token"),
        ({"cell": "wall:other"}, "another cell"),
        ({"digest": "00" * 32}, "another call"),
        ({"not_after": NOW}, "expired this second"),
        ({"not_after": 0}, "long expired"),
        ({"owed": ["op:git_push"]}, "another obligation"),
        ({"owed": ["op:write_file"]}, "an obligation that does not exist"),
        ({"signer": "agent"}, "signed by the agent in a person's name"),
        ({"signer": "second"}, "signed by an approver in another's name"),
        ({"approver": "nobody"}, "an approver nobody listed"),
        ({"approver": "agent"}, "the agent as approver"),
        ({"approver": "reader"}, "an approver for reads only"),
        ({"facts": {"spent": {f"approval:{world.hex16('approval')}/uses": 1}}}, "spent"),
        ({"facts": {"spent": {f"approval:{world.hex16('approval')}/uses": -1}}}, "less than never"),
        ({"facts": {"wall": Cell("wall:new", 0, 0)}}, "the wall was replaced"),
        ({"what": world.write("/srv/data/b.txt")}, "another path"),
        ({"what": world.write(content="y")}, "another content"),
        ({"what": world.write(tool="fs.write2")}, "another tool"),
    ],
    ids=lambda v: v.replace(" ", "-") if isinstance(v, str) else "",
)
def test_an_approval_of_something_else(change: dict[str, Any], what: str) -> None:
    assert asked(answer(**change)) == set(OWED), what


def test_an_approval_whose_uses_nobody_knows() -> None:
    agreed = world.approve(TOKEN, WRITE, OWED)
    facts = world.facts(TOKEN, approvals=(agreed,))
    unknown = replace(facts, spent={})
    assert asked(world.World(world.text(TOKEN), WRITE, unknown).decide()) == set(OWED)


def test_one_use_of_many_is_left() -> None:
    pattern = [["path", "in", ["/srv/data"]], ["tool", "in", ["fs.write"]]]
    agreed = world.approve(TOKEN, pattern, OWED, count=3)
    uses = f"approval:{world.hex16('approval')}/uses"
    allowed(judge(TOKEN, WRITE, approvals=(agreed,), spent={uses: 2}))
    asked(judge(TOKEN, WRITE, approvals=(agreed,), spent={uses: 3}))


def test_narrowing_asks_again() -> None:
    """An approval serves exactly its prefix: not what follows it, and not what came before."""
    agreed = world.approve(TOKEN, WRITE, OWED)
    child = world.narrow(TOKEN, ["exp", NOW + 9])
    asked(judge(child, WRITE, approvals=(agreed,)))
    for_child = world.approve(child, WRITE, OWED)
    allowed(judge(child, WRITE, approvals=(for_child,)))
    asked(judge(TOKEN, WRITE, approvals=(for_child,)))


def test_a_request_does_not_change_which_prefix_it_is() -> None:
    agreed = world.approve(TOKEN, WRITE, OWED)
    allowed(judge(world.request(TOKEN, WRITE), WRITE, approvals=(agreed,), channel="carried"))


def test_never_is_not_approvable() -> None:
    token = world.mint(world.levels(read_files="always"))
    agreed = world.approve(token, WRITE, [*OWED, "level.never", "op:read_files"])
    denied(judge(token, WRITE, approvals=(agreed,)), 9, "level.never")


@pytest.mark.parametrize(
    ("caveat", "step", "code"),
    [
        (["path", "in", ["/nowhere"]], 10, "scope.outside"),
        (["budget", "calls", 0], 11, "budget.exhausted"),
        (["exp", NOW - 1], 7, "token.expired"),
        (["exposure", []], 9, "exposure.exceeded"),
        (["arg", "fs.write", {"/path": ["any"]}], 10, "scope.arguments"),
    ],
)
def test_an_approval_lifts_nothing_but_obligations(caveat: list[Any], step: int, code: str) -> None:
    token = world.narrow(TOKEN, caveat)
    agreed = world.approve(token, WRITE, [*OWED, code, "gate:exposure"])
    denied(judge(token, WRITE, approvals=(agreed,), **world.seen(1)), step, code)


def test_a_secret_that_leaves_is_not_approvable() -> None:
    token = world.mint()
    call = world.fetch(label=2)
    agreed = world.approve(token, call, ["flow:secret_to_exfil", "gate:exposure", "op:web_fetch"])
    denied(judge(token, call, approvals=(agreed,)), 12, "flow.secret")


def test_half_a_yes_is_no_yes() -> None:
    """Two things are owed; one is answered for. The other is still asked, and nothing spent."""
    token = world.mint(world.all_levels("low_risk"), obligations=["write_files"])
    both = {"op:write_files", "input:/path"}
    assert asked(judge(token, WRITE)) == both
    for owed in both:
        agreed = world.approve(token, WRITE, [owed])
        assert asked(judge(token, WRITE, approvals=(agreed,))) == both - {owed}
    each = tuple(world.approve(token, WRITE, [o], name=o) for o in sorted(both))
    allowed(judge(token, WRITE, approvals=each))


# Patterns -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pattern",
    [
        [["path", "in", ["/srv/other"]]],
        [["path", "in", []]],
        [["path", "not", ["/srv/data"]]],
        [["host", "in", ["example.org"]]],
        [["tool", "in", ["fs.read"]]],
        [["arg", "fs.read", {"": ["any"]}]],
        [["arg", "*", {"": ["any"]}]],
        [["arg", "fs.write", {"/path": ["any"]}]],
        [["path", "in", ["/srv"]], ["tool", "in", ["fs.read"]]],
        [["path", "in", ["/srv"]], ["ref", "in", ["**"]]],
    ],
)
def test_a_pattern_of_other_calls(pattern: list[Any]) -> None:
    """What does not speak of this call does not approve it, not even vacuously."""
    asked(answer(what=pattern))


def test_a_pattern_for_a_call_that_touches_nothing_of_it() -> None:
    token = world.mint(obligations=["run_bash"])
    call = world.bash("ls", resources={"cmd": (("ls",),), "path": (), "host": None})
    for kind in ("path", "host", "ref"):
        pattern = [[kind, "not", ["x" if kind != "path" else "/x"]]]
        agreed = world.approve(token, pattern, ["gate:exposure", "op:run_bash"])
        assert "op:run_bash" in asked(judge(token, call, approvals=(agreed,)))


@pytest.mark.parametrize(
    "caveat",
    [
        ["exp", NOW + 9],
        ["cap", {"write_files": "always"}],
        ["only", {"write_files": "always"}],
        ["budget", "calls", 9],
        ["approve", ["write_files"]],
        ["link", "00" * 16],
        ["delegate", {}, ""],
    ],
)
def test_a_pattern_may_only_be_a_predicate_on_the_call(caveat: list[Any]) -> None:
    with pytest.raises(CredentialError, match=r"approval.malformed"):
        world.approve(TOKEN, [caveat], OWED)


@pytest.mark.parametrize(
    "change",
    [
        {"pattern": []},
        {"pattern": None},
        {"count": 0},
        {"count": -1},
        {"count": 1001},
        {"digest": "00" * 32},
        {"not_after": -1},
        {"v": 2},
        {"levels": {"write_files": "always"}},
        {"pattern": [["tool", "in", [f"t{n}" for n in range(10, 70)]]] * 2},
    ],
)
def test_a_malformed_approval_cannot_be_written(change: dict[str, Any]) -> None:
    with pytest.raises(CredentialError, match=r"approval.malformed"):
        world.approve(TOKEN, [["tool", "in", ["fs.write"]]], OWED, **change)


def test_an_approval_of_nothing_cannot_be_written() -> None:
    with pytest.raises(CredentialError, match=r"approval.malformed"):
        world.approve(TOKEN, WRITE, [])


def test_a_digest_is_good_for_one_call_only() -> None:
    with pytest.raises(CredentialError, match=r"approval.malformed"):
        world.approve(TOKEN, WRITE, OWED, count=2)


def test_bytes_that_are_no_approval_say_nothing_and_break_nothing() -> None:
    good = world.approve(TOKEN, WRITE, OWED)
    for junk in (b"", b"x", bytes(64), bytes(4000), good[:-1], good + b" ", good[1:] + b"}"):
        asked(judge(TOKEN, WRITE, approvals=(junk,)))
        allowed(judge(TOKEN, WRITE, approvals=(junk, good)))
    for at in range(0, len(good), 11):
        changed = bytearray(good)
        changed[at] ^= 1
        asked(judge(TOKEN, WRITE, approvals=(bytes(changed),), spent=_all_uses(bytes(changed))))


def _all_uses(data: bytes) -> dict[str, int]:
    """Whatever id the changed bytes name, it was never used."""
    try:
        return {f"approval:{canonical.decode(data[64:])['id']}/uses": 0}
    except (CredentialError, KeyError):
        return {}


def test_a_flood_of_approvals_is_not_searched_without_end() -> None:
    """So many are looked at. That many worthless ones can cost a yes, and never give one."""
    most = APPROVALS_PER_CALL
    junk = tuple(world.approve(TOKEN, WRITE, OWED, name=str(i), rid="00" * 16) for i in range(most))
    good = world.approve(TOKEN, WRITE, OWED)
    allowed(judge(TOKEN, WRITE, approvals=(*junk[:-1], good)))
    asked(judge(TOKEN, WRITE, approvals=(*junk, good)))


# By his own hand ------------------------------------------------------------------------------


def test_no_caveat_says_yes() -> None:
    """`approve` adds what is owed. There is no word for the opposite, whatever it is called."""
    for operations in ([], ["write_files"], ["git_push"]):
        asked(judge(world.narrow(TOKEN, ["approve", operations]), WRITE))
    for invented in (
        ["approved", ["write_files"]],
        ["discharge", "op:write_files"],
        ["approve", ["write_files"], True],
        ["approve", {"write_files": False}],
        ["approve", ["-write_files"]],
        ["obligations", []],
    ):
        forged = world.forge(TOKEN, canonical.encode(invented))
        known = invented[0] == "approve"
        denied(
            judge(forged, WRITE, like=TOKEN), 3, "caveat.malformed" if known else "caveat.unknown"
        )


@pytest.mark.parametrize("hops", [["person"], ["person", "sub"], ["sub", "person"]])
def test_no_approver_in_the_chain_of_holders(hops: list[str]) -> None:
    """Whoever held the token may not also be the person who is asked."""
    token, giver = TOKEN, "agent"
    for left, taker in zip((3, 2), hops, strict=False):
        token, giver = world.hand(token, giver, taker, depth=left), taker
    own = world.approve(token, WRITE, OWED)
    assert asked(judge(token, WRITE, approvals=(own,))) == set(OWED)
    others = world.approve(token, WRITE, OWED, approver="second")
    allowed(judge(token, WRITE, approvals=(own, others)))


def test_the_first_holder_is_no_approver_either() -> None:
    """The bundle lists the agent's own key as an approver: a mistake that must not matter."""
    approvers = {**world.KEYS.approvers, "agent": Approver(world.public("agent"), 0x1FFF)}
    keys = replace(world.KEYS, approvers=approvers)
    own = world.approve(TOKEN, WRITE, OWED, approver="agent")
    asked(judge(TOKEN, WRITE, keys=keys, approvals=(own,)))


def test_one_person_is_one_voice() -> None:
    """Of a quorum of two: the same person twice, by two ids, and by two names of one key."""
    policy = Policy(quorum={WRITE.operation: 2})
    alias = replace(
        world.KEYS,
        approvers={**world.KEYS.approvers, "alias": world.KEYS.approvers["person"]},
    )
    one = world.approve(TOKEN, WRITE, OWED, name="one")
    again = world.approve(TOKEN, WRITE, OWED, name="two")
    other_name = world.approve(TOKEN, WRITE, OWED, name="three", approver="alias", signer="person")
    asked(judge(TOKEN, WRITE, keys=alias, policy=policy, approvals=(one, again, other_name)))
    second = world.approve(TOKEN, WRITE, OWED, name="four", approver="second")
    intent = allowed(judge(TOKEN, WRITE, policy=policy, approvals=(one, again, second)))
    assert len(intent.spends) == 2, "the voice that added nothing is not spent"


@pytest.mark.parametrize("counts", [(1, 9), (9, 1)])
def test_an_id_is_one_approval(counts: tuple[int, int]) -> None:
    """Two people sign under one id: the uses of the one would be counted for those of the other."""
    policy = Policy(quorum={WRITE.operation: 2})
    mine, yours = (
        world.approve(TOKEN, [["tool", "in", ["fs.write"]]], OWED, approver=approver, count=count)
        for approver, count in zip(("person", "second"), counts, strict=True)
    )
    asked(judge(TOKEN, WRITE, policy=policy, approvals=(mine, yours)))
    other = world.approve(TOKEN, WRITE, OWED, name="two", approver="second")
    intent = allowed(judge(TOKEN, WRITE, policy=policy, approvals=(mine, yours, other)))
    assert [spend.limit for spend in intent.spends] == [counts[0], 1]


@pytest.mark.parametrize("needed", [0, -1, -100])
def test_a_quorum_of_nobody_is_one_person(needed: int) -> None:
    policy = Policy(quorum={WRITE.operation: needed})
    asked(judge(TOKEN, WRITE, policy=policy))
    allowed(judge(TOKEN, WRITE, policy=policy, approvals=(world.approve(TOKEN, WRITE, OWED),)))
