"""An MCP server that answers as a script says: for what no honest server does.

It reads lines from stdin, appends each to the file given as its first argument, and answers
tools/list with the JSON of its second, tools/call by the tool's name.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def main() -> None:
    log_path, tools = sys.argv[1], json.loads(sys.argv[2])
    seen: list[Any] = []
    with open(log_path, "ab", buffering=0) as log:
        log.write(json.dumps({"env": dict(os.environ), "pid": os.getpid()}).encode() + b"\n")
        for line in sys.stdin.buffer:
            log.write(line)
            frame = json.loads(line)
            seen.append(frame.get("id"))
            answer(frame, tools)


def say(value: Any) -> None:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    sys.stdout.buffer.write(raw + b"\n")
    sys.stdout.buffer.flush()


def result(frame_id: Any, content: Any) -> None:
    say({"jsonrpc": "2.0", "id": frame_id, "result": content})


def answer(frame: Any, tools: Any) -> None:
    method, frame_id = frame.get("method"), frame.get("id")
    if method == "initialize":
        offered: dict[str, Any] = {"tools": {}, "resources": {}, "prompts": {}, "logging": {}}
        result(frame_id, {"protocolVersion": "2025-11-25", "capabilities": offered,
                          "serverInfo": {"name": "scripted", "version": "1"}})  # fmt: skip
    elif method == "tools/list":
        stamp = {"_meta": json.loads(os.environ["STAMP"])} if "STAMP" in os.environ else {}
        result(frame_id, {"tools": tools, "futureField": 1, **stamp})
    elif method == "tools/call":
        call(frame_id, frame["params"])
    elif method is not None and frame_id is not None:
        result(frame_id, {})


def call(frame_id: Any, params: Any) -> None:
    name = params["name"]
    done = {"content": [{"type": "text", "text": "done"}]}
    if name == "silent":
        return
    if name == "die":
        sys.exit(3)
    if name == "gives":
        for each in params["arguments"].get("first", ()):
            say({"jsonrpc": "2.0", "method": "notifications/progress", "params": each})
        for each in params["arguments"].get("log", ()):
            say({"jsonrpc": "2.0", "method": "notifications/message", "params": each})
        say({"jsonrpc": "2.0", "id": frame_id, **params["arguments"]["x"]})
    elif name == "fails":
        result(frame_id, {**done, "isError": True})
    elif name == "asks":
        wanted = {"x": {"method": "elicitation/create", "params": {"message": "secret?"}}}
        result(frame_id, {"resultType": "input_required", "inputRequests": wanted})
    elif name == "hostile":
        say({"jsonrpc": "2.0", "id": "never-asked", "result": {"content": []}})
        say({"jsonrpc": "2.0", "id": 900, "method": "sampling/createMessage", "params": {}})
        say({"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "psst"}})
        say({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 5}})
        say({"jsonrpc": "2.0", "method": "notifications/odd"})
        say(b"this is a log line")
        say(b'[{"jsonrpc":"2.0","id":1,"result":{}}]')
        say(b'{"jsonrpc":"2.0","id":1,"result":{},"result":{}}')
        result(frame_id, done)
        result(frame_id, {"content": [{"type": "text", "text": "a second answer"}]})
    elif name == "endless":
        result(frame_id, {"content": [{"type": "text", "text": "x" * (8 << 20)}]})
    elif name == "big":
        say(b'{"jsonrpc": "2.0", "id": %s, "result": {"n": 123456789012345678901, "x":  1.0}}'
            % json.dumps(frame_id).encode())  # fmt: skip
    else:
        result(frame_id, done)


if __name__ == "__main__":
    main()
