"""Law: a record holds what its decision needs to be computed again, and nothing one could act with.

The chain's tag never enters a record, so a record is not a token. Arguments, requests and approvals
stand in the record only as one salted digest; they themselves go to the `reveal`, which stays with
the operator. `recompute` runs the kernel on a record and its reveal and must get the same answer:
that proves the decision, not the facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from nucleus_tokens import arguments, canonical, caveats, chain, crypto, header
from nucleus_tokens.caveats import Req
from nucleus_tokens.errors import CallerError, CredentialError
from nucleus_verifier.authenticate import (
    Refused,
    VerifiedCredential,
    fold_header,
    read_prefix,
)
from nucleus_verifier.clear import clear, reconsider
from nucleus_verifier.decision import Allow, Ask, Decision, Deny
from nucleus_verifier.facts import Call, Cell, Facts, Keys, Policy, Selector

REVEAL_DOMAIN: Final = b"nucleus/reveal/v1\0"


def decision_record(
    credential: VerifiedCredential,
    call: Call,
    facts: Facts,
    decision: Decision,
    *,
    salt: bytes,
    waited: bool = False,
) -> tuple[dict[str, object], dict[str, object]]:
    """The trace record of a decision, and its reveal. `salt` is 16 random bytes.

    `waited` says that the call had been asked about and was judged again from step 6.
    """
    prefix = credential.prefix
    fields = prefix.opened.header
    reveal = _reveal(credential, call, facts, salt)
    record: dict[str, object] = {
        "call": {
            "operation": call.operation,
            "sink": call.sink,
            "tool": call.tool,
            "digest": reveal_digest(reveal),
        },
        "decision": spell_decision(decision),
        "facts": _spell_facts(facts),
        "token": {
            "aud": fields.aud,
            "caveats": [canonical.decode(raw) for raw in prefix.raw],
            "identifier": chain.to_text(fields.signature + fields.signed),
            "proven": credential.proven,
            "rids": list(prefix.rids),
            "sub": fields.sub,
            "tid": fields.tid,
        },
        "type": "decision",
        "waited": waited,
    }
    return record, reveal


def refusal_record(
    deny: Deny, *, at: int, channel: str, credential: VerifiedCredential | None = None
) -> dict[str, object]:
    """The trace record of a refusal that is no decision on recorded facts.

    Without a credential it was not authenticated, and nothing of it is believed. With one, a call
    was allowed by facts that had changed when it was to become durable.
    """
    record: dict[str, object] = {"at": at, "channel": channel, "type": "refused"}
    record["decision"] = spell_decision(deny)
    if credential is not None:
        record["rid"] = credential.prefix.rids[-1]
        record["tid"] = credential.prefix.opened.header.tid
    return record


def spell_decision(decision: Decision) -> dict[str, object]:
    """A decision in JSON form; `recompute` gives the same form."""
    match decision:
        case Allow():
            return {"discharged": list(decision.intent.discharged), "verdict": "allow"}
        case Ask():
            return {"obligations": [o.id for o in decision.obligations], "verdict": "ask"}
        case Deny():
            source = None if decision.source is None else list(decision.source)
            return {
                "code": decision.code,
                "source": source,
                "step": decision.step,
                "verdict": "deny",
            }


def reveal_digest(reveal: Mapping[str, object]) -> str:
    """What the record says of its reveal: salted, so that guessing arguments needs the salt."""
    return crypto.sha256(REVEAL_DOMAIN + arguments.encode(dict(reveal))).hex()


def _reveal(
    credential: VerifiedCredential, call: Call, facts: Facts, salt: bytes
) -> dict[str, object]:
    raw_req = credential.raw_req
    return {
        "approvals": [chain.to_text(a) for a in facts.approvals],
        "args": call.args,
        "bad_declassification": call.bad_declassification,
        "costs": dict(call.costs),
        "label": [call.label, call.observed, call.ttl],
        "projects": call.projects,
        "records": call.records,
        "req": None if raw_req is None else raw_req.decode(),
        "resources": {
            kind: None if values is None else [_plain(v) for v in values]
            for kind, values in call.resources.items()
        },
        "salt": salt.hex(),
        "selectors": [[s.pointer, s.kind, _selector_text(s.value)] for s in call.selectors],
    }


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _selector_text(value: object) -> object:
    # Only strings, words and numbers choose anything; the rest has no evidence and no meaning.
    return value if isinstance(value, str | int) or value is None else _plain(value)


def _spell_facts(facts: Facts) -> dict[str, object]:
    return {
        "arrived": facts.arrived,
        "channel": facts.channel,
        "clock_ok": facts.clock_ok,
        "evidence": sorted(facts.evidence),
        "instance": facts.instance,
        "lease_ok": facts.lease_ok,
        "nonce_seen": facts.nonce_seen,
        "now": facts.now,
        "peer": facts.peer,
        "policy": {
            "gate": facts.policy.gate,
            "obligations": facts.policy.obligations,
            "quorum": {str(k): v for k, v in facts.policy.quorum.items()},
            "tools": sorted(facts.policy.tool_obligations),
        },
        "revoked": sorted(facts.revoked),
        "spent": dict(facts.spent),
        "tree": [facts.tree.id, facts.tree.version, facts.tree.bits],
        "wall": [facts.wall.id, facts.wall.version, facts.wall.bits],
    }


class Again(NamedTuple):
    """A decision that was computed again, and what it was computed from."""

    decision: Decision
    credential: VerifiedCredential
    call: Call
    facts: Facts


def recompute(
    record: Mapping[str, Any], reveal: Mapping[str, Any], keys: Keys
) -> dict[str, object]:
    """Decide again from a record and its reveal, in the form of `spell_decision`. Raises
    CredentialError as `again` does."""
    try:
        return spell_decision(again(record, reveal, keys).decision)
    except Refused as refused:
        return spell_decision(refused.deny)


def again(record: Mapping[str, Any], reveal: Mapping[str, Any], keys: Keys) -> Again:
    """Decide again from a record and its reveal.

    The issuer's signature on the header, every delegation and every approval are checked again
    under `keys`; that the chain's tag held, and the holder's proof with it, is taken from the
    record, because the tag is a secret that a trace must not hold. Raises CredentialError
    `trace.unreadable` when the record does not hold what a decision needs, `trace.reveal` for
    another reveal, Refused where the token would not have been authenticated.
    """
    try:
        if reveal_digest(reveal) != record["call"]["digest"]:
            raise CredentialError("trace.reveal", "The reveal is not the one the record names.")
        credential = _credential(record["token"], reveal, keys)
        call, facts = _call(record["call"], reveal), _facts(record["facts"], reveal, keys)
        judge = reconsider if record["waited"] else clear
        return Again(judge(credential, call, facts), credential, call, facts)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, CallerError) as error:
        raise CredentialError("trace.unreadable", "The record cannot be read back.") from error


def _credential(
    token: Mapping[str, Any], reveal: Mapping[str, Any], keys: Keys
) -> VerifiedCredential:
    identifier = chain.from_text(token["identifier"])
    claimed = header.parse(identifier)
    header.verify(claimed, keys.issuers[(claimed.iss, claimed.kid)])
    rids = tuple(token["rids"])
    raw = tuple(map(canonical.encode, token["caveats"]))
    if len(rids) != len(raw) + 1:
        raise ValueError("a revocation id for every prefix is needed")
    prefix = read_prefix(fold_header(claimed, b"", rids[0]), raw, b"", rids)
    raw_req = None if reveal["req"] is None else reveal["req"].encode()
    req = None if raw_req is None else caveats.parse(raw_req)
    if req is not None and not isinstance(req, Req):
        raise ValueError("not a request")
    return VerifiedCredential(prefix, req, token["proven"], raw_req)


def _call(call: Mapping[str, Any], reveal: Mapping[str, Any]) -> Call:
    label, observed, ttl = reveal["label"]
    return Call(
        tool=call["tool"],
        operation=call["operation"],
        args=reveal["args"],
        sink=call["sink"],
        resources={
            kind: None
            if values is None
            else tuple(tuple(v) if isinstance(v, list) else v for v in values)
            for kind, values in reveal["resources"].items()
        },
        selectors=tuple(Selector(*s) for s in reveal["selectors"]),
        records=reveal["records"],
        projects=reveal["projects"],
        label=label,
        observed=observed,
        ttl=ttl,
        costs=reveal["costs"],
        bad_declassification=reveal["bad_declassification"],
    )


def _facts(facts: Mapping[str, Any], reveal: Mapping[str, Any], keys: Keys) -> Facts:
    policy = facts["policy"]
    return Facts(
        keys=keys,
        now=facts["now"],
        arrived=facts["arrived"],
        instance=facts["instance"],
        channel=facts["channel"],
        peer=facts["peer"],
        clock_ok=facts["clock_ok"],
        lease_ok=facts["lease_ok"],
        nonce_seen=facts["nonce_seen"],
        revoked=frozenset(facts["revoked"]),
        spent=facts["spent"],
        wall=Cell(*facts["wall"]),
        tree=Cell(*facts["tree"]),
        approvals=tuple(chain.from_text(a) for a in reveal["approvals"]),
        evidence=frozenset(facts["evidence"]),
        policy=Policy(
            policy["gate"],
            policy["obligations"],
            frozenset(policy["tools"]),
            {int(k): v for k, v in policy["quorum"].items()},
        ),
    )
