"""What the original got wrong, by the numbers of its review, on whole tokens and whole decisions.

B8, B9 and B12 are about the algebra and stand in `tests/algebra`; so do the halves of B1 to B3
that can be said with packed integers. B4 to B6 and B10 are about signatures, anchors and hashes.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import replace
from typing import Any

import pytest

from nucleus_issuer.mint import Signer
from nucleus_tokens import canonical, crypto, names
from nucleus_tokens.chain import UnverifiedToken
from nucleus_verifier import trace
from nucleus_verifier.decision import Allow
from tests.support import world
from tests.support.judging import allowed, asked, denied, judge

SRC, DOCS = ["path", "in", ["/srv/src/**"]], ["path", "in", ["/srv/docs/**"]]
PATHS = ("/etc/passwd", "/srv/src/lib.rs", "/srv/docs/a.md", "/srv", "/")
COMMANDS = (("ls",), ("git", "status"), ("cat", "/etc/passwd"))


def may_read(token: Any, path: str) -> bool:
    return isinstance(judge(token, world.read(path)), Allow)


def may_run(token: Any, argv: tuple[str, ...]) -> bool:
    decision = judge(token, world.bash(*argv, projects=0))
    return getattr(decision, "step", 13) > 10


# B1: the meet of {src/**} and {docs/**} was the empty set, and the empty set meant everything ---


def test_b1_disjoint_paths_permit_nothing() -> None:
    both = world.narrow(world.mint(), SRC, DOCS)
    for path in PATHS:
        assert not may_read(both, path)
    for empty in (["path", "in", []], ["tool", "in", []]):
        assert not any(may_read(world.narrow(world.mint(), empty), path) for path in PATHS)


def test_b1_disjoint_commands_permit_nothing() -> None:
    both = world.narrow(world.mint(), ["cmd", "in", [["ls"]]], ["cmd", "in", [["git"]]])
    assert not any(may_run(both, argv) for argv in COMMANDS)


def test_b1_disjoint_hosts_refs_and_arguments_permit_nothing() -> None:
    for caveats, call in (
        ([["host", "in", ["a.net"]], ["host", "in", ["b.net"]]], world.fetch("a.net")),
        (
            [["ref", "in", ["refs/heads/a"]], ["ref", "in", ["refs/heads/b"]]],
            world.push("refs/heads/a"),
        ),
    ):
        denied(judge(world.narrow(world.mint(), *caveats), call), 10, "scope.outside")
    equal_to = [["arg", "fs.read", {"/path": ["equals", p]}] for p in ("/a", "/b")]
    token = world.narrow(world.mint(), *equal_to)
    denied(judge(token, world.read("/a")), 10, "scope.arguments")


# B2: a widened path set passed the check that a delegation only narrows -------------------------


@pytest.mark.parametrize(
    "wider", [["path", "in", ["/"]], ["path", "in", ["**"]], ["path", "not", []]]
)
def test_b2_a_wider_set_further_down_widens_nothing(wider: list[Any]) -> None:
    """There is no order of pattern sets to get wrong: the wider caveat stands beside the other."""
    handed = world.hand(world.narrow(world.mint(), SRC))
    token = world.narrow(handed, wider)
    for path in PATHS:
        assert may_read(token, path) == (path == "/srv/src/lib.rs")


def test_b2_leaving_a_restriction_out_is_not_possible() -> None:
    token = world.narrow(world.mint(), SRC)
    without = UnverifiedToken(token.identifier, (), token.tag)
    denied(judge(without, world.read(), like=token), 3, "token.forged")


# B3: all or {src/**} was {src/**}, and two directories met to the second ------------------------


def test_b3_the_order_of_caveats_does_not_matter() -> None:
    a, b = ["path", "in", ["/srv/a"]], ["path", "in", ["/srv/a/b", "/srv/c"]]
    for path in ("/srv/a", "/srv/a/b", "/srv/a/b/x", "/srv/c", "/srv"):
        one, two = (may_read(world.narrow(world.mint(), *o), path) for o in ((a, b), (b, a)))
        assert one == two == (path in ("/srv/a/b", "/srv/a/b/x"))


def test_b3_an_absent_restriction_is_all_and_stays_so() -> None:
    assert all(may_read(world.mint(), path) for path in PATHS)


# B4: the signature did not cover spawn_agent and half of the rules ------------------------------


def test_b4_every_field_of_the_header_is_signed() -> None:
    token = world.mint(
        account=("team", {"calls": 1}), ancestors=[(world.hex16("a"), world.public("a"))]
    )
    signed_until = len(token.identifier)
    body = canonical.decode(token.identifier[64 : signed_until - 161])
    assert sorted(body) == [
        "account", "akid", "ancestors", "aud", "ceil", "depth", "exp", "holder", "iat", "iss",
        "kid", "narrowed", "obligations", "sub", "tid", "v",
    ]  # fmt: skip
    message = b"nucleus/header/v1\0" + token.identifier[64:]
    assert crypto.verify(world.public("issuer"), message, token.identifier[:64])


@pytest.mark.parametrize("operation", names.OPERATIONS)
def test_b4_every_dimension_changes_the_token_and_the_answer(operation: str) -> None:
    call = world.call("t", operation, {"x": 1}, projects=0)
    held = {op: "always" for op in names.OPERATIONS if op != operation}
    denied(judge(world.mint(["only", held]), call), 9, "level.never")
    allowed(judge(world.mint(["only", {operation: "always"}]), call))
    denied(judge(world.narrow(world.mint(), ["cap", {operation: "never"}]), call), 9, "level.never")


# B5: `token verify` trusted the root key inside the token ---------------------------------------


def test_b5_a_token_minted_by_oneself_is_not_believed() -> None:
    """It names issuer and key id and is signed well; only, the key is not the pinned one."""
    for iss, kid in (("issuer:test", "k1"), ("issuer:me", "k1"), ("issuer:test", "mine")):
        signer = Signer(iss, kid, world.secret("mallory"), world.SIGNER.exchange)
        decision = judge(world.mint(signer=signer), world.read(), stranger=True)
        pinned = (iss, kid) in world.KEYS.issuers
        denied(decision, 3 if pinned else 2, "header.signature" if pinned else "issuer.unknown")


def test_b5_without_an_anchor_nothing_is_verified() -> None:
    for keys in (replace(world.KEYS, issuers={}), replace(world.KEYS, audience="")):
        facts = replace(world.facts(), keys=keys)
        decision = world.World(world.text(world.mint()), world.read(), facts).decide()
        assert not isinstance(decision, Allow)


# B6: the proof of possession was one static signature, and so a bearer token --------------------


def test_b6_a_proof_is_good_for_one_call_at_one_verifier_once() -> None:
    one, two = world.read(), world.read("/srv/data/b.txt")
    credential = world.request(world.mint(), one)
    facts: dict[str, Any] = {"channel": "carried"}
    allowed(judge(credential, one, **facts))
    for call, change, code in (
        (one, {"nonce_seen": True}, "request.replayed"),
        (two, {}, "request.other_call"),
        (one, {"instance": "elsewhere"}, "request.other_verifier"),
        (one, {"arrived": world.NOW + 61}, "request.stale"),
    ):
        denied(judge(credential, call, **facts, **change), 5, code)


# B7: sink scopes compared strings: /out admitted /output-x and /out/../.. -----------------------


@pytest.mark.parametrize(
    "path", ["/srv/output-x", "/srv/out/../..", "/srv/out/../output-x", "/srv/out-x"]
)
def test_b7_a_directory_is_not_a_prefix(path: str) -> None:
    token = world.narrow(world.mint(), ["path", "in", ["/srv/out"]])
    assert not may_read(token, path)
    assert may_read(token, "/srv/out/x")
    by_argument = world.narrow(world.mint(), ["arg", "fs.read", {"/path": ["subpath", "/srv/out"]}])
    assert not may_read(by_argument, path)


# B10: the audit hash had no length prefixes -----------------------------------------------------


def test_b10_no_two_records_share_their_hashed_bytes() -> None:
    """A boundary between two fields moved; a field moved from one record into the next."""
    pairs: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"a": "xy", "b": "z"}, {"a": "x", "b": "yz"}),
        ({"a": "x"}, {"a": ["x"]}),
        ({"a": 1}, {"a": "1"}),
        ({"a": 1, "b": 2}, {"a": {"b": 2}}),
        ({"ab": ""}, {"a": "b"}),
    ]
    for one, two in pairs:
        assert trace.line(1, trace.GENESIS, one)[1] != trace.line(1, trace.GENESIS, two)[1]
    first, head = trace.line(1, trace.GENESIS, {"a": 1})
    assert trace.link(1, trace.GENESIS, b"ab") != trace.link(1, trace.GENESIS, b"a")
    assert trace.link(11, trace.GENESIS, b"1") != trace.link(1, trace.GENESIS, b"11")
    assert trace.line(2, head, {"a": 1})[1] != head
    assert first == trace.line(1, trace.GENESIS, {"a": 1})[0], (
        "the same in every process and language"
    )


def test_b10_the_hash_can_be_computed_in_any_language() -> None:
    """Spelled out here with nothing of ours: fixed lengths, or the length before it."""
    record = b'{"n":7,"type":"outcome"}'
    prev = "ab" * 32
    hashed = b"nucleus/trace/v1\0" + struct.pack(">Q", 9) + bytes.fromhex(prev)
    hashed += struct.pack(">I", len(record)) + record
    digest = hashlib.sha256(hashed).hexdigest()
    assert trace.link(9, prev, record) == digest
    line, named = trace.line(9, prev, {"type": "outcome", "n": 7})
    assert named == digest
    assert line == (
        b'{"hash":"' + digest.encode() + b'","prev":"' + prev.encode() + b'","record":' + record
        + b',"seq":9}'
    )  # fmt: skip


def test_b10_a_call_is_digested_with_its_boundaries() -> None:
    calls = [
        world.call("ab", "read_files", {"c": "d"}),
        world.call("a", "read_files", {"bc": "d"}),
        world.call("a", "read_files", {"b": "cd"}),
        world.call("a", "read_files", {"b": ["c", "d"]}),
        world.call("a", "read_files", {"b": {"c": "d"}}),
    ]
    assert len({c.digest for c in calls}) == len(calls)


# B11: narrowing {src/**} to {src/lib.rs} left nothing -------------------------------------------


def test_b11_a_child_within_its_parent_keeps_what_it_names() -> None:
    token = world.narrow(world.mint(), SRC, ["path", "in", ["/srv/src/lib.rs"]])
    assert may_read(token, "/srv/src/lib.rs")
    assert not may_read(token, "/srv/src/main.rs")


# B14: what a shell does was not looked at -------------------------------------------------------


def test_b14_a_shell_meets_the_gate_in_every_state() -> None:
    token = world.mint(world.levels(run_bash="always"))
    for bits in range(8):
        assert "gate:exposure" in asked(judge(token, world.bash("curl", "x"), **world.seen(bits)))
    denied(judge(world.narrow(token, ["host", "in", []]), world.bash("ls")), 10, "scope.unknown")
