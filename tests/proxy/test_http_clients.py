"""The official client over HTTP, in both eras, with real servers behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mcp import MCPError

from tests.proxy import rich_server
from tests.proxy.http_served import Served
from tests.proxy.stage import within
from tests.support import world

ERAS = ("auto", "legacy")
GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "PATH": os.environ["PATH"],
    "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.org",
    "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.org",
}  # fmt: skip
RICH = f"""
version = 1
[wall]
id = "test"
shows = []
[server]
danger_outside_cell = true
command = [{json.dumps(sys.executable)}, {json.dumps(rich_server.__file__)}]
[tools.steps]
operation = "read_files"
payload = ["/count"]
[tools.forever]
operation = "read_files"
"""
OPEN = """
[methods]
open = ["resources/read", "resources/list", "prompts/get", "prompts/list"]
"""


@pytest.mark.parametrize("era", ERAS)
async def test_a_real_server_in_its_cell_is_mediated(tmp_path: Path, era: str) -> None:
    repo = tmp_path.resolve() / "repo"
    repo.mkdir()
    for words in (("init", "-q", "-b", "main"), ("commit", "-q", "--allow-empty", "-m", "first")):
        subprocess.run(["git", *words], cwd=repo, env=GIT, check=True)
    env = ", ".join(f"{name} = {json.dumps(value)}" for name, value in GIT.items())
    served = Served(
        f"""
version = 1
[wall]
id = "test"
shows = []
[workspace]
root = {json.dumps(str(repo))}
[server]
writes_git = true
command = [{json.dumps(str(Path(sys.executable).with_name("mcp-server-git")))}]
cwd = {json.dumps(str(repo))}
env = {{ {env} }}
[tools.git_log]
operation = "read_files"
selectors = {{ "/repo_path" = "path" }}
[tools.git_status]
operation = "read_files"
selectors = {{ "/repo_path" = "path" }}
"""
    )
    token = served.bearer(world.levels(read_files="always"), ["path", "in", [str(repo)]])
    async with served.serving(), served.client(era, token) as client:
        names = sorted(tool.name for tool in (await client.list_tools()).tools)
        assert names == ["git_log", "git_status"]
        done = await client.call_tool("git_log", {"repo_path": str(repo)})
        assert not done.is_error, done
        assert "first" in done.content[0].text  # type: ignore[union-attr]
        for tool, path, code in (
            ("git_log", "/etc", "scope.outside"),
            ("git_reset", str(repo), "tool.unclassified"),
        ):
            done = await client.call_tool(tool, {"repo_path": path})
            assert done.is_error
            assert code in done.content[0].text  # type: ignore[union-attr]
    served.stage.verified()


@pytest.mark.parametrize("era", ERAS)
async def test_progress_resources_and_prompts_pass_where_they_are_opened(era: str) -> None:
    served = Served(RICH + OPEN)
    token = served.bearer()
    heard: list[tuple[float, str | None]] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        heard.append((done, message))

    async with served.serving(), served.client(era, token) as client:
        done = await client.call_tool("steps", {"count": 3}, progress_callback=progress)
        assert done.content[0].text == "counted to 3"  # type: ignore[union-attr]
        assert [said for _, said in heard] == ["step 1", "step 2", "step 3"]
        assert [str(r.uri) for r in (await client.list_resources()).resources] == ["note://one"]
        read = await client.read_resource("note://one")
        assert read.contents[0].text == "what the note says"  # type: ignore[union-attr]
        got = await client.get_prompt("greet", {"name": "you"})
        assert got.messages[0].content.text == "Say hello to you."  # type: ignore[union-attr]


@pytest.mark.parametrize("era", ERAS)
async def test_what_is_not_opened_does_not_pass(era: str) -> None:
    served = Served(RICH)
    token = served.bearer()
    async with served.serving(), served.client(era, token) as client:
        for work in (client.list_resources, client.list_prompts):
            with pytest.raises(MCPError):
                await work()
        assert (await client.list_tools()).tools


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_that_gives_up_cancels_and_the_others_go_on(era: str) -> None:
    served = Served(RICH)
    token = served.bearer()
    begun = asyncio.Event()

    async def progress(done: float, total: float | None, message: str | None) -> None:
        begun.set()

    async with served.serving(), served.client(era, token) as client:
        call = asyncio.ensure_future(client.call_tool("forever", {}, progress_callback=progress))
        await within(begun.wait())
        async with served.client(era, token) as other:
            done = await other.call_tool("steps", {"count": 1})
            assert not done.is_error
            call.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await call
            # The server was told, and does not answer: it is watched until the server ends.
            assert len(served.live) == 1
            assert not (await other.call_tool("steps", {"count": 2})).is_error
        assert not (await client.call_tool("steps", {"count": 2})).is_error
    assert len(served.live) == 0
