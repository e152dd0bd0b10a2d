"""Attacks on a stop: another site's form, another visit's, one that shows another task's question,
one that comes late, a host elsewhere that names a token we do not know, a person made to press."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest

from nucleus.approver import Answering, Deny
from nucleus.home import Home
from nucleus_issuer.keys import Key
from nucleus_tokens.errors import CallerError, NucleusError
from tests.console.stage import Stage
from tests.console.strange import asking


def test_a_stop_that_is_no_form_of_this_page_stops_nothing(releasing: Stage) -> None:
    with asking(releasing) as task:
        page, other = releasing.page(), releasing.page()
        mine = {**page.question(task.requests[0]), "do": "stop"}
        for changed in (
            {"Origin": "http://evil.example"},
            {"Origin": None},
            {"Sec-Fetch-Site": "cross-site"},
            {"Host": "evil.example"},
            {"Cookie": ""},
        ):
            assert page.ask("POST", "/answer", mine, **changed).status in (401, 403, 421), changed
        for csrf in ("", "00" * 32, other.question(task.requests[0])["csrf"]):
            assert page.ask("POST", "/answer", {**mine, "csrf": csrf}).status == 403
        del mine["csrf"]
        assert page.ask("POST", "/answer", mine).status == 403
        assert page.ask("GET", "/answer?do=stop").status == 405
        task.goes_on()
        releasing.served.desk.run("approvals", "deny", task.requests[0]).ok()


def test_a_stop_is_about_the_question_that_was_shown(releasing: Stage) -> None:
    """The page of one task does not stop another."""
    page = releasing.page()
    with asking(releasing) as task:
        shown = page.question(task.requests[0])
        releasing.served.desk.run("approvals", "deny", task.requests[0]).ok()
        with asking(releasing) as other:
            for form in (
                shown,  # late: it was answered
                {**shown, "id": other.requests[0]},  # the mark of another question
                {**page.question(other.requests[0]), "id": task.requests[0]},
                {**page.question(other.requests[0]), "mark": "00" * 16},
                {**page.question(other.requests[0]), "mark": ""},
            ):
                assert page.ask("POST", "/answer", {**form, "do": "stop"}).status == 409, form
            other.goes_on()
            assert task.session.fs.glob("*"), "neither is stopped"
            releasing.served.desk.run("approvals", "deny", other.requests[0]).ok()


def test_a_stop_ends_its_own_task_and_no_other(releasing: Stage) -> None:
    page = releasing.page()
    with asking(releasing) as bystander:
        with asking(releasing) as task:
            form = {**page.question(task.requests[0]), "do": "stop", "reason": "a page"}
            assert page.ask("POST", "/answer", form).status == 303
            task.is_stopped("a page")
            assert page.ask("POST", "/answer", form).status == 409, "it is said once"
        bystander.goes_on()
        releasing.served.desk.run("approvals", "deny", bystander.requests[0]).ok()


def test_nobody_hears_of_a_stop_before_the_token_is_dead(releasing: Stage) -> None:
    """What cannot be revoked is not denied either: the person is told, and can say no."""
    place = Home.find(releasing.served.desk.home, {})
    with asking(releasing) as task, place.store() as store:
        desk = Answering(place, store, _no_key)
        (asked,) = desk.questions()
        with (
            _broken(releasing),
            pytest.raises(NucleusError, match=r"store\."),
        ):
            desk.settle(asked, Deny("a page", stop=True))
        assert store.status(asked.id).status == "pending"
        task.goes_on()
        assert desk.settle(asked, Deny("no")) == 1


@contextmanager
def _broken(stage: Stage) -> Iterator[None]:
    """A store that keeps everything but revocations."""
    (path,) = stage.served.desk.home.rglob("*.sqlite")
    with closing(sqlite3.connect(path, isolation_level=None)) as c:
        c.execute(
            "CREATE TRIGGER broken BEFORE INSERT ON revocations BEGIN"
            " SELECT RAISE(ABORT, 'broken'); END"
        )
        try:
            yield
        finally:
            c.execute("DROP TRIGGER broken")


def test_a_host_elsewhere_cannot_offer_a_stop_of_what_is_not_known_here(releasing: Stage) -> None:
    place = Home.find(releasing.served.desk.home, {})
    with asking(releasing) as task, place.store() as store:
        (true,) = store.requests()
        told: list[str] = []
        desk = Answering(place, store, _no_key, told=lambda _, said: told.append(said))
        stranger = replace(true, id="5" * 16, tid="77" * 16, rid="88" * 16)
        store.ask(stranger)
        (asked,) = [each for each in desk.questions() if each.id == stranger.id]
        assert asked.strange
        assert not asked.stoppable
        with pytest.raises(CallerError, match=r"desk\.elsewhere"):
            desk.settle(asked, Deny("a page", stop=True))
        assert desk.settle(asked, Deny("a page")) == 1
        task.goes_on()
        releasing.served.desk.run("approvals", "deny", true.id).ok()


def test_a_stop_that_comes_late_stops_nothing(releasing: Stage) -> None:
    place = Home.find(releasing.served.desk.home, {})
    with asking(releasing) as task, place.store() as store:
        desk = Answering(place, store, _no_key)
        (asked,) = desk.questions()
        releasing.served.desk.run("approvals", "deny", asked.id).ok()
        assert desk.settle(asked, Deny("late", stop=True)) == 0
        assert task.session.fs.glob("*")


def _no_key() -> Key:
    raise AssertionError("no key is needed to say no")
