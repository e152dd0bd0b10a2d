"""The console in a real browser: what waits is seen at once, and answered with keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nucleus import ApprovalRequired, PolicyDenied, StateBlocked
from tests.console.browser import Browser, entered
from tests.console.stage import Stage


@pytest.fixture(scope="module")
def browser(stage: Stage) -> Iterator[Browser]:
    with entered(stage.link()) as made:
        yield made


def _chosen(browser: Browser) -> str:
    return str(browser.run("return document.activeElement.dataset.item ?? ''"))


def test_a_question_comes_by_itself_and_a_key_answers_it(
    stage: Stage, browser: Browser, folder: Path
) -> None:
    (folder / "a.txt").write_text("one\n")
    call = stage.asks("write", stage.session.fs.write, folder / "a.txt", "two\n")
    (request,) = stage.waiting()
    # No reload: the server says that there is something new.
    browser.until(lambda: "a.txt" in browser.text("#approvals"), "the question")
    text = browser.text("#approvals")
    assert f"write a file at {folder}/a.txt" in text
    assert "-one" in text
    assert "+two" in text
    assert "wanted by the policy file" in text
    assert not _chosen(browser), "nothing is chosen before somebody chooses"
    browser.press("a")
    browser.press("j")
    assert _chosen(browser) == request["id"]
    browser.shoot("question")
    browser.press("a")
    assert call.result(60).created is False
    browser.until(lambda: "Nothing waits" in browser.text("#approvals"), "an empty desk")
    assert (folder / "a.txt").read_text() == "two\n"


def test_it_is_denied_with_a_reason(stage: Stage, browser: Browser, folder: Path) -> None:
    call = stage.asks("read", stage.session.fs.read, folder / "b")
    stage.waiting()
    browser.until(lambda: "Approve once" in browser.text("#approvals"), "the question")
    browser.press("j", "d")
    browser.type("not today")
    browser.press("\ue007")
    with pytest.raises(PolicyDenied, match="not today"):
        call.result(60)


def test_an_offer_is_narrowed_and_taken(stage: Stage, browser: Browser, folder: Path) -> None:
    for name in ("a", "b", "sub"):
        (folder / name).mkdir()
        (folder / name / "x").write_text(name)
    call = stage.asks("read", stage.session.fs.read, folder / "a/x")
    stage.waiting()
    browser.until(lambda: "Approve once" in browser.text("#approvals"), "the question")
    browser.press("j", "3")  # shows what is offered
    browser.until(lambda: "calls of fs_read at or below" in browser.text("#approvals"), "offers")
    browser.run("document.querySelector('input[name=count]').value = '2'")
    browser.run("document.querySelector('input[name=narrow]').value = arguments[0]", f"{folder}/a")
    browser.shoot("offers")
    browser.press("3")
    assert str(call.result(60)) == "a"
    assert str(stage.session.fs.read(folder / "a/x")) == "a"
    with pytest.raises(ApprovalRequired):
        stage.session.fs.read(folder / "a/x")


def test_a_group_is_answered_together(stage: Stage, browser: Browser, folder: Path) -> None:
    for name in "abc":
        (folder / name).write_text(name)
    calls = [stage.asks("read", stage.session.fs.read, folder / name) for name in "abc"]
    stage.waiting(3)
    browser.until(lambda: "this and 2 alike" in browser.text("#approvals"), "the group")
    browser.press("j", "g")
    assert sorted(str(call.result(60)) for call in calls) == ["a", "b", "c"]


def test_what_is_withdrawn_goes_and_what_is_chosen_stays_where_it_is(
    stage: Stage, browser: Browser, folder: Path
) -> None:
    with stage.served.session("codegen") as s:
        gone = stage.asks("read", s.fs.read, folder / "gone")
        (request,) = stage.waiting()
        browser.until(lambda: "gone" in browser.text("#approvals"), "the question")
        browser.press("j")
        assert _chosen(browser) == request["id"]
        other = stage.asks("read", stage.session.fs.read, folder / "other")
        stage.waiting(2)
        browser.until(lambda: "/other" in browser.text("#approvals"), "the other")
        assert _chosen(browser) == request["id"], "what comes moves nothing"
    assert gone.exception(60) is not None
    (left,) = stage.waiting(1)
    browser.until(lambda: browser.run("return !!document.querySelector('.gone')"), "it is dimmed")
    browser.press("a")  # the key of something that is gone
    stage.waiting(1)
    browser.press("j", "a")
    assert other.exception(60) is not None, "approved: there is no such file"
    assert left["id"] != request["id"]


def test_trees_sessions_and_denials_are_shown_and_a_key_revokes(
    stage: Stage, browser: Browser
) -> None:
    with stage.served.session("codegen") as s:
        below = s.delegate("helper", ["tool", "in", ["fs_glob"]])
        below.fs.glob("*")
        with pytest.raises(PolicyDenied):
            below.fs.write("x", "y")
        browser.go(f"http://{stage.address}/#tokens")
        browser.run("location.reload()")
        browser.until(lambda: "helper" in browser.text("#tokens"), "the sub-agent")
        assert "private data" in browser.text("#sessions")
        assert "scope.outside" in browser.text("#denials")
        assert "Stay inside the scope" in browser.text("#denials")
        rid = browser.run(
            "for (const each of document.querySelectorAll('.tree [data-item]'))"
            " if (each.innerText.includes('helper')) { each.focus(); return each.dataset.item; }"
        )
        browser.shoot("tree")
        browser.press("x")
        browser.until(
            lambda: (
                browser.run(
                    "return document.querySelector(`[data-item='${arguments[0]}']`)?.className", rid
                )
                == "dead"
            ),
            "the revocation",
        )
        with pytest.raises(StateBlocked, match="revoked"):
            below.fs.glob("*")
        below.close()
        s.fs.glob("*")


def test_it_fits_a_phone(stage: Stage, browser: Browser, folder: Path) -> None:
    call = stage.asks("read", stage.session.fs.read, folder / ("long" * 40))
    stage.waiting()
    browser.size(500, 900)
    browser.go(f"http://{stage.address}/")
    browser.until(lambda: "longlong" in browser.text("#approvals"), "the question")
    wide = browser.run("return document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0, "nothing runs out of the screen"
    browser.shoot("phone")
    browser.size(1300, 1000)
    browser.press("j", "a")
    assert call.exception(60) is not None
