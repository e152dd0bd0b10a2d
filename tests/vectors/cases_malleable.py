"""Other spellings of one valid token. Each one decodes, by some reader, to a token that holds;
were it accepted, one token would have many texts, and no cache, log or list could name it.
"""

from __future__ import annotations

import base64
from typing import Any

from tests.vectors import writer
from tests.vectors.frozen import ROOT, body, case, deny, identifier, token
from tests.vectors.writer import NOW, Chain, b64, begin, field, varint

ENCODING, MALFORMED = deny(1, "token.encoding"), deny(1, "token.malformed")


def subject() -> Chain:
    """The token that is spelled in other ways below; it is `exp-inside` of the valid vectors."""
    return token(["exp", NOW + 1])


def cases() -> list[dict[str, Any]]:
    return [*_texts(), *_bytes(), *_sections(), *_signatures()]


def _texts() -> list[dict[str, Any]]:
    good = subject().text()
    # A length of 2 modulo 3 leaves two unused bits in the last character.
    raw = next(r for n in range(3) if len(r := token(["tool", "in", ["fs.*", "x" * (1 + n)]]).raw())
               % 3 == 2)  # fmt: skip
    spare = writer.text(raw)
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = last[last.index(spare[-1]) + 1]
    standard = "nuc1_" + base64.b64encode(subject().raw()).decode().rstrip("=")
    made = [
        ("padding", "nuc1_" + base64.urlsafe_b64encode(raw).decode(), "Padding."),
        ("spare-bits", spare[:-1] + other, "Bits of the last character that decode to nothing."),
        ("standard", standard, "The alphabet with + and /."),
        ("newline", good + "\n", "A line end after it."),
        ("inner-newline", good[:80] + "\n" + good[80:], "Folded, as mail folds."),
        ("space", good[:80] + " " + good[80:], "A space that a decoder skips."),
        ("leading-space", " " + good, "A space before it."),
        ("garbage", good[:80] + "!" + good[80:], "A character outside the alphabet, skipped."),
        ("equals-inside", good[:81] + "=" + good[81:], "Padding in the middle."),
        ("nul", good + "\0", "A NUL."),
        ("unicode", good + "\u00ad", "A soft hyphen nobody sees."),
        ("fullwidth", good.replace("A", "\uff21", 1), "A letter of another width."),
        ("prefix-case", "NUC1_" + good[5:], "The prefix in capitals."),
        ("no-prefix", good[5:], "No prefix."),
        ("prefix-twice", "nuc1_" + good, "The prefix twice."),
        ("hex", "nuc1_" + subject().raw().hex(), "Hex, not base64."),
        ("dot", good + ".", "A dot and no proof."),
        ("two-dots", subject().text() + "." + b64(bytes(64)) + ".", "A second dot."),
        ("quartet", good + "AAAAA"[: (1 - len(good[5:])) % 4], "One character alone is no byte."),
        ("empty", "nuc1_", "Nothing."),
    ]
    # What still is base64 of something is refused as bytes.
    as_bytes = {"hex", "dot", "empty"}
    texts = [
        case(name, text, MALFORMED if name in as_bytes else ENCODING, note)
        for name, text, note in made
    ]
    too_long = good + "A" * (7169 - len(good))
    return [*texts, case("too-long", too_long, deny(1, "token.too_large"), "7,169 characters.")]


def _bytes() -> list[dict[str, Any]]:
    chain = subject()
    raw, name, caveat = chain.raw(), chain.identifier, chain.caveats[0]
    tag, end = chain.tag, b"\0" + field(chain.tag, 6)
    size = len(name)
    section = field(caveat) + b"\0"
    start = b"\x02\x01\x00"
    long_size = bytes((size & 127 | 128, size >> 7 | 128, 0))
    long_one = bytes((len(caveat) | 128, 0))
    made = [
        ("trailing", raw + b"\0", "A byte behind the tag."),
        ("trailing-token", raw + raw, "A whole token behind it."),
        ("no-location", b"\x02" + field(name) + b"\0" + section + end,
         "The location field left out: libmacaroons may, pymacaroons does not."),
        ("location", b"\x02" + field(b"https://evil.example", 1) + raw[3:],
         "A location: no MAC covers it, so it says what anybody likes."),
        ("varint-caveat", start + field(name) + b"\0\x02" + long_one + caveat + b"\0" + end,
         "A length in more bytes than it needs."),
        ("varint-identifier", start + b"\x02" + long_size + name + b"\0" + section + end,
         "The same in the identifier."),
        ("varint-huge", start + b"\x02" + b"\xff" * 4000,
         "A length that never ends: quadratic time and memory elsewhere."),
        ("version", b"\x01" + raw[1:], "Another version byte."),
        ("tag-type", raw.replace(b"\x06\x20" + tag, b"\x02\x20" + tag), "A tag of another type."),
        ("tag-short", chain.raw(tail=b"\0" + field(tag[:31], 6)), "31 bytes of tag."),
        ("tag-long", chain.raw(tail=b"\0" + field(tag + b"\0", 6)), "33 bytes of tag."),
        ("tag-missing", chain.raw(tail=b"\0"), "No tag at all."),
        ("tag-twice", raw + field(tag, 6), "The tag twice."),
        ("no-end", start + field(name) + b"\0" + section + field(tag, 6),
         "No end of the caveats."),
        ("two-ends", start + field(name) + b"\0" + section + b"\0" + end, "Two ends."),
        ("identifier-twice", start + field(b"") + field(name) + b"\0" + section + end,
         "Two identifiers: the last wins elsewhere."),
        ("field-order", start[:1] + field(name) + b"\x01\x00\0" + section + end,
         "The location behind the identifier."),
        ("json", b'{"v":2,"l":"","i":"x","c":[],"s64":"AA"}', "libmacaroons' JSON form."),
        ("cut", raw[:-1], "The last byte missing."),
        ("cut-head", raw[:2], "Two bytes."),
    ]  # fmt: skip
    return [
        *(case(name, writer.text(data), MALFORMED, note) for name, data, note in made),
        case("v1", writer.text(_v1(chain)), MALFORMED, "libmacaroons' first binary form."),
    ]


def _v1(chain: Chain) -> bytes:
    def packet(name: bytes, data: bytes) -> bytes:
        return b"%04x" % (len(name) + len(data) + 6) + name + b" " + data + b"\n"

    cids = b"".join(packet(b"cid", c) for c in chain.caveats)
    ends = packet(b"signature", chain.tag)
    return packet(b"location", b"") + packet(b"identifier", chain.identifier) + cids + ends


def _sections() -> list[dict[str, Any]]:
    chain = subject()
    head = b"\x02\x01\x00" + field(chain.identifier) + b"\0"
    end = b"\0" + field(chain.tag, 6)
    inner = chain.caveats[0]
    made = [
        ("third-party", field(b"https://evil.example", 1) + field(inner) + field(b"v" * 72, 4),
         "A third-party caveat: somebody else's discharge would be authority here."),
        ("vid", field(inner) + field(b"v" * 72, 4),
         "A verification id without a location: dropped by v1 writers, it turns into a "
         "first-party caveat."),
        ("vid-empty", field(inner) + b"\x04\x00", "An empty verification id."),
        ("caveat-location", field(b"x", 1) + field(inner),
         "A location in a first-party caveat: not covered by any MAC."),
        ("caveat-empty-location", b"\x01\x00" + field(inner), "Also an empty one."),
        ("caveat-two", field(inner) + field(inner), "Two identifiers in one section."),
        ("caveat-unknown-field", field(inner) + field(b"x", 9), "A field nobody knows."),
    ]  # fmt: skip
    return [
        case(name, writer.text(head + section + b"\0" + end), MALFORMED, note)
        for name, section, note in made
    ]


def _signatures() -> list[dict[str, Any]]:
    name = identifier(body())
    moved = writer.other_signature(name[:64]) + name[64:]
    return [
        case(
            "header-signature", begin(moved, ROOT), deny(3, "header.signature"),
            "The issuer's signature with L added to S, and a chain that fits it: were it taken, "
            "one header would have two identifiers, and the second would not be revoked.",
        ),
        case(
            "varint-three", writer.text(
                b"\x02\x01\x00\x02" + varint(16384) + b"x" * 100 + b"\0"
            ),
            MALFORMED, "A length that needs three bytes is larger than any credential.",
        ),
    ]  # fmt: skip
