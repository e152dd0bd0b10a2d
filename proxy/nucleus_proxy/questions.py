"""Law: what a server asks the client, the client answers to it alone.

The questions of many servers to one client, under ids of ours. A client of the old era is asked by
requests. What a server of the new era wants to know before it goes on with a call
(`input_required`) is asked as such requests too, and the call is made again with the answers: one
call of the client, under one permit, however many rounds it takes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from nucleus_proxy import methods, toolcall, wire
from nucleus_proxy.member import Asked, Member
from nucleus_proxy.wire import Frame, Key

MOST_ASKED: Final = 64  # by one server at once
MOST_ROUNDS: Final = 8  # of one call
MOST_AT_ONCE: Final = 16  # in one round
_AGAIN_SECONDS: Final = 0.1  # before a call is made again about which nothing was asked


@dataclass(frozen=True, slots=True)
class _Question:
    """One that the client has: a request of a server, or a part of a round."""

    member: Member
    frame: Frame | None = None
    answer: asyncio.Future[dict[str, Any] | None] | None = None


class Questions:
    """What a client of the old era is asked. `say` gives it a line."""

    def __init__(self, say: Callable[[bytes], None]) -> None:
        self._say = say
        self._open: dict[int, _Question] = {}
        self._rounds: dict[Key, asyncio.Task[None]] = {}  # by the client's id of the call
        self._made = 0

    # Requests of a server of the old era --------------------------------------------------------

    def ask(self, member: Member, frame: Frame) -> bool:
        """Ask what a server asks; False if it has asked too much."""
        if sum(1 for each in self._open.values() if each.member is member) >= MOST_ASKED:
            return False
        number = self._note(_Question(member, frame))
        made = frame.altered("id", number)
        if toolcall.progress_token(frame.params) is not None:
            meta = {**frame.params["_meta"], "progressToken": number}
            made = made.altered("params", {**frame.params, "_meta": meta})
        self._say(made.raw)
        return True

    def _note(self, question: _Question) -> int:
        self._made += 1
        self._open[self._made] = question
        return self._made

    def answered(self, frame: Frame) -> None:
        """The client's answer."""
        found = self._open.pop(_number(frame.id), None)
        if found is None:
            return
        if found.frame is not None:
            found.member.send(frame.altered("id", found.frame.id).raw)
        elif found.answer is not None and not found.answer.done():
            result = frame.value.get("result")
            found.answer.set_result(result if type(result) is dict else None)

    def progressed(self, frame: Frame) -> None:
        """The client's word of how far its answer is."""
        found = self._open.get(_number(frame.params.get("progressToken")))
        if found is not None and found.frame is not None:
            token = toolcall.progress_token(found.frame.params)
            params = {**frame.params, "progressToken": token}
            found.member.send(frame.altered("params", params).raw)

    def withdrawn(self, member: Member, frame: Frame) -> None:
        """A server does not want to know any more."""
        target = wire.key_of(frame.params.get("requestId"))
        for number, each in list(self._open.items()):
            if each.member is member and each.frame is not None and each.frame.key == target:
                del self._open[number]
                self._say(frame.altered("params", {**frame.params, "requestId": number}).raw)

    def ended(self, member: Member) -> None:
        """Nobody waits for the answers to a server that has ended."""
        for number, each in list(self._open.items()):
            if each.member is member:
                self._forget(number)
                if each.answer is not None and not each.answer.done():
                    each.answer.set_result(None)

    def _forget(self, number: int) -> None:
        if self._open.pop(number, None) is not None:
            self._say(wire.notification("notifications/cancelled", {"requestId": number}))

    # Rounds with a server of the new era --------------------------------------------------------

    def round(
        self, member: Member, asked: Asked, result: Mapping[str, Any], able: Mapping[str, Any]
    ) -> None:
        """Ask what `result` says that a call needs, and make the call again; `able` is what the
        client said that it answers."""
        key = asked.frame.key
        task = asyncio.get_running_loop().create_task(self._round(member, asked, result, able))
        self._rounds[key] = task
        task.add_done_callback(lambda done: self._over(key, done))

    def _over(self, key: Key, done: asyncio.Task[None]) -> None:
        if self._rounds.get(key) is done:  # and not the next round of this call
            del self._rounds[key]

    async def _round(
        self, member: Member, asked: Asked, result: Mapping[str, Any], able: Mapping[str, Any]
    ) -> None:
        wanted, state = result.get("inputRequests", {}), result.get("requestState")
        more = asked.frame.method in methods.ASKING and asked.rounds < MOST_ROUNDS
        if not more or not _askable(wanted, able) or not (wanted or state):
            self._fail(asked, f"What the server {member.name} asks cannot be asked here.")
            return
        try:
            said = await self._said(member, wanted)
        except asyncio.CancelledError:
            self._fail(asked, "Nobody waits for this any more.")
            raise
        if None in said.values() or not member.alive:
            self._fail(asked, f"The server {member.name} was not told what it asks.")
            return
        params = {k: v for k, v in asked.params.items() if k not in methods.CALL_PARAMS_OF_INPUT}
        if said:
            params["inputResponses"] = said
        if type(state) is str:
            params["requestState"] = state
        member.pass_on(asked.frame, params, rounds=asked.rounds + 1)

    async def _said(
        self, member: Member, wanted: Mapping[str, Any]
    ) -> dict[str, dict[str, Any] | None]:
        if not wanted:
            await asyncio.sleep(_AGAIN_SECONDS)
            return {}
        asking: dict[str, tuple[int, asyncio.Future[dict[str, Any] | None]]] = {}
        try:
            for key, item in wanted.items():
                answer: asyncio.Future[dict[str, Any] | None] = (
                    asyncio.get_running_loop().create_future()
                )
                number = self._note(_Question(member, answer=answer))
                asking[key] = number, answer
                self._say(wire.request(number, item["method"], item.get("params") or {}))
            return {key: await answer for key, (_, answer) in asking.items()}
        finally:
            for number, _ in asking.values():
                self._forget(number)

    def _fail(self, asked: Asked, sentence: str) -> None:
        self._say(wire.error(asked.frame.id, wire.WORLD_FAILED, sentence))

    def cancelled(self, key: Key) -> None:
        """The client does not wait for this call any more."""
        if key in self._rounds:
            self._rounds[key].cancel()

    async def close(self) -> None:
        """Nobody is asked any more."""
        for task in list(self._rounds.values()):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def known(able: Any) -> dict[str, Any]:
    """What of the questions that a client answers can be asked in the other era: not those that
    send a person to an address, which end differently in each; and no change of roots is told."""
    kept = {
        key: value for key, value in able.items() if key in methods.SERVER_OPENABLE.values()
    } if type(able) is dict else {}  # fmt: skip
    if "roots" in kept:
        kept["roots"] = {}
    how = kept.get("elicitation")
    if type(how) is dict and how:
        kept["elicitation"] = {key: value for key, value in how.items() if key == "form"}
        if not kept["elicitation"]:
            del kept["elicitation"]
    return kept


def may_ask(method: str, params: Any, able: Mapping[str, Any]) -> bool:
    """Whether a question of the other era may be asked of a client that is able to this. One that
    would be answered later, by a task, may not."""
    given = params if type(params) is dict else {}
    plain = given.get("mode", "form") == "form" and "task" not in given
    return plain and methods.SERVER_OPENABLE.get(method) in able


def _askable(wanted: Any, able: Mapping[str, Any]) -> bool:
    if type(wanted) is not dict or len(wanted) > MOST_AT_ONCE:
        return False
    return all(
        type(item) is dict
        and type(item.get("params")) in (dict, type(None))
        and may_ask(str(item.get("method")), item.get("params"), able)
        for item in wanted.values()
    )


def _number(value: Any) -> int:
    return value if type(value) is int else -1
