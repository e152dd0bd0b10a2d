"""Law: over a whole session authority only falls, and what is seen, owed and spent only rises.

The decision table applied to packed state, and the folds of a session of any length: what the
theorems are about, in one place. `decide` composes the same functions with facts in between.

This module stays inside the provable subset: functions over int, bool and tuple[int, ...].
"""

from nucleus_tokens.flow import meets
from nucleus_verifier.verdict import asked_for, budget_suffices, denied_for, verdict


def judge(
    caps: int,
    obligations: int,
    op: int,
    exposure: int,
    projected: int,
    label: int,
    sink: int,
    observed: int,
    ttl: int,
    now: int,
    bad_declassification: bool,
    evidence: bool,
    gate_by_evidence: bool,
    discharged: int,
) -> int:
    """The verdict on one call. Monotone in caps, evidence, policy and discharged; antitone in
    obligations, exposure, projection, label, age and a bad declassification."""
    denied = denied_for(caps, op, label, sink, bad_declassification)
    fit = meets(label, sink, observed, ttl, now)
    asked = asked_for(
        caps, obligations, op, exposure, projected, fit, sink, evidence, gate_by_evidence
    )
    return verdict(denied, asked, discharged)


# 1. The ratchets of a session: authority falls, everything else that is remembered rises.
def step_caps(caps: int, caveat: int) -> int:
    """Authority after a narrowing."""
    return caps & caveat


def step_exposure(exposure: int, bits: int) -> int:
    """Exposure after a call."""
    return exposure | bits


def step_obligations(obligations: int, added: int) -> int:
    """Obligations after a caveat or a policy added some."""
    return obligations | added


def step_spent(spent: int, cost: int, limit: int) -> int:
    """What is spent after an attempt: the cost is charged whole or not at all."""
    return spent + cost if budget_suffices(spent, cost, limit) else spent


def session_caps(caps: int, caveats: tuple[int, ...]) -> int:
    """Authority after any number of narrowings."""
    acc = caps
    for c in caveats:
        acc = step_caps(acc, c)
    return acc


def session_exposure(exposure: int, steps: tuple[int, ...]) -> int:
    """Exposure after any number of calls."""
    acc = exposure
    for bits in steps:
        acc = step_exposure(acc, bits)
    return acc


def session_obligations(obligations: int, steps: tuple[int, ...]) -> int:
    """Obligations after any number of additions."""
    acc = obligations
    for added in steps:
        acc = step_obligations(acc, added)
    return acc


def session_spent(spent: int, limit: int, costs: tuple[int, ...]) -> int:
    """What is spent after any number of attempts."""
    acc = spent
    for cost in costs:
        acc = step_spent(acc, cost, limit)
    return acc
