"""As a new user: installed with pip into an environment of its own, from this checkout's wheel.

Nothing of the checkout is on the path: what the client starts afterwards is what was installed.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Any

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from tests.audit.test_fixing import TELLER
from tests.cli.command import PASSPHRASE
from tests.house.source import ROOT


def installed(place: Path) -> Path:
    """The command `nucleus` of a new environment. The packages that it needs are those of this
    environment, so that no network is; of this checkout there is only what pip installed."""
    venv.create(place, symlinks=True)
    wheel = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation",
             "--no-index", "--wheel-dir", str(place), str(ROOT)]  # fmt: skip
    subprocess.run(wheel, check=True, capture_output=True)
    (made,) = place.glob("*.whl")
    site = next((place / "lib").glob("python*/site-packages"))
    subprocess.run(
        [sys.executable, "-m", "pip", "-q", "--python", str(place / "bin" / "python"), "install",
         "--no-deps", "--no-index", str(made)],
        check=True, capture_output=True,
    )  # fmt: skip
    (site / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    where = subprocess.run(
        [str(place / "bin" / "python"), "-c", "import nucleus; print(nucleus.__file__)"],
        check=True, capture_output=True, text=True, cwd=place,
    )  # fmt: skip
    assert where.stdout.startswith(str(place)), where.stdout
    return place / "bin" / "nucleus"


async def asked(entry: dict[str, Any], env: dict[str, str], tool: str, path: str) -> str:
    """What a client gets that starts the server as its configuration says."""
    started = StdioServerParameters(
        command=entry["command"], args=entry["args"], env={**env, **entry.get("env", {})}
    )
    async with (
        asyncio.timeout(60),
        stdio_client(started) as (reader, writer),
        ClientSession(reader, writer) as session,
    ):
        await session.initialize()
        answer = await session.call_tool(tool, {"path": path})
        return "".join(getattr(each, "text", "") for each in answer.content)


def test_install_audit_fix_and_go_on(tmp_path: Path) -> None:
    nucleus = installed(tmp_path / "venv")
    repo, home = tmp_path / "repo", tmp_path / "home"
    repo.mkdir()
    (tmp_path / "teller.py").write_text(TELLER)
    (repo / "a.txt").write_text("one\n")
    server = {"command": "/usr/bin/python3", "args": [str(tmp_path / "teller.py")]}
    names = ("notes", "wiki", "tickets")
    config = repo / ".mcp.json"
    config.write_text(json.dumps({"mcpServers": dict.fromkeys(names, server)}, indent=2))
    before = config.read_text()
    word = tmp_path / "passphrase"
    word.touch(0o600)
    word.write_bytes(PASSPHRASE + b"\n")
    env = {k: os.environ[k] for k in ("HOME", "LANG") if k in os.environ}
    env["PATH"] = os.pathsep.join((str(nucleus.parent), "/usr/bin", "/bin"))

    def run(*words: object, code: int = 0) -> str:
        done = subprocess.run(
            [str(nucleus), "--home", str(home), *map(str, words)],
            cwd=repo, env=env, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == code, done.stderr + done.stdout
        return done.stdout + done.stderr

    assert "may be uninhabitable" in run("audit")
    run("init", "--approver", "me", "--passphrase-file", word, "--dangerously-weak-keys-for-tests")
    token = tmp_path / "agent.token"
    run("token", "issue", "--profile", "codegen", "--sub", "agent", "--bearer", "--path", repo,
        "--passphrase-file", word, "--out", token)  # fmt: skip
    said = run("audit", "--fix", "--token", token)
    assert said.count("is behind nucleus mcp") == len(names)
    entries = json.loads(config.read_text())["mcpServers"]
    for name in names:
        assert entries[name]["command"] == str(nucleus)
        text = asyncio.run(asked(entries[name], env, "read_note", str(repo / "a.txt")))
        assert "API_TOKEN" in text
        refused = asyncio.run(asked(entries[name], env, "read_note", "/etc/hostname"))
        assert "scope.outside" in refused
        denied = asyncio.run(asked(entries[name], env, "frobnicate", str(repo / "a.txt")))
        assert "API_TOKEN" not in denied
    trace = run("trace", "show")
    assert trace.count("read_note") >= 2 * len(names)
    run("trace", "verify")
    run("audit", "--unfix")
    assert config.read_text() == before
