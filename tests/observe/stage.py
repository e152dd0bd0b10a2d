"""A server that tells what it was given, and a client that may be cruel to the observer."""

# ruff: noqa: E501
from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.cli.command import PROGRAM, ROOMS

# Answers each call in the way it is asked to; its tools say what they were given, too.
SERVER = r"""
import base64, json, os, sys
secret = os.environ.get("API_TOKEN", "")
word = sys.argv[1] if len(sys.argv) > 1 else ""
sys.stderr.write(f"starting with {secret} and {word}\n")
takes = {"type": "object", "properties": {"path": {"type": "string"}, secret or "x": {}}}
for line in sys.stdin:
    ask = json.loads(line)
    params = ask.get("params") or {}
    if ask.get("method") == "initialize":
        result = {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}},
                  "serverInfo": {"name": secret, "version": "1"}}
    elif ask.get("method") == "tools/list":
        names = ["read_note", "write_note", "frobnicate"] + ([secret, "**"] if secret else [])
        result = {"tools": [{"name": n, "description": f"{n} with {secret} {word}", "inputSchema": takes}
                            for n in names]}
    elif ask.get("method") == "tools/call":
        args = params.get("arguments") or {}
        said = f"{secret} {word} {base64.b64encode(secret.encode()).decode()} {secret.encode().hex()}"
        if args.get("how") == "error":
            error = {"code": -32000, "message": f"cannot: {said}", "data": {"env": secret}}
            print(json.dumps({"jsonrpc": "2.0", "id": ask["id"], "error": error}), flush=True)
            continue
        if args.get("how") == "stderr":
            sys.stderr.write(said + "\n")
            sys.stderr.flush()
        result = {"content": [{"type": "text", "text": said}], "isError": args.get("how") == "failed",
                  "_meta": {"x": secret}}
    else:
        continue
    print(json.dumps({"jsonrpc": "2.0", "id": ask["id"], "result": result}), flush=True)
"""


class Client:
    """Raw lines to and from `nucleus observe --mcp`."""

    def __init__(self, record: Path, command: list[str], *words: str, **env: str) -> None:
        kept = {k: os.environ[k] for k in ("PATH", "HOME", "LANG") if k in os.environ}
        argv = [*PROGRAM, "observe", "--mcp", *words, "--record", str(record), "--", *command]
        self.process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**kept, "PYTHONPATH": ROOMS, **env},
        )
        about = {"name": "client", "version": "1"}
        self.ask("hello", "initialize", {
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": about,
        })  # fmt: skip
        self.answer("hello")
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, number: int | str, method: str, params: dict[str, Any]) -> None:
        self.send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})

    def call(self, number: int, tool: str, **arguments: Any) -> None:
        self.ask(number, "tools/call", {"name": tool, "arguments": arguments})

    def next(self) -> dict[str, Any]:
        """The next answer; `ended` for none."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"ended": True}
        return answer

    def answer(self, number: int | str) -> dict[str, Any]:
        while (found := self.next()).get("id") != number:
            assert "ended" not in found, self.end()
        return found

    def end(self) -> str:
        """Hang up, and what it had to say."""
        _, said = self.process.communicate(timeout=60)
        return said.decode()
