"""What a person can answer: a group, an offered pattern, never again; and taking it back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from nucleus import ApprovalRequired, PolicyDenied, Session, StateBlocked, approve
from nucleus.approver import Answer, Answering, Approve, Deny, Question, approver
from nucleus.tools import fs
from nucleus_tokens.errors import CallerError
from tests.cli.command import PASSPHRASE, Desk
from tests.sdk.stage import Served
from tests.sdk.test_approvals import answered_by, asking


@contextmanager
def person(desk: Desk) -> Iterator[Answering]:
    """An approver who answers step by step."""
    with approver(passphrase=lambda _: PASSPHRASE, home=desk.home) as made:
        yield made


def until(desk: Answering, count: int) -> list[Question]:
    """So many questions that wait."""
    for _ in range(2000):
        found = desk.questions()
        if len(found) == count:
            return found
    raise AssertionError("it did not come to pass")


def test_alike_are_answered_together_and_each_exactly(served: Served, folder: Path) -> None:
    for name in "abc":
        (folder / name).write_text(name)
    with asking(served, "read_files") as s, person(served.desk) as desk:
        with ThreadPoolExecutor(3) as pool:
            reads = [pool.submit(approve, "read", s.fs.read, folder / n) for n in "abc"]
            first, *_ = until(desk, 3)
            assert len(first.alike) == 2
            assert desk.settle(first, Approve(alike=True)) == 3
            assert sorted(str(r.result(60)) for r in reads) == ["a", "b", "c"]
        for name in "abc":  # each of them once
            with pytest.raises(ApprovalRequired):
                fs.read(folder / name)


def test_an_offer_holds_what_it_says_and_ends(served: Served, folder: Path) -> None:
    for name in ("a", "b", "sub/c"):
        served.file(f"{folder.relative_to(served.workspace)}/{name}", name)
    seen: list[Question] = []

    def folder_once(asked: Question) -> Answer:
        seen.append(asked)
        (offer,) = [o for o in asked.offers if f"at or below {folder}" in o.words][-1:]
        return Approve(offer.pattern, 3, 600)

    with asking(served, "read_files") as s, answered_by(served.desk, folder_once):
        approve("read", fs.read, folder / "a")
        fs.read(folder / "b")
        fs.read(folder / "sub/c")
        with pytest.raises(ApprovalRequired):
            fs.read(folder / "a")
        assert len(seen) == 1
        assert s.about.rid == seen[0].rid
        assert seen[0].words == f"read files at {folder / 'a'}"


def test_a_task_is_stopped_with_the_call_that_is_denied(served: Served, folder: Path) -> None:
    """The token is dead before the call hears of it."""
    (folder / "a").write_text("a")
    (folder / "b").write_text("b")

    def stop(_: Question) -> Answer:
        return Deny("it obeys a page", stop=True)

    with asking(served, "read_files"), answered_by(served.desk, stop):
        with pytest.raises(PolicyDenied, match="it obeys a page"):
            approve("read", fs.read, folder / "a")
        with pytest.raises(StateBlocked, match="revoked"):
            fs.read(folder / "b")


def test_never_again_is_said_once_and_signed(served: Served, folder: Path) -> None:
    (folder / "a").write_text("a")
    (folder / "b").write_text("b")
    asked: list[Question] = []

    def always(question: Question) -> Answer:
        asked.append(question)
        if question.arguments.endswith('b"}'):
            return Deny("never b", always=True)
        return Approve(always=True)

    with asking(served, "read_files"), answered_by(served.desk, always):
        for _ in range(3):
            assert str(approve("read", fs.read, folder / "a")) == "a"
            with pytest.raises(PolicyDenied, match="never b"):
                approve("read", fs.read, folder / "b")
    assert len(asked) == 2
    rules = served.desk.run("approvals", "rules", "--json").ok().json
    mine = [rule for rule in rules if str(folder) in rule["pattern"]]
    assert sorted(rule["answer"] for rule in mine) == ["approve", "deny"]
    path = next(served.desk.home.rglob("answers.toml"))
    text = path.read_text()
    # Whoever has no key can only take rules away.
    (allow,) = [rule for rule in mine if rule["answer"] == "approve"]
    path.write_text(text.replace(f"{folder}/a", f"{folder}/z"))
    left = served.desk.run("approvals", "rules", "--json").ok().json
    assert allow["id"] not in [rule["id"] for rule in left]
    path.write_text(text)
    for rule in mine:
        served.desk.run("approvals", "forget", rule["id"]).ok()
    with (
        asking(served, "read_files"),
        answered_by(served.desk, lambda _: Deny("asked")),
        pytest.raises(PolicyDenied, match="asked"),
    ):
        approve("read", fs.read, folder / "a")


def test_a_rule_says_no_more_than_was_shown(served: Served, folder: Path) -> None:
    (folder / "a").write_text("a")
    with (
        asking(served, "read_files") as s,
        person(served.desk) as desk,
        ThreadPoolExecutor(1) as pool,
    ):
        waits = pool.submit(approve, "read", s.fs.read, folder / "a")
        (asked,) = until(desk, 1)
        desk.settle(asked, Approve(always=True))
        waits.result(60)
        (rule,) = [r for r in desk.standing.rules() if str(folder) in r.pattern]
        assert rule.covers(asked, 0)
        for other in (
            replace(asked, exposure=(*asked.exposure, "another_leg")),
            replace(asked, who=("somebody",)),
            replace(asked, owed=(*asked.owed, ("flow:another", ""))),
            replace(asked, whole=False),
            replace(asked, arguments=json.dumps({"path": "/etc/passwd"})),
            replace(asked, tool="fs_write"),
        ):
            assert not rule.covers(other, 0)
        assert not rule.covers(asked, rule.until)
        desk.standing.forget(rule.id)


def test_an_answer_is_about_what_was_shown(served: Served, folder: Path) -> None:
    (folder / "a").write_text("a")
    with (
        asking(served, "read_files") as s,
        person(served.desk) as desk,
        ThreadPoolExecutor(1) as pool,
    ):
        waits = pool.submit(approve, "read", s.fs.read, folder / "a")
        (asked,) = until(desk, 1)
        with pytest.raises(CallerError, match=r"desk\.other"):
            desk.settle(replace(asked, mark="00" * 16), Approve())
        assert desk.settle(asked, Approve()) == 1
        waits.result(60)
        assert desk.settle(asked, Approve()) == 0, "one request has one answer"


def test_an_approval_that_is_taken_back_serves_no_more(served: Served, folder: Path) -> None:
    (folder / "a").write_text("a")
    like = Approve((["path", "in", [str(folder)]],), 5, 600)
    with asking(served, "read_files") as s, answered_by(served.desk, lambda _: like):
        approve("read", fs.read, folder / "a")
        fs.read(folder / "a")
        rows = served.desk.run("approvals", "granted", "--json").ok().json
        (mine,) = [row for row in rows if row["rid"] == s.about.rid]
        assert (mine["left"], mine["one_call"]) == (3, False)
        assert json.loads(mine["pattern"]) == [["path", "in", [str(folder)]]]
        served.desk.run("approvals", "revoke", mine["id"][:12]).ok()
        with pytest.raises(ApprovalRequired):
            fs.read(folder / "a")
        served.desk.run("approvals", "revoke", mine["id"]).ok(2)
        (kept,) = [r["record"] for r in served.trace() if r["record"]["type"] == "taken_back"]
        assert (kept["approval"], kept["left"], kept["rid"]) == (mine["id"], 3, s.about.rid)


def test_the_command_approves_what_was_offered(served: Served, folder: Path) -> None:
    (folder / "a").write_text("a")

    def once(s: Session) -> str:
        return str(approve("read", s.fs.read, folder / "a"))

    with asking(served, "read_files") as s, ThreadPoolExecutor(1) as pool, person(served.desk) as d:
        waits = pool.submit(once, s)
        (asked,) = until(d, 1)
        words = ("--passphrase-file", served.desk.pass_file, "--like", 2, "--count", 3)
        done = served.desk.run("approvals", "approve", asked.id, *words).ok()
        assert "up to 3 calls" in done.out
        assert waits.result(60) == "a"
        fs.read(folder / "a")


def test_the_command_answers_a_group_and_says_no_for_good(served: Served, folder: Path) -> None:
    words = ("--passphrase-file", served.desk.pass_file)
    for name in "abc":
        (folder / name).write_text(name)
    with asking(served, "read_files") as s, ThreadPoolExecutor(3) as pool, person(served.desk) as d:
        reads = [pool.submit(approve, "read", s.fs.read, folder / n) for n in "ab"]
        first, _ = until(d, 2)
        served.desk.run("approvals", "approve", first.id, "--alike", "--like", 1, *words).ok(2)
        done = served.desk.run("approvals", "approve", first.id, "--alike", "--json", *words).ok()
        assert len(done.json["alike"]) == 1
        assert sorted(str(r.result(60)) for r in reads) == ["a", "b"]
        for _ in range(2):  # each of them once
            with pytest.raises(ApprovalRequired):
                fs.read(folder / "a")
        denied = [pool.submit(approve, "read", s.fs.read, folder / n) for n in "ab"]
        first, other = until(d, 2)
        no = ("--reason", "never that", "--alike", "--always")
        served.desk.run("approvals", "deny", first.id, *no, *words).ok()
        assert [str(r.exception(60)) for r in denied] == 2 * [str(denied[0].exception())]
        assert "never that" in str(denied[0].exception())
        again = pool.submit(approve, "read", s.fs.read, first.resources["path"][0])  # type: ignore[index]  # JSON
        (asked,) = until(d, 1)
        assert d.by_rule(asked)
        assert "never that" in str(again.exception(60))
        (rule,) = [r for r in d.standing.rules() if str(folder) in r.pattern]
        assert other.id != first.id
        d.standing.forget(rule.id)
