"""The invalid vectors about chains, delegations and requests."""

from __future__ import annotations

from typing import Any

from tests.vectors import writer
from tests.vectors.frozen import CARRIED, ROOT, case, deny, holder, identifier, token
from tests.vectors.writer import NOW, Chain, begin, key, name16

ARGS = {"path": "/srv/data/a.txt"}


def cases() -> list[dict[str, Any]]:
    return [*_chains(), *_hops(), *_requests()]


def _chains() -> list[dict[str, Any]]:
    parent = token(["exp", NOW + 100], ["path", "in", ["/srv/data"]])
    shorter = Chain(parent.identifier, parent.caveats[:1], (*parent.tags[:1], parent.tag))
    turned = Chain(parent.identifier, parent.caveats[::-1], parent.tags)
    wider = Chain(
        parent.identifier,
        (parent.caveats[0], writer.canonical(["path", "in", ["/"]])), parent.tags,
    )  # fmt: skip
    forged = deny(3, "token.forged")
    flipped = bytes((parent.tag[0] ^ 1, *parent.tag[1:]))
    unsigned = Chain(parent.identifier, (*parent.caveats, b'["exp",0]'), (*parent.tags, parent.tag))
    return [
        case("chain-truncated", shorter, forged, "The last caveat dropped, its tag kept."),
        case("chain-bare", Chain(parent.identifier, (), (parent.tag,)), forged,
             "All caveats dropped."),
        case("chain-reordered", turned, forged, "Two caveats changed places."),
        case("chain-widened", wider, forged, "A caveat exchanged for a wider one."),
        case("chain-flipped", parent.with_tag(flipped), forged, "One bit of the tag."),
        case("chain-zero", parent.with_tag(bytes(32)), forged, "No tag."),
        case(
            "chain-unsigned-caveat", unsigned, forged,
            "A caveat appended without a tag for it. pymacaroons verifies this when the caveat is "
            "not met: whoever reads the caveats afterwards reads what anybody wrote.",
        ),
        case("chain-other-root", begin(identifier(), key("other")), forged, "Another root key."),
        case(
            "caveats-65", token(*(["link", name16(f"{i}")] for i in range(65))),
            deny(1, "token.malformed"), "More than 64 caveats.",
        ),
        case(
            "meaning-before-mac", Chain(parent.identifier, (b'["colour","red"]',), parent.tags),
            forged, "MAC first: what a forged caveat says is not even looked at.",
        ),
    ]  # fmt: skip


def _hops() -> list[dict[str, Any]]:
    base = token(["exp", NOW + 100])
    good = base.hand("agent", "sub", 3)
    signature, depth = deny(4, "delegate.signature"), deny(4, "delegate.depth")
    lifted = token(["link", name16("other")]).add(good.caveats[-1])
    reordered = token().add(good.caveats[1], good.caveats[0])
    second = good.hand("sub", "third", 2)
    spoken = writer.canonical(["delegate", {"depth": 3}])
    malleable = good.caveats[-1].split(b'"')
    malleable[-2] = writer.other_signature(bytes.fromhex(malleable[-2].decode())).hex().encode()
    made = [
        ("lifted", lifted, signature, "A hop copied to another chain of the same holder."),
        ("reordered", reordered, signature, "A caveat moved behind the hop that covered it."),
        ("by-stranger", base.hand("stranger", "sub", 3), signature, "Signed by a non-holder."),
        (
            "by-former-holder", good.hand("agent", "stranger", 2), signature,
            "The holder who handed it on hands it on again.",
        ),
        (
            "body-alone", base.hand("agent", "sub", 3, covers=begin(b"", ROOT)), signature,
            "A signature that does not cover the prefix.",
        ),
        ("depth-equal", base.hand("agent", "sub", 4), depth, "The depth must fall."),
        ("depth-rising", base.hand("agent", "sub", 8), depth, "Let alone rise."),
        (
            "depth-zero", token(depth=0).hand("agent", "sub", 0), depth,
            "A token that is not to be handed on.",
        ),
        ("depth-second", second.hand("third", "subsub", 2), depth, "Nor later."),
        (
            "first-defect", base.hand("stranger", "sub", 3).hand("sub", "third", 2), signature,
            "A good hop behind a bad one.",
        ),
        (
            "bearer", token(holder=holder(None)).hand("agent", "sub", 3),
            deny(4, "delegate.no_key"), "Nobody's token is not handed on.",
        ),
        (
            "spiffe", token(holder=holder(None, "spiffe://example.org/a")).hand("agent", "sub", 3),
            deny(4, "delegate.no_key"), "Nor is one without a key.",
        ),
        (
            "malleable", base.add(b'"'.join(malleable)), signature,
            "The same signature with L added: RFC 8032 wants S below the group order.",
        ),
    ]  # fmt: skip
    malformed = deny(3, "caveat.malformed")
    more = [
        ("fields", base.add(spoken[:-1] + b',"' + b"00" * 64 + b'"]'), "Fields missing."),
        ("extra", base.hand("agent", "sub", 3, admin=True), "A field nobody knows."),
        ("key", base.hand("agent", "sub", 3, key="ab"), "Not a key."),
        ("depth-9", token(depth=8).hand("agent", "sub", 9), "Deeper than there is."),
        ("unsigned", base.add(["delegate", {"depth": 3, "key": "00" * 32, "purpose": "",
                                            "to": "x"}]), "No signature field."),
    ]  # fmt: skip
    return [
        *(case(f"delegate-{n}", chain, expect, note) for n, chain, expect, note in made),
        *(case(f"delegate-{n}", chain, malformed, note) for n, chain, note in more),
    ]


def _requests() -> list[dict[str, Any]]:
    bound = token().bind("fs.read", ARGS)
    twice = bound.bind("fs.read", ARGS, nonce=name16("again"))

    def one(
        name: str, chain: Chain, proof: bytes | None, code: str, note: str,
        step: int = 5, **k: Any,
    ) -> dict[str, Any]:  # fmt: skip
        facts = {**CARRIED, **k}
        return case(f"req-{name}", chain.text(proof), deny(step, code), note, facts=facts)

    good = bound.proof("agent")

    def changed(name: str, code: str, note: str, **change: Any) -> dict[str, Any]:
        chain = token().bind("fs.read", ARGS, **change)
        return one(name, chain, chain.proof("agent"), code, note)

    spiffe = token(holder=holder("agent", "spiffe://example.org/a")).bind("fs.read", ARGS)
    handed = token().hand("agent", "sub", 3).bind("fs.read", ARGS)
    inner = bound.add(["exp", NOW + 10])
    return [
        one("two", twice, twice.proof("agent"), "token.two_requests",
            "Two requests: one is judged and the other is believed.", step=3),
        one("not-last", inner, inner.proof("agent"), "token.two_requests",
            "A caveat behind the request.", step=3),
        one("proof-flipped", bound, bytes((good[0] ^ 1, *good[1:])), "proof.signature",
            "One bit of the proof."),
        one("proof-by-stranger", bound, bound.proof("stranger"), "proof.signature",
            "Somebody else's proof."),
        one("proof-by-former-holder", handed, handed.proof("agent"), "proof.signature",
            "Who handed the token on no longer holds this branch."),
        one("proof-of-prefix", bound, token().proof("agent"), "proof.signature",
            "A proof that does not cover the request."),
        one("proof-malleable", bound, writer.other_signature(good), "proof.signature",
            "The same proof with L added."),
        one("proof-missing", bound, None, "proof.missing", "A request nobody signed."),
        one("proof-short", bound, good[:63], "token.malformed", "63 bytes.", step=1),
        one("proof-empty", bound, b"", "token.malformed", "A dot and nothing.", step=1),
        one("proof-without-request", token(), token().proof("agent"), "proof.without_request",
            "A proof bound to nothing serves for anything."),
        one("missing", token(), None, "request.missing",
            "A carried token alone: whoever copied it from a log has it."),
        one("bearer-carried-key", bound, good, "request.replayed", "Seen before.",
            nonce_seen=True),
        one("no-key", _bearer_bound(), _bearer_bound().proof("agent"), "proof.signature",
            "A proof for a token that has no key to check it by."),
        one("peer", spiffe, spiffe.proof("agent"), "holder.peer",
            "The key without the connection.", peer="spiffe://example.org/b"),
        changed("other-tool", "request.other_call", "For another tool.", tool="fs.write"),
        changed("other-args", "request.other_call", "For other arguments.", args="00" * 32),
        changed("other-instance", "request.other_verifier", "For another verifier.",
                instance="verifier:other"),
        changed("stale", "request.stale", "Too old.", time=NOW - 61),
        changed("future", "request.stale", "From the future.", time=NOW + 61),
        changed("extra", "caveat.malformed", "A field nobody knows.", extra=1),
        changed("time-float", "json.canonical", "No floats.", time=1.8e9),
        changed("nonce-short", "caveat.malformed", "16 bytes.", nonce="ab"),
        changed("instance-list", "caveat.malformed", "One verifier.",
                instance=["verifier:vectors"]),
    ]  # fmt: skip


def _bearer_bound() -> Chain:
    return token(holder=holder(None)).bind("fs.read", ARGS)
