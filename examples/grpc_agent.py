r"""An agent that knows of gRPC, of the protocol and of nothing else. Behind a wall:

    nucleus run --local --profile read-only --show VENV --env PYTHONPATH=SITE-PACKAGES \
        -- VENV/bin/python grpc_agent.py

It prints what it heard, a line of JSON for each call.
"""

from __future__ import annotations

import json
import os
from typing import Any

import grpc

from nucleus_proxy.rpc import tools_pb2 as pb
from nucleus_proxy.rpc import tools_pb2_grpc as api

CALLS: tuple[tuple[str, bytes], ...] = (
    ("fs_read", b'{"path": "README.md"}'),  # ok
    ("git_push", b'{"repo": ".", "remote": "origin", "branch": "main"}'),  # forbidden
    ("no_such_tool", b"{}"),
    ("fs_read", b'{"path": "README.md", "path": ".env"}'),  # no JSON: a key stands there twice
)


def said(tools: Any, tool: str, arguments: bytes) -> dict[str, Any]:
    """What came of one call. It does not wait where a person must approve."""
    try:
        request = pb.CallRequest(tool=tool, arguments=arguments, no_wait=True)
        for event in tools.Call(request):
            result = event.result  # the last event is the result; others say what it waits for
    except grpc.RpcError as error:
        ended: Any = error
        return {"status": ended.code().name, **dict(ended.trailing_metadata())}
    match result.WhichOneof("outcome"):
        case "value":
            return {"value": result.value.text, "exposure": list(result.seen.exposure)}
        case "refused":
            return {"refused": result.refused.code, "hint": result.refused.hint}
        case _:
            return {"failed": result.failed.code}


def main() -> None:
    """Ask what there is, and call some of it."""
    with grpc.insecure_channel(os.environ["NUCLEUS_TOOLS_GRPC"]) as channel:
        tools: Any = api.ToolsStub(channel)  # type: ignore[no-untyped-call]  # generated
        print(json.dumps([tool.name for tool in tools.List(pb.ListRequest()).tools]))
        for tool, arguments in CALLS:
            print(json.dumps(said(tools, tool, arguments)))


if __name__ == "__main__":
    main()
