"""Law: a call that waits for an answer goes on for whoever brings it and may make that call.

A server of the old era asks in the middle of a call. A client of the new era is told so as the
call's result (`input_required`), and makes the call again with its answers: that is decided and
recorded like any call. What is held meanwhile is named by random bytes, used once, and given only
to a call of the same tool with the same arguments. Held calls are few, and not held for long.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from nucleus_proxy import methods, toolcall, wire
from nucleus_proxy.member import Member
from nucleus_proxy.questions import MOST_AT_ONCE, known, may_ask
from nucleus_proxy.wire import Frame

MOST_HELD: Final = 16  # calls of one client
HOLD_SECONDS: Final = 600.0  # a person may have to answer
_STATE_BYTES: Final = 32
_CLOSED: Final = "No call waits for this answer."


@dataclass(slots=True)
class Held:
    """One call that waits at its server for what the client was asked."""

    member: Member
    number: int  # the member's id of the call
    frame: Frame  # what the client asked last
    waiting: dict[str, Frame] = field(default_factory=dict)  # key -> the member's question
    shown: frozenset[str] = frozenset()  # the keys that the client was asked
    state: str = ""
    answer: Frame | None = None  # the member's, if it came before the client's
    timer: asyncio.TimerHandle | None = None


class Holding:
    """The held calls of one client of the new era. `say` gives it a line."""

    def __init__(
        self,
        say: Callable[[bytes], None],
        draw: Callable[[int], bytes],
        log: Callable[[str], None],
        hold_seconds: float = HOLD_SECONDS,
    ) -> None:
        self._say = say
        self._draw = draw
        self._log = log
        self._hold_seconds = hold_seconds
        self._made = 0
        self._held: dict[str, Held] = {}  # by its requestState

    # From the server ----------------------------------------------------------------------------

    def ask(self, member: Member, frame: Frame) -> bool:
        """Hold the call that a server asks about; False if that is not known, or not to be."""
        calls = [(n, a) for n, a in member.open.items() if a.frame.method in methods.ASKING]
        if len(calls) != 1:
            self._log(f"{member.name} asked while {len(calls)} calls were open there")
            return False
        number, asked = calls[0]
        able = known(asked.frame.params.get("_meta", {}).get(methods.CLIENT_CAPABILITIES))
        if not may_ask(frame.method, frame.params, able):
            return False
        held = self.of(member, number)
        if held is None:
            if len(self._held) >= MOST_HELD:
                return False
            held = Held(member, number, asked.frame)
        elif len(held.waiting) >= MOST_AT_ONCE:
            return False
        self._made += 1
        held.waiting[f"q{self._made}"] = frame
        if not held.state:
            self._show(held)
        return True

    def _show(self, held: Held) -> None:
        """Answer the client's call with what is to be asked."""
        held.shown = frozenset(held.waiting)
        held.state = self._draw(_STATE_BYTES).hex()
        self._held[held.state] = held
        held.timer = asyncio.get_running_loop().call_later(
            self._hold_seconds, self._drop, held, "the client did not answer in time"
        )
        wanted = {key: _asked(question) for key, question in held.waiting.items()}
        result = {"resultType": "input_required", "inputRequests": wanted,
                  "requestState": held.state, methods.GOES_ON: True}  # fmt: skip
        if held.frame.id is not None:
            self._say(wire.result(held.frame.id, result))

    def of(self, member: Member, number: int) -> Held | None:
        """The held call that a server has under this number."""
        found = (h for h in self._held.values() if h.member is member and h.number == number)
        return next(found, None)

    def answered(self, held: Held, frame: Frame) -> None:
        """The server ended its call before it was answered; the client hears when it comes."""
        held.answer = frame
        self._end(held)

    def withdrawn(self, member: Member, frame: Frame) -> None:
        """A server does not want to know any more."""
        target = wire.key_of(frame.params.get("requestId"))
        for held in self._held.values():
            if held.member is member:
                held.waiting = {k: q for k, q in held.waiting.items() if q.key != target}

    def ended(self, member: Member) -> None:
        """Nothing of a server that has ended goes on."""
        for held in [h for h in self._held.values() if h.member is member]:
            self._forget(held)
            if held.answer is None:
                self._end(held)

    # From the client ----------------------------------------------------------------------------

    def again(self, member: Member, frame: Frame) -> None:
        """The client makes a call again, with what it was asked."""
        state, said = frame.params.get("requestState"), frame.params.get("inputResponses", {})
        held = self._held.get(state) if type(state) is str else None
        good = (
            held is not None
            and _same(held.frame, frame)
            and type(said) is dict
            and said.keys() <= held.shown
            and all(type(value) is dict for value in said.values())
        )
        if held is None or not good:
            self._say(wire.error(frame.id, wire.INVALID_PARAMS, _CLOSED))
            return
        self._forget(held)
        if held.answer is None:
            self._end(held)  # this call is watched from here on
        for key, value in said.items():
            question = held.waiting.pop(key, None)
            if question is not None and question.id is not None:
                member.send(wire.result(question.id, _bare(value)))
        held.frame = frame
        if held.answer is not None:
            self._say(held.answer.altered("id", frame.id).raw)
        elif held.waiting:
            self._show(held)
        elif held.number in member.open:
            member.open[held.number] = replace(member.open[held.number], frame=frame)

    def cancelled(self, key: wire.Key) -> None:
        """A held call may not go on."""
        for held in [h for h in self._held.values() if h.frame.key == key]:
            self._drop(held, "it is no longer allowed")

    # Both ---------------------------------------------------------------------------------------

    def _drop(self, held: Held, why: str) -> None:
        """Take everything back at the server."""
        self._log(f"a call at {held.member.name} that asked something was ended: {why}")
        self._forget(held)
        for question in held.waiting.values():
            held.member.send(wire.error(question.id, wire.WORLD_FAILED, "Nobody has answered."))
        if held.answer is None:
            held.member.send(
                wire.notification("notifications/cancelled", {"requestId": held.number})
            )
            held.member.open.pop(held.number, None)
            self._end(held)

    def _forget(self, held: Held) -> None:
        self._held.pop(held.state, None)
        held.state = ""
        if held.timer is not None:
            held.timer.cancel()

    def _end(self, held: Held) -> None:
        """Tell the relay, which watches a call for as long as its server may be at work on it."""
        if held.frame.id is not None:
            self._say(wire.result(held.frame.id, {}))

    def close(self) -> None:
        """The client is gone."""
        for held in list(self._held.values()):
            self._forget(held)


def _asked(question: Frame) -> dict[str, Any]:
    params = {key: value for key, value in question.params.items() if key != "_meta"}
    made: dict[str, Any] = {"method": question.method}
    return {**made, "params": params} if params or question.method != "roots/list" else made


def _bare(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: each for key, each in value.items() if key != "resultType"}


def _same(one: Frame, other: Frame) -> bool:
    """Whether two requests are one call: all that is judged of them is equal, and with the name
    the server."""
    return one.method == other.method and _judged(one) == _judged(other)


def _judged(frame: Frame) -> str:
    rest = toolcall.without_meta(frame.params).items()
    kept = {key: value for key, value in rest if key not in methods.CALL_PARAMS_OF_INPUT}
    return json.dumps(kept, sort_keys=True)  # 1, 1.0 and true are three
