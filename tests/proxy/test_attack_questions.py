"""Questions that cross the eras, and a client or a server that makes something else of them.

The switchboard is real; each server is a stream that the test plays by hand.
"""

from __future__ import annotations

from typing import Any

import pytest

from nucleus_proxy.holding import MOST_HELD
from nucleus_proxy.questions import MOST_ROUNDS
from tests.proxy.http_stage import META
from tests.proxy.stage import until
from tests.proxy.test_attack_many_servers import HELLO, Board

ABLE = {"elicitation": {}, "sampling": {}}
ASKS = {"message": "Which?", "requestedSchema": {"type": "object", "properties": {}}}
WITH = {**META, "io.modelcontextprotocol/clientCapabilities": ABLE}
ACCEPT = {"action": "accept", "content": {}}
NO = "No call waits for this answer."


class Modern(Board):
    """A client of 2026-07-28 before two servers of 2025-11-25."""

    async def __aenter__(self) -> Board:
        self.send(1, "server/discover", {"_meta": WITH})
        for server in (self.good, self.bad):
            asked = await server.asked("server/discover")
            error = {"code": -32601, "message": "no"}
            server.say({"jsonrpc": "2.0", "id": asked["id"], "error": error})
            hello = await server.asked("initialize")
            assert hello["params"]["capabilities"] == ABLE
            server.answer(hello, HELLO)
        assert (await self.hear())["id"] == 1
        return self

    async def held(self, number: int, tool: str = "bad__x") -> tuple[Any, Any]:
        """A call that its server asks about: what the server got, and the client's answer."""
        asked = await self.call(number, tool, **WITH)
        server = self.good if tool.startswith("good") else self.bad
        server.say(question(f"q{number}"))
        answer = await self.hear()
        assert answer["id"] == number
        assert answer["result"]["resultType"] == "input_required"
        return asked, answer["result"]

    def again(self, number: int, tool: str, state: Any, said: Any, **arguments: Any) -> None:
        params = {"name": tool, "arguments": arguments, "_meta": WITH}
        self.send(number, "tools/call", {**params, "requestState": state, "inputResponses": said})

    async def refused(self, number: int) -> None:
        answer = await self.hear()
        assert (answer["id"], answer["error"]["message"]) == (number, NO)

    def answers(self, server: Any) -> list[Any]:
        """What a server was told in answer to its questions."""
        return [m for m in server.got if "method" not in m]


def question(number: Any, method: str = "elicitation/create", params: Any = ASKS) -> Any:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def said(result: Any, value: Any = ACCEPT) -> dict[str, Any]:
    return dict.fromkeys(result["inputRequests"], value)


async def test_an_answer_goes_on_with_the_same_call_alone() -> None:
    """What was judged with other arguments, or as another tool, or of another server."""
    async with Modern() as board:
        asked, result = await board.held(7)
        state = result["requestState"]
        board.again(8, "bad__x", state, said(result), more=1)
        await board.refused(8)
        board.again(9, "bad__y", state, said(result))
        await board.refused(9)
        board.again(10, "good__x", state, said(result))
        await board.refused(10)
        assert board.answers(board.bad) == board.answers(board.good) == []
        board.again(11, "bad__x", state, said(result))
        await until(lambda: board.answers(board.bad), "the answer")
        assert board.answers(board.bad) == [{"jsonrpc": "2.0", "id": "q7", "result": ACCEPT}]
        assert (await board.hear()) == {"jsonrpc": "2.0", "id": 7, "result": {}}  # for the relay
        board.bad.answer(asked, {"content": []})
        assert (await board.hear())["id"] == 11


async def test_one_and_true_are_two_arguments() -> None:
    async with Modern() as board:
        board.again(6, "bad__x", "none", {}, a=True)
        await board.refused(6)
        params = {"name": "bad__x", "arguments": {"a": 1}, "_meta": WITH}
        board.send(7, "tools/call", params)
        await board.bad.asked("tools/call")
        board.bad.say(question(1))
        result = (await board.hear())["result"]
        board.again(8, "bad__x", result["requestState"], said(result), a=True)
        await board.refused(8)


@pytest.mark.parametrize("state", ["", "0" * 64, None, 1, True, [], {}])
async def test_a_state_is_not_guessed(state: Any) -> None:
    async with Modern() as board:
        _, result = await board.held(7)
        board.again(8, "bad__x", state, said(result))
        await board.refused(8)
        assert board.answers(board.bad) == []


async def test_a_state_is_used_once_and_names_nobody() -> None:
    async with Modern() as board:
        _, result = await board.held(7)
        assert len(bytes.fromhex(result["requestState"])) == 32
        board.again(8, "bad__x", result["requestState"], said(result))
        assert (await board.hear())["id"] == 7
        board.again(9, "bad__x", result["requestState"], said(result))
        await board.refused(9)
        assert len(board.answers(board.bad)) == 1


@pytest.mark.parametrize("value", [[], {"other": ACCEPT}, {"q1": ACCEPT, "x": {}}, {"q1": 1}, None])
async def test_only_what_was_asked_is_answered(value: Any) -> None:
    async with Modern() as board:
        _, result = await board.held(7)
        board.again(8, "bad__x", result["requestState"], value)
        await board.refused(8)
        assert board.answers(board.bad) == []


async def test_a_client_that_was_asked_two_things_is_asked_again_for_what_it_leaves_out() -> None:
    async with Modern() as board:
        asked, first = await board.held(7)
        board.bad.say(question("second"))
        board.again(8, "bad__x", first["requestState"], said(first))
        assert (await board.hear())["id"] == 7
        answer = await board.hear()
        assert answer["id"] == 8
        second = answer["result"]
        assert second["requestState"] != first["requestState"]
        assert second["inputRequests"].keys().isdisjoint(first["inputRequests"])
        board.again(9, "bad__x", second["requestState"], said(second))
        assert (await board.hear())["id"] == 8
        board.bad.answer(asked, {"content": []})
        assert (await board.hear())["id"] == 9
        assert [a["id"] for a in board.answers(board.bad)] == ["q7", "second"]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("roots/list", {}),  # the client does not say that it answers it
        ("tools/call", ASKS),
        ("elicitation/create", {**ASKS, "mode": "url", "url": "https://example.org"}),
        ("sampling/createMessage", {"messages": [], "maxTokens": 1, "task": {}}),
    ],
)
async def test_what_cannot_be_asked_is_refused_to_the_server(method: str, params: Any) -> None:
    async with Modern() as board:
        asked = await board.call(7, "bad__x", **WITH)
        board.bad.say(question(1, method, params))
        await until(lambda: board.answers(board.bad), "the refusal")
        assert "error" in board.answers(board.bad)[0]
        board.bad.answer(asked, {"content": []})
        assert (await board.hear())["id"] == 7


async def test_a_question_belongs_to_one_call_or_to_none() -> None:
    async with Modern() as board:
        board.bad.say(question(0))
        await until(lambda: len(board.answers(board.bad)) == 1, "the refusal")
        for number in (7, 8):
            await board.call(number, "bad__x", **WITH)
        board.bad.say(question(1))
        await until(lambda: len(board.answers(board.bad)) == 2, "the refusal")
        assert all("error" in each for each in board.answers(board.bad))
        await board.quiet()


async def test_questions_of_one_server_do_not_fill_the_board() -> None:
    async with Modern() as board:
        await board.held(7)
        for number in range(2 * MOST_HELD):
            board.bad.say(question(number))
        await until(lambda: len(board.answers(board.bad)) >= MOST_HELD, "refusals")
        _, result = await board.held(8, "good__x")
        assert len(result["inputRequests"]) == 1


async def test_who_does_not_come_again_in_time_is_not_waited_for() -> None:
    async with Modern(hold_seconds=0.01) as board:
        asked, result = await board.held(7)
        gone = await board.bad.asked("notifications/cancelled")
        assert gone["params"]["requestId"] == asked["id"]
        assert "error" in board.answers(board.bad)[0]
        assert (await board.hear())["id"] == 7  # for the relay: nothing goes on
        board.again(8, "bad__x", result["requestState"], said(result))
        await board.refused(8)
        board.bad.answer(asked, {"content": ["late"]})
        await until(lambda: any("nobody asked" in line for line in board.log), "the late answer")
        await board.quiet()


async def test_a_call_that_may_not_go_on_is_taken_back() -> None:
    async with Modern() as board:
        asked, result = await board.held(7)
        board.send(None, "notifications/cancelled", {"requestId": 7})
        gone = await board.bad.asked("notifications/cancelled")
        assert gone["params"]["requestId"] == asked["id"]
        assert (await board.hear())["id"] == 7
        board.again(8, "bad__x", result["requestState"], said(result))
        await board.refused(8)


async def test_who_came_again_can_take_it_back() -> None:
    async with Modern() as board:
        asked, result = await board.held(7)
        board.again(8, "bad__x", result["requestState"], said(result))
        assert (await board.hear())["id"] == 7
        board.send(None, "notifications/cancelled", {"requestId": 8})
        gone = await board.bad.asked("notifications/cancelled")
        assert gone["params"]["requestId"] == asked["id"]


async def test_an_old_server_does_not_ask_as_a_new_one_does() -> None:
    async with Modern() as board:
        asked = await board.call(7, "bad__x", **WITH)
        wanted = {"k": {"method": "elicitation/create", "params": ASKS}}
        lie = {"resultType": "input_required", "inputRequests": wanted, "requestState": "s"}
        board.bad.answer(asked, {**lie, "content": []})
        answer = await board.hear()
        assert (answer["id"], answer["result"]["resultType"]) == (7, "complete")
        board.again(8, "bad__x", "s", {"k": ACCEPT})
        await board.refused(8)


async def test_progress_is_told_to_whoever_came_last() -> None:
    async with Modern() as board:
        asked = await board.call(7, "bad__x", **WITH, progressToken="first")
        board.bad.say(question(1))
        result = (await board.hear())["result"]
        progress = {"jsonrpc": "2.0", "method": "notifications/progress",
                    "params": {"progressToken": asked["params"]["_meta"]["progressToken"],
                               "progress": 1}}  # fmt: skip
        params = {"name": "bad__x", "arguments": {}, "_meta": {**WITH, "progressToken": "then"}}
        more = {"requestState": result["requestState"], "inputResponses": said(result)}
        board.send(8, "tools/call", {**params, **more})
        assert (await board.hear())["id"] == 7
        board.bad.say(progress)
        assert (await board.hear())["params"]["progressToken"] == "then"


async def test_a_server_that_ends_while_it_waits_ends_its_call() -> None:
    async with Modern() as board:
        _, result = await board.held(7)
        board.bad.reader.feed_eof()
        assert (await board.hear())["id"] == 7
        board.again(8, "bad__x", result["requestState"], said(result))
        assert "has ended" in (await board.hear())["error"]["message"]


async def test_a_server_that_goes_on_by_itself_is_heard_when_the_client_comes() -> None:
    async with Modern() as board:
        asked, result = await board.held(7)
        board.bad.answer(asked, {"content": ["done"]})
        assert (await board.hear()) == {"jsonrpc": "2.0", "id": 7, "result": {}}
        board.again(8, "bad__x", result["requestState"], said(result))
        answer = await board.hear()
        assert (answer["id"], answer["result"]["content"]) == (8, ["done"])


# A server of the new era ------------------------------------------------------------------------


class Old(Board):
    """A client of 2025-11-25 before two servers of 2026-07-28."""

    async def __aenter__(self) -> Board:
        self.send(1, "initialize", {"protocolVersion": "2025-11-25", "capabilities": ABLE})
        for server in (self.good, self.bad):
            asked = await server.asked("initialize")
            error = {"code": -32601, "message": "no"}
            server.say({"jsonrpc": "2.0", "id": asked["id"], "error": error})
            server.answer(await server.asked("server/discover"), {"capabilities": {"tools": {}}})
        assert (await self.hear())["id"] == 1
        return self

    def wants(self, asked: Any, **wanted: Any) -> None:
        asking = {"resultType": "input_required", "inputRequests": wanted, "requestState": "s"}
        self.bad.answer(asked, asking)


WANTED = {"method": "elicitation/create", "params": ASKS}


async def test_a_server_that_asks_for_ever_is_left() -> None:
    async with Old() as board:
        asked = await board.call(7, "bad__x")
        for _ in range(MOST_ROUNDS):
            board.wants(asked, k=WANTED)
            number = (await board.hear())["id"]
            before = len(board.bad.got)
            board.raw({"jsonrpc": "2.0", "id": number, "result": ACCEPT})
            asked = await until(lambda seen=before: next(iter(board.bad.got[seen:]), None))  # type: ignore[misc]  # a message
            assert asked["params"]["inputResponses"] == {"k": ACCEPT}
            assert asked["params"]["requestState"] == "s"
        board.wants(asked, k=WANTED)
        answer = await board.hear()
        assert (answer["id"], "cannot be asked" in answer["error"]["message"]) == (7, True)


@pytest.mark.parametrize(
    "item",
    [
        {"method": "roots/list"}, {"method": "tools/call", "params": {}}, {"method": 1}, 1,
        {"method": "elicitation/create", "params": {**ASKS, "mode": "url"}},
        {"method": "sampling/createMessage", "params": []},
    ],
)  # fmt: skip
async def test_a_server_asks_by_the_table_alone(item: Any) -> None:
    async with Old() as board:
        asked = await board.call(7, "bad__x")
        board.wants(asked, k=item)
        answer = await board.hear()
        assert (answer["id"], "cannot be asked" in answer["error"]["message"]) == (7, True)


async def test_the_answer_of_another_question_is_not_taken() -> None:
    async with Old() as board:
        asked = await board.call(7, "bad__x")
        board.wants(asked, k=WANTED)
        number = (await board.hear())["id"]
        for other in (number + 1, str(number), True, -1):
            board.raw({"jsonrpc": "2.0", "id": other, "result": ACCEPT})
        # Nor is what another server says to it.
        board.good.say({"jsonrpc": "2.0", "id": number, "result": ACCEPT})
        await until(lambda: board.log, "the forged answer")
        assert len([m for m in board.bad.got if m["method"] == "tools/call"]) == 1


async def test_who_takes_its_call_back_is_not_asked_any_more() -> None:
    async with Old() as board:
        asked = await board.call(7, "bad__x")
        board.wants(asked, k=WANTED, l=WANTED)
        numbers = [(await board.hear())["id"] for _ in range(2)]
        board.send(None, "notifications/cancelled", {"requestId": 7})
        gone = [await board.hear() for _ in range(3)]
        assert [g["params"]["requestId"] for g in gone[:2]] == numbers
        assert gone[2]["id"] == 7
        board.raw({"jsonrpc": "2.0", "id": numbers[0], "result": ACCEPT})
        await board.quiet()
        assert len([m for m in board.bad.got if m["method"] == "tools/call"]) == 1


async def test_a_server_that_ends_while_its_question_is_open_ends_its_call() -> None:
    async with Old() as board:
        asked = await board.call(7, "bad__x")
        board.wants(asked, k=WANTED)
        number = (await board.hear())["id"]
        board.bad.reader.feed_eof()
        heard = [await board.hear() for _ in range(3)]
        assert {h.get("id") for h in heard if "method" not in h} == {7}
        assert any(h.get("params", {}).get("requestId") == number for h in heard)
