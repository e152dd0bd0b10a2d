"""Statements by which a holder asks for an exchange: which holds, for which token."""

from __future__ import annotations

from typing import Any

from tests.vectors import writer
from tests.vectors.frozen import token
from tests.vectors.writer import NOW, Chain, b64, key, name16, sign

DOMAIN = b"nucleus/exchange/v1\0"


def subject() -> Chain:
    """Narrowed, handed on and narrowed again: the current holder is `sub`."""
    return token(["exp", NOW + 100]).hand("agent", "sub", 2).add(["tool", "in", ["fs.read"]])


def body(chain: Chain, **change: Any) -> dict[str, Any]:
    """What `sub` asks for."""
    return {
        "aud": "proxy:elsewhere",
        "nonce": name16("nonce"),
        "prefix": chain.digest().hex(),
        "v": 1,
        **change,
    }


def signed(value: dict[str, Any] | bytes, by: str = "sub", domain: bytes = DOMAIN) -> bytes:
    """Signature and body."""
    spelled = value if isinstance(value, bytes) else writer.canonical(value)
    return sign(key(by), domain + spelled) + spelled


def cases() -> list[dict[str, Any]]:
    """`expect` is `holds`, `fails`, or the code of what cannot be read."""
    chain = subject()
    shorter = token(["exp", NOW + 100]).hand("agent", "sub", 2)
    longer = chain.add(["link", name16("x")])
    good = signed(body(chain))
    unread = "exchange.malformed"

    def one(name: str, statement: bytes, expect: str, note: str) -> dict[str, Any]:
        return {
            "id": name,
            "note": note,
            "credential": chain.text(),
            "holder": writer.public(key("sub")).hex(),
            "statement": b64(statement),
            "expect": expect,
        }

    without = {k: v for k, v in body(chain).items() if k != "nonce"}
    return [
        one("good", good, "holds", "The current holder, this very prefix."),
        one("shorter", signed(body(shorter)), "fails", "Of the token before it was narrowed."),
        one("longer", signed(body(longer)), "fails", "Of a narrower one."),
        one("earlier-holder", signed(body(chain), "agent"), "fails", "Whoever handed it on."),
        one("stranger", signed(body(chain), "stranger"), "fails", "Anybody."),
        one("no-domain", signed(body(chain), domain=b""), "fails", "Signed for no purpose."),
        one("proof-domain", signed(body(chain), domain=b"nucleus/proof/v1\0"), "fails",
            "Signed for another purpose."),
        one("malleable", writer.other_signature(good[:64]) + good[64:], "fails",
            "The signature with L added."),
        one("other-audience", good[:64] + writer.canonical(body(chain, aud="proxy:third")), "fails",
            "The audience is covered."),
        one("other-nonce", good[:64] + writer.canonical(body(chain, nonce=name16("n"))), "fails",
            "The nonce is covered."),
        one("v2", signed(body(chain, v=2)), unread, "Another version is another statement."),
        one("extra", signed(body(chain, ceil=[])), unread, "A holder asks for nothing else."),
        one("no-nonce", signed(without), unread, "Each serves once."),
        one("nonce-upper", signed(body(chain, nonce=name16("nonce").upper())), unread,
            "Hex is lower case."),
        one("prefix-short", signed(body(chain, prefix="ab")), unread, "A digest is 32 bytes."),
        one("space", signed(writer.canonical(body(chain)) + b" "), unread, "One spelling."),
        one("signature-alone", good[:64], unread, "Nothing is said."),
    ]  # fmt: skip
