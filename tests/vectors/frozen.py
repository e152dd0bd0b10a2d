"""Who there is in the vectors, what is called and what is true there, and how a case is spelled."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from tests.vectors import writer
from tests.vectors.writer import NOW, Chain, exchange_public, key, name16, public

FORMAT: Final = "nucleus-vectors/1"
HOLDERS: Final = ("agent", "sub", "subsub", "third", "stranger")
APPROVERS: Final = ("person", "second", "reader")
EVERY_OPERATION: Final = [
    "read_files", "write_files", "edit_files", "run_bash", "glob_search", "grep_search",
    "web_search", "web_fetch", "git_commit", "git_push", "create_pr", "manage_pods",
    "spawn_agent",
]  # fmt: skip

BUNDLE: Final[dict[str, Any]] = {
    "approvers": {
        "person": {"key": public(key("person")).hex(), "operations": EVERY_OPERATION},
        "reader": {"key": public(key("reader")).hex(), "operations": ["read_files"]},
        "second": {"key": public(key("second")).hex(), "operations": EVERY_OPERATION},
        # The holder's own key, listed by an operator who did not think: still not an approver.
        "agent": {"key": public(key("agent")).hex(), "operations": EVERY_OPERATION},
    },
    "audience": "proxy:vectors",
    "audience_keys": {"a1": key("audience").hex()},
    "issuers": [["issuer:vectors", "k1", public(key("issuer")).hex()]],
}
SECRETS: Final[dict[str, str]] = {
    name: key(name).hex()
    for name in ("issuer", "audience", "exchange", "root", *HOLDERS, *APPROVERS)
}
CALL: Final[dict[str, Any]] = {
    "args": {"path": "/srv/data/a.txt"},
    "bad_declassification": False,
    "costs": {},
    "label": [0, 0, 0],
    "operation": "read_files",
    "projects": ["private_data"],
    "records": ["private_data"],
    "resources": {"path": ["/srv/data/a.txt"]},
    "selectors": [["/path", "path", "/srv/data/a.txt"]],
    "sink": "secret_read",
    "tool": "fs.read",
}
FACTS: Final[dict[str, Any]] = {
    "approvals": [],
    "arrived": NOW,
    "channel": "held",
    "clock_ok": True,
    "evidence": [],
    "instance": "verifier:vectors",
    "lease_ok": True,
    "nonce_seen": False,
    "now": NOW,
    "peer": None,
    "policy": {"gate": "ask", "obligations": [], "quorum": {}, "tools": []},
    "revoked": [],
    "spent": {},
    "tree": ["tree:vectors", 0, []],
    "wall": ["wall:vectors", 0, []],
}
ROOT: Final = key("root")
CARRIED: Final = {"channel": "carried"}
READS: Final[list[Any]] = [["only", {"read_files": "always"}]]


def holder(name: str | None = "agent", spiffe: str | None = None) -> dict[str, Any]:
    """The header's holder field."""
    shown = None if name is None else public(key(name)).hex()
    return {"bearer": name is None and spiffe is None, "key": shown, "spiffe": spiffe}


def body(**change: Any) -> dict[str, Any]:
    """A header body: reading is allowed, to the agent, for an hour."""
    return {
        "account": None,
        "akid": "a1",
        "ancestors": [],
        "aud": "proxy:vectors",
        "ceil": READS,
        "depth": 4,
        "exp": NOW + 3600,
        "holder": holder(),
        "iat": NOW - 60,
        "iss": "issuer:vectors",
        "kid": "k1",
        "narrowed": [],
        "obligations": [],
        "sub": "agent",
        "tid": name16("tid"),
        "v": 1,
        **change,
    }


def identifier(
    spelled: dict[str, Any] | bytes | None = None,
    *,
    issuer: str = "issuer",
    audience: str = "audience",
    root_key: bytes = ROOT,
    **rest: Any,
) -> bytes:
    """A signed header under named keys; the ephemeral keys follow from all that is in it."""
    given = body() if spelled is None else spelled
    salt = hashlib.sha256(
        (given if isinstance(given, bytes) else writer.canonical(given))
        + issuer.encode() + audience.encode() + root_key
    ).hexdigest()  # fmt: skip
    return writer.header(
        given,
        issuer=key(issuer),
        audience=exchange_public(key(audience)),
        exchange=exchange_public(key("exchange")),
        root_key=root_key,
        salt=salt,
        **rest,
    )


def token(*caveats: list[Any] | bytes, **change: Any) -> Chain:
    """A token with these caveats, whose header differs from `body()` as said."""
    return writer.begin(identifier(body(**change)), ROOT).add(*caveats)


def patterns(*counts: int) -> list[list[Any]]:
    """So many caveats with so many patterns, each of which admits the file's own call."""
    return [
        ["tool", "in", sorted(["fs.read", *(f"t{i}-{j}" for j in range(count - 1))])]
        for i, count in enumerate(counts)
    ]


# What a case expects ----------------------------------------------------------------------------


def allow(*discharged: str) -> dict[str, Any]:
    return {"discharged": list(discharged), "verdict": "allow"}


def ask(*obligations: str) -> dict[str, Any]:
    return {"obligations": list(obligations), "verdict": "ask"}


def deny(step: int, code: str, source: tuple[str, int] | None = None) -> dict[str, Any]:
    where = None if source is None else list(source)
    return {"code": code, "source": where, "step": step, "verdict": "deny"}


def case(
    name: str,
    credential: Chain | str,
    expect: dict[str, Any],
    note: str,
    *,
    call: dict[str, Any] | None = None,
    facts: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """One case; `call` and `facts` hold only what differs from the file's own."""
    made: dict[str, Any] = {"id": name, "note": note}
    made["credential"] = credential if isinstance(credential, str) else credential.text()
    if call:
        made["call"] = call
    if facts:
        made["facts"] = facts
    return {**made, "expect": expect}


def parts(chain: Chain) -> dict[str, Any]:
    """What is in a valid credential: for whoever builds a parser."""
    return {
        "caveats": [c.decode() for c in chain.caveats],
        "identifier": chain.identifier.hex(),
        "rids": list(chain.rids()),
        "tag": chain.tag.hex(),
    }


def document(about: str, cases: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """One file."""
    return {
        "format": FORMAT,
        "about": about,
        "bundle": BUNDLE,
        "secrets": SECRETS,
        "call": CALL,
        "facts": FACTS,
        **more,
        "cases": cases,
    }
