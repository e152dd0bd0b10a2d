"""Law: what is put on the desk shows a person what was asked, by whom, why, and in which session.

It is all that an approver ever sees, here or elsewhere, so it is complete: the whole chain, the
call exactly, what a write would change, who demands each answer, and which call raised each leg of
the exposure.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

from nucleus_tokens import canonical, names
from nucleus_tokens.caveats import Approve
from nucleus_tokens.lattice import obliged
from nucleus_verifier.authenticate import VerifiedCredential
from nucleus_verifier.decision import Ask
from nucleus_verifier.facts import Call, Facts, Policy
from nucleus_verifier.hints import added_by, restrictions
from nucleus_verifier.ports import Leg, PendingRequest

SHOWN_CHARS: Final = 16 * 1024  # of the arguments, and of the diff, to a person
STEP: Final = 13  # of the decision: no other asks


class Origin(NamedTuple):
    """Where the value of an argument, that nothing vouches for, was seen first: in the user's own
    words, in an answer, trusted or not, or nowhere but in this call."""

    obligation: str
    value: str
    where: Literal["prompt", "trusted", "untrusted", "agent"]
    tool: str = ""  # whose answer
    seq: int = 0  # its record


def request(
    request_id: str,
    credential: VerifiedCredential,
    call: Call,
    facts: Facts,
    ask: Ask,
    seconds: int,
    *,
    legs: Sequence[Leg] = (),
    diff: str = "",
    origins: Sequence[Origin] = (),
) -> PendingRequest:
    """What is put on the desk for an Ask; it waits for `seconds`, never beyond the token. `legs`
    are of both cells; `diff` is what a write would change; `origins` where arguments come from."""
    prefix = credential.prefix
    header = prefix.opened.header
    # ASCII: text in any normal form can be shown.
    spelled = json.dumps(call.args, sort_keys=True, separators=(",", ":"))
    cut = _cut(diff)
    shown = {
        "args": spelled[:SHOWN_CHARS],
        "args_whole": len(spelled) <= SHOWN_CHARS,
        "chain": [header.sub, *(hop.to for hop in prefix.hops)],
        "demanded_by": [demanded_by(o.id, credential, call.operation, facts.policy)
                        for o in ask.obligations],
        "diff": cut,
        "diff_whole": json.loads(cut) == diff,
        "exposure": list(names.exposure_names(facts.wall.bits | facts.tree.bits)),
        "issuer": header.iss,
        "legs": _legs(facts, legs),
        "origins": [origin._asdict() for origin in origins],
        "needed": max(1, facts.policy.quorum.get(call.operation, 1)),
        "operation": names.OPERATIONS[call.operation],
        "records": list(names.exposure_names(call.records)),
        "resources": {
            kind: None if values is None else [_spelled(value) for value in values]
            for kind, values in call.resources.items()
        },
        "step": STEP,
        "sub": header.sub,
    }  # fmt: skip
    return PendingRequest(
        id=request_id,
        created=facts.now,
        expires=min(facts.now + seconds, prefix.authority.exp),
        tid=ask.tid,
        rid=ask.rid,
        cell=ask.cell,
        operation=ask.operation,
        tool=call.tool,
        call_digest=ask.call_digest.hex(),
        obligations=tuple((o.id, o.why) for o in ask.obligations),
        shown=canonical.encode(shown).decode(),
    )


def _cut(text: str) -> str:
    """A text as JSON, cut so that it is still one."""
    text = text[:SHOWN_CHARS]
    while len(spelled := json.dumps(text)) > SHOWN_CHARS:
        text = text[: len(text) // 2]
    return spelled


def _spelled(value: object) -> Any:
    return list(value) if isinstance(value, tuple) else str(value)


def _legs(facts: Facts, legs: Sequence[Leg]) -> list[dict[str, Any]]:
    """Each leg of the session's exposure, with the record and tool that raised it first; without
    them where it was there from the start."""
    made: list[dict[str, Any]] = []
    for name in names.exposure_names(facts.wall.bits | facts.tree.bits):
        bit = names.exposure_bits((name,))
        started = any(
            cell.bits & bit and not any(leg.cell == cell.id and leg.bit == bit for leg in legs)
            for cell in (facts.wall, facts.tree)
        )
        first = min((leg for leg in legs if leg.bit == bit), key=lambda leg: leg.seq, default=None)
        if started or first is None:
            made.append({"leg": name, "seq": 0, "tool": ""})
        else:
            made.append({"leg": name, "seq": first.seq, "tool": first.tool})
    return made


def demanded_by(
    obligation: str, credential: VerifiedCredential, operation: int, policy: Policy
) -> str:
    """Who wants a person to be asked; empty where it follows from the call and the session."""
    if not obligation.startswith("op:"):
        return ""
    prefix = credential.prefix
    if obliged(prefix.opened.obligations, operation):
        return f"issuer {prefix.opened.header.iss}"
    for source, caveat in restrictions(prefix):
        if isinstance(caveat, Approve) and obliged(caveat.operations, operation):
            return added_by(credential, source)
    return "the policy file" if obliged(policy.obligations, operation) else ""
