"""What of 2025-11-25 a server says by itself once it was asked to: the level of its log, and the
resources that somebody subscribed to. The npm server `everything`, alone and among many."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mcp import MCPError

from tests.proxy.http_served import Served
from tests.proxy.stage import until
from tests.proxy.test_many_servers import HEAD
from tests.support.servers import npm

# The client's library says that the new revision has no such thing.
pytestmark = pytest.mark.filterwarnings("ignore:.*as of 2026-07-28")
ONE, TWO = (f"demo://resource/dynamic/text/{number}" for number in (1, 2))
PREFIXES = ("", "old")  # alone, and as `old` among many


def named(prefix: str, name: str) -> str:
    return f"{prefix}__{name}" if prefix else name


def at(prefix: str, uri: str) -> str:
    return f"{prefix}+{uri}" if prefix else uri


class Heard:
    """A client of `everything`, and what it was told unasked."""

    def __init__(self, prefix: str, head: str = HEAD) -> None:
        table = f"servers.{prefix}" if prefix else "server"
        self.served = Served(
            f"{head}[{table}]\ndanger_outside_cell = true\n"
            f"command = {json.dumps(npm('server-everything'))}\n"
            f'[tools.{named(prefix, "toggle-subscriber-updates")}]\noperation = "write_files"\n'
        )
        self.logs: list[Any] = []
        self.updated: list[str] = []
        self.handlers = {"logging_callback": self.log, "message_handler": self.message}

    async def log(self, params: Any) -> None:
        self.logs.append(params)

    async def message(self, message: Any) -> None:
        said = getattr(message, "root", message)
        if type(said).__name__ == "ResourceUpdatedNotification":
            self.updated.append(str(said.params.uri))

    def about(self, uri: str) -> list[Any]:
        return [each for each in self.logs if uri in str(each.data)]


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_the_level_of_the_log_is_the_clients(prefix: str) -> None:
    heard = Heard(prefix)
    async with heard.served.serving(), heard.served.client("legacy", **heard.handlers) as client:
        await client.set_logging_level("error")
        await client.subscribe_resource(at(prefix, ONE))  # the server logs each, as `info`
        await client.set_logging_level("info")
        await client.subscribe_resource(at(prefix, TWO))
        await until(lambda: heard.about(TWO), "a line of the log")
        (line,) = heard.about(TWO)
        assert (line.level, line.logger) == ("info", prefix or None)
        assert heard.about(ONE) == []


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_whoever_subscribed_hears_of_a_change_until_it_does_not_want_to(prefix: str) -> None:
    heard = Heard(prefix)
    async with heard.served.serving(), heard.served.client("legacy", **heard.handlers) as client:
        for uri in (ONE, TWO):
            await client.subscribe_resource(at(prefix, uri))
        await client.unsubscribe_resource(at(prefix, ONE))
        await client.call_tool(named(prefix, "toggle-subscriber-updates"), {})
        await until(lambda: heard.updated, "a change")
        assert set(heard.updated) == {at(prefix, TWO)}


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_what_policy_does_not_open_reaches_no_server(prefix: str) -> None:
    head = HEAD
    for method in ("logging/setLevel", "resources/subscribe"):
        head = head.replace(f'"{method}", ', "")
    heard = Heard(prefix, head)
    async with heard.served.serving(), heard.served.client("legacy", **heard.handlers) as client:
        for asked in (client.set_logging_level("info"), client.subscribe_resource(at(prefix, ONE))):
            with pytest.raises(MCPError, match="not opened"):
                await asked
        # And nothing that belongs to it comes back.
        await client.call_tool(named(prefix, "toggle-subscriber-updates"), {})
        assert (heard.logs, heard.updated) == ([], [])
