"""Law: the least MCP server there is: one tool that returns its arguments, one line per message.

Standard library and nothing else, so that what is measured around it is not it.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final

TOOL: Final = "echo"
_TOOLS: Final = [
    {
        "name": TOOL,
        "description": "Returns its arguments.",
        "inputSchema": {"type": "object"},
    }
]


def answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """The result of one request."""
    if method == "initialize":
        return {
            "protocolVersion": params.get("protocolVersion", "2025-06-18"),
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "echo", "version": "1"},
        }
    if method == "tools/list":
        return {"tools": _TOOLS}
    if method == "tools/call":
        text = json.dumps(params.get("arguments", {}))
        return {"content": [{"type": "text", "text": text}], "isError": False}
    return {}


def main() -> int:
    """Answer until the input ends."""
    for line in sys.stdin.buffer:
        message = json.loads(line)
        if "id" in message and "method" in message:
            result = answer(message["method"], message.get("params") or {})
            reply = {"jsonrpc": "2.0", "id": message["id"], "result": result}
            sys.stdout.buffer.write(json.dumps(reply, separators=(",", ":")).encode() + b"\n")
            sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
