"""Short ways to say what a call must come to."""

from __future__ import annotations

from typing import Any

from nucleus_tokens.chain import UnverifiedToken
from nucleus_verifier import hints
from nucleus_verifier.decide import decide
from nucleus_verifier.decision import LAST_SILENT_STEP, Allow, Ask, Decision, Deny, Intent
from nucleus_verifier.facts import Call
from tests.support import world


def judge(
    credential: str | UnverifiedToken,
    call: Call,
    like: str | UnverifiedToken | None = None,
    **facts: Any,
) -> Decision:
    """The decision on a good day, but for the facts given. A credential that will not be
    authenticated takes its counters from a token `like` it."""
    text = credential if isinstance(credential, str) else world.text(credential)
    if like is None and facts.pop("stranger", False):
        return decide(text, call, world.facts(**facts))
    return decide(text, call, world.facts(credential if like is None else like, **facts))


def allowed(decision: Decision) -> Intent:
    """It must be an Allow; its intent."""
    assert isinstance(decision, Allow), decision
    return decision.intent


def asked(decision: Decision) -> set[str]:
    """It must be an Ask; the ids of what is owed."""
    assert isinstance(decision, Ask), decision
    return {o.id for o in decision.obligations}


def denied(decision: Decision, step: int, code: str) -> Deny:
    """It must be a Deny at this step for this reason; at a silent step it must tell nothing."""
    assert isinstance(decision, Deny), decision
    assert (decision.step, decision.code) == (step, code)
    if step <= LAST_SILENT_STEP:
        assert answer(decision) == STRANGER
    return decision


def answer(decision: Deny) -> tuple[str, str, str]:
    """All that a caller is told."""
    return decision.public_code, hints.public_detail(decision), hints.hint(decision)


STRANGER = answer(Deny(1, "token.malformed"))
