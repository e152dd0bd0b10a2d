"""The bindings that are shipped: each says of every tool of its server what it is, or that it is
left out; none makes a way out look like a read."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from nucleus_proxy import binding, fieldlabels, policy, shipped
from nucleus_proxy.binding import Hints
from nucleus_tokens import exposure, label_names, labels, names, sinks
from nucleus_tokens.errors import CallerError
from nucleus_tokens.lattice import NETWORK, READS, with_level
from tests.proxy.bound import packaged
from tests.support import servers

# Of npm: its package, and what else stands on the command line.
PACKAGES: dict[str, list[str]] = {
    "everything": ["@modelcontextprotocol/server-everything"],
    "filesystem": ["@modelcontextprotocol/server-filesystem", "/usr/share"],
    "gmail": ["@gongrzhe/server-gmail-autoauth-mcp"],
    "memory": ["@modelcontextprotocol/server-memory"],
    "playwright": ["@playwright/mcp", "--headless"],
    "postgres": ["@modelcontextprotocol/server-postgres", "postgresql://localhost/none"],
    "sequential-thinking": ["@modelcontextprotocol/server-sequential-thinking"],
    "slack": ["@modelcontextprotocol/server-slack"],
}
# What is no program that can be had here: its list was read, and not asked for.
UNTRIED = {"github"}
EVERY = [shipped.binding(name) for name in shipped.known()]


def command(name: str, home: Path) -> list[str]:
    """None of them is asked for anything but its list: no service is reached, no key is a key."""
    if name in PACKAGES:
        package, *rest = PACKAGES[name]
        return [*packaged(package), *rest]
    return [servers.pypi(name), *(["--db-path", str(home / "x.db")] if name == "sqlite" else [])]


def listed(argv: list[str], home: Path) -> list[dict[str, Any]]:
    """What a real server lists."""
    about = {"name": "test", "version": "1"}
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": about}
    keys = home / ".gmail-mcp" / "gcp-oauth.keys.json"
    keys.parent.mkdir()
    keys.write_text('{"installed": {"client_id": "none", "client_secret": "none"}}')
    env = {"PATH": os.environ["PATH"], "HOME": str(home)}
    env |= {"SLACK_BOT_TOKEN": "none", "SLACK_TEAM_ID": "none"}
    process = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env=env, cwd=home,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None

    def ask(number: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
        assert process.stdin is not None
        assert process.stdout is not None
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        process.stdin.write(json.dumps(message).encode() + b"\n")
        process.stdin.flush()
        while line := process.stdout.readline():
            if not line.startswith(b"{"):
                continue  # some say hello in words
            answer: dict[str, Any] = json.loads(line)
            if answer.get("id") == number and "method" not in answer:
                result: dict[str, Any] = answer["result"]
                return result
        raise AssertionError(f"{argv[0]} ended")

    try:
        ask(0, "initialize", hello)
        process.stdin.write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
        tools: list[dict[str, Any]] = ask(1, "tools/list", {})["tools"]
        return tools
    finally:
        process.kill()
        process.stdin.close()
        process.stdout.close()
        process.wait()


@pytest.mark.parametrize("name", sorted(set(shipped.known()) - UNTRIED))
def test_every_tool_of_the_real_server_is_bound_or_named_as_left_out(
    name: str, tmp_path: Path
) -> None:
    """And every argument of it is a selector, a payload, or asked about."""
    mine = shipped.binding(name)
    tools = {
        tool["name"]: tool["inputSchema"] for tool in listed(command(name, tmp_path), tmp_path)
    }
    assert set(mine.tools) | set(mine.unbound) == set(tools)
    for tool, bound in mine.tools.items():
        declared = {r.pointer.split("/")[1] for r in bound.selectors}
        declared |= {pointer.split("/")[1] for pointer in bound.payload}
        assert declared == set(tools[tool].get("properties", {})), tool
        needed = set(tools[tool].get("required", ()))
        for rule in bound.selectors:
            # What cannot be left out is not called optional.
            assert not (rule.optional and rule.pointer[1:] in needed), (tool, rule.pointer)


@pytest.mark.parametrize("mine", EVERY, ids=lambda b: b.name)
def test_a_binding_keeps_the_house_rules(mine: shipped.Shipped) -> None:
    assert mine.tools
    assert mine.packages
    assert not set(mine.tools) & set(mine.unbound)
    for tool in mine.tools.values():
        reads = with_level(tool.operation, 2) & READS != 0
        network = with_level(tool.operation, 2) & NETWORK != 0
        # What leaves is a way out by its operation as well, so that the gate hears of it.
        if (
            not reads
            and not network
            and sinks.exfil(tool.sink)
            and tool.sink != sinks.CLOUD_MUTATION
        ):
            projected = binding.bind(tool.tool, {}, tool, Hints(), "/").projects
            at_home = tool.sink in (sinks.MCP_WRITE, sinks.MEMORY_PERSIST)
            assert at_home or projected & exposure.EXFIL_VECTOR, tool.tool
        # A page of the web is a stranger's; its address is a selector.
        if network and tool.selectors:
            assert {rule.kind for rule in tool.selectors} & {"url", "host"}, tool.tool


def test_nothing_that_can_hold_a_sentence_is_called_better_than_its_tool() -> None:
    """Whatever somebody writes into it, a lowered field holds a number, a time, an id, a word."""
    found = 0
    for mine in EVERY:
        for tool in mine.tools.values():
            for each in tool.fields.all if tool.fields is not None else ():
                found += 1
                assert each.form != "text", (mine.name, tool.tool, each.at)
                # A true id is not yet the one that was meant.
                label = label_names.node_label(each.label)[0]
                assert labels.authority(label) == labels.NO_AUTHORITY, (mine.name, each.at)
    assert found > 20


ISSUE: dict[str, Any] = {"number": 7, "state": "OPEN", "created_at": "2026-05-15T10:00:00Z"}


@pytest.mark.parametrize(
    ("tool", "value", "strange"),
    [
        ("list_issues", {"issues": [ISSUE], "totalCount": 1, "pageInfo": {"endCursor": "Y3U="}}, 0),
        ("list_issues", {"issues": [{**ISSUE, "title": "x"}], "totalCount": 1}, 1),
        ("list_issues", {"issues": [{**ISSUE, "user": {"login": "ann"}}], "totalCount": 1}, 1),
        ("issue_read", {**ISSUE, "body": "Ignore it"}, 1),
        ("issue_read", [{"id": 1, "body": "Ignore it"}], 1),
        ("issue_write", {"id": "1", "url": "https://github.com/a/b/issues/7"}, 0),
        ("merge_pull_request", {"sha": "ab12", "merged": True, "message": "Ignore it"}, 1),
        ("search_issues", {"total_count": 0, "incomplete_results": False, "items": []}, 0),
        ("get_file_contents", {"number": 7}, 1),
    ],
)
def test_what_a_forge_makes_is_no_strangers_text(tool: str, value: Any, strange: int) -> None:
    call = binding.bind(tool, {}, shipped.binding("github").tools[tool], Hints(), "/")
    seen = call.records
    if call.fields is not None:
        seen |= fieldlabels.parts(call.fields, value).adds(call.later)
    assert bool(seen & exposure.UNTRUSTED_CONTENT) is bool(strange)


def test_what_people_write_to_each_other_is_private_and_a_strangers() -> None:
    for name in ("slack", "gmail", "github"):
        for tool in shipped.binding(name).tools.values():
            if tool.operation == names.operation("read_files") and tool.selectors:
                call = binding.bind(tool.tool, {}, tool, Hints(), "/")
                assert (call.records | call.later) & exposure.UNTRUSTED_CONTENT, tool.tool
                assert call.records & exposure.PRIVATE_DATA, tool.tool


def test_free_text_that_leaves_is_searched_for_links() -> None:
    for name in ("slack", "gmail", "github"):
        for tool in shipped.binding(name).tools.values():
            for pointer in ("/body", "/text", "/htmlBody"):
                if tool.operation == names.operation("create_pr") and pointer in tool.payload:
                    assert pointer in tool.scan, (tool.tool, pointer)


# In a policy file ---------------------------------------------------------------------------------


def test_a_policy_file_takes_one_over_and_may_say_otherwise() -> None:
    text = b"""
version = 1
[server]
binding = "git"
[tools.git_status]
operation = "read_files"
adds = ["untrusted_content"]
[tools.mine]
operation = "write_files"
"""
    rules = policy.parse(text)
    assert set(rules.tools) == {*shipped.binding("git").tools, "mine"}
    assert rules.tools["git_status"].adds == exposure.UNTRUSTED_CONTENT
    assert rules.tools["git_log"] == shipped.binding("git").tools["git_log"]


@pytest.mark.parametrize("name", ["nonsense", "", "../git", "git.toml"])
def test_a_binding_that_is_not_there_refuses_the_file(name: str) -> None:
    with pytest.raises(CallerError) as refused:
        policy.parse(f'version = 1\n[server]\nbinding = "{name}"\n'.encode())
    assert refused.value.code == "policy.value"


def test_a_package_is_known_by_its_name() -> None:
    found = shipped.of_package("@modelcontextprotocol/server-slack")
    assert found is not None
    assert found.name == "slack"
    assert shipped.of_package("@modelcontextprotocol/server-slak") is None


def test_of_many_servers_each_has_its_own() -> None:
    text = b"""
version = 1
[servers.code]
command = ["x"]
binding = "git"
[servers.chat]
command = ["y"]
binding = "slack"
"""
    rules = policy.parse(text)
    assert rules.tools["code__git_log"].tool == "code__git_log"
    assert rules.tools["chat__slack_post_message"].sink == sinks.EMAIL_SEND
    assert "git_log" not in rules.tools
