"""Law: what no verifier in this language can leave out, so that a target can be told from a wish.

    floor.py [--json] [--rounds N] [--write [FILE]]

Each row does only the primitives of one row of `tokens.py`, by the fastest call that the standard
library and PyNaCl have for each, on the same bytes, and nothing else: no field is walked, no caveat
gets a type, nothing is folded, cached or decided. Beside it stands the same baseline.
"""

from __future__ import annotations

import binascii
import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

if not __package__:  # run as a file: its own directory would shadow other packages
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from nacl import bindings

from bench import harness, tokens, world
from bench.harness import Operation, Row, Samples
from bench.world import World
from nucleus_tokens import authority, caveats, chain, crypto, header, writing
from nucleus_tokens.header import Holder
from nucleus_verifier import authenticate
from nucleus_verifier.authenticate import VerifiedCredential
from nucleus_verifier.clear import clear

_BLOCK: Final = 64
SEEN: Final = "header seen before, caveats not"
COLD: Final = "nothing cached"
REQUEST: Final = "per-request token, prefix cached"
PROOF: Final = "one holder proof"
HOP: Final = "one cold delegation"
ATTENUATE: Final = "attenuate, text to text"
_scan: Any = json.JSONDecoder().scan_once  # type: ignore[attr-defined]  # absent from the stubs


def _chain(links: Sequence[bytes]) -> None:
    """Two SHA-256 for a MAC, and three more for the revocation id of its prefix."""
    hashed = hashlib.sha256
    for link in links:
        hashed(link).digest()
        hashed(link).digest()
        hashed(link).digest()
        hashed(link).digest()
        hashed(link).digest()


def operations() -> list[Operation]:
    """The primitives of each row."""
    here = World(Holder(None, None))
    peered = World(Holder(world.PEER, None))
    token = here.tokens()[0]
    text = writing.write_credential(token)
    claimed = header.parse(token.identifier)
    issuer = next(iter(here.keys.issuers.values()))
    private, public = here.keys.audience_keys["a1"], here.keys.audience_publics["a1"]
    letters = text[len(chain.PREFIX) :].replace("-", "A").replace("_", "A")
    letters = letters[: len(letters) // 4 * 4]
    head = 4 * (len(token.identifier) // 3)
    rest = letters[head:]
    # A MAC hashes a block and the message, a block and a digest: 64 bytes and some.
    links = [bytes(_BLOCK) + caveat for caveat in token.caveats]
    spelled = [caveat.decode() for caveat in token.caveats]
    body = token.identifier[64 : -2 * crypto.SEALED_KEY_BYTES - 1].decode()
    signed = claimed.signature + header.DOMAIN + claimed.signed
    bound = chain.read_credential(world.requests(peered.tokens()[0], None)[0]).token
    request, wire = bound.caveats[-1].decode(), "A" * 480
    args = json.dumps(world.ARGS).encode()
    more = '["path","in",["/data/team/x"]]'
    raw = binascii.a2b_base64(letters)

    def seen(_: object) -> None:
        binascii.a2b_base64(rest)
        _chain(links)
        for one in spelled:
            _scan(one, 0)

    def cold(_: object) -> None:
        binascii.a2b_base64(letters)
        bindings.crypto_sign_open(signed, issuer)
        bindings.crypto_box_seal_open(claimed.seal_audience, public, private)
        _scan(body, 0)
        _chain(links)
        for one in spelled:
            _scan(one, 0)

    def per_request(_: object) -> None:
        binascii.a2b_base64(wire)
        hashlib.sha256(request.encode()).digest()
        hashlib.sha256(args).digest()
        hashlib.sha256(args).digest()
        _scan(request, 0)

    def proof(_: object) -> None:
        bindings.crypto_sign_open(signed, issuer)

    def hop(_: object) -> None:
        bindings.crypto_sign_open(signed, issuer)
        _chain(links[:1])
        _scan(request, 0)

    def attenuate(_: object) -> None:
        binascii.a2b_base64(letters)
        json.dumps(_scan(more, 0)[0])
        hashlib.sha256(links[0]).digest()
        hashlib.sha256(links[0]).digest()
        binascii.b2a_base64(raw[-100:])

    texts = [writing.write_credential(each) for each in here.tokens()]
    once: Callable[[int], Sequence[Any]] = harness.constantly(None)
    return [
        Operation(SEEN, seen, once),
        Operation(COLD, cold, once),
        Operation(REQUEST, per_request, once),
        Operation(PROOF, proof, once),
        Operation(HOP, hop, once),
        Operation(ATTENUATE, attenuate, once),
        Operation(tokens.BASE, world.pymacaroons_judges(here.root_key), tokens.shown(texts)),
        Operation(tokens.BASE_ATTENUATE, world.pymacaroons_attenuates, harness.cycling(texts)),
    ]


def parts() -> list[Operation]:
    """The kernel's own work in the row "header seen before, caveats not", part by part."""
    here = World(Holder(None, None))
    every = here.tokens()
    texts = [writing.write_credential(token) for token in every]
    tokens_in_turn = harness.cycling(every)
    opened = authenticate.open_header(every[0].identifier, here.keys)
    found = authenticate.authenticate(texts[0], here.keys)
    assert type(found) is VerifiedCredential
    size = len(chain.PREFIX) + 4 * (len(every[0].identifier) // 3)
    start = chain.Spelled(texts[0][:size], chain.from_text(texts[0][len(chain.PREFIX) : size]))
    read = [list(enumerate(caveats.parse_all(token.caveats))) for token in every]
    placed = [[(number, "", caveat) for number, caveat in one] for one in read]

    def macs(token: chain.UnverifiedToken) -> object:
        return chain.rids(chain.follow(opened.tag, token.caveats)[1])

    return [
        Operation(
            "… text to fields",
            lambda text: chain.read_credential(text, start),
            harness.cycling(texts),
        ),
        Operation("… five MACs, five revocation ids", macs, tokens_in_turn),
        Operation(
            "… five caveats: JSON, its one spelling, types",
            lambda token: caveats.parse_all(token.caveats),
            harness.cycling(every),
        ),
        Operation(
            "… fold",
            lambda one: authority.fold(opened.authority, "caveat", one),
            harness.cycling(placed),
        ),
        Operation(
            "… steps 5 to 14",
            lambda call: clear(found, call, here.held),
            lambda count: [world.call() for _ in range(count)],
        ),
    ]


def rows(samples: Samples) -> list[Row]:
    """As ratios to the same baselines, beside the same targets."""
    base = tokens.BASE
    return [
        samples.row(base, base),
        samples.row(SEEN, base, 0.35),
        samples.row(COLD, base, 1.4),
        samples.row(REQUEST, base, 0.22),
        samples.row(PROOF, base, 0.6),
        samples.row(HOP, base, 0.6),
        samples.row(ATTENUATE, tokens.BASE_ATTENUATE, 0.15),
    ]


def report(found: list[Row], beside: list[Row]) -> str:
    """The section of docs/benchmarks.md."""
    said = [
        "## What the primitives alone cost",
        f"{harness.described()} Microseconds of CPU time of the thread, medians. Only base64, "
        "SHA-256, Ed25519, X25519 and the JSON scanner, as often as the row of the same name needs "
        "them: no parsing, no types, no decision. What a row of the first table costs beyond this "
        "is the kernel.",
        harness.table(found, "primitives of", "µs (median)", "× pymacaroons"),
        "The kernel's work for a header seen before and caveats not, part by part, each part in a "
        "loop of its own. Together they take less than the row does, where each part finds the "
        "processor's caches full of the others.",
        harness.table(beside, "part", "µs (median)", "× pymacaroons"),
    ]
    return "\n\n".join(part.strip() for part in said) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and perhaps write."""
    options = harness.parser(__doc__, 101).parse_args(argv)
    kernel = parts()
    samples = harness.measure([*operations(), *kernel], options.rounds)
    found = rows(samples)
    beside = [samples.row(part.name, tokens.BASE) for part in kernel]
    data = {
        "machine": harness.machine(),
        "rows": harness.as_json(found),
        "parts": harness.as_json(beside),
    }
    harness.publish("floor", report(found, beside), data, options.json, options.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())
