"""Clients that are slow, half-open or many: whoever is in order is answered meanwhile."""

from __future__ import annotations

import asyncio
import http.client
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc.aio
import pytest

from nucleus_verifier.sidecar.answers import Admitted
from nucleus_verifier.sidecar.asked import Asked
from nucleus_verifier.sidecar.checking import SERVICE, Remote
from nucleus_verifier.sidecar.serve import MOST_WAITING
from tests.proxy import raw_h2 as h2
from tests.sidecar.stage import HOST, Sidecar, sidecar
from tests.support import world

SECONDS = 30.0
MOST = 16
LISTENERS = f"""
[listeners.gate]
convention = "forward-auth"
address = "unix:{{folder}}/gate.sock"
connections = {MOST}

[listeners.bodies]
convention = "envoy-http"
address = "unix:{{folder}}/bodies.sock"
connections = {MOST}
"""


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with sidecar(tmp_path_factory.mktemp("slow"), LISTENERS) as made:
        yield made


def connected(tool: Sidecar, name: str) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(SECONDS)
    made.connect(str(tool.folder / f"{name}.sock"))
    return made


def good(tool: Sidecar, name: str) -> int:
    """A request in order, on a connection of its own."""
    token = tool.bearer(world.levels(read_files="always"), name=name)
    path = "/check/notes/one" if name == "bodies" else "/"
    lines = [f"GET {path} HTTP/1.1", f"Authorization: Bearer {token}"]
    if name == "bodies":
        lines += [f"Host: {HOST}"]
    else:
        lines += [
            "Host: gate", "X-Forwarded-Method: GET", f"X-Forwarded-Host: {HOST}",
            "X-Forwarded-Uri: /notes/one",
        ]  # fmt: skip
    with connected(tool, name) as sock:
        sock.sendall("\r\n".join((*lines, "", "")).encode())
        answer = http.client.HTTPResponse(sock)
        answer.begin()
        answer.read()
        return answer.status


@pytest.mark.parametrize("name", ["gate", "bodies"])
@pytest.mark.parametrize(
    "sent", [b"", b"GET / HTT", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"\0" * 100]
)
def test_half_a_request_on_every_connection_there_may_be(
    tool: Sidecar, name: str, sent: bytes
) -> None:
    with ExitStack() as stack:
        for _ in range(2 * MOST):
            sock = stack.enter_context(connected(tool, name))
            try:
                sock.sendall(sent)
            except OSError:
                pass  # it had to make room
        for _ in range(3):
            assert good(tool, name) == 200


def test_bodies_that_never_arrive_end_by_themselves(tool: Sidecar) -> None:
    token = tool.bearer(world.levels(write_files="always"), name="slow")
    head = (
        f"POST /check/notes HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\n"
        "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
    ).encode()
    with ExitStack() as stack:
        slow = [stack.enter_context(connected(tool, "bodies")) for _ in range(MOST - 2)]
        for each in slow:
            each.sendall(head)
        assert good(tool, "bodies") == 200, "others are answered while they wait"
        for each in slow:
            answer = http.client.HTTPResponse(each)
            answer.begin()
            assert answer.status == 403


async def test_connections_that_say_nothing_to_grpc_keep_nobody_waiting(tool: Sidecar) -> None:
    token = tool.bearer(world.levels(read_files="always"), name="quiet")
    with ExitStack() as stack:
        for sent in (b"", b"PRI * HTTP/2.0\r\n", b"GET / HTTP/1.1\r\n\r\n") * 30:
            sock = stack.enter_context(connected(tool, "own"))
            sock.sendall(sent)
        async with grpc.aio.insecure_channel(f"unix:{tool.folder}/own.sock") as channel:
            for _ in range(3):
                answer = await Remote(lambda: channel)(Asked(token, "GET", HOST, "/notes/one"))
                assert isinstance(answer, Admitted), tool.log[-3:]


async def test_more_calls_at_once_than_a_connection_takes_are_all_answered(tool: Sidecar) -> None:
    """The client waits with those that are too many, and none that it sends then is refused."""
    token = tool.bearer(world.levels(read_files="always"), name="many")
    asked = Asked(token, "GET", HOST, "/notes/one")
    async with grpc.aio.insecure_channel(f"unix:{tool.folder}/own.sock") as channel:
        ask = Remote(lambda: channel)
        answers = await asyncio.gather(*(ask(asked) for _ in range(3 * MOST_WAITING)))
    assert {type(answer) for answer in answers} == {Admitted}, tool.log[-3:]


async def test_calls_that_are_dropped_at_once_keep_nobody_waiting(tool: Sidecar) -> None:
    """Opened and reset, ten thousand times on each of four connections."""
    token = tool.bearer(world.levels(read_files="always"), name="dropped")
    before = tool.memory()
    for _ in range(4):
        reader, writer = await asyncio.open_unix_connection(tool.folder / "own.sock")
        writer.write(h2.hello())
        hearing = asyncio.ensure_future(reader.read())
        for stream in range(1, 20_001, 2):
            head = h2.headers(f"/{SERVICE}/Check")
            writer.write(h2.frame(h2.HEADERS, head, flags=h2.END_HEADERS, stream=stream))
            writer.write(h2.reset(stream))
            await writer.drain()
        async with grpc.aio.insecure_channel(f"unix:{tool.folder}/own.sock") as channel:
            answer = await Remote(lambda: channel)(Asked(token, "GET", HOST, "/notes/one"))
        assert isinstance(answer, Admitted), tool.log[-3:]
        writer.close()
        refused = [kind for kind, *_ in h2.frames(await hearing) if kind == h2.RST]
        assert refused, "its other bounds"
    assert tool.memory() < before + (64 << 20)


def test_the_number_of_connections_is_part_of_the_file(tmp_path: Path) -> None:
    from nucleus_tokens.errors import CallerError
    from nucleus_verifier.sidecar.settings import load

    text = (
        'version=1\ninstance="i"\nroutes=[]\n[listeners.a]\nconvention="{}"\n'
        'address="unix:/run/a"\nconnections={}\n'
    )
    assert load(tmp_path, text.format("nginx", 5).encode()).listeners[0].connections == 5
    for convention, most in (("nginx", 0), ("check", 5)):
        with pytest.raises(CallerError, match="connections"):
            load(tmp_path, text.format(convention, most).encode())
