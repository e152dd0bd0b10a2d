"""Resources and prompts are judged like calls; what is listed is what would not be denied."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mcp import Client, MCPError
from mcp_types import PromptReference, ResourceTemplateReference

from nucleus_proxy import listing
from nucleus_proxy.answers import Presented
from nucleus_proxy.content import Template
from nucleus_proxy.judge import Arrival
from nucleus_proxy.narrowing import narrowed
from nucleus_tokens.caveats import Arg
from nucleus_tokens.header import Holder
from nucleus_verifier.clear import clear
from nucleus_verifier.decision import Deny
from tests.proxy.http_served import Served
from tests.proxy.stage import Stage
from tests.proxy.test_many_servers import ERAS, table
from tests.support import world

POLICY = (
    """
version = 1
[wall]
id = "test"
shows = []
[methods]
open = ["completion/complete"]
[resources."note://{name}"]
operation = "read_files"
payload = ["/uri"]
[resources."page://{name}"]
operation = "grep_search"
payload = ["/uri"]
[resources."file://{+path}"]
operation = "read_files"
selectors = { "/path" = "path" }
[prompts.greet]
operation = "read_files"
payload = ["/name", "/arguments/name"]
"""
    + table("server", 0)
    + '[tools.steps]\noperation = "read_files"\npayload = ["/count"]\n'
)


async def _all(client: Client) -> tuple[list[str], list[str], list[str]]:
    return (
        [str(each.uri) for each in (await client.list_resources()).resources],
        [t.uri_template for t in (await client.list_resource_templates()).resource_templates],
        [each.name for each in (await client.list_prompts()).prompts],
    )


def _client(served: Served, era: str, *ceil: Any) -> Any:
    token = world.text(served.stage.token(*ceil, holder=Holder(None, None)))
    return served.client(era, token=token)


@pytest.mark.parametrize("era", ERAS)
async def test_levels_and_arguments_decide_what_is_read_and_listed(era: str) -> None:
    served = Served(POLICY)
    async with served.serving():
        async with _client(served, era, world.levels(read_files="always")) as client:
            assert await _all(client) == (["note://one"], [], ["greet"])
            read = await client.read_resource("note://one")
            assert read.contents[0].text == "what the note says"
            with pytest.raises(MCPError, match=r"level\.never"):
                await client.read_resource("page://x")
        only = ["arg", "*", {"/uri": ["prefix", "page://a"]}]
        async with _client(served, era, world.all_levels(), only) as client:
            assert await _all(client) == ([], ["page://{name}"], [])
            ref = ResourceTemplateReference(type="ref/resource", uri="page://{name}")
            done = await client.complete(ref, {"name": "name", "value": ""})
            assert done.completion.values == ["ann", "anton"]
            assert (await client.read_resource("page://ann")).contents
            for uri in ("page://bob", "note://one"):
                with pytest.raises(MCPError, match=r"scope\.(outside|arguments)"):
                    await client.read_resource(uri)
            with pytest.raises(MCPError):
                await client.get_prompt("greet", {"name": "ann"})
        rules = {"/arguments/name": ["equals", "bob"], "/name": ["any"]}
        named = ["arg", "prompts/get", rules]
        async with _client(served, era, world.all_levels(), named) as client:
            ref_ = PromptReference(type="ref/prompt", name="greet")
            done = await client.complete(ref_, {"name": "name", "value": ""})
            assert done.completion.values == ["bob"]
            assert (await client.get_prompt("greet", {"name": "bob"})).messages
            with pytest.raises(MCPError, match=r"scope\.(outside|arguments)"):
                await client.get_prompt("greet", {"name": "ann"})
    served.stage.verified()


async def test_a_tool_scope_names_reads_too_and_paths_hold_for_uris() -> None:
    served = Served(POLICY)
    async with served.serving():
        scope = ["tool", "in", ["steps"]]
        async with _client(served, "legacy", world.all_levels(), scope) as client:
            assert await _all(client) == ([], [], [])
            with pytest.raises(MCPError, match=r"scope\.(outside|arguments)"):
                await client.read_resource("note://one")
            assert [t.name for t in (await client.list_tools()).tools] == ["steps"]
    stage = Stage(POLICY)
    token = stage.token(world.all_levels(), ["path", "in", ["/srv/docs"]])
    for uri, fine in (
        ("file:///srv/docs/a.txt", True),
        ("file:///srv/docs/%61.txt", True),
        ("file:///etc/passwd", False),
        ("file:///srv/docs/../../etc/passwd", False),
        ("file:///srv/docs/%2e%2e/%2e%2e/etc/passwd", False),
        ("file:///srv/docs/%252e%252e/x", False),
        ("file://srv/docs/a.txt", False),
        ("note://one", False),  # nobody knows which path that is
    ):
        assert _read(stage, token, uri) is fine, uri


def _read(stage: Stage, token: Any, uri: str) -> bool:
    """Whether it is not denied; and that the list says the same."""
    mediator = stage.mediator
    credential = mediator._verifier.authenticate(world.text(token))
    assert not isinstance(credential, Deny)
    bound = mediator.contents.bind("resources/read", {"uri": uri})
    arrival = Arrival(credential, Presented("", "held"), stage.clock(), False)
    snapshot = mediator.judge.look(arrival)
    cells = snapshot.wall.bits | snapshot.tree.bits
    decision = clear(credential, bound.at(cells), mediator.judge.facts(arrival, snapshot, bound))
    denied = isinstance(decision, Deny)
    assert not (listing.never(credential, bound, snapshot) and not denied)
    if denied and decision.step in (9, 10, 11):
        assert listing.never(credential, bound, snapshot)
    return not denied


SCOPES = st.lists(
    st.sampled_from(
        [
            ["path", "in", ["/srv"]], ["path", "not", ["/srv/a"]], ["tool", "in", ["resources/*"]],
            ["tool", "in", ["other"]], ["host", "in", ["example.org"]],
            ["arg", "*", {"/uri": ["prefix", "file:"]}], ["arg", "x", {"/y": ["any"]}],
            ["arg", "resources/read", {"/uri": ["one-of", ["note://one", "note://two"]]}],
            ["budget", "calls", 0], ["exposure", ["private_data"]],
            world.levels(read_files="low_risk"), world.levels(web_fetch="always"),
        ]
    ),
    max_size=3,
)  # fmt: skip
URIS = st.sampled_from(
    ["file:///srv/a/b", "file:///srv/c", "file:///etc", "note://one", "page://x", "else:x"]
)


@example([["path", "in", ["/srv"]]], "file:///etc")
@example([["tool", "in", ["other"]]], "note://one")
@settings(max_examples=200)
@given(SCOPES, URIS)
def test_what_a_list_hides_would_be_denied_and_what_is_denied_it_hides(
    caveats: list[Any], uri: str
) -> None:
    stage = Stage(POLICY)
    _read(stage, world.narrow(stage.token(world.all_levels()), *caveats), uri)


def test_templates_have_one_reading() -> None:
    template = Template.of("repo://{owner}/{+path}")
    assert template.match("repo://a/b/c") == {"owner": "a", "path": "b/c"}
    assert template.match("repo://a%2Fb/c") == {"owner": "a/b", "path": "c"}
    assert template.match("repo://a/%2e%2e") == {"owner": "a", "path": ".."}
    assert template.match("repo://a/%252e") == {"owner": "a", "path": None}
    assert template.match("other://a/b") is None
    assert template.filled({"owner": "a b", "path": "c/d"}) == "repo://a%20b/c/d"


def test_a_schema_says_what_the_token_says() -> None:
    tool = {
        "name": "send",
        "inputSchema": {
            "type": "object",
            "required": ["to"],
            "properties": {
                "to": {"type": "string"}, "text": {"type": "string"}, "n": {"type": "integer"},
                "at": {"type": "object", "properties": {"host": {"type": "string"}}},
            },
        },
    }  # fmt: skip
    rules = (
        ("/to", "one-of", ["a", "b"]), ("/n", "range", (1, 5)), ("/at/host", "equals", "h"),
    )  # fmt: skip
    schema = narrowed(tool, "send", [Arg("send", rules)])["inputSchema"]
    assert schema["properties"] == {
        "to": {"type": "string", "enum": ["a", "b"]},
        "n": {"type": "integer", "minimum": 1, "maximum": 5},
        "at": {"type": "object", "properties": {"host": {"type": "string", "const": "h"}}},
    }
    assert schema["additionalProperties"] is False
    assert narrowed(tool, "send", [Arg("other", rules)]) is tool
    more = narrowed({**tool, "inputSchema": schema}, "send", [Arg("*", (("/to", "equals", "a"),))])[
        "inputSchema"
    ]
    assert more["properties"] == {"to": {"type": "string", "enum": ["a", "b"], "const": "a"}}
    prefixed = narrowed(tool, "send", [Arg("*", (("/text", "prefix", "a.b/"),))])
    assert prefixed["inputSchema"]["properties"]["text"]["pattern"] == "^a\\.b/"
    json.dumps(prefixed)
