"""Law: any deny beats any ask, any ask beats allow, and nothing that narrows a token, raises an
exposure or worsens a label ever moves a verdict upward.

This is the decision table of the kernel as numbers. `denials` says what no approval can cure,
`asks` says what a person (or, where policy allows it, evidence) must answer for, `verdict` puts
them together. The rest is the integer core of budgets, depth, time and the session ratchets.

This module stays inside the provable subset: functions over int, bool and tuple[int, ...].
"""

from nucleus_tokens.exposure import gates
from nucleus_tokens.lattice import ALWAYS, LOW_RISK, level_of, obliged
from nucleus_tokens.sinks import known_sink, reversible, secret_to_exfil

DENY: int = 0
ASK: int = 1
ALLOW: int = 2

# 1. Reasons to deny.
DENY_LEVEL: int = 1
DENY_SECRET: int = 2
DENY_DECLASSIFY: int = 4
DENY_SINK: int = 8

# 2. Reasons to ask; each is discharged on its own.
ASK_STATIC: int = 1
ASK_INPUTS: int = 2
ASK_PAYLOAD: int = 4
ASK_GATE: int = 8


def denials(level: int, to_exfil: bool, bad_declassification: bool) -> int:
    """The reasons to deny: level never (or none at all), a secret on its way out, a bad release."""
    d1 = DENY_LEVEL if level < LOW_RISK or level > ALWAYS else 0
    d2 = DENY_SECRET if to_exfil else 0
    return d1 | d2 | (DENY_DECLASSIFY if bad_declassification else 0)


def asks(
    level: int,
    static_obligation: bool,
    gate_fires: bool,
    payload_ok: bool,
    sink_reversible: bool,
    evidence: bool,
    gate_by_evidence: bool,
) -> int:
    """The reasons to ask, all of them.

    evidence: every selector argument has positive evidence. gate_by_evidence: policy lets that
    answer for the gate and the payload too; it never answers for a static obligation.
    """
    answered = gate_by_evidence and evidence
    a1 = ASK_STATIC if static_obligation else 0
    # Below always: at never the call is denied anyway, and the set stays monotone in the level.
    a2 = ASK_INPUTS if level < ALWAYS and not evidence else 0
    a3 = ASK_PAYLOAD if not payload_ok and not sink_reversible and not answered else 0
    return a1 | a2 | a3 | (ASK_GATE if gate_fires and not answered else 0)


def denied_for(caps: int, op: int, label: int, sink: int, bad_declassification: bool) -> int:
    """The reasons to deny this operation on this value into this sink."""
    d = denials(level_of(caps, op), secret_to_exfil(label, sink), bad_declassification)
    return d if known_sink(sink) else d | DENY_SINK


def asked_for(
    caps: int,
    obligations: int,
    op: int,
    exposure: int,
    projected: int,
    payload_ok: bool,
    sink: int,
    evidence: bool,
    gate_by_evidence: bool,
) -> int:
    """The reasons to ask for this operation in this state."""
    return asks(
        level_of(caps, op),
        obliged(obligations, op),
        gates(exposure, projected),
        payload_ok,
        reversible(sink),
        evidence,
        gate_by_evidence,
    )


def verdict(denied: int, asked: int, discharged: int) -> int:
    """0 deny, 1 ask, 2 allow. Approvals discharge asks; nothing discharges a denial."""
    if denied != 0:
        return DENY
    return ASK if asked & ~discharged != 0 else ALLOW


# 3. Budgets, depth, time. Amounts are whole numbers of the smallest unit.
def budget_suffices(spent: int, cost: int, limit: int) -> bool:
    """The cost fits. A negative cost never does: it would be a way to earn."""
    return cost >= 0 and spent >= 0 and spent + cost <= limit


def remaining(spent: int, limit: int) -> int:
    """What is left, never below zero and never above the limit."""
    if spent < 0 or spent >= limit:
        return 0
    return limit - spent


def depth_falls(old: int, new: int) -> bool:
    """A delegation leaves strictly fewer hops, and never fewer than none."""
    return new >= 0 and new < old


def time_valid(nbf: int, exp: int, now: int) -> bool:
    """From nbf on, until just before exp. No skew here: the caller gives it to nbf and only it."""
    return nbf <= now and now < exp
