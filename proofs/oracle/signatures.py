"""Law: every function of the algebra is compared, each argument over the values it is for.

One row a function: the kinds of its arguments. A kind is a way to make numbers; each makes its
corner values often.
"""

import random
from collections.abc import Callable, Mapping
from typing import Final

Value = int | bool | tuple[int, ...]

SIGNATURES: Final[Mapping[str, str]] = dict(
    row.strip().split(": ")
    for row in """
    lattice.valid: word
    lattice.meet: caps caps
    lattice.join: caps caps
    lattice.leq: caps caps
    lattice.known: op
    lattice.level_of: caps op
    lattice.with_level: op rank
    lattice.granted: caps
    lattice.obliged: ops op
    lattice.nu_fires: caps
    lattice.nu: caps ops
    heyting.implies: caps caps
    heyting.neg: caps
    heyting.set_level: caps op rank
    heyting.project: caps group
    heyting.inject: caps caps group
    heyting.merge_from: caps caps group
    heyting.read_only: caps
    heyting.permission_gap: caps caps
    heyting.entails: caps caps
    heyting.condition: caps caps
    heyting.condition_satisfied: caps caps caps
    heyting.condition_apply: caps caps caps
    heyting.spread: ops
    heyting.box: caps ops
    heyting.diamond: caps caps
    heyting.requires_escalation: caps caps
    heyting.alpha: caps caps
    heyting.gamma: caps caps
    heyting.closure: caps caps
    heyting.kernel: caps caps
    heyting.perm_leq: caps ops caps ops
    heyting.chain_caps: caps caps*
    heyting.chain_obligations: ops ops*
    exposure.valid: word
    exposure.join: seen seen
    exposure.leq: seen seen
    exposure.complete: seen
    exposure.gates: seen seen
    projection.risk: seen
    projection.compose: amount amount
    projection.records: op
    projection.projects: op bool bool seen
    projection.raises: op bool seen
    projection.with_binding: seen seen
    projection.is_exfil_projection: seen
    projection.after: seen seen
    projection.gate_complete: seen seen
    projection.session: seen seen*
    projection.session_risk: amount amount*
    labels.valid: word
    labels.join: label label
    labels.flows_to: label label
    labels.conf: label
    labels.integ: label
    labels.authority: label
    labels.provenance: label
    labels.derivation: label
    labels.expired: amount amount amount
    labelling.conf_bits: rank
    labelling.integ_bits: rank
    labelling.auth_bits: rank
    labelling.prov_bits: sources
    labelling.deriv_bits: rank
    labelling.make: rank rank rank sources rank
    labelling.lowers_conf: label rank rank
    labelling.lower_conf: label rank rank
    labelling.raises_integ: label rank rank
    labelling.raise_integ: label rank rank
    labelling.raises_authority: label rank rank
    labelling.raise_authority: label rank rank
    labelling.propagate: label label*
    labelling.to_exposure: label
    labelling.join_observed: amount amount
    labelling.join_ttl: amount amount
    sinks.known_sink: sink
    sinks.exfil: sink
    sinks.required_authority: sink
    sinks.required_integrity: sink
    sinks.requires_verified: sink
    sinks.reversible: sink
    sinks.secret_to_exfil: label sink
    sinks.flow_failures: label sink amount amount amount
    flow.default_sink: op
    flow.ceiling: sink
    flow.meets: label sink amount amount amount
    flow.first_rule: rules
    flow.check_flow: label sink amount amount amount
    verdict.denials: rank bool bool
    verdict.asks: level bool bool bool bool bool bool
    verdict.verdict: few few word
    verdict.budget_suffices: amount amount amount
    verdict.remaining: amount amount
    verdict.depth_falls: amount amount
    verdict.time_valid: amount amount amount
    verdict.denied_for: caps op label sink bool
    verdict.asked_for: caps ops op seen seen bool sink bool bool
    session.judge: caps ops op seen seen label sink amount amount amount bool bool bool word
    session.step_caps: caps caps
    session.step_exposure: seen seen
    session.step_obligations: ops ops
    session.step_spent: amount amount amount
    session.session_caps: caps caps*
    session.session_exposure: seen seen*
    session.session_obligations: ops ops*
    session.session_spent: amount amount amount*
    """.strip().splitlines()
)
# The verdict on a whole call has by far the most ways to go wrong.
SHARES: Final[Mapping[str, int]] = {"session.judge": 24, "flow.meets": 4, "verdict.asked_for": 4}

_LOW, _HIGH, _TOP = 0x1555555, 0x2AAAAAA, 0x3FFFFFF
_CAPS = (0, _TOP, _LOW, *(k << (2 * i) for i in range(13) for k in (1, 3)), 0xFF03, 16385, 278529)
_AMOUNTS = (0, 0, 1, -1, 2, 10, 100, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 10**30)
_WORDS = (-1, 0, 7, 8, 0x1FFF, _LOW, _HIGH, _TOP, _TOP + 1, 0xFFFF, 0x10000, 0x8000, -_TOP)


def caps(rng: random.Random) -> int:
    """A capability: every high bit on its low bit."""
    if rng.random() < 0.15:
        return rng.choice(_CAPS)
    number = rng.getrandbits(26)
    return number | ((number & _HIGH) >> 1)


def group(rng: random.Random) -> int:
    """A mask of whole dimensions."""
    low = rng.getrandbits(26) & _LOW
    return low | (low << 1)


def label(rng: random.Random) -> int:
    """A label: every thermometer filled from below; often near the cleanest."""
    number = rng.getrandbits(16) & (rng.getrandbits(16) if rng.random() < 0.6 else 0xFFFF)
    number |= (number & 0x806A) >> 1
    return number | ((number & 0x8020) >> 1) | ((number & 0x8000) >> 2)


def amount(rng: random.Random) -> int:
    if rng.random() < 0.3:
        return rng.choice(_AMOUNTS)
    return rng.randrange(-4, 40) if rng.random() < 0.7 else rng.getrandbits(70) - (1 << 68)


def word(rng: random.Random) -> int:
    """Any number, also one that is nothing."""
    if rng.random() < 0.2:
        return rng.choice(_WORDS)
    maker = rng.choice((caps, label, amount))
    return maker(rng) ^ (rng.random() < 0.2)


def many(maker: Callable[[random.Random], int]) -> Callable[[random.Random], tuple[int, ...]]:
    return lambda rng: tuple(maker(rng) for _ in range(rng.getrandbits(3)))


def between(low: int, high: int) -> Callable[[random.Random], int]:
    width = high - low + 1
    return lambda rng: low + int(rng.random() * width)


_ONE: Final[Mapping[str, Callable[[random.Random], int]]] = {
    "caps": caps,
    "group": group,
    "label": label,
    "amount": amount,
    "word": word,
    "ops": between(0, 0x1FFF),
    "seen": between(0, 7),
    "op": between(-2, 14),
    "sink": between(-2, 34),
    "level": between(0, 2),
    "rank": between(-2, 6),
    "sources": between(-3, 70),
    "rules": between(0, 63),
    "few": between(0, 15),
}
MAKERS: Final[Mapping[str, Callable[[random.Random], Value]]] = {
    **_ONE,
    **{f"{kind}*": many(maker) for kind, maker in _ONE.items()},
    "bool": lambda rng: rng.random() < 0.5,
}
