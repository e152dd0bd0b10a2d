"""A server of one era asks a client of the other: real servers, handlers of the official client."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp_types import (
    CreateMessageResult,
    ElicitResult,
    ErrorData,
    ListRootsResult,
    Root,
    TextContent,
)

from nucleus_tokens.header import Holder
from tests.proxy import modern_server
from tests.proxy.http_served import Served
from tests.proxy.matrix_servers import run_at
from tests.proxy.stage import until
from tests.proxy.test_many_servers import HEAD, text
from tests.proxy.test_matrix import in_typescript
from tests.support import world
from tests.support.ports import free_port
from tests.support.servers import npm

OLD_TOOLS = ("trigger-elicitation-request", "trigger-sampling-request", "get-roots-list", "echo")
NEW_TOOLS = ("ask", "ask_twice", "sample", "roots")


async def elicited(_: Any, params: Any) -> ElicitResult:
    said = "Red" if "shade" in params.message else "red"
    return ElicitResult(action="accept", content={"colour": said, "name": "Ann"})


async def declined(*_: Any) -> ElicitResult:
    return ElicitResult(action="decline")


async def sampled(*_: Any) -> CreateMessageResult:
    content = TextContent(type="text", text="four")
    return CreateMessageResult(role="assistant", content=content, model="m")


async def rooted(*_: Any) -> ListRootsResult:
    return ListRootsResult(roots=[Root(uri="file:///srv")])  # type: ignore[arg-type]  # it reads text


HANDLERS = {
    "elicitation_callback": elicited, "sampling_callback": sampled, "list_roots_callback": rooted,
}  # fmt: skip


def bound(name: str, tools: tuple[str, ...]) -> str:
    return "".join(
        f'[tools.{name}__{tool}]\noperation = "write_files"\npayload = ["/prompt", "/message"]\n'
        for tool in tools
    )


@asynccontextmanager
async def client(
    which: str, era: str, opened: str = HEAD, **more: Any
) -> AsyncIterator[tuple[Served, Client]]:
    """A client of one era before a server of the other, of `both` eras before both."""
    async with AsyncExitStack() as stack:
        ports = []
        policy = opened
        if which == "old over HTTP":
            ports = [free_port()]
            command = [*npm("server-everything"), "streamableHttp"]
            await stack.enter_async_context(run_at(ports[0], command))
            policy += f'[servers.old]\nurl = "http://127.0.0.1:{ports[0]}/mcp"\n'
        if which in ("old", "both"):
            spelled = json.dumps(npm("server-everything"))
            policy += f"[servers.old]\ndanger_outside_cell = true\ncommand = {spelled}\n"
        if which != "new":
            policy += bound("old", OLD_TOOLS)
        if which in ("new", "both"):
            ports = [free_port()]
            command = [sys.executable, modern_server.__file__, str(ports[0])]
            await stack.enter_async_context(run_at(ports[0], command))
            policy += f'[servers.new]\nurl = "http://127.0.0.1:{ports[0]}/mcp"\n'
            policy += bound("new", NEW_TOOLS)
        served = Served(policy, ports)
        await stack.enter_async_context(served.serving())
        handlers: dict[str, Any] = {**HANDLERS, **more}
        yield served, await stack.enter_async_context(served.client(era, **handlers))


# The npm server asks for the roots by itself too, a while after its start, of any client that has
# some. Whether that meets a call is chance; so they are asked for in tests of their own.
@pytest.mark.parametrize("which", ["old", "old over HTTP"])
async def test_a_client_of_the_new_era_answers_a_server_of_the_old_one(which: str) -> None:
    async with client(which, "auto", list_roots_callback=None) as (served, made):
        names = {tool.name for tool in (await made.list_tools()).tools}
        assert names == {f"old__{name}" for name in OLD_TOOLS} - {"old__get-roots-list"}
        asked = await made.call_tool("old__trigger-elicitation-request", {})
        assert "Ann" in str(asked.content)
        thought = await made.call_tool("old__trigger-sampling-request", {"prompt": "p"})
        assert "four" in text(thought)
        assert text(await made.call_tool("old__echo", {"message": "m"})) == "Echo: m"
    # Each time the client came was a call of its own, with its record.
    assert len(served.stage.ledger.records("decision")) == 5
    assert len(served.stage.ledger.records("outcome")) == 5
    served.stage.verified()


async def test_a_question_of_no_call_is_refused() -> None:
    async with client("old", "auto") as (served, made):
        await until(lambda: "asked while 0" in " ".join(served.log), "a question of no call")
        assert "file:///srv" in text(await made.call_tool("old__get-roots-list", {}))
    assert len(served.stage.ledger.records("decision")) == 2
    assert len(served.stage.ledger.records("outcome")) == 2
    served.stage.verified()


@pytest.mark.parametrize("era", ["auto", "legacy"])
@pytest.mark.parametrize("which", ["old", "old over HTTP"])
async def test_and_of_its_roots(which: str, era: str) -> None:
    """Behind HTTP it asks on the stream of its session, and answers on that of the call."""
    async with client(which, era) as (served, made):
        assert "file:///srv" in text(await made.call_tool("old__get-roots-list", {}))
    decisions = len(served.stage.ledger.records("decision"))
    assert decisions in ((1,) if era == "legacy" else (2, 3))  # 3: it asked by itself meanwhile
    assert len(served.stage.ledger.records("outcome")) == decisions
    served.stage.verified()


async def test_a_client_of_the_old_era_answers_a_server_of_the_new_one() -> None:
    progress: list[str | None] = []

    async def heard(done: float, total: float | None, message: str | None) -> None:
        progress.append(message)

    async with client("new", "legacy") as (served, made):
        said = await made.call_tool("new__ask", {}, progress_callback=heard)
        assert text(said) == "accept: red"
        assert progress == ["painted"]
        assert text(await made.call_tool("new__ask_twice", {})) == "shade: Red"
        assert text(await made.call_tool("new__sample", {})) == "it says four"
        assert text(await made.call_tool("new__roots", {})) == "file:///srv"
    # However often the server asked, the client called once.
    assert len(served.stage.ledger.records("decision")) == 4
    served.stage.verified()


@pytest.mark.parametrize(
    ("which", "era", "calls"),
    [("old", "auto", ["trigger-elicitation-request"]),
     ("new", "legacy", ["ask", "roots"])],
)  # fmt: skip
async def test_so_does_the_client_of_another_language(
    tmp_path: Path, which: str, era: str, calls: list[str]
) -> None:
    async with client(which, "legacy") as (served, _):
        token = world.text(served.stage.token(holder=Holder(None, None)))
        job: dict[str, Any] = {
            "name": "it", "mode": era, "url": f"http://127.0.0.1:{served.port}/mcp",
            "token": token, "calls": [[f"{which}__{name}", {}] for name in calls],
            "reads": [], "prompts": [],
            "capabilities": {"elicitation": {}} | ({"roots": {}} if which == "new" else {}),
            "answers": {
                "elicitation/create": {
                    "action": "accept", "content": {"colour": "red", "name": "Ann"},
                },
                "roots/list": {"roots": [{"uri": "file:///srv"}]},
            },
        }  # fmt: skip
        if which == "old":
            del job["answers"]["roots/list"]
        heard = (await in_typescript(tmp_path, [job]))["it"]["calls"]
    assert ("Ann" if which == "old" else "red") in json.dumps(heard[0])
    assert which == "old" or "file:///srv" in json.dumps(heard[1])


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_a_person_who_declines_is_heard(era: str) -> None:
    which, tool = {
        "auto": ("old", "old__trigger-elicitation-request"), "legacy": ("new", "new__ask"),
    }[era]  # fmt: skip
    async with client(which, era, elicitation_callback=declined) as (_, made):
        assert "decline" in str((await made.call_tool(tool, {})).content).lower()


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_what_policy_does_not_open_is_not_asked(era: str) -> None:
    """The server hears of no client that answers it."""
    closed = HEAD.replace('"elicitation/create", ', "")
    assert closed != HEAD

    async def never(*_: Any) -> ElicitResult:
        raise AssertionError("somebody was asked")

    if era == "auto":
        async with client("old", era, closed, elicitation_callback=never) as (_, made):
            names = {tool.name for tool in (await made.list_tools()).tools}
            assert "old__trigger-elicitation-request" not in names
            assert "old__trigger-sampling-request" in names
    else:
        async with client("new", era, closed, elicitation_callback=never) as (_, made):
            with pytest.raises(MCPError):
                await made.call_tool("new__ask", {})
            assert text(await made.call_tool("new__sample", {})) == "it says four"


async def test_a_client_that_answers_with_an_error_has_its_call_back() -> None:
    async def fails(*_: Any) -> ErrorData:
        return ErrorData(code=-1, message="no")

    async with client("new", "legacy", elicitation_callback=fails) as (_, made):
        with pytest.raises(MCPError, match="was not told"):
            await made.call_tool("new__ask", {})
        assert text(await made.call_tool("new__sample", {})) == "it says four"


async def test_a_call_that_waits_for_its_client_is_cut_when_it_may_not_go_on() -> None:
    """Its server is at work on it; nobody else asks anything meanwhile."""
    watched: list[int] = []

    async def revoked(*_: Any) -> ElicitResult:
        watched.append(len(served.live))
        served.stage.ledger.revoked.add(world.opened(token).prefix.rids[0])
        await until(lambda: not len(served.live), "the cut")
        return ElicitResult(action="accept", content={"name": "Ann"})

    async with client("old", "auto", elicitation_callback=revoked) as (served, made):
        token = served.token
        refused = await made.call_tool("old__trigger-elicitation-request", {})
    assert watched == [1]
    assert refused.meta is not None
    assert refused.meta["nucleus/refusal"]["code"] == "token.revoked"
    # What came of the call is on record once: it was a question.
    assert [r.get("cut") for r in served.stage.ledger.records("outcome")] == [None]
    served.stage.verified()


async def test_calls_of_several_servers_are_asked_about_at_once() -> None:
    async with client("both", "auto") as (_, made):
        asking = [made.call_tool(n, {}) for n in ("old__get-roots-list", "new__ask")]
        first, second = await asyncio.gather(*asking)
    assert "file:///srv" in text(first)
    assert text(second) == "accept: red"
