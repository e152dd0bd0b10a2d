"""`nucleus mcp serve --http`, as a user starts it and a client finds it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import PROGRAM, Desk
from tests.proxy import scripted_server

POLICY = """
version = 1
[wall]
id = "box"
shows = []
[server]
danger_outside_cell = true
[tools.read]
operation = "read_files"
selectors = { "/x" = "path" }
"""
PATIENCE = 120.0


def _ask(url: str, token: str, method: str, params: Any, **headers: str) -> tuple[Any, Any]:
    body = json.dumps({"jsonrpc": "2.0", "id": method, "method": method, "params": params})
    fields = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
    }
    request = urllib.request.Request(url, body.encode(), {**fields, **headers})  # noqa: S310  ours
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310  ours
        text = answer.read().decode()
        if answer.headers["content-type"] == "text/event-stream":
            text = next(line[6:] for line in text.split("\n") if line.startswith("data: "))
        return json.loads(text), answer.headers


def test_a_client_finds_it_and_is_mediated(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.init()
    policy = desk.file("policy.toml", POLICY)
    token = desk.issue("agent", "--bearer").read_text().strip()
    server = [sys.executable, scripted_server.__file__, str(tmp_path / "seen")]
    tools = json.dumps([{"name": "read"}, {"name": "other"}])
    serving = subprocess.Popen(
        [*PROGRAM, *desk.argv("mcp", "serve", "--http", 0, "--policy", policy, "--"),
         *server, tools],
        env=desk.environ(), cwd=tmp_path, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    stuck = threading.Timer(PATIENCE, serving.kill)
    stuck.start()
    try:
        assert serving.stderr is not None
        url = next(w for line in serving.stderr for w in line.split() if w.startswith("http://"))
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}}
        said, headers = _ask(url, token, "initialize", hello)
        assert said["result"]["serverInfo"]["name"] == "scripted"
        session = {"Mcp-Session-Id": headers["mcp-session-id"]}
        said, _ = _ask(url, token, "tools/list", {}, **session)
        assert [tool["name"] for tool in said["result"]["tools"]] == ["read"]
        call = {"name": "read", "arguments": {"x": str(tmp_path / "a")}}
        said, _ = _ask(url, token, "tools/call", call, **session)
        assert said["result"]["content"][0]["text"] == "done"
        with pytest.raises(urllib.error.HTTPError, match="401") as caught:
            _ask(url, token[:-4] + "AAAA", "tools/call", call, **session)
        caught.value.close()
        serving.terminate()
        assert serving.wait(PATIENCE) == 0
    finally:
        stuck.cancel()
        serving.kill()
        serving.communicate()
    trace = desk.run("trace", "show", "--json").ok().out
    assert "read" in trace
    assert token not in trace


def test_it_says_where(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.init()
    for words in ((), ("--http", "0", "--socket", "run/s")):
        done = desk.run("mcp", "serve", *words, "--", "true")
        assert done.code == 2
        assert "serve.where" in done.err
