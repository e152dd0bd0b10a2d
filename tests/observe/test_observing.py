"""A real server and a real agent, observed; the policy made of it, and the token narrowed to it."""

# ruff: noqa: E501
from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from nucleus.observe import record
from tests.cli.command import PROGRAM, Desk

SECRET = "hunter2-in-a-commit-message"


async def use(
    argv: list[str], env: dict[str, str], calls: list[tuple[str, dict[str, Any]]]
) -> list[str]:
    """What a client gets, by the SDK's own."""
    started = StdioServerParameters(command=argv[0], args=argv[1:], env=env)
    texts = []
    async with (
        asyncio.timeout(90),
        stdio_client(started) as (reader, writer),
        ClientSession(reader, writer) as session,
    ):
        await session.initialize()
        for tool, arguments in calls:
            answer = await session.call_tool(tool, arguments)
            texts.append("".join(getattr(each, "text", "") for each in answer.content))
    return texts


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    made = Desk(tmp_path_factory.mktemp("observe"))
    made.init()
    repo = made.root / "repo"
    subprocess.run(["git", "init", "-q", repo], check=True)
    for key, value in (("user.name", "Person"), ("user.email", "person@example.org")):
        subprocess.run(["git", "-C", repo, "config", key, value], check=True)
    (repo / "a.txt").write_text("one\n")
    return made


def server(desk: Desk) -> list[str]:
    git = shutil.which("mcp-server-git", path=str(Path(sys.executable).parent))
    assert git is not None
    return [git, "--repository", str(desk.root / "repo")]


def drafted(desk: Desk) -> str:
    """The policy file that an operator gives the proxy: what each tool is."""
    takes = 'selectors."/repo_path" = { kind = "path" }'
    return f"""version = 1
[workspace]
root = "{desk.root / "repo"}"
shows = []
[server]
cwd = "{desk.root / "repo"}"
danger_outside_cell = true
env = {{ PATH = "/usr/local/bin:/usr/bin:/bin", GIT_AUTHOR_NAME = "P", GIT_AUTHOR_EMAIL = "p@example.org", GIT_COMMITTER_NAME = "P", GIT_COMMITTER_EMAIL = "p@example.org" }}
[tools.git_status]
operation = "read_files"
{takes}
[tools.git_log]
operation = "read_files"
{takes}
[tools.git_branch]
operation = "read_files"
payload = ["/branch_type", "/contains"]
{takes}
[tools.git_add]
operation = "git_commit"
selectors."/files" = {{ kind = "path", base = "/repo_path" }}
{takes}
[tools.git_commit]
operation = "git_commit"
payload = ["/message"]
{takes}
"""


@pytest.fixture(scope="module")
def observed(desk: Desk) -> Path:
    """A record of mcp-server-git with its real client."""
    repo = str(desk.root / "repo")
    where = desk.root / "git.jsonl"
    argv = [*PROGRAM, "observe", "--mcp", "--record", str(where), "--", *server(desk)]
    texts = asyncio.run(
        use(argv, desk.environ(), [
            ("git_status", {"repo_path": repo}),
            ("git_add", {"repo_path": repo, "files": ["a.txt"]}),
            ("git_commit", {"repo_path": repo, "message": SECRET}),
            ("git_branch", {"repo_path": repo, "branch_type": "local"}),
        ])
    )  # fmt: skip
    assert "a.txt" in texts[0]
    assert "committed" in texts[2].lower(), texts
    return where


def test_everything_passed_and_is_recorded_without_its_arguments(
    desk: Desk, observed: Path
) -> None:
    text = observed.read_text()
    assert SECRET not in text
    assert observed.stat().st_mode & 0o077 == 0
    seen = record.read(text)
    assert [call.tool for call in seen.calls] == [
        "git_status",
        "git_add",
        "git_commit",
        "git_branch",
    ]
    assert {call.verdict for call in seen.calls} == {"allow"}
    repo = str(desk.root / "repo")
    assert seen.calls[0].resources["path"] == (repo,)


def test_the_policy_says_why_and_denies_nothing(desk: Desk, observed: Path) -> None:
    made = desk.run("observe", "policy", observed, "-o", desk.root / "git.json",
                    "--profile", desk.root / "git.toml").ok(0)  # fmt: skip
    assert "tools: the 4 that were called" in made.err
    assert "path: " in made.err
    answers = desk.run("observe", "replay", desk.root / "git.json", observed, "--json").json
    assert answers["count"]["deny"] == 0
    shown = desk.run("profiles", "show", "--file", desk.root / "git.toml").ok(0).out
    assert "git_commit" in shown
    policy = json.loads((desk.root / "git.json").read_text())
    policy["ceil"][0][1].pop("git_commit")
    desk.file("less.json", policy)
    less = desk.run("observe", "replay", desk.root / "less.json", observed).ok(1)
    assert "git_commit" in less.out
    wider = desk.run("observe", "diff", desk.root / "less.json", desk.root / "git.json").ok(1)
    assert "+ git_commit: never → always" in wider.out
    desk.run("observe", "diff", desk.root / "git.json", desk.root / "git.json").ok(0)


def test_a_token_narrowed_to_it_serves_the_same_calls_and_no_other(
    desk: Desk, observed: Path
) -> None:
    wide = desk.issue(
        "wide", "--bearer", "--path", desk.root / "repo", "--ttl", "2h", profile="local-dev"
    )
    narrow = desk.root / "narrow.token"
    desk.run("observe", "policy", observed, "-o", desk.root / "again.json",
             "--token", wide, "--out-token", narrow).ok(0)  # fmt: skip
    shown = desk.run("token", "inspect", narrow).ok(0).out
    assert "git_branch" in shown

    repo = str(desk.root / "repo")
    policy = desk.file("git-policy.toml", drafted(desk))
    argv = [*PROGRAM, "--home", str(desk.home), "mcp", "--token", str(narrow), "--policy", str(policy),
            "--", *server(desk)]  # fmt: skip
    (desk.root / "repo" / "b.txt").write_text("two\n")
    (desk.root / "repo" / "src").mkdir(exist_ok=True)
    texts = asyncio.run(
        use(argv, desk.environ(), [
            ("git_status", {"repo_path": repo}),
            ("git_add", {"repo_path": repo, "files": ["b.txt"]}),
            ("git_commit", {"repo_path": repo, "message": "the same kind of call again"}),
            ("git_branch", {"repo_path": repo, "branch_type": "local"}),
            # A tool that was not called, another folder, an argument nobody gave, a longer text.
            ("git_log", {"repo_path": repo}),
            ("git_status", {"repo_path": str(desk.root)}),
            ("git_branch", {"repo_path": repo, "branch_type": "local", "contains": "HEAD"}),
            ("git_commit", {"repo_path": repo, "message": "x" * 257}),
        ])
    )  # fmt: skip
    assert "b.txt" in texts[0], texts
    assert "committed" in texts[2].lower(), texts
    assert "main" in texts[3] or "master" in texts[3], texts
    for text in texts[4:]:
        assert "denied" in text.lower() or "scope" in text, texts
    log = subprocess.run(
        ["git", "-C", repo, "log", "--format=%s"], capture_output=True, text=True, check=True
    )
    assert log.stdout.splitlines()[0] == "the same kind of call again"


def test_an_agent_behind_the_wall_is_observed(desk: Desk) -> None:
    """Its one road is the proxy: what it asks of that is the record."""
    script = desk.root / "repo" / "agent.py"
    script.write_text(
        """
import json, os, subprocess
say = [
    {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "2025-06-18",
     "capabilities": {}, "clientInfo": {"name": "a", "version": "1"}}},
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
    {"jsonrpc": "2.0", "id": 1, "method": "tools/call",
     "params": {"name": "fs_read", "arguments": {"path": "a.txt"}}},
    {"jsonrpc": "2.0", "id": 2, "method": "tools/call",
     "params": {"name": "fs_write", "arguments": {"path": "made.txt", "content": "by the agent"}}},
]
child = subprocess.Popen([os.environ["NUCLEUS_MCP"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
for message in say:
    child.stdin.write(json.dumps(message) + "\\n")
    child.stdin.flush()
    if "id" in message:
        while json.loads(child.stdout.readline()).get("id") != message["id"]:
            pass
child.stdin.close()
child.wait()
"""
    )
    where = desk.root / "agent.jsonl"
    done = desk.process("observe", "--record", where, "--dir", desk.root / "repo", "--",
                        "/usr/bin/python3", str(script))  # fmt: skip
    done.ok(0)
    seen = record.read(where.read_text())
    assert [(call.tool, call.verdict) for call in seen.calls] == [
        ("fs_read", "allow"),
        ("fs_write", "allow"),
    ]
    assert (desk.root / "repo" / "made.txt").read_text() == "by the agent"
