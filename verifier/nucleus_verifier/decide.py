"""Law: bytes and facts in, a decision out. This is the kernel; its import closure is all of it.

    decide(credential, call, facts) -> Allow(intent) | Ask(obligations) | Deny(reason)

It reads no clock, file, socket or environment, draws no randomness and logs nothing. The fourteen
steps are numbered in docs/spec/decide.md, and the same numbers stand in `authenticate.py` (1 to 4)
and `clear.py` (5 to 14). An Allow is not yet a permit: only `commit` makes one, once it is durable.
"""

from __future__ import annotations

from nucleus_verifier.authenticate import authenticate
from nucleus_verifier.clear import clear
from nucleus_verifier.decision import Decision, Deny
from nucleus_verifier.facts import Call, Facts


def decide(credential: str, call: Call, facts: Facts) -> Decision:
    """Judge one call by one credential. Total: every input gives a decision."""
    verified = authenticate(credential, facts.keys)
    if isinstance(verified, Deny):
        return verified
    return clear(verified, call, facts)
