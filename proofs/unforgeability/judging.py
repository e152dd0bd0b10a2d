"""Law: a credential that a verifier took is a forgery unless the history justifies all of it.

Written from the specification and on JSON: it calls nothing of the kernel.
"""

import json
from typing import Any

from nucleus_tokens.chain import UnverifiedToken
from proofs.unforgeability.history import History


def body_of(identifier: bytes) -> dict[str, Any]:
    """The JSON of a header."""
    found: dict[str, Any] = json.loads(identifier[64 : identifier.index(b"\0", 64)])
    return found


def chain_of(
    history: History, identifier: bytes, caveats: tuple[bytes, ...]
) -> tuple[str, bytes, int, list[bytes]]:
    """What is wrong with the hops of a chain (or ""), who holds it, its depth, and all holders."""
    body = body_of(identifier)
    key = bytes.fromhex(body["holder"]["key"])
    everybody = [bytes.fromhex(key) for _, key in body["ancestors"]] + [key]
    depth, wrong = body["depth"], ""
    for place, raw in enumerate(caveats):
        caveat = json.loads(raw)
        if caveat[0] != "delegate":
            continue
        said = (key, identifier, caveats[:place], json.dumps(caveat[1], sort_keys=True))
        if key not in history.corrupt and said not in history.hands:
            wrong = wrong or "a hop that its holder never signed"
        if not 0 <= caveat[1]["depth"] < depth:
            wrong = wrong or "a hop deeper than allowed"
        key, depth = bytes.fromhex(caveat[1]["key"]), caveat[1]["depth"]
        everybody.append(key)
    return wrong, key, depth, everybody


def forged_chain(history: History, token: UnverifiedToken, caveats: tuple[bytes, ...]) -> str:
    """Why nobody made this chain, or ""."""
    identifier = token.identifier
    if identifier not in history.issued:
        return "a header that the issuer never signed"
    if not any((identifier, caveats[:n]) in history.given for n in range(len(caveats) + 1)):
        return "no prefix of it was given to anybody"
    return chain_of(history, identifier, caveats)[0]


def forged_request(history: History, token: UnverifiedToken) -> str:
    """Why nobody made this call, or ""."""
    if not token.caveats or json.loads(token.caveats[-1])[0] != "req":
        return "a call over a wire without a request"
    _, holder, _, _ = chain_of(history, token.identifier, token.caveats[:-1])
    said = (holder, token.identifier, token.caveats)
    if holder in history.corrupt or said in history.proofs:
        return ""
    return "a request that its holder never made"


def forged_approval(history: History, token: UnverifiedToken, discharged: tuple[str, ...]) -> str:
    """Why nobody approved this, or "". An approver that is corrupt may say what it likes, unless it
    held the token."""
    caveats = token.caveats[:-1]
    _, _, _, everybody = chain_of(history, token.identifier, caveats)
    may = {history.people[name] for name in ("person", "alice", "mallory")} - set(everybody)
    for owed in discharged:
        if may & history.corrupt:
            continue
        if not any((p, token.identifier, caveats, owed) in history.approvals for p in may):
            return "an obligation that nobody answered for"
    return ""


def forged_exchange(
    history: History, token: UnverifiedToken, made: UnverifiedToken, audience: str
) -> str:
    """Why this exchange was not asked for, or gave more than there was, or ""."""
    identifier, caveats = token.identifier, token.caveats
    old, new = body_of(identifier), body_of(made.identifier)
    if identifier not in history.issued:
        return "an exchange of a header that the issuer never signed"
    own = history.issued[identifier]
    wrong, holder, depth, everybody = chain_of(history, identifier, caveats)
    if wrong:
        return f"an exchange of {wrong}"
    if old["aud"] == "proxy:c":
        # Broken: it has the root key, so that nobody need have been given this very chain.
        if [json.loads(raw) for raw in caveats[: len(own)]] != own:
            return "an exchange without the issuer's own caveats"
    elif why := forged_chain(history, token, caveats):
        return f"an exchange of a chain: {why}"
    said = (holder, identifier, caveats, new["aud"])
    if holder not in history.corrupt and said not in history.exchanges:
        return "an exchange that its holder never asked for"
    if new["aud"] != audience:
        return "an exchange for another audience than was asked for"
    carried = [json.loads(raw) for raw in caveats]
    carried = [caveat for caveat in carried if caveat[0] != "delegate"]
    kept = all(new[n] == old[n] for n in ("ceil", "exp", "obligations", "account", "sub"))
    if not (
        kept
        and [caveat for _, caveat in new["narrowed"]][len(old["narrowed"]) :] == carried
        and new["narrowed"][: len(old["narrowed"])] == old["narrowed"]
        and new["holder"]["key"] == holder.hex()
        and new["depth"] == depth
        and [key for _, key in new["ancestors"]] == [key.hex() for key in everybody]
        and new["iat"] >= old["iat"]
    ):
        return "an exchange that gave more than there was"
    return ""
