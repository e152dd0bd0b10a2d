"""Law: a form says which of the shown answers it is; what is signed is made here from what was
recorded, and only if that is what the form showed."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace

from nucleus.approver import Answer, Answering, Approve, Deny, Question
from nucleus.home import Home
from nucleus.offers import MOST_CALLS, MOST_MINUTES, narrowed, whole
from nucleus_issuer.store import Store
from nucleus_tokens.errors import CallerError


@dataclass(frozen=True, slots=True)
class Hands:
    """What a person can do at the console. It blocks; call it in threads."""

    place: Home
    store: Store
    desk: Answering
    who: str
    lock: threading.Lock

    def answer(self, form: Mapping[str, str]) -> str:
        """Answer one question as it was shown; what became of it. Raises NucleusError."""
        with self.lock:
            asked = self._asked(form)
            answer = _read(asked, form)
            shown = set(form.get("alike", "").split(","))
            alike = tuple(e for e in asked.alike if f"{e.id}:{e.mark}" in shown)
            done = self.desk.settle(replace(asked, alike=alike), answer)
        if not done:
            raise CallerError("desk.closed", "It was answered before, or is not waited for.")
        verb = "Denied" if isinstance(answer, Deny) else "Approved"
        return f"{verb}: {asked.words}" + (f", and {done - 1} alike" if done > 1 else "")

    def follow_rules(self) -> None:
        """Answer what a standing rule answers."""
        with self.lock:
            self.desk.follow_rules()

    def revoke(self, form: Mapping[str, str]) -> str:
        """Revoke a prefix and all below it. Raises NucleusError."""
        rid = form.get("rid", "")
        self.place.revoker(self.store).revoke(rid, by=self.who, reason="at the console")
        return f"Revoked {rid[:12]}, and everything below it."

    def end(self, form: Mapping[str, str]) -> str:
        """Take back an approval, or forget a rule. Raises NucleusError."""
        if "approval" in form:
            self.store.take_back(form["approval"], by=self.who)
            return "Taken back."
        self.desk.standing.forget(form.get("rule", ""))
        return "Forgotten: it is asked about again."

    def _asked(self, form: Mapping[str, str]) -> Question:
        for asked in self.desk.questions():
            if asked.id == form.get("id"):
                if asked.mark != form.get("mark"):
                    raise CallerError("desk.other", "This is not what was shown: look again.")
                return asked
        raise CallerError("desk.closed", "It was answered before, or is not waited for.")


def _read(asked: Question, form: Mapping[str, str]) -> Answer:
    reason = form.get("reason", "").strip()
    match form.get("do", "").partition(":"):
        case ("once", "", ""):
            return Approve()
        case ("all", "", ""):
            return Approve(alike=True)
        case ("ever", "", ""):
            return Approve(always=True)
        case ("deny", "", ""):
            return Deny(reason or "denied at the console")
        case ("stop", "", "") if asked.stoppable:
            return Deny(reason or "stopped at the console", stop=True)
        case ("never", "", ""):
            return Deny(reason or "denied at the console", always=True)
        case ("offer", ":", number) if number.isascii() and number.isdigit():
            if not 1 <= int(number[:4]) <= len(asked.offers):
                raise CallerError("console.form", "This was not offered.")
            offer = asked.offers[int(number) - 1]
            pattern = narrowed(offer, form.get("kind", "path"), form.get("narrow", ""))
            count = whole(form.get("count", ""), MOST_CALLS, "times")
            minutes = whole(form.get("minutes", ""), MOST_MINUTES, "minutes")
            return Approve(pattern, count, minutes * 60)
        case _:
            raise CallerError("console.form", "The form says no answer that is offered.")
