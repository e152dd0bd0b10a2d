"""Somebody presents what is not his, or the same request twice, or another call's request."""

from __future__ import annotations

from typing import Any

import pytest

from nucleus_tokens import canonical, chain, crypto
from nucleus_tokens.chain import UnverifiedToken
from nucleus_tokens.header import Holder
from tests.support import world
from tests.support.judging import allowed, denied, judge
from tests.support.world import NOW

READ = world.read()
ME = "spiffe://test/agent"
BY_KEY = world.AGENT
BY_PEER = Holder(ME, None)
BY_BOTH = Holder(ME, world.public("agent"))
CARRIED: dict[str, Any] = {"channel": "carried"}


def test_a_stolen_token_without_its_key() -> None:
    """The token alone, as it lies in a file or a log: nothing without the holder's signature."""
    token = world.mint()
    denied(judge(token, READ, **CARRIED), 5, "request.missing")
    denied(judge(token, READ, **CARRIED, peer=ME), 5, "request.missing")
    denied(
        judge(world.request(token, READ, "thief"), READ, like=token, **CARRIED),
        5,
        "proof.signature",
    )


@pytest.mark.parametrize("channel", ["", "hel", "HELD", "held ", "pipe", "unknown"])
def test_a_channel_that_nobody_knows_is_no_private_pipe(channel: str) -> None:
    denied(judge(world.mint(), READ, channel=channel), 5, "request.missing")


def test_a_request_without_a_proof() -> None:
    token = world.mint()
    credential = world.request(token, READ)
    bare = credential.partition(".")[0]
    denied(judge(bare, READ, like=token, **CARRIED), 5, "proof.missing")


def test_only_a_bearer_token_is_carried_bare() -> None:
    allowed(judge(world.mint(holder=world.BEARER), READ, **CARRIED))
    allowed(judge(world.mint(holder=BY_PEER), READ, **CARRIED, peer=ME))
    for holder in (BY_KEY, BY_BOTH):
        denied(judge(world.mint(holder=holder), READ, **CARRIED, peer=ME), 5, "request.missing")


@pytest.mark.parametrize(
    "peer", [None, "spiffe://test/agent2", "spiffe://test/agen", "", ME.upper()]
)
def test_the_connection_is_somebody_elses(peer: str | None) -> None:
    denied(judge(world.mint(holder=BY_PEER), READ, **CARRIED, peer=peer), 5, "request.missing")
    both = world.mint(holder=BY_BOTH)
    credential = world.request(both, READ)
    denied(judge(credential, READ, like=both, **CARRIED, peer=peer), 5, "holder.peer")
    # The key alone is not enough where both are named, and neither is the connection.
    bare = credential.partition(".")[0]
    denied(judge(bare, READ, like=both, **CARRIED, peer=ME), 5, "proof.missing")
    allowed(judge(credential, READ, like=both, **CARRIED, peer=ME))


def test_a_proof_over_nothing() -> None:
    """A signature without a request could be shown for anything."""
    token = world.mint()
    message = chain.proof_message(token.identifier, token.caveats)
    text = world.text(token, crypto.sign(world.secret("agent"), message))
    for channel in ("held", "carried"):
        denied(judge(text, READ, like=token, channel=channel), 5, "proof.without_request")


def test_a_proof_by_nobody() -> None:
    """Where the holder has no key, no signature proves anything."""
    token = world.mint(holder=Holder(None, None))
    denied(judge(world.request(token, READ), READ, like=token), 5, "proof.signature")


# A stolen request -----------------------------------------------------------------------------


def test_replayed() -> None:
    token = world.mint()
    credential = world.request(token, READ)
    allowed(judge(credential, READ, **CARRIED))
    denied(judge(credential, READ, **CARRIED, nonce_seen=True), 5, "request.replayed")


def test_the_nonce_is_remembered_as_long_as_the_request_is_fresh() -> None:
    """A request from the future is fresh for longest: until then its nonce must be known."""
    for shift in (-60, 0, 60):
        credential = world.request(world.mint(), READ, time=NOW + shift)
        intent = allowed(judge(credential, READ, **CARRIED))
        assert intent.nonce is not None
        nonce, until = intent.nonce
        assert nonce == world.hex16("nonce")
        assert until >= NOW + shift + 60


@pytest.mark.parametrize("shift", [-61, 61, -3600, 3600, -NOW])
def test_stale_or_from_the_future(shift: int) -> None:
    credential = world.request(world.mint(), READ, time=NOW + shift)
    denied(judge(credential, READ, **CARRIED), 5, "request.stale")


@pytest.mark.parametrize(
    "other",
    [
        world.read("/srv/data/b.txt"),
        world.read(tool="fs.read2"),
        world.write(),
        world.call("fs.read", "read_files", {"path": "/srv/data/a.txt", "n": 1}),
        world.call("fs.read", "read_files", {}),
    ],
)
def test_used_for_another_call(other: Any) -> None:
    credential = world.request(world.mint(), READ)
    denied(judge(credential, other, **CARRIED), 5, "request.other_call")


def test_arguments_that_only_look_the_same() -> None:
    """1, 1.0 and true are one key in a dictionary and three values to a tool; texts that look
    the same are different names."""
    pairs: list[tuple[Any, Any]] = [
        (1, True),
        (0, False),
        ("1", 1),
        ("é", "e\u0301"),
        (None, "null"),
    ]
    for a, b in pairs:
        first, second = (world.call("t", "read_files", {"x": v}) for v in (a, b))
        credential = world.request(world.mint(), first)
        allowed(judge(credential, first, **CARRIED))
        denied(judge(credential, second, **CARRIED), 5, "request.other_call")


def test_shown_to_another_verifier() -> None:
    credential = world.request(world.mint(), READ)
    denied(judge(credential, READ, **CARRIED, instance="verifier:two"), 5, "request.other_verifier")


def test_a_request_does_not_lend_its_proof_to_another() -> None:
    """The proof of one request under the caveat of another."""
    token = world.mint()
    one = world.request(token, READ)
    two = world.request(token, world.write(), nonce=world.hex16("other"))
    mixed = two.partition(".")[0] + "." + one.partition(".")[2]
    denied(judge(mixed, world.write(), like=token, **CARRIED), 5, "proof.signature")


def test_a_request_under_a_wider_prefix() -> None:
    """The request was made under a narrowed token; the thief holds the wide one too."""
    wide = world.mint()
    tight = world.narrow(wide, ["exp", NOW + 1])
    credential = world.request(tight, READ)
    token = chain.read_credential(credential).token
    proof = chain.read_credential(credential).proof
    moved = world.text(world.forge(wide, token.caveats[-1]), proof)
    denied(judge(moved, READ, like=wide, **CARRIED), 5, "proof.signature")


# Two requests ---------------------------------------------------------------------------------


def req(token: UnverifiedToken, nonce: str) -> bytes:
    return chain.read_credential(world.request(token, READ, nonce=nonce)).token.caveats[-1]


def test_two_requests() -> None:
    token = world.mint()
    twice = world.forge(token, req(token, "00" * 16), req(token, "11" * 16))
    denied(judge(twice, READ, like=token), 3, "token.two_requests")


def test_a_caveat_after_the_request() -> None:
    """Nobody but the holder narrows what is bound to a call, and he signed it as it is."""
    token = world.mint()
    bound = world.forge(token, req(token, "00" * 16))
    for later in (["exp", NOW + 9], ["link", "00" * 16], ["budget", "calls", 1]):
        made = world.forge(bound, canonical.encode(later))
        denied(judge(made, READ, like=token), 3, "token.two_requests")


def test_a_request_that_hides_in_another_spelling() -> None:
    """What the splitter does not take for a request, the reader refuses."""
    token = world.mint()
    plain = req(token, "00" * 16)
    for raw in (
        b" " + plain,
        plain.replace(b'["req",', b'[ "req",'),
        plain.replace(b"req", b"\\u0072eq"),
    ):
        denied(judge(world.forge(token, raw), READ, like=token), 3, "json.canonical")


@pytest.mark.parametrize(
    "change",
    [
        {"time": -1},
        {"time": 1.5},
        {"nonce": "00"},
        {"args": "zz" * 32},
        {"tool": ""},
        {"instance": None},
        {"extra": 1},
    ],
)
def test_a_malformed_request(change: dict[str, Any]) -> None:
    token = world.mint()
    body = {**canonical.decode(req(token, "00" * 16))[1], **change}
    raw = (
        b'["req",' + str(body).replace("'", '"').replace("None", "null").encode() + b"]"
    ).replace(b" ", b"")
    denied(judge(world.forge(token, raw), READ, like=token, **CARRIED), 5, _code(body))


def _code(body: dict[str, Any]) -> str:
    keys_sorted = list(body) == sorted(body)
    floats = any(isinstance(v, float) for v in body.values())
    return "caveat.malformed" if keys_sorted and not floats else "json.canonical"
