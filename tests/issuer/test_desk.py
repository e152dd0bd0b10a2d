"""Answers: exactly what was shown, signed, once; and shown so that it cannot lie."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleus_issuer.desk import shown_safely
from nucleus_issuer.keys import Key
from nucleus_tokens import approvals
from nucleus_tokens.errors import NucleusError
from nucleus_verifier.commit import Permit, commit
from nucleus_verifier.decision import Allow, Ask
from tests.issuer.host import PERSON, Host
from tests.support import world


def code_of(use: Callable[[], object]) -> str:
    with pytest.raises(NucleusError) as caught:
        use()
    return caught.value.code


def test_a_call_that_was_asked_about_goes_through_once(host: Host) -> None:
    _, token = host.issue(extra=[["approve", ["read_files"]]])
    call = world.read()
    assert isinstance(host.judge(token, call), Ask)
    host.ask(token, call)
    assert [r.id for r in host.desk.pending()] == ["r1"]
    host.desk.approve("r1", PERSON)
    assert host.desk.pending() == []
    assert host.store.status("r1").status == "approved"
    # Another call, another prefix: still asked.
    assert isinstance(host.judge(token, world.read("/srv/data/b.txt")), Ask)
    narrower = world.narrow(token, ["link", "ab" * 16])
    assert isinstance(host.judge(narrower, call), Ask)
    decision = host.judge(token, call)
    assert isinstance(decision, Allow)
    assert isinstance(commit(decision.intent, host.store, {"type": "decision"}), Permit)
    assert isinstance(host.judge(token, call), Ask)


def test_an_approval_says_exactly_what_the_request_said(host: Host) -> None:
    _, token = host.issue(extra=[["approve", ["read_files"]]])
    request = host.ask(token, world.read())
    approval_id = host.desk.approve("r1", PERSON, ttl=60)
    (data,) = host.look(token).approvals
    said = approvals.parse(data)
    assert (said.id, said.approver, said.count) == (approval_id, "person", 1)
    assert (said.tid, said.rid, said.cell) == (request.tid, request.rid, request.cell)
    assert (said.digest, said.pattern) == (request.call_digest, None)
    assert list(said.obligations) == [id_ for id_, _ in request.obligations]
    assert said.not_after == world.NOW + 60
    assert approvals.signature_holds(said, world.public("person"))


def test_a_pattern_is_for_several_calls_and_no_more(host: Host) -> None:
    _, token = host.issue(extra=[["approve", ["read_files"]]])
    host.ask(token, world.read())
    host.desk.approve("r1", PERSON, pattern=[["path", "in", ["/srv"]]], count=2)
    for path in ("/srv/data/a.txt", "/srv/b"):
        decision = host.judge(token, world.read(path))
        assert isinstance(decision, Allow)
        commit(decision.intent, host.store, {"type": "decision"})
        assert isinstance(host.judge(token, world.read("/etc/passwd")), Ask)
    assert isinstance(host.judge(token, world.read()), Ask)


def test_a_late_or_second_answer_does_nothing(host: Host) -> None:
    _, token = host.issue(extra=[["approve", ["read_files"]]])
    call = world.read()
    for name in ("withdrawn", "denied", "expired", "approved"):
        host.ask(token, call, name)
    host.store.withdraw("withdrawn")
    host.desk.deny("denied", "not today")
    assert host.store.status("denied").reason == "not today"
    host.desk.approve("approved", PERSON)
    host.clock.now += 600
    for name in ("withdrawn", "denied", "expired", "approved"):
        assert host.store.status(name).status == name
        assert code_of(lambda n=name: host.desk.approve(n, PERSON)) == "desk.closed"  # type: ignore[misc]
        assert code_of(lambda n=name: host.desk.deny(n)) == "desk.closed"  # type: ignore[misc]
    assert isinstance(host.judge(token, call), Ask)
    assert code_of(lambda: host.desk.approve("nobody", PERSON)) == "desk.unknown"


def test_an_answer_that_cannot_be_is_refused_and_the_request_still_waits(host: Host) -> None:
    _, token = host.issue(extra=[["approve", ["read_files"]]])
    host.ask(token, world.read())
    desk = host.desk
    agent = Key("holder", "agent", world.public("agent"), world.secret("agent"))
    refusals: dict[Callable[[], object], str] = {
        lambda: desk.approve("r1", agent): "approval.key",
        lambda: desk.approve("r1", PERSON, count=2): "approval.count",
        lambda: desk.approve("r1", PERSON, count=0): "approval.count",
        lambda: desk.approve("r1", PERSON, pattern=[["tool", "in", ["x"]]], count=1001): (
            "approval.count"
        ),
        lambda: desk.approve("r1", PERSON, ttl=0): "approval.ttl",
        lambda: desk.approve("r1", PERSON, ttl=10**6): "approval.ttl",
        lambda: desk.approve("r1", PERSON, pattern=[]): "approval.pattern",
        lambda: desk.approve("r1", PERSON, pattern=[["budget", "calls", 1]]): "approval.pattern",
        lambda: desk.approve("r1", PERSON, pattern=[["path", "in", ["x"]]]): "approval.pattern",
    }
    for use, code in refusals.items():
        assert code_of(use) == code
    assert [r.id for r in desk.pending()] == ["r1"]
    assert host.look(token).approvals == ()


def test_an_approver_who_may_not_approve_this_is_not_heard_by_the_kernel(host: Host) -> None:
    """What counts is the verifier's bundle, not what the desk was willing to sign."""
    _, token = host.issue(extra=[["approve", ["write_files"]]])
    host.ask(token, world.write())
    reader = Key("approver", "reader", world.public("reader"), world.secret("reader"))
    host.desk.approve("r1", reader)
    assert isinstance(host.judge(token, world.write()), Ask)
    host.ask(token, world.write(), "r2")
    stranger = replace(PERSON, private=world.secret("stranger"))
    host.desk.approve("r2", stranger)
    assert isinstance(host.judge(token, world.write()), Ask)
    host.ask(token, world.write(), "r3")
    host.desk.approve("r3", PERSON)
    assert isinstance(host.judge(token, world.write()), Allow)


# What is shown -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, Grüße, 東京, עברית", "plain text, Grüße, 東京, עברית"),
        ("\x1b[2J\x1b[1;1H$ safe", "\\x1b[2J\\x1b[1;1H$ safe"),
        ("\x9b2J", "\\x9b2J"),
        ("a\rb\nc\td\0", "a\\x0db\\x0ac\\x09d\\x00"),
        ("C:\\x1b", "C:\\\\x1b"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("a\u2066b\u2069\u200f", "a\\u2066b\\u2069\\u200f"),
        ("pay\u200b\u2060\ufeff\u00adpal", "pay\\u200b\\u2060\\ufeff\\xadpal"),
        ("a\u2028b\u2029c\x85d", "a\\u2028b\\u2029c\\x85d"),
        ("x\U000e0041\U000e0042", "x\\U000e0041\\U000e0042"),
        ("a\ufe0f\U000e0101", "a\\ufe0f\\U000e0101"),
        ("\u3164\u2800\u115f", "\\u3164\\u2800\\u115f"),
        ("a\u00a0b\u3000c", "a\\xa0b\\u3000c"),
        ("\ud800\ue000\U0010ffff", "\\ud800\\ue000\\U0010ffff"),
        ("e\u0301\u0302\u0303\u0304", "e\u0301\u0302\\u0303\\u0304"),
        ("a\u20dd", "a\\u20dd"),
    ],
)
def test_what_moves_hides_or_turns_is_spelled_out(text: str, shown: str) -> None:
    assert shown_safely(text) == shown


@given(st.text(alphabet=st.characters(), max_size=60))
def test_what_is_shown_is_one_line_and_can_be_read_back(text: str) -> None:
    shown = shown_safely(text)
    assert all(unicodedata.category(c)[0] in "LMNPS" or c == " " for c in shown)
    assert len(shown.splitlines()) <= 1
    # Unambiguous: two different texts are never shown alike.
    assert shown.encode("latin-1", "backslashreplace").decode("unicode_escape") == text
