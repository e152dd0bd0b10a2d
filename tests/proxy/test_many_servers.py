"""Many servers behind one mediator, over pipes and HTTP, met by the official client in both eras:
what passes, under which name, and what one server can do to another."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp_types import (
    CreateMessageResult,
    ElicitResult,
    ListRootsResult,
    ResourceTemplateReference,
    Root,
    TextContent,
)

from nucleus_proxy.methods import OPENABLE
from tests.proxy import rich_server
from tests.proxy.http_served import Served
from tests.proxy.stage import until, within
from tests.support.ports import free_port

ERAS = ("auto", "legacy")
ROADS = ("stdio", "http")
TOOLS = ("steps", "forever", "change", "speak", "ask", "sample", "roots")
HEAD = f"""
version = 1
[wall]
id = "test"
shows = []
[methods]
open = {json.dumps(sorted(OPENABLE))}
"""


def tools(*servers: str) -> str:
    names = [f"{server}__{tool}" if server else tool for server in servers for tool in TOOLS]
    return "".join(
        f'[tools.{name}]\noperation = "read_files"\npayload = ["/count"]\n' for name in names
    )


def table(name: str, port: int) -> str:
    """One server, on a pipe or at a port."""
    if port:
        return f'[{name}]\nurl = "http://127.0.0.1:{port}/mcp"\n'
    command = json.dumps([sys.executable, rich_server.__file__])
    return f"[{name}]\ndanger_outside_cell = true\ncommand = {command}\n"


@asynccontextmanager
async def upstream(road: str) -> AsyncIterator[int]:
    """A rich server over HTTP, and its port; 0 for one that is started on a pipe."""
    if road == "stdio":
        yield 0
        return
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, rich_server.__file__, str(port), stderr=subprocess.DEVNULL
    )

    def listens() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return True
        return False

    try:
        await until(listens, "a server at its port")
        yield port
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def two(road: str) -> AsyncIterator[Served]:
    """One on a pipe, and one on `road`."""
    async with upstream(road) as port:
        ports = [port] if port else []
        text = HEAD + table("servers.near", 0) + table("servers.far", port) + tools("near", "far")
        served = Served(text, ports)
        async with served.serving():
            yield served


def text(result: Any) -> str:
    return str(result.content[0].text)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("road", ROADS)
async def test_each_name_says_whose_it_is_and_reaches_it(road: str, era: str) -> None:
    heard: list[str | None] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        heard.append(message)

    async with two(road) as served, served.client(era) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        assert sorted(names) == sorted(f"{s}__{t}" for s in ("near", "far") for t in TOOLS)
        for server in ("near", "far"):
            done = await client.call_tool(
                f"{server}__steps", {"count": 2}, progress_callback=progress
            )
            assert text(done) == "counted to 2"
        assert heard == ["step 1", "step 2"] * 2
        found = [str(each.uri) for each in (await client.list_resources()).resources]
        assert sorted(found) == ["far+note://one", "near+note://one"]
        read = await client.read_resource("far+note://one")
        assert read.contents[0].text == "what the note says"  # type: ignore[union-attr]  # a text
        assert str(read.contents[0].uri) == "far+note://one"
        templates = (await client.list_resource_templates()).resource_templates
        assert {t.uri_template for t in templates} == {"near+page://{name}", "far+page://{name}"}
        read = await client.read_resource("near+page://x")
        assert read.contents[0].text == "the page x"  # type: ignore[union-attr]  # a text
        assert {p.name for p in (await client.list_prompts()).prompts} == {
            "near__greet", "far__greet"
        }  # fmt: skip
        got = await client.get_prompt("far__greet", {"name": "you"})
        assert got.messages[0].content.text == "Say hello to you."  # type: ignore[union-attr]  # a text
        ref = ResourceTemplateReference(type="ref/resource", uri="far+page://{name}")
        completed = await client.complete(ref, {"name": "name", "value": "an"})
        assert completed.completion.values == ["ann", "anton"]
        assert "# near" in (client.instructions or "")
        assert "Be rich." in (client.instructions or "")
    served.stage.verified()


@pytest.mark.parametrize("road", ROADS)
async def test_a_servers_questions_are_answered_to_it_alone(road: str) -> None:
    """Of the old era; in the new one a server answers with its question."""

    async def elicited(*_: Any) -> ElicitResult:
        return ElicitResult(action="accept", content={"colour": "red"})

    async def sampled(*_: Any) -> CreateMessageResult:
        content = TextContent(type="text", text="four")
        return CreateMessageResult(role="assistant", content=content, model="m")

    async def rooted(*_: Any) -> ListRootsResult:
        return ListRootsResult(roots=[Root(uri="file:///srv")])  # type: ignore[arg-type]  # it reads text

    async with (
        two(road) as served,
        served.client(
            "legacy", elicitation_callback=elicited, sampling_callback=sampled,
            list_roots_callback=rooted,
        ) as client,
    ):  # fmt: skip
        asking = [client.call_tool(f"{s}__ask", {}) for s in ("near", "far", "near", "far")]
        for done in await asyncio.gather(*asking):
            assert text(done) == "accept: red"
        assert text(await client.call_tool("far__sample", {})) == "it says four"
        assert text(await client.call_tool("near__roots", {})) == "file:///srv"


@pytest.mark.parametrize("road", ROADS)
async def test_what_servers_say_by_themselves_says_who_says_it(road: str) -> None:
    said: list[Any] = []
    logged: list[Any] = []

    async def heard(message: Any) -> None:
        said.append(getattr(message, "root", message))

    async def log(params: Any) -> None:
        logged.append(params)

    async with (
        two(road) as served,
        served.client("legacy", message_handler=heard, logging_callback=log) as client,
    ):
        assert text(await client.call_tool("far__speak", {})) == "spoken"
        await until(lambda: bool(logged), "a line of the log")
        assert logged[0].logger.startswith("far")
        assert text(await client.call_tool("far__change", {})) == "changed"

        def changed() -> bool:
            names = {type(each).__name__ for each in said}
            return {"ToolListChangedNotification", "ResourceUpdatedNotification"} <= names

        await until(changed, "both changes")
        updated = [each for each in said if type(each).__name__ == "ResourceUpdatedNotification"]
        assert {str(each.params.uri) for each in updated} == {"far+note://one"}


@pytest.mark.parametrize("road", ROADS)
async def test_a_client_of_the_new_era_listens_to_all_of_them(road: str) -> None:
    async with (
        two(road) as served,
        served.client("auto") as client,
        client.listen(tools_list_changed=True, resource_subscriptions=["far+note://one"]) as events,
    ):
        assert text(await client.call_tool("far__change", {})) == "changed"
        heard = [await within(anext(events)) for _ in range(2)]
        assert {type(each).__name__ for each in heard} == {"ToolsListChanged", "ResourceUpdated"}
        assert {str(getattr(each, "uri", "far+note://one")) for each in heard} == {"far+note://one"}


@pytest.mark.parametrize("era", ERAS)
async def test_one_that_ends_takes_only_its_own_with_it(era: str) -> None:
    policy = HEAD + table("servers.near", 0) + table("servers.far", 0) + tools("near", "far")
    policy += (
        f"[servers.dead]\ndanger_outside_cell = true\n"
        f'command = [{json.dumps(sys.executable)}, "-c", "0"]\n'
    )
    served = Served(policy)
    async with served.serving(), served.client(era) as client:
        assert len((await client.list_tools()).tools) == 2 * len(TOOLS)
        assert text(await client.call_tool("near__steps", {"count": 1})) == "counted to 1"
    assert any("dead" in line for line in served.log)
