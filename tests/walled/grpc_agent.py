"""An agent that knows of gRPC, of the protocol and of nothing else; run inside of a wall.

It prints what it heard, a line of JSON for each call.
"""

from __future__ import annotations

import json
import os
from typing import Any

import grpc

from nucleus_proxy.rpc import tools_pb2 as pb
from nucleus_proxy.rpc import tools_pb2_grpc as api

ASKED: tuple[tuple[str, dict[str, str]], ...] = (
    ("fs_read", {"path": "README.md"}),
    ("git_push", {"repo": ".", "remote": "origin", "branch": "main"}),
    ("no_such_tool", {}),
)


def said(tools: Any, tool: str, arguments: bytes) -> dict[str, object]:
    """What came of one call."""
    try:
        *waits, last = tools.Call(pb.CallRequest(tool=tool, arguments=arguments, no_wait=True))
    except grpc.RpcError as error:
        ended: Any = error
        return {"status": ended.code().name, **dict(ended.trailing_metadata())}
    assert not waits
    result = last.result
    kind = result.WhichOneof("outcome")
    told = {
        "refused": result.refused.code,
        "failed": result.failed.code,
        "value": result.value.text,
    }
    return {str(kind): told[str(kind)], "exposure": list(result.seen.exposure)}


def main() -> None:
    """Ask for everything there is, and call some of it."""
    with grpc.insecure_channel(os.environ["NUCLEUS_TOOLS_GRPC"]) as channel:
        tools: Any = api.ToolsStub(channel)  # type: ignore[no-untyped-call]
        print(json.dumps([tool.name for tool in tools.List(pb.ListRequest()).tools]))
        for tool, arguments in ASKED:
            print(json.dumps(said(tools, tool, json.dumps(arguments).encode())))
        print(json.dumps(said(tools, "fs_read", b'{"path":"README.md","path":".env"}')))


if __name__ == "__main__":
    main()
