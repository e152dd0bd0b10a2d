"""There is one place that writes a call to a server; a second one would need no permit."""

from __future__ import annotations

import ast

import pytest

from nucleus_proxy import wire
from nucleus_proxy.link import ServerLink
from nucleus_tokens.errors import CallerError
from tests.house.source import PACKAGES, python_files, tree

# Who writes bytes to a stream or a file, and what.
WRITERS = {
    "forward.py": "the call under its permit",
    "front.py": "a call by gRPC, as its own agent's client of MCP: judged at the other end",
    "fs.py": "a file under its permit",
    "http1.py": "a request to a host, under its permit",
    "httpd.py": "what goes back to a client of the road outward",
    "link.py": "whole lines that are no calls, and what goes to the client",
    "member.py": "what a relay wrote to one of many servers, a call after its permit was used",
    "serve.py": "the hello to a client",
    "tunnel.py": "the bytes of a tunnel that was decided",
    "tracefile.py": "the copy of the trace, and reveals",
}


def test_bytes_are_written_in_few_places() -> None:
    found = {
        path.name
        for path in python_files(PACKAGES["nucleus_proxy"])
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("write", "writelines", "sendall", "send_bytes")
    }
    assert found == set(WRITERS)


def test_only_the_effect_uses_a_permit() -> None:
    found = {
        path.parent.name
        for path in python_files(PACKAGES["nucleus_proxy"])
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "use"
    }
    assert found == {"effects"}


async def test_the_link_refuses_a_call() -> None:
    class Nothing:
        def write(self, data: bytes) -> None:
            raise AssertionError(data)

        async def drain(self) -> None: ...
        def close(self) -> None: ...

    link = ServerLink(Nothing(), "nucleus-")
    frame = wire.parse(b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}')
    with pytest.raises(CallerError, match="needs a permit"):
        await link.pass_on(frame)
    with pytest.raises(CallerError, match="needs a permit"):
        await link.ask("tools/call", {})
