"""Law: a value may go to a sink just when its label flows to the sink's ceiling and it is fresh.

The six rules of `sinks` taken together again: as one label per sink, and as the first rule that
is broken. Also where an operation goes when its binding names no sink.

This module stays inside the provable subset: functions over int, bool and tuple[int, ...].
"""

from nucleus_tokens.labels import (
    AUTH_MASK,
    CONF_MASK,
    DERIV_MASK,
    INTEG_MASK,
    NO_AUTHORITY,
    PROV_MASK,
    TRUSTED,
    UNTRUSTED,
    expired,
)
from nucleus_tokens.lattice import known
from nucleus_tokens.sinks import (
    AUTHORITY_TOO_LOW,
    INTEGRITY_TOO_LOW,
    SECRET_EXFIL,
    STALE,
    UNKNOWN_SINK,
    WEB_EXFIL,
    exfil,
    flow_failures,
    known_sink,
    required_authority,
    required_integrity,
    requires_verified,
)

# 1. Base-32 digit i is the sink an operation goes to when its binding names none.
DEFAULT_SINKS: int = 0x9618A418D6B1000B


def default_sink(op: int) -> int:
    """Where an operation goes unless its binding says otherwise."""
    if not known(op):
        return UNKNOWN_SINK
    return (DEFAULT_SINKS >> (op + op + op + op + op)) & 31


def ceiling(sink: int) -> int:
    """The worst label the sink accepts, freshness apart; the cleanest one if it is unknown."""
    if not known_sink(sink):
        return 0
    c = 0x0001 if exfil(sink) else CONF_MASK
    a = AUTH_MASK if required_authority(sink) == NO_AUTHORITY else 0x0010
    # Human promotion is the one derivation bit that a verified sink lets stand.
    d = 0x4000 if requires_verified(sink) else DERIV_MASK
    p = 0x1D80 if exfil(sink) else PROV_MASK
    if required_integrity(sink) == TRUSTED:
        return c | a | p | d
    return c | a | p | d | (0x0004 if required_integrity(sink) == UNTRUSTED else INTEG_MASK)


def meets(label: int, sink: int, observed: int, ttl: int, now: int) -> bool:
    """The value meets the sink's requirement; the same as having no failure below."""
    ok = known_sink(sink) and label & ~ceiling(sink) == 0
    return ok and not expired(observed, ttl, now)


def first_rule(failures: int) -> int:
    """The number 1..6 of the first rule in the set; 0 if it is empty."""
    if failures & SECRET_EXFIL != 0:
        return 1
    if failures & AUTHORITY_TOO_LOW != 0:
        return 2
    if failures & INTEGRITY_TOO_LOW != 0:
        return 3
    if failures & WEB_EXFIL != 0:
        return 4
    if failures & STALE != 0:
        return 5
    return 6 if failures != 0 else 0


def check_flow(label: int, sink: int, observed: int, ttl: int, now: int) -> int:
    """0 if the value may go there, else the number of the first rule it breaks."""
    return first_rule(flow_failures(label, sink, observed, ttl, now))
