"""What the proxy released carries its label; what it refused says everything it may say."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nucleus
from nucleus import (
    ApprovalRequired,
    BudgetExceeded,
    FileHandle,
    Label,
    NucleusError,
    PolicyDenied,
    Refused,
    StateBlocked,
    Text,
)
from nucleus.asks import answered
from nucleus.errors import refused
from nucleus.labeled import Public, Trusted, Untrusted
from nucleus.link import Link
from nucleus_proxy.answers import Refusal
from nucleus_tokens import labels
from nucleus_tokens.errors import WorldError

LABELS = st.integers(0, labels.TOP).filter(labels.valid).map(Label)
EXPOSURES = st.frozensets(st.sampled_from(("private_data", "untrusted_content", "exfil_vector")))
TEXTS = st.builds(Text, st.text(), LABELS, EXPOSURES)


@given(TEXTS, TEXTS, st.text())
def test_combining_joins(a: Text, b: Text, plain: str) -> None:
    both = a + b
    assert both.value == a.value + b.value
    assert a.label.flows_to(both.label)
    assert b.label.flows_to(both.label)
    assert both.label == b.label | a.label
    assert both.exposure == a.exposure | b.exposure
    for made in (a + plain, plain + a, a.map(lambda _: plain)):
        assert (made.label, made.exposure) == (a.label, a.exposure)
    assert str(plain + a) == plain + a.value
    assert Text.join(plain, [a, b]).value == plain.join((a.value, b.value))
    assert Text.join(plain, [a, b]).label == both.label


def test_a_handle_is_used_like_a_text() -> None:
    handle = FileHandle(
        "one\n", Label(labels.DEFAULT), frozenset(), path="/x", size=4, sha256="0" * 64
    )
    assert handle + "\n" == "one\n\n"
    assert len(handle) == 4
    assert "one" in handle
    assert "'one" not in repr(handle), "a text does not land in a log by accident"
    assert "integrity untrusted" in str(handle.label)
    with pytest.raises(TypeError):
        hash(handle)
    assert handle.labeled.at_least(Untrusted, Public).dangerously_bare == "one\n"
    with pytest.raises(NucleusError, match=r"labeled\.integrity"):
        handle.labeled.at_least(Trusted, Public)


ODD: list[Any] = [None, {}, *({"nucleus/label": odd} for odd in ({"bits": "x"}, {"bits": -1}, 3))]


@pytest.mark.parametrize("meta", ODD)
def test_what_has_no_label_is_as_bad_as_can_be(meta: Any) -> None:
    got = answered({"structuredContent": {}, "_meta": meta})
    assert got.label.bits == labels.TOP
    with pytest.raises(WorldError, match="no content"):
        got.text("content")


@pytest.mark.parametrize(
    ("code", "step", "kind"),
    [
        ("level.never", 9, PolicyDenied),
        ("scope.outside", 10, PolicyDenied),
        ("tool.unclassified", 9, PolicyDenied),
        ("approval.denied", 13, PolicyDenied),
        ("approval.required", 13, ApprovalRequired),
        ("approval.expired", 13, ApprovalRequired),
        ("budget.exhausted", 11, BudgetExceeded),
        ("budget.unknown", 11, BudgetExceeded),
        ("exposure.exceeded", 9, StateBlocked),
        ("flow.secret", 12, StateBlocked),
        ("token.revoked", 6, StateBlocked),
        ("token.expired", 7, StateBlocked),
        ("credential.refused", 0, StateBlocked),
        ("store.full", 0, WorldError),
    ],
)
def test_a_refusal_is_one_kind_of_exception(code: str, step: int, kind: type[NucleusError]) -> None:
    told = Refusal(code, step, "It is so.", "Do that.", '["x"]', "somebody", ("op:x",))
    error = refused(json.loads(json.dumps(told.fields())), "a_tool")
    assert type(error) is kind
    assert isinstance(error, NucleusError)
    assert (error.code, error.message, error.hint) == (code, "It is so.", "Do that.")
    if isinstance(error, Refused):
        for part in ("a_tool", "It is so.", code, "Do that.", '["x"]', "somebody"):
            assert part in str(error)
        assert error.obligations == ("op:x",)


def test_every_name_is_there_and_importing_reads_nothing() -> None:
    for name in nucleus.__all__:
        assert getattr(nucleus, name) is not None
    with pytest.raises(AttributeError):
        _ = nucleus.nothing  # type: ignore[attr-defined]
    program = (
        "import sys, nucleus; "
        "print([m for m in sys.modules if m.startswith(('nucleus', 'nacl', 'typer', 'asyncio'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.decode().strip() == "['nucleus']"
    program = "import sys; from nucleus import Session, approve; from nucleus.tools import fs; "
    program += "print([m for m in sys.modules if m.split('_')[-1] in ('issuer', 'proxy', 'vmhost')"
    program += " and '.' not in m])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.decode().strip() == "[]", "this side can neither mint nor decide"


# The connection ---------------------------------------------------------------------------------


def _pair() -> tuple[Link, socket.socket]:
    ours, theirs = socket.socketpair()
    return Link(ours), theirs


@pytest.mark.parametrize(
    "garbage", [b"not json\n", b"[]\n", b'{"id":1,"result":3}\n', b"\xff\n", b""]
)
def test_a_peer_that_speaks_otherwise_ends_the_session(garbage: bytes) -> None:
    link, peer = _pair()
    _, future = link.ask("x", {})
    peer.recv(4096)
    peer.sendall(garbage)
    peer.close()
    error = future.exception(60)
    assert error is None or isinstance(error, NucleusError)
    with pytest.raises(WorldError, match=r"session\.ended"):
        _until_ended(link)
    link.close()


def _until_ended(link: Link) -> None:
    while True:
        link.ask("x", {})[1].result(60)


def test_answers_come_in_any_order_and_any_pieces() -> None:
    link, peer = _pair()
    futures = dict(link.ask("x", {"n": n}) for n in range(5))
    with peer.makefile("rb") as lines:
        for _ in futures:
            lines.readline()
    for number in reversed(futures):
        line = json.dumps({"jsonrpc": "2.0", "id": number, "result": {"of": number}}) + "\n"
        for piece in (line[:7], line[7:]):
            peer.sendall(piece.encode())
    for number, future in futures.items():
        assert future.result(60) == {"of": number}
    link.close()
    peer.close()


def test_a_descriptor_comes_with_its_answer() -> None:
    link, peer = _pair()
    number, future = link.ask("x", {})
    left, right = os.pipe()
    line = json.dumps({"jsonrpc": "2.0", "id": number, "result": {"connection": True}}) + "\n"
    socket.send_fds(peer, [line.encode()], [left])
    os.close(left)
    given = future.result(60)["connection"]
    assert not os.get_inheritable(given)
    os.write(right, b"x")
    assert os.read(given, 1) == b"x"
    for each in (given, right):
        os.close(each)
    link.close()
    peer.close()


def test_progress_that_fails_does_not_end_the_session(caplog: pytest.LogCaptureFixture) -> None:
    link, peer = _pair()
    heard = threading.Event()

    def fail(_: str) -> None:
        heard.set()
        raise ValueError("the program's own")

    number, future = link.ask("x", {}, fail)
    told = {"jsonrpc": "2.0", "method": "notifications/progress",
            "params": {"progressToken": number, "message": "waiting"}}  # fmt: skip
    done = {"jsonrpc": "2.0", "id": number, "result": {}}
    peer.sendall("".join(json.dumps(each) + "\n" for each in (told, done)).encode())
    assert future.result(60) == {}
    assert heard.is_set()
    assert "the program's own" in caplog.text
    link.close()
    peer.close()
