"""An approver of another host, and what lies between: a host that shows one call and asks for
another, an approver who signs something else, an address that answers for another."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from nucleus.console.guests import read
from nucleus.couriers import Courier, Elsewhere, send, spelled
from nucleus.couriers import read as listed
from nucleus.home import Home
from nucleus_issuer.bundle import TrustedApprover
from nucleus_issuer.keys import Key
from nucleus_issuer.store import Store
from nucleus_tokens import writing
from nucleus_tokens.errors import CallerError, NucleusError
from nucleus_verifier.ports import PendingRequest
from tests.cli.command import PASSPHRASE, PROGRAM, Desk
from tests.console.stage import _link
from tests.sdk.stage import home
from tests.support import world

SECRET = "a secret of two hosts"


@dataclass
class Two:
    """A host that asks, and one whose person answers."""

    asks: Desk
    answers: Desk
    who: Elsewhere
    place: Home
    store: Store
    key: Key
    told: list[str]

    @property
    def courier(self) -> Courier:
        return Courier(self.place, self.store, (self.who,), self.told.append)

    def waits(self, name: str = "r", **changed: Any) -> PendingRequest:
        """A call that waits at the host that asks."""
        call = world.read("/srv/data/a.txt")
        shown = {
            "args": json.dumps(call.args, sort_keys=True, separators=(",", ":")),
            "args_whole": True,
            "chain": ["agent"],
            "exposure": [],
            "operation": "read_files",
            "resources": {"path": ["/srv/data/a.txt"]},
        }
        now = self.place.clock()
        given: dict[str, Any] = {
            "id": world.hex16(name)[:16],
            "created": now,
            "expires": now + 600,
            "tid": "11" * 16,
            "rid": world.hex16(name),
            "cell": "run:1",
            "operation": call.operation,
            "tool": call.tool,
            "call_digest": call.digest.hex(),
            "obligations": (("op:read_files", "a person is wanted"),),
            "shown": json.dumps(shown, sort_keys=True, separators=(",", ":")),
            **changed,
        }
        request = PendingRequest(**given)
        self.store.ask(request)
        return request


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    answers = Desk(tmp_path_factory.mktemp("answers"))
    answers.root.chmod(0o700)
    answers.file("passphrase", PASSPHRASE + b"\n")
    answers.run(
        "init", "--approver", "security", "--passphrase-file", answers.pass_file,
        "--dangerously-weak-keys-for-tests",
    ).ok()  # fmt: skip
    asks = home(tmp_path_factory.mktemp("asks"))
    there = Home.find(answers.home, {})
    key = there.approver("security", lambda _: PASSPHRASE)
    place = Home.find(asks.home, {})
    bundle = place.keyring().bundle()
    security = TrustedApprover("security", key.public, ("read_files",))
    path = place.keys_directory / "bundle.json"
    path.write_bytes(replace(bundle, approvers=(*bundle.approvers, security)).encode())
    secret = answers.file("secret", SECRET)
    argv = answers.argv(
        "console", "--port", 0, "--passphrase-file", answers.pass_file, "--accept", secret
    )
    process = subprocess.Popen(
        [*PROGRAM, *argv], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=answers.environ()
    )
    try:
        address, _ = _link(process)
        who = Elsewhere("security", f"http://{address}/v1", SECRET)
        with place.store() as store:
            yield Two(asks, answers, who, place, store, key, [])
    finally:
        process.terminate()
        _, rest = process.communicate(timeout=60)
        assert b"Traceback" not in rest, rest.decode()


def test_a_person_elsewhere_answers_and_is_believed_by_the_key(two: Two) -> None:
    courier = two.courier
    request = two.waits("yes")
    assert courier.once() == 0
    assert any(f"{request.id} can be answered at http://127.0.0.1" in line for line in two.told)
    assert two.answers.run("approvals", "list", "--json").json[0]["tool"] == request.tool
    words = ("--passphrase-file", two.answers.pass_file)
    two.answers.run("approvals", "approve", request.id, *words).ok()
    assert courier.once() == 1
    assert two.store.status(request.id).status == "approved"
    (given,) = two.store.in_force(request.rid)
    assert given.approval.approver == "security"
    denied = two.waits("no")
    courier.once()
    two.answers.run("approvals", "deny", denied.id, "--reason", "not on a Friday").ok()
    courier.once()
    assert two.store.status(denied.id).reason == "security: not on a Friday"
    gone = two.waits("gone")
    courier.once()
    two.store.withdraw(gone.id)
    courier.once()
    there = two.answers.run("approvals", "list", "--all", "--json").json
    assert {row["id"]: row["status"] for row in there}[gone.id] == "withdrawn"


def test_a_host_cannot_show_one_call_and_ask_for_another(two: Two) -> None:
    request = two.waits("lies")
    two.store.withdraw(request.id)
    true = spelled(request)
    now = two.place.clock()
    read(json.dumps(true).encode(), now)
    shown = json.loads(true["shown"])
    lies: list[dict[str, Any]] = [
        {"call_digest": "00" * 32},
        {"tool": "other"},
        {"shown": json.dumps({**shown, "args": '{"path":"/etc/passwd"}'})},
        {"shown": json.dumps({**shown, "args_whole": False})},
        {"shown": json.dumps({**shown, "operation": "write_files"})},
        {"shown": json.dumps({**shown, "args": '{"path":"a","path":"b"}'})},
        {"expires": now},
        {"expires": now + 10**6},
        {"operation": "everything"},
        {"id": "x"},
        {"v": 2},
        {"more": 1},
    ]
    for lie in lies:
        with pytest.raises(CallerError, match=r"desk\.request"):
            read(json.dumps({**true, **lie}).encode(), now)
    for other in (replace(two.who, secret="guessed"), replace(two.who, secret="")):
        with pytest.raises(NucleusError, match=r"approver\.answer"):
            send(other, "POST", "/requests", true)


class _Approver(BaseHTTPRequestHandler):
    """An approver's address in somebody else's hands."""

    reply: tuple[int, bytes, dict[str, str]] = (500, b"", {})

    def do_POST(self) -> None:
        status, body, headers = self.reply
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def answering(two: Two) -> Iterator[Courier]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Approver)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        who = replace(two.who, url=f"http://127.0.0.1:{server.server_port}/v1")
        yield Courier(two.place, two.store, (who,), two.told.append)
    finally:
        server.shutdown()
        server.server_close()


def test_whoever_has_the_address_has_no_key(two: Two) -> None:
    request = two.waits("forged")

    def signed(key: Key, **changed: Any) -> bytes:
        body: dict[str, Any] = {
            "approver": "security",
            "cell": request.cell,
            "count": 1,
            "digest": request.call_digest,
            "id": "22" * 16,
            "not_after": two.place.clock() + 600,
            "obligations": ["op:read_files"],
            "pattern": None,
            "rid": request.rid,
            "tid": request.tid,
            "v": 1,
            **changed,
        }
        made = writing.approval(body, key.private)
        text = base64.urlsafe_b64encode(made).rstrip(b"=").decode()
        return json.dumps({"approval": text}).encode()

    stranger = Key("approver", "security", world.public("person"), world.secret("person"))
    bad: list[tuple[int, bytes, dict[str, str]]] = [
        (201, signed(stranger), {}),
        (201, signed(two.key, rid="33" * 16), {}),
        (201, signed(two.key, tid="33" * 16), {}),
        (201, signed(two.key, cell="run:2"), {}),
        (201, signed(two.key, digest="00" * 32), {}),
        (201, signed(two.key, obligations=["gate:exposure", "op:read_files"]), {}),
        (201, signed(two.key, approver="alice"), {}),
        (201, signed(two.key, digest=None, count=9, pattern=[["tool", "in", ["read"]]]), {}),
        (201, b'{"approval":"!"}', {}),
        (201, b"{}", {}),
        (201, b"[" * 5000, {}),
        (202, b'{"poll":"http://elsewhere.example/requests/1"}', {}),
        (202, b'{"poll":"/../admin"}', {}),
        (302, b"", {"Location": "http://127.0.0.1:1/"}),
        (200, b"{}", {}),
    ]
    for reply in bad:
        _Approver.reply = reply
        with answering(two) as courier:
            assert courier.once() == 0, reply
        assert two.store.status(request.id).status == "pending", reply
    _Approver.reply = (202, b'{"poll":"/requests/1","user":"http://evil.example/"}', {})
    two.told.clear()
    with answering(two) as courier:
        courier.once()
    assert not any("evil" in line for line in two.told), "no address but the approver's is shown"
    _Approver.reply = (201, signed(two.key), {})
    with answering(two) as courier:
        assert courier.once() == 1


def test_an_address_is_what_the_operator_wrote(two: Two, tmp_path: Path) -> None:
    (tmp_path / "s").write_text(SECRET)
    os.chmod(tmp_path / "s", 0o600)
    form = 'version = 1\n[[approver]]\nname = "security"\nsecret_file = "s"\nurl = "{}"\n'
    for url, good in (
        ("https://approvals.example.org/v1", True),
        ("http://127.0.0.1:8767/v1", True),
        ("http://approvals.example.org/v1", False),
        ("https://security@evil.example/v1", False),
        ("file:///etc/passwd", False),
        ("", False),
    ):
        (tmp_path / "approvers.toml").write_text(form.format(url))
        os.chmod(tmp_path / "approvers.toml", 0o600)
        if good:
            assert listed(tmp_path)[0].url == url
        else:
            with pytest.raises(CallerError, match=r"approvers\.file"):
                listed(tmp_path)
    os.chmod(tmp_path / "s", 0o644)
    (tmp_path / "approvers.toml").write_text(form.format("https://approvals.example.org"))
    with pytest.raises(NucleusError, match=r"file\.permissions"):
        listed(tmp_path)
