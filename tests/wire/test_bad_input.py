"""Bad input costs little and ends in an answer. Work is counted, not timed: `bench/worst.py` has
the clock. The dear operations are signatures, seals and MACs.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import pytest

from nucleus_tokens import approvals, canonical, caveats, chain, crypto, header, limits
from nucleus_tokens.chain import UnverifiedToken
from nucleus_tokens.errors import CredentialError
from nucleus_verifier.caching import CachingVerifier
from nucleus_verifier.decide import decide
from nucleus_verifier.decision import Allow, Ask, Deny
from nucleus_verifier.hints import public_detail
from tests.support import world
from tests.vectors import reading
from tests.wire.tools import counted

DEAR = (
    (crypto, "verify"), (crypto, "unseal"), (crypto, "mac"), (crypto, "mac_chain"),
    (crypto, "macs"), (caveats, "parse_all"),
)  # fmt: skip
ODD: list[Any] = [
    "", "nuc1_", "nuc1_.", "nuc1_A", "nuc1_.AAAA", "nuc1_" + "A" * 7163, "nuc1_" + "." * 7163,
    "nuc1_" + "=" * 7163, "nuc1_" + "\u20ac" * 7163, "nuc1_" + "\ud800", "nuc1_" + "\0" * 99,
    "x" * 10**6, None, 5, b"nuc1_AAAA", ["nuc1_"], object(),
]  # fmt: skip


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_what_is_no_text_of_a_token(text: Any) -> None:
    """Also what is no string at all: a missing header field is None somewhere."""
    for judged in (
        decide(text, world.read(), world.facts()),
        CachingVerifier(world.KEYS).authenticate(text),
    ):
        assert isinstance(judged, Deny)
        assert judged.step == 1


@pytest.mark.parametrize("read", [chain.parse, header.parse, caveats.parse, approvals.parse,
                                  canonical.decode])  # fmt: skip
@pytest.mark.parametrize(
    "data",
    [b"", b"\0", b"\xff" * 5000, b"[" * 5000, b'{"":' * 2000, b"9" * 5000, b'"' * 300,
     bytes(64) + b"[" * 4000, bytes(range(256)) * 16],
    ids=range(9),
)  # fmt: skip
def test_every_reader_refuses_by_name(read: Any, data: bytes) -> None:
    with pytest.raises(CredentialError) as refused:
        read(data)
    assert "." in refused.value.code
    assert refused.value.message


OTHER: list[Any] = [None, True, 0, -1, 2**53, 0.5, "", "x", "A" * 64, [], {}, [[]], [None],
                    {"": 0}, [["only", {}]], [[[], 1]], [{}, "x"]]  # fmt: skip


def _replaced(value: Any) -> Iterator[Any]:
    """The value with each part of it, in turn, left out, doubled or of another kind."""
    yield from OTHER
    if isinstance(value, dict):
        for key, part in value.items():
            yield {k: v for k, v in value.items() if k != key}
            yield {**value, key + "x": part}
            yield from ({**value, key: other} for other in _replaced(part))
    elif isinstance(value, list):
        for i, part in enumerate(value):
            yield [*value[:i], *value[i + 1 :]]
            yield from ([*value[:i], other, *value[i + 1 :]] for other in _replaced(part))


def _codes(read: Any, values: Iterator[Any], before: bytes = b"", after: bytes = b"") -> set[str]:
    """What reading each gives: a code, or nothing. Anything but a refusal by name goes through."""
    seen = set()
    for value in values:
        spelled = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        try:
            read(before + spelled.encode() + after)
            seen.add("")
        except CredentialError as refused:
            seen.add(refused.code)
    return seen


def test_every_part_of_a_header_may_be_of_any_kind() -> None:
    """A reader that trusts one field's type raises something nobody catches."""
    rid = world.hex16("rid")
    token = world.mint(
        world.levels(read_files="always"), ["path", "in", ["/a"]],
        narrowed=[(rid, ["budget", "calls", 1])], account=("team", {"calls": 1}),
        ancestors=[(rid, world.public("a"))], obligations=["git_push"],
    )  # fmt: skip
    body = canonical.decode(token.identifier[64:-161])
    found = _codes(header.parse, _replaced(body), bytes(64), bytes(161))
    assert found == {"", "header.malformed"}


def test_every_part_of_an_approval_may_be_of_any_kind() -> None:
    token = world.narrow(world.mint(), ["approve", ["read_files"]])
    pattern: list[list[Any]] = [["path", "in", ["/a"]], ["arg", "t", {"/p": ["range", 0, None]}]]
    for what in (world.read(), pattern):
        body = canonical.decode(world.approve(world.text(token), what, ["op:read_files"])[64:])
        assert _codes(approvals.parse, _replaced(body), bytes(64)) == {"", "approval.malformed"}


def test_every_part_of_a_caveat_may_be_of_any_kind() -> None:
    handed = world.hand(world.mint()).caveats[-1]
    bound = chain.read_credential(world.request(world.mint(), world.read())).token.caveats[-1]
    arg = b'["arg","*",{"/a":["one-of",[1,"x"]],"/b":["length",0,null],"/c":["subpath","/x"]}]'
    for raw in (handed, bound, arg, b'["cap",{"read_files":"never"}]', b'["cmd","not",[["a"]]]',
                b'["budget","calls",1]', b'["exposure",["private_data"]]',
                b'["approve",["git_push"]]', b'["link","' + b"00" * 16 + b'"]'):  # fmt: skip
        found = _codes(caveats.parse, _replaced(canonical.decode(raw)))
        assert found <= {"", "caveat.malformed", "caveat.unknown", "json.canonical"}
        assert "caveat.malformed" in found


def test_a_refusal_before_step_six_tells_a_stranger_nothing() -> None:
    """One answer for all of them: whoever probes learns no more than that it was refused."""
    told = set()
    for name in ("invalid", "malleable"):
        for case in reading.document(name)["cases"]:
            judged = decide(*reading.judged(reading.document(name), case))
            assert isinstance(judged, Deny)
            if judged.step <= 5:
                told.add((judged.public_code, public_detail(judged)))
    assert len(told) == 1


# Work -------------------------------------------------------------------------------------------


def test_a_stranger_pays_nothing_but_a_parse(monkeypatch: pytest.MonkeyPatch) -> None:
    """No signature is checked for a token of another issuer, audience or key; none for nonsense."""
    body = canonical.decode(world.mint().identifier[64:-161])
    for change in ({"aud": "x"}, {"iss": "x"}, {"kid": "x"}, {"akid": "x"}, {"v": 2}):
        spelled = canonical.encode({**body, **change})
        name = bytes(64) + spelled + bytes(161)
        text = world.text(UnverifiedToken(name, (b'["exp",1]',) * 64, bytes(32)))
        with counted(monkeypatch, *DEAR) as calls:
            assert isinstance(decide(text, world.read(), world.facts()), Deny)
        assert set(calls.values()) == {0}


def test_an_unsigned_header_costs_one_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    token = world.narrow(world.mint(), ["exp", world.NOW + 9])
    text = world.text(token._replace(identifier=bytes(64) + token.identifier[64:]))
    with counted(monkeypatch, *DEAR) as calls:
        assert isinstance(decide(text, world.read(), world.facts()), Deny)
    assert {name: count for name, count in calls.items() if count} == {"verify": 1}


def test_a_forged_chain_costs_its_macs_and_no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    token = world.forge(world.mint(), *[b'["exp",1800000001]'] * 64)._replace(tag=bytes(32))
    with counted(monkeypatch, *DEAR) as calls:
        assert isinstance(decide(world.text(token), world.read(), world.facts()), Deny)
    # Two MACs for the root key, one for the header's revocation id, one for each caveat in a
    # chain; no revocation ids of the others.
    expected = {"verify": 1, "unseal": 1, "mac": 3, "mac_chain": 1, "macs": 0, "parse_all": 0}
    assert calls == expected


def test_the_most_signatures_a_credential_can_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    """The header, eight hops, the proof, eight approvals; and no more, whatever is appended."""
    token = world.mint(depth=8)
    names = ["agent", *(f"hop {i}" for i in range(8))]
    for i in range(8):
        token = world.hand(token, names[i], names[i + 1], depth=7 - i)
    token = world.narrow(token, ["approve", ["read_files"]])
    call = world.read()
    credential = world.request(token, call, names[-1])
    one = world.approve(credential, call, ["op:read_files"])
    bad = bytes((one[0] ^ 1, *one[1:]))
    facts = world.facts(credential, channel="carried", approvals=(bad,) * 40)
    with counted(monkeypatch, *DEAR) as calls:
        assert isinstance(decide(credential, call, facts), Ask)
    assert calls["verify"] == 1 + limits.DEPTH + 1 + limits.APPROVALS_PER_CALL


def test_hops_that_are_not_worth_a_signature_cost_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A depth that does not fall ends it: else 64 delegations were 64 signatures."""
    hop = (
        b'["delegate",{"depth":3,"key":"' + b"ab" * 32 + b'","purpose":"","to":"x"},"'
        + b"cd" * 64 + b'"]'
    )  # fmt: skip
    token = world.forge(world.mint(depth=3), *[hop] * 12)
    with counted(monkeypatch, *DEAR) as calls:
        denied = decide(world.text(token), world.read(), world.facts())
    assert isinstance(denied, Deny)
    assert denied.code == "delegate.depth"
    assert calls["verify"] == 1
    bad = hop.replace(b'"depth":3', b'"depth":2')
    with counted(monkeypatch, *DEAR) as calls:
        decide(
            world.text(world.forge(world.mint(depth=3), *[bad] * 12)), world.read(), world.facts()
        )
    assert calls["verify"] == 2, "the first bad signature ends it"


def test_unsigned_approvals_are_not_matched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The signature before the meaning: patterns of a stranger are no work for a matcher."""
    token = world.narrow(world.mint(), ["approve", ["read_files"]])
    call = world.read()
    signed = world.approve(world.text(token), [["path", "in", ["/srv"]]], ["op:read_files"])
    from nucleus_verifier import clear

    for data, answer, matched in ((signed, Allow, 1), (bytes(64) + signed[64:], Ask, 0)):
        facts = world.facts(token, approvals=(data,))
        with counted(monkeypatch, (clear, "scope_admits")) as calls:
            assert isinstance(decide(world.text(token), call, facts), answer)
        assert calls["scope_admits"] == matched


def test_a_valid_chain_is_macced_once_and_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    token = world.narrow(world.mint(), *(["link", world.hex16(str(i))] for i in range(64)))
    with counted(monkeypatch, *DEAR) as calls:
        assert isinstance(decide(world.text(token), world.read(), world.facts()), Allow)
    # Two MACs for the root key and one for the header's revocation id; then once along the chain,
    # and once under each of its tags.
    expected = {"verify": 1, "unseal": 1, "mac": 3, "mac_chain": 1, "macs": 1, "parse_all": 1}
    assert calls == expected


# Calls: the value, too, may come from a compromised agent ---------------------------------------


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("host", "a:000001" + "0" * 5000),
        ("host", "a:" + "9" * 5000),
        ("host", "\u0661.example"),
        ("host", "[" + ":" * 4000),
        ("path", "/" + "a/" * 5000),
        ("path", 5),
        ("path", None),
        ("ref", "a/" * 5000),
        ("ref", ("x",)),
        ("cmd", ()),
        ("cmd", ("\0" * 9, "")),
        ("cmd", "ls"),
        ("tool", ""),
    ],
)
def test_a_resource_in_no_known_form_is_denied(kind: str, value: Any) -> None:
    """Never an exception, and never a match."""
    patterns: dict[str, list[Any]] = {
        "host": ["*.example", "a"], "path": ["/", "/**"], "ref": ["**"], "cmd": [["l"], ["ls"]],
        "tool": ["**"],
    }  # fmt: skip
    token = world.text(world.narrow(world.mint(), [kind, "in", patterns[kind]]))
    known = {"path": ("/a",), "host": ("a",), "cmd": (("ls",),), "ref": ("a",)}
    call = dataclasses.replace(
        world.call("shell", "run_bash", resources={**known, kind: (value,)}),
        tool=value if kind == "tool" else "shell",
    )
    denied = decide(token, call, world.facts())
    assert isinstance(denied, Deny)
    assert denied.code == "scope.outside"
