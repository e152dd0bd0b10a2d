"""A compromised agent vouches for its own arguments: by caveats, by narrowing, by labels."""

from __future__ import annotations

from typing import Any

import pytest

from nucleus_tokens import names
from nucleus_verifier.facts import Call, Policy, Selector
from tests.support import world
from tests.support.judging import allowed, asked, denied, judge

LOW = world.all_levels("low_risk")
WRITE = world.write()
FETCH = world.fetch()
PATH = {"input:/path"}

# Each would be evidence, were it the issuer's own word.
SAYINGS: list[list[Any]] = [
    ["path", "in", ["/srv/data"]],
    ["path", "in", ["/srv/data/a.txt"]],
    ["arg", "fs.write", {"/content": ["any"], "/path": ["equals", "/srv/data/a.txt"]}],
    ["arg", "*", {"/content": ["any"], "/path": ["one-of", ["/srv/data/a.txt"]]}],
    ["arg", "fs.write", {"/content": ["any"], "/path": ["subpath", "/srv"]}],
]


@pytest.mark.parametrize("saying", SAYINGS)
def test_claimed_by_an_appended_caveat(saying: list[Any]) -> None:
    allowed(judge(world.mint(LOW, saying), WRITE))
    assert asked(judge(world.narrow(world.mint(LOW), saying), WRITE)) == PATH


@pytest.mark.parametrize("saying", SAYINGS)
def test_claimed_by_what_was_narrowed_before_an_exchange(saying: list[Any]) -> None:
    """An Exchange signs what the agent appended; that does not make it the issuer's word."""
    token = world.mint(LOW, narrowed=[("00" * 16, saying)])
    assert asked(judge(token, WRITE)) == PATH


def test_claimed_by_the_hand_over_of_a_colluding_holder() -> None:
    token = world.hand(world.narrow(world.mint(LOW), *SAYINGS))
    assert asked(judge(token, WRITE)) == PATH


@pytest.mark.parametrize(
    "saying",
    [
        ["path", "in", ["/srv/*/*"]],
        ["path", "in", ["/srv/data/**"]],
        ["path", "in", ["/srv/**/a.txt"]],
        ["path", "not", ["/etc"]],
        ["path", "in", ["/srv/data/*.txt"]],
        ["arg", "fs.write", {"/content": ["any"], "/path": ["prefix", "/srv/data/a.txt"]}],
        ["arg", "fs.write", {"/content": ["any"], "/path": ["length", 15, 15]}],
        ["arg", "fs.write", {"/content": ["any"], "/path": ["any"]}],
        ["arg", "fs.write", {"/content": ["equals", "x"], "/path": ["any"]}],
        ["arg", "fs.other", {"/path": ["equals", "/srv/data/a.txt"]}],
        ["tool", "in", ["fs.write"]],
    ],
)
def test_wildcards_prefixes_and_lengths_vouch_for_nothing(saying: list[Any]) -> None:
    """Even from the issuer: they leave the choice to whoever fills them in."""
    assert asked(judge(world.mint(LOW, saying), WRITE)) == PATH


@pytest.mark.parametrize(
    ("saying", "vouches"),
    [
        (["host", "in", ["example.org"]], True),
        (["host", "in", ["*.org", "example.org"]], True),
        (["host", "in", ["*.org"]], False),
        (["host", "not", ["example.net"]], False),
        (["path", "in", ["/"]], False),
    ],
)
def test_a_host_is_vouched_for_when_it_is_named_in_full(saying: list[Any], vouches: bool) -> None:
    decision = judge(world.mint(LOW, saying), FETCH, **world.seen(0))
    if vouches:
        allowed(decision)
    else:
        assert asked(decision) == {"input:/host"}


def test_a_link_is_where_it_leads() -> None:
    """The argument lies inside the ceiling as text; what it resolves to does not."""
    saying = ["arg", "fs.read", {"/path": ["subpath", "/srv/data"]}]
    token = world.mint(LOW, saying)
    link = world.call(
        "fs.read",
        "read_files",
        {"path": "/srv/data/link"},
        resources={"path": ("/etc/shadow",)},
        selectors=[Selector("/path", "path", "/etc/shadow")],
    )
    denied(judge(token, link), 10, "scope.arguments")
    fixed = world.mint(LOW, ["arg", "fs.read", {"/path": ["equals", "/srv/data/link"]}])
    assert asked(judge(fixed, link)) == PATH
    inside = world.read("/srv/data/b.txt")
    allowed(judge(token, inside))


def test_every_selector_needs_its_own() -> None:
    push = world.push()
    token = world.mint(LOW, ["ref", "in", ["refs/heads/main"]])
    owed = {"op:git_push", "input:/host"}
    assert asked(judge(token, push)) == owed
    assert asked(judge(token, push, evidence=frozenset(("/host",)))) == owed - {"input:/host"}
    assert asked(judge(token, push, evidence=frozenset(("/ref", "/hos", "host", "")))) == owed


def test_a_call_that_names_nothing_has_no_evidence() -> None:
    """A write whose binding lists no selector is not a write without choices."""
    blind = world.write(selectors=())
    token = world.mint(LOW)
    assert asked(judge(token, blind)) == {"input:"}
    assert asked(judge(token, blind, evidence=frozenset(("/path",)))) == {"input:"}
    allowed(judge(token, world.read(selectors=())))


def test_a_clean_context_is_no_evidence() -> None:
    """A fresh session with a clean label and nothing seen: the choice still has no voucher."""
    for operation in ("write_files", "edit_files", "git_commit", "manage_pods"):
        call = world.call("t", operation, {"x": 1}, selectors=[Selector("/x", "id", 1)])
        assert "input:/x" in asked(judge(world.mint(LOW), call))


def test_labels_in_the_arguments_are_only_arguments() -> None:
    """Whatever an agent writes about its own value, the label is the proxy's."""
    claims = {"label": 0, "integrity": "trusted", "_meta": {"evidence": ["/path"]}}
    call = world.call(
        "fs.write", "write_files", claims, selectors=[Selector("/path", "path", None)]
    )
    assert asked(judge(world.mint(LOW), call)) == PATH


def test_always_does_not_ask_for_inputs_but_for_everything_else() -> None:
    token = world.mint(obligations=["write_files"])
    call = world.write(label=0x74, sink=1)
    assert asked(judge(token, call)) == {"op:write_files", "flow:authority"}


# What evidence answers for, where policy lets it ------------------------------------------------


def gate_call(**change: Any) -> Call:
    return world.fetch(label=0x0074, **change)


def test_evidence_answers_for_gate_and_payload_only_where_policy_says_so() -> None:
    token = world.mint(LOW, ["host", "in", ["example.org"]])
    owed = {"gate:exposure", "flow:authority"}
    assert asked(judge(token, gate_call(), **world.seen(3))) == owed
    evidence = Policy(gate="evidence")
    allowed(judge(token, gate_call(), policy=evidence, **world.seen(3)))
    bare = world.mint(LOW)
    assert asked(judge(bare, gate_call(), policy=evidence, **world.seen(3))) == owed | {
        "input:/host"
    }


def test_evidence_never_answers_for_a_secret_the_nucleus_or_a_person() -> None:
    evidence = Policy(gate="evidence")
    ceil = (LOW, ["host", "in", ["git.example.org"]], ["ref", "in", ["refs/heads/main"]])
    push = world.push()
    assert asked(judge(world.mint(*ceil), push, policy=evidence)) == {"op:git_push"}
    secret = world.push(label=2)
    denied(judge(world.mint(*ceil), secret, policy=evidence), 12, "flow.secret")
    plain = (world.levels(git_push="low_risk"), *ceil[1:])
    allowed(judge(world.mint(*plain), push, policy=evidence))
    for policy in (
        Policy("evidence", obligations=1 << push.operation),
        Policy("evidence", tool_obligations=frozenset(("git.push",))),
    ):
        assert asked(judge(world.mint(*plain), push, policy=policy)) == {"op:git_push"}
    approve = world.narrow(world.mint(*plain), ["approve", ["git_push"]])
    assert asked(judge(approve, push, policy=evidence)) == {"op:git_push"}


def test_a_gate_is_a_word_and_only_one_word_lets_evidence_answer() -> None:
    """Wherever the word was read, and however near another word comes to it."""
    token = world.mint(LOW, ["host", "in", ["example.org"]])
    read: Any = "evidence\n".strip()
    allowed(judge(token, gate_call(), policy=Policy(read), **world.seen(3)))
    words: tuple[Any, ...] = ("", "evidenc", "EVIDENCE", "evidence ", "none", "yes")
    for word in words:
        decision = judge(token, gate_call(), policy=Policy(word), **world.seen(3))
        assert asked(decision) == {"gate:exposure", "flow:authority"}


# nu -------------------------------------------------------------------------------------------


def test_nu_is_taken_from_the_ceiling_and_never_again() -> None:
    """nu is not monotone: recomputed after a caveat took away a leg, the obligation would be
    gone and the child would be allowed what its parent is asked for."""
    token = world.mint(
        world.levels(read_files="low_risk", web_fetch="low_risk", git_push="low_risk")
    )
    push = world.push()
    known = frozenset(("/ref", "/host"))
    assert asked(judge(token, push, evidence=known)) == {"op:git_push"}
    for leg in ("read_files", "web_fetch"):
        for caveat in (["cap", {leg: "never"}], world.levels(git_push="low_risk")):
            assert asked(judge(world.narrow(token, caveat), push, evidence=known)) == {
                "op:git_push"
            }
    exchanged = world.mint(
        world.levels(read_files="low_risk", web_fetch="low_risk", git_push="low_risk"),
        narrowed=[("00" * 16, ["cap", {"read_files": "never"}])],
    )
    assert asked(judge(exchanged, push, evidence=known)) == {"op:git_push"}


def test_what_is_owed_accumulates() -> None:
    """From every place it can be said: none of them replaces what another says."""
    token = world.mint(
        world.all_levels(),
        obligations=["read_files"],
        narrowed=[("00" * 16, ["approve", ["glob_search"]])],
    )
    token = world.narrow(token, ["approve", ["grep_search"]], ["approve", ["edit_files"]])
    token = world.narrow(token, ["approve", []])
    policy = Policy(obligations=1 << names.operation("manage_pods"))
    for operation in ("read_files", "glob_search", "grep_search", "edit_files", "manage_pods"):
        call = world.call("t", operation, selectors=[Selector("/x", "id", 1)])
        assert asked(judge(token, call, policy=policy)) == {f"op:{operation}"}
    allowed(judge(token, world.write(), policy=policy))


def test_what_is_said_twice_is_owed() -> None:
    """By any two of those who can say it, or by all: no word takes another one back."""
    write = world.write()
    policy = Policy(obligations=1 << write.operation)
    by_tool = Policy(tool_obligations=frozenset((write.tool,)))
    by_both = Policy(obligations=policy.obligations, tool_obligations=by_tool.tool_obligations)
    for header in ([], ["write_files"]):
        plain = world.mint(obligations=header)
        narrow = world.narrow(plain, ["approve", ["write_files"]])
        for token in (plain, narrow, world.narrow(narrow, ["approve", ["write_files"]])):
            for said in (policy, by_tool, by_both):
                assert asked(judge(token, write, policy=said)) == {"op:write_files"}


@pytest.mark.parametrize("operation", names.OPERATIONS)
def test_a_tool_that_policy_asks_about_is_asked_about_whatever_it_does(operation: str) -> None:
    token = world.mint(world.levels(**{operation: "always"}))
    call = world.call("t", operation, projects=0)
    allowed(judge(token, call, policy=Policy(tool_obligations=frozenset(("u",)))))
    policy = Policy(tool_obligations=frozenset(("t",)))
    assert asked(judge(token, call, policy=policy)) == {f"op:{operation}"}


def test_without_three_legs_in_the_ceiling_nu_asks_nothing() -> None:
    token = world.mint(world.levels(web_fetch="low_risk", git_push="low_risk"))
    allowed(judge(token, world.push(), evidence=frozenset(("/ref", "/host"))))


@pytest.mark.parametrize("operation", ["git_push", "create_pr", "run_bash"])
def test_nu_binds_every_way_out_it_names(operation: str) -> None:
    token = world.mint(world.all_levels())
    call = world.call("t", operation, projects=0)
    assert asked(judge(token, call)) == {f"op:{operation}"}
    for other in set(names.OPERATIONS) - {"git_push", "create_pr", "run_bash"}:
        allowed(judge(token, world.call("t", other, projects=0)))
