"""What is behind a wall is answered as itself, while whoever made the wall is there."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from spiffe import SpiffeId, TrustDomain, WorkloadApiClient
from spiffe._proto import workload_pb2 as pb
from spiffe._proto import workload_pb2_grpc as api

from nucleus import identities
from nucleus.cli import main
from nucleus.identities import Identity
from nucleus_issuer.identity.attest import Acceptor
from nucleus_issuer.identity.registry import Peer
from tests.identity.host import DOMAIN, SECONDS, Host, as_user, host

UID = os.getuid()
NAMES = ("0123456789abcdef", "fedcba9876543210")
REGISTRY = f"""
[[workload]]
id = "spiffe://example.org/vm"
uid = {UID}
each = "vm"
audiences = ["billing", "search"]
[[workload]]
id = "spiffe://example.org/other"
uid = {UID + 1}
each = "local"
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with host(tmp_path_factory.mktemp("identity"), REGISTRY) as made:
        yield made


def asked(running: Host, kind: str, name: str, said: list[str]) -> Identity | None:
    return identities.asked(running.folder / "walls.sock", kind, name, said.append)


def wall(running: Host, name: str) -> Identity:
    found = asked(running, "vm", name, [])
    assert found is not None
    return found


def client(folder: Path) -> WorkloadApiClient:
    return WorkloadApiClient(f"unix://{folder / identities.SOCKET}", default_timeout=SECONDS)


def test_two_walls_have_two_identities_and_two_keys(running: Host, tmp_path: Path) -> None:
    found = {}
    for name in NAMES:
        folder = tmp_path / name
        folder.mkdir()
        with wall(running, name) as one:
            assert one.id == f"spiffe://example.org/vm/{name}"
            one.listening(folder)
            with client(folder) as agent:
                svids = agent.fetch_x509_svids()
                assert [str(svid.spiffe_id) for svid in svids] == [f"{one.id}/agent"]
                found[name] = svids[0]
                domain = TrustDomain(DOMAIN)
                assert agent.fetch_x509_bundles().get_bundle_for_trust_domain(domain) is not None
    first, second = (found[name].leaf for name in NAMES)
    assert first.public_key() != second.public_key()
    lives = first.not_valid_after_utc - first.not_valid_before_utc
    assert lives.total_seconds() <= 660, "it cannot be taken back"


def test_a_jwt_is_for_the_audiences_of_the_registry_alone(running: Host, tmp_path: Path) -> None:
    with wall(running, NAMES[0]) as one:
        one.listening(tmp_path)
        with client(tmp_path) as agent:
            assert str(agent.fetch_jwt_svid({"billing"}).spiffe_id) == f"{one.id}/agent"
            for audience in ({"issuer"}, {"billing", "issuer"}):
                with pytest.raises(Exception, match="no such audience"):
                    agent.fetch_jwt_svid(audience)
            with pytest.raises(Exception, match="no such identity"):
                agent.fetch_jwt_svid({"billing"}, subject=SpiffeId(one.id))


def test_a_flood_of_one_agent_is_bounded_and_others_are_answered(
    running: Host, tmp_path: Path
) -> None:
    with wall(running, NAMES[0]) as one, wall(running, NAMES[1]) as other:
        (tmp_path / "other").mkdir()
        one.listening(tmp_path)
        other.listening(tmp_path / "other")
        with grpc.insecure_channel(f"unix://{tmp_path / identities.SOCKET}") as channel:
            stub = api.SpiffeWorkloadAPIStub(channel)  # type: ignore[no-untyped-call]  # generated
            proof = (("workload.spiffe.io", "true"),)
            # Each is held open; those beyond the bound end at once.
            calls = [stub.FetchX509SVID(pb.X509SVIDRequest(), metadata=proof) for _ in range(64)]
            ends: list[object] = []
            for call in calls:
                try:
                    ends.append(len(next(call).svids))
                except grpc.RpcError as refused:
                    ends.append(refused.code())
            assert ends.count(1) == 32
            assert ends.count(grpc.StatusCode.RESOURCE_EXHAUSTED) == 32
            with client(tmp_path / "other") as agent:
                assert str(agent.fetch_x509_svid().spiffe_id) == f"{other.id}/agent"


def test_it_ends_with_whoever_made_the_wall(running: Host, tmp_path: Path) -> None:
    with wall(running, NAMES[0]) as one:
        one.listening(tmp_path)
        with client(tmp_path) as agent:
            agent.fetch_x509_svid()
        held = socket.socket(socket.AF_UNIX)
        held.settimeout(SECONDS)
        held.connect(os.fspath(tmp_path / identities.SOCKET))
    with held:
        while held.recv(4096):
            pass  # until it is closed
    with pytest.raises(ConnectionRefusedError), socket.socket(socket.AF_UNIX) as late:
        late.connect(os.fspath(tmp_path / identities.SOCKET))


async def test_who_comes_while_it_ends_is_not_kept_waiting() -> None:
    async def nowhere(_: Peer) -> Path:
        raise AssertionError("nobody is led anywhere")

    loop, acceptor = asyncio.get_running_loop(), Acceptor(nowhere, exe=False)
    ends = [socket.socketpair() for _ in range(2)]
    first, second = [await asyncio.open_unix_connection(sock=ours) for ours, _ in ends]
    acceptor.connected(*first)
    await acceptor.close()
    acceptor.connected(*second)
    for _, theirs in ends:
        theirs.setblocking(False)
        with theirs:
            assert await asyncio.wait_for(loop.sock_recv(theirs, 1), SECONDS) == b""


def test_who_is_not_listed_starts_no_wall(running: Host) -> None:
    said: list[str] = []
    assert asked(running, "local", NAMES[0], said) is None
    assert "does not let you" in said[0]
    for name in ("", "agent", "../agent", "0123456789abcdeF", "0" * 64, NAMES[0] + "/agent"):
        assert asked(running, "vm", name, said) is None
        assert "no name" in said[-1]


def test_where_nobody_serves_there_is_none_and_nothing_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    assert identities.asked(tmp_path / "walls.sock", "vm", NAMES[0], said.append) is None
    assert said == []


def test_doctor_says_who_agents_are(
    running: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def said() -> str:
        main(["--home", str(running.home), "doctor", "--json"])
        found = json.loads(capsys.readouterr().out)["findings"]
        return " ".join(each["says"] for each in found if each["what"] == "identity")

    assert "no SPIFFE identity: nobody serves" in said()
    monkeypatch.setenv(identities.VARIABLE, f"unix://{running.folder / 'workload.sock'}")
    assert "An agent of run --vm is spiffe://example.org/vm/NAME/agent." in said()


_ASK = """
import json, socket
with socket.socket(socket.AF_UNIX) as asking:
    asking.connect(sys.argv[1].removeprefix("unix://"))
    asking.sendall(json.dumps({"kind": "vm", "name": "0123456789abcdef"}).encode())
    print(asking.recv(4096))
"""


def test_another_user_starts_no_wall_of_ours(running: Host) -> None:
    if UID != 0:
        pytest.fail("run this as root: it needs a process of another user")
    assert "does not let you" in as_user(65534, running.folder / "walls.sock", _ASK)


@pytest.mark.parametrize("what", ["nothing", "file", "not listening", "inet", "late"])
def test_whatever_is_handed_over_the_service_goes_on(
    running: Host, tmp_path: Path, what: str
) -> None:
    with socket.socket(socket.AF_UNIX) as asking, (tmp_path / "file").open("wb") as file:
        asking.settimeout(SECONDS)
        asking.connect(os.fspath(running.folder / "walls.sock"))
        asking.sendall(json.dumps({"kind": "vm", "name": NAMES[0]}).encode())
        assert b"spiffe://" in asking.recv(4096)
        made = socket.socket(socket.AF_INET if what == "inet" else socket.AF_UNIX)
        with made:
            given = {"nothing": [], "file": [file.fileno()]}
            if what == "inet":
                made.bind(("127.0.0.1", 0))
                made.listen()
            if what != "late":
                socket.send_fds(asking, [b"+"], given.get(what, [made.fileno()]))
                assert asking.recv(1) == b"", "it hangs up"
    with wall(running, NAMES[1]) as one:
        assert one.id.endswith(NAMES[1])


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"1", b'{"kind": "vm"}', b"[" * 256, b"\xff"])
def test_any_words_are_refused_with_a_sentence(running: Host, line: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(SECONDS)
        asking.connect(os.fspath(running.folder / "walls.sock"))
        asking.sendall(line) if line else asking.shutdown(socket.SHUT_WR)
        assert b"error" in asking.recv(4096)
