"""One function for each place where a stranger's bytes come in. It returns if the law held:

    only a NucleusError, or a decision, ever comes out; what is accepted has one spelling.

Any other exception is a bug. Approvals and headers are also tried signed: a signer's bytes may be
nonsense too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final

from nucleus_issuer.crosscheck import cross_check
from nucleus_tokens import (
    approvals,
    arguments,
    canonical,
    caveats,
    chain,
    crypto,
    header,
    holding,
    writing,
)
from nucleus_tokens.chain import UnverifiedToken
from nucleus_tokens.errors import CredentialError, NucleusError
from nucleus_tokens.patterns import MATCHERS
from nucleus_verifier import record, trace
from nucleus_verifier.authenticate import authenticate
from nucleus_verifier.caching import CachingVerifier
from nucleus_verifier.clear import clear
from nucleus_verifier.decide import decide
from nucleus_verifier.decision import Allow, Ask, Decision, Deny
from nucleus_verifier.facts import Call, Facts
from nucleus_verifier.record import spell_decision
from tests.support import world
from tests.vectors import reading

Target = Callable[[bytes], None]


@functools.cache
def _token() -> UnverifiedToken:
    return world.mint()


@functools.cache
def _asking() -> UnverifiedToken:
    return world.narrow(world.mint(), ["approve", ["read_files"]])


# The vectors are for a bundle of their own.
VECTOR_KEYS: Final = reading.keys(reading.document("valid")["bundle"])
_CACHES: Final = {id(k): CachingVerifier(k, size=64) for k in (world.KEYS, VECTOR_KEYS)}


def judged(text: str, call: Call | None = None, facts: Facts | None = None) -> Decision:
    """A decision, the same with a cache, that can be recorded and computed again."""
    call, facts = call or world.read(), facts or world.facts()
    decision = decide(text, call, facts)
    cached = _CACHES[id(facts.keys)].authenticate(text)
    again = cached if isinstance(cached, Deny) else clear(cached, call, facts)
    assert spell_decision(again) == spell_decision(decision), "the cache changed the answer"
    verified = authenticate(text, facts.keys)
    if isinstance(verified, Deny):
        canonical.encode(record.refusal_record(verified, at=world.NOW, channel="held"))
        return decision
    made, reveal = record.decision_record(verified, call, facts, decision, salt=b"s" * 16)
    line, _ = trace.line(1, trace.GENESIS, made)
    entries, broken = trace.read([line])
    assert broken is None
    assert record.recompute(entries[0].record, reveal, facts.keys) == spell_decision(decision)
    return decision


# Tokens -----------------------------------------------------------------------------------------


def credential(data: bytes) -> None:
    """Text as it is presented. What is read is written again the same."""
    text = data.decode("utf-8", "surrogateescape")
    for shown in (text, chain.PREFIX + text):
        judged(shown, facts=world.facts(keys=VECTOR_KEYS))
        cross_check(shown, VECTOR_KEYS)
        try:
            token, proof = chain.read_credential(shown)
        except CredentialError:
            continue
        assert writing.write_credential(token, proof) == shown, "two texts of one token"
        try:
            holding.read_token(shown)
        except NucleusError:
            assert proof is not None


def token(data: bytes) -> None:
    """The bytes inside."""
    try:
        parsed = chain.parse(data)
    except CredentialError:
        return
    assert len(parsed.tag) == 32, "something behind the tag"
    assert writing.render(parsed) == data, "two spellings of one token"


def identifier(data: bytes) -> None:
    """A header, unsigned."""
    try:
        parsed = header.parse(data)
    except CredentialError:
        pass
    else:
        assert parsed.signature + parsed.signed == data
        body = parsed.signed[:-161]
        assert canonical.encode(canonical.decode(body)) == body
    if len(data) < 5000:
        judged(world.text(UnverifiedToken(data, (), bytes(32))))


def signed_header(data: bytes) -> None:
    """A body that the issuer did sign, over seals that open."""
    seals = _token().identifier[-160:]
    rest = data[:4096] + b"\0" + seals
    name = crypto.sign(world.secret("issuer"), header.DOMAIN + rest) + rest
    tag = chain.first_tag(world.secret("root"), name)
    judged(world.text(UnverifiedToken(name, (), tag)))


def caveat(data: bytes) -> None:
    """A caveat, and a chain that it really was appended to."""
    try:
        caveats.parse(data)
    except CredentialError:
        pass
    else:
        assert canonical.encode(canonical.decode(data)) == data, "two spellings of one caveat"
        assert writing.caveat(canonical.decode(data)) == data
    if len(data) < 3000:
        before = decide(world.text(_token()), world.read(), world.facts())
        after = judged(world.text(world.forge(_token(), data)))
        assert isinstance(before, Allow)
        assert isinstance(after, Deny | Ask | Allow)


def request(data: bytes) -> None:
    """Something in the place of a request, with a proof over it."""
    bound = world.forge(_token(), b'["req",' + data[:2500])
    proof = crypto.sign(world.secret("agent"), chain.proof_message(bound.identifier, bound.caveats))
    decision = judged(world.text(bound, proof), facts=world.facts(channel="carried"))
    assert isinstance(decision, Deny | Allow)


# Approvals, calls, values -----------------------------------------------------------------------


def approval(data: bytes) -> None:
    """Unsigned, it changes nothing; signed, it is read or ignored."""
    text = world.text(_asking())
    bare = decide(text, world.read(), world.facts(_asking()))
    stripped = _with(bytes(64) + data[64:])
    assert spell_decision(decide(text, world.read(), stripped)) == spell_decision(bare)
    judged(text, facts=_with(data))
    judged(text, facts=_with(crypto.sign(world.secret("person"), approvals.DOMAIN + data) + data))
    try:
        parsed = approvals.parse(data)
    except CredentialError:
        return
    assert parsed.signature + parsed.signed == data
    assert canonical.encode(canonical.decode(parsed.signed)) == parsed.signed


def _with(data: bytes) -> Facts:
    spent = {f"approval:{world.hex16('approval')}/uses": 0}
    try:
        spent[f"approval:{approvals.parse(data).id}/uses"] = 0
    except CredentialError:
        pass
    return Facts(**{**_fields(world.facts(_asking())), "approvals": (data,), "spent": spent})


def _fields(facts: Facts) -> dict[str, Any]:
    return {name: getattr(facts, name) for name in Facts.__dataclass_fields__}


def call_arguments(data: bytes) -> None:
    """JSON from an agent: what is read has one spelling, which is read as the same."""
    try:
        value = arguments.parse(data)
    except CredentialError:
        return
    spelled = arguments.encode(value)
    assert arguments.encode(arguments.parse(spelled)) == spelled, "two spellings of one value"
    token = world.narrow(_token(), ["arg", "*", {"/a": ["length", 0, 9], "/b/0": ["any"]}])
    judged(world.text(token), world.call("fs.read", "read_files", value))


def canonical_json(data: bytes) -> None:
    """Bytes of headers, caveats, approvals and records."""
    try:
        value = canonical.decode(data)
    except CredentialError:
        return
    assert canonical.encode(value) == data, "two spellings of one value"


def trace_line(data: bytes) -> None:
    """A trace from somebody else's disk."""
    entries, broken = trace.read(data.split(b"\n"))
    assert len(entries) == 0 or broken is None or broken.line == len(entries) + 1


def pattern(data: bytes) -> None:
    """A pattern and a value: a refusal or an answer, and no pattern admits a `..`."""
    wanted, _, value = data.decode("utf-8", "replace").partition("\n")
    for kind, matcher in MATCHERS.items():
        given: Any = wanted.split(" ") if kind == "cmd" else wanted
        ready = matcher.ready(tuple(value.split(" ")) if kind == "cmd" else value)
        if not matcher.well_formed(given) or ready is None:
            continue
        patterns = (tuple(given) if kind == "cmd" else given,)
        allowed, blocked = matcher.allows(patterns, ready), matcher.blocks(patterns, ready)
        assert type(allowed) is type(blocked) is bool
        if kind in ("path", "host"):
            assert blocked or not allowed, "what a pattern allows it also blocks"
            assert ".." not in value.split("/")


TARGETS: Final[Mapping[str, Target]] = {
    target.__name__: target
    for target in (
        credential, token, identifier, signed_header, caveat, request, approval, call_arguments,
        canonical_json, trace_line, pattern,
    )
}  # fmt: skip


# Where mutations start --------------------------------------------------------------------------


@functools.cache
def seeds(name: str) -> tuple[bytes, ...]:
    """Well-formed and nearly well-formed inputs of one target, from the vectors."""
    files = {n: reading.document(n) for n in reading.FILES}
    texts = [c["credential"] for f in files.values() for c in f["cases"]]
    valid = [chain.read_credential(c["credential"]).token for c in files["valid"]["cases"]]
    bodies = [t.identifier[64:-161] for t in valid[:1] + valid[-12:]]
    raws = [c for t in valid for c in t.caveats if len(c) < 300]
    shown = [
        chain.from_text(a)
        for c in files["approvals"]["cases"]
        for a in c.get("facts", {}).get("approvals", [])
    ]
    jsons = [c["text"].encode("utf-8", "surrogatepass") for c in
             [*reading.document("jcs")["objects"], *reading.document("jcs")["refused"]]
             if len(c["text"]) < 1000]  # fmt: skip
    line, _ = trace.line(1, trace.GENESIS, {"type": "x"})
    made: dict[str, list[bytes]] = {
        "credential": [t.encode() for t in texts if len(t) < 2500],
        "token": [writing.render(t) for t in valid],
        "identifier": [t.identifier for t in valid],
        "signed_header": bodies,
        "caveat": raws,
        "request": [c[7:] for t in valid for c in t.caveats if c.startswith(b'["req",')],
        "approval": [world.approve(world.text(_asking()), world.read(), ["op:read_files"]), *shown],
        "call_arguments": jsons,
        "canonical_json": [*raws, *bodies],
        "trace_line": [line, line + b"\n" + line],
        "pattern": [b"/srv/**/a*b\n/srv/x/ab", b"*.example:443\na.example:443", b"git\ngit push",
                    b"/srv/**\n/srv/../etc", b"/\n/srv/./x"],
    }  # fmt: skip
    return tuple(made[name])
