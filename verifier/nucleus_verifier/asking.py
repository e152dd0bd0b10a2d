"""Law: what is put on the desk shows a person what was asked, by whom and in which session."""

from __future__ import annotations

import json
from typing import Final

from nucleus_tokens import canonical, names
from nucleus_verifier.authenticate import VerifiedCredential
from nucleus_verifier.decision import Ask
from nucleus_verifier.facts import Call, Facts
from nucleus_verifier.ports import PendingRequest

SHOWN_CHARS: Final = 16 * 1024  # of the arguments, to a person


def request(
    request_id: str,
    credential: VerifiedCredential,
    call: Call,
    facts: Facts,
    ask: Ask,
    seconds: int,
) -> PendingRequest:
    """What is put on the desk for an Ask; it waits for `seconds`, never beyond the token."""
    prefix = credential.prefix
    header = prefix.opened.header
    # ASCII: text in any normal form can be shown.
    spelled = json.dumps(call.args, sort_keys=True, separators=(",", ":"))
    shown = {
        "args": spelled[:SHOWN_CHARS],
        "args_whole": len(spelled) <= SHOWN_CHARS,
        "chain": [header.sub, *(hop.to for hop in prefix.hops)],
        "exposure": list(names.exposure_names(facts.wall.bits | facts.tree.bits)),
        "operation": names.OPERATIONS[call.operation],
        "resources": {
            kind: None if values is None else [str(value) for value in values]
            for kind, values in call.resources.items()
        },
        "sub": header.sub,
    }
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
