"""Real servers of npm and PyPI say what their tools are, from a cell without network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nucleus_proxy import policy as policies
from tests.cli.command import Desk
from tests.support.servers import NPM, npm, pypi


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    made = Desk(tmp_path_factory.mktemp("live"))
    repo = made.root / "repo"
    (repo / "notes").mkdir(parents=True)
    subprocess.run(["git", "init", "-q", repo], check=True)
    npm("server-everything")
    (repo / ".npm").symlink_to(NPM)
    scope = "@modelcontextprotocol"
    servers = {
        "everything": {"command": "npx", "args": ["-y", f"{scope}/server-everything"]},
        "files": {"command": "npx",
                  "args": ["-y", f"{scope}/server-filesystem@2026.8.31", str(repo / "notes")]},
        "git": {"command": "uvx", "args": ["mcp-server-git", "--repository", str(repo)]},
        "fetch": {"command": "uvx", "args": ["mcp-server-fetch==2026.10.24"]},
        "gone": {"command": "npx", "args": ["-y", "@example/not-installed@1.0.0"]},
    }  # fmt: skip
    (repo / ".mcp.json").write_text(json.dumps({"mcpServers": servers}))
    return made


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    where = (str(Path(pypi("fetch")).parent), str(Path(sys.executable).parent), os.environ["PATH"])
    monkeypatch.setenv("PATH", os.pathsep.join(where))


def test_real_servers_are_asked_and_judged(desk: Desk, path: None) -> None:
    shown = desk.run("audit", desk.root / "repo", "--live", "--fail-on", "never").ok(0)
    assert "gone was not asked: @example/not-installed is not installed" in shown.err
    assert shown.err.count("was not asked") == 1, shown.err
    # The three legs, each by a tool that its server lists.
    assert "UNINHABITABLE" in shown.out
    rows = {line.split()[0]: line.split()[1:] for line in shown.out.splitlines() if "●" in line}
    assert rows["fetch"] == ["·", "●", "●", "web_fetch"]
    assert rows["git"][:3] == rows["files"][:3] == ["●", "·", "·"]
    report = desk.run("audit", desk.root / "repo", "--live", "--fail-on", "never", "--json").json
    rules = {each["rule"] for each in report["findings"]}
    assert "uninhabitable-state" in rules
    # Honest servers: nothing in what they say is taken for an attack.
    assert not rules & {"hidden-instruction", "hidden-unicode", "lookalike-server"}


def test_what_is_suggested_for_them_is_read_by_its_reader(desk: Desk, path: None) -> None:
    text = desk.run("audit", desk.root / "repo", "--live", "--suggest").ok(0).out
    profile = text.split("```toml\n")[1].split("```")[0]
    shown = desk.file("profile.toml", profile)
    assert "audited" in desk.run("profiles", "show", "--file", shown).ok(0).out
    assert "mcp__files__read_text_file" in text
    assert "mcp__fetch__fetch" not in text


def test_their_drafted_policies_are_policies(desk: Desk, path: None) -> None:
    """Each of their tools is bound, or is said to be denied."""
    import asyncio

    from nucleus.audit import drafting, judging, live
    from nucleus.audit.facts import Server
    from nucleus.composing import Cells
    from nucleus_vmhost.bubblewrap import Bubblewrap

    repo = desk.root / "repo"
    servers = [f for f in judging.audit(repo)[1].facts if isinstance(f, Server)]
    answers = asyncio.run(live.ask_all(servers, Cells(Bubblewrap()), repo))
    counts = {}
    for server, tools in answers:
        if isinstance(tools, str):
            continue
        made = drafting.draft(tools, workspace=str(repo), outside=True)
        bound = policies.parse(made.text.encode()).tools
        assert {*bound, *made.denied} == {tool.name for tool in tools}
        counts[server.name] = len(bound)
    assert counts.keys() == {"everything", "files", "git", "fetch"}
    assert counts["files"] >= 10
    assert counts["fetch"] == 1
