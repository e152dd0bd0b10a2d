"""What every face shares: approvals, exposure, peers, and messages that Envoy understands."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any

import grpc.aio
import pytest

from nucleus_verifier.rpc import ext_authz_pb2
from nucleus_verifier.sidecar.answers import Admitted, Answer, Refused, Waiting
from nucleus_verifier.sidecar.asked import Asked
from nucleus_verifier.sidecar.checking import Remote
from tests.sidecar.stage import HOST, Sidecar, sidecar
from tests.support import world

AGENT = "spiffe://example.org/agent"
# Of the published protocol: envoy.service.auth.v3, envoy.config.core.v3, envoy.type.v3, google.rpc.
PUBLISHED = {
    "CheckRequest": {"attributes": 1},
    "AttributeContext": {"source": 1, "request": 4},
    "Peer": {"principal": 4},
    "Request": {"http": 2},
    "HttpRequest": {
        "id": 1, "method": 2, "headers": 3, "path": 4, "host": 5, "scheme": 6, "size": 9,
        "body": 11, "raw_body": 12,
    },
    "CheckResponse": {"status": 1, "denied_response": 2, "ok_response": 3},
    "Status": {"code": 1, "message": 2},
    "DeniedHttpResponse": {"status": 1, "headers": 2, "body": 3},
    "HttpStatus": {"code": 1},
    "OkHttpResponse": {"headers": 2, "headers_to_remove": 5},
    "HeaderValueOption": {"header": 1, "append_action": 3},
    "HeaderValue": {"key": 1, "value": 2},
}  # fmt: skip
DOORS = """
[listeners.believed]
convention = "forward-auth"
address = "unix:{0}/believed.sock"
peer = true
uid = {1}

[listeners.stranger]
convention = "forward-auth"
address = "unix:{0}/stranger.sock"
uid = {2}
"""


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    root = tmp_path_factory.mktemp("gate")
    doors = DOORS.format("{folder}", os.geteuid(), os.geteuid() + 1)
    with sidecar(root, doors) as made:
        yield made


async def check(tool: Sidecar, credential: str, target: str = "/notes/one", **more: Any) -> Answer:
    given = {"method": "GET", "host": HOST, "target": target} | more
    async with grpc.aio.insecure_channel(f"unix:{tool.folder}/own.sock") as channel:
        return await Remote(lambda: channel)(Asked(credential, **given))


def test_our_messages_have_the_published_field_numbers() -> None:
    found = ext_authz_pb2.DESCRIPTOR.message_types_by_name
    assert {
        name: {f.name: f.number for f in message.fields} for name, message in found.items()
    } == PUBLISHED


async def test_a_person_approves_and_the_same_call_passes_once(tool: Sidecar) -> None:
    from nucleus_issuer.desk import ApprovalDesk

    token = world.text(world.narrow(tool.mint(name="asks"), ["approve", ["read_files"]]))
    answer = await check(tool, token)
    assert isinstance(answer, Waiting)
    assert answer.obligations == ("op:read_files",)
    assert await check(tool, token) == answer, "asking again is the same question"
    with tool.home.store() as store:
        desk = ApprovalDesk(store, clock=tool.home.clock, random=os.urandom)
        desk.approve(answer.request, tool.home.approver("person", lambda _: b"y" * 20))
    assert isinstance(await check(tool, token, "/notes/two"), Waiting), "another call"
    assert isinstance(await check(tool, token), Admitted)
    assert isinstance(await check(tool, token), Waiting), "once"


async def test_nobody_says_who_the_peer_is_where_it_is_not_believed(tool: Sidecar) -> None:
    bound = tool.bearer(holder=world.Holder(AGENT, None), name="bound")
    assert isinstance(await check(tool, bound, peer=AGENT), Refused)
    sent = {"X-Original-Peer": AGENT}
    assert _forward(tool, "believed", bound, sent) == 200
    assert _forward(tool, "believed", bound, {}) == 403
    assert _forward(tool, "believed", bound, {"X-Original-Peer": AGENT + "2"}) == 403


async def test_only_the_gateways_user_may_ask(tool: Sidecar) -> None:
    assert _forward(tool, "believed", tool.bearer(), {}) == 200
    assert _forward(tool, "stranger", tool.bearer(), {}) == 403


def test_sockets_are_their_owners_alone(tool: Sidecar) -> None:
    for path in tool.folder.glob("*.sock"):
        assert path.stat().st_mode & 0o007 == 0, path


def _forward(tool: Sidecar, door: str, token: str, more: dict[str, str]) -> int:
    headers = {
        "Authorization": f"Bearer {token}", "X-Forwarded-Method": "GET",
        "X-Forwarded-Uri": "/notes/one", "X-Forwarded-Host": HOST, "Host": "sidecar",
    } | more  # fmt: skip
    lines = "".join(f"{key}: {value}\r\n" for key, value in headers.items())
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(20)
        sock.connect(str(tool.folder / f"{door}.sock"))
        sock.sendall(f"GET /check HTTP/1.1\r\nConnection: close\r\n{lines}\r\n".encode())
        return int(sock.recv(4096).split(b" ", 2)[1])
