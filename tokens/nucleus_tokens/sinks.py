"""Law: every effect lands in one of nineteen sinks, and a sink has one requirement, kept in one
table; a sink nobody listed requires everything.

What a sink accepts is itself a label, its ceiling: a value may go there when it flows to that
label and is fresh. The six numbered rules below are the same statement taken apart, so that a
refusal can say why.

This module stays inside the provable subset: functions over int, bool and tuple[int, ...].
"""

from nucleus_tokens.labels import (
    AUTH_MASK,
    CONF_MASK,
    DERIV_MASK,
    INTEG_MASK,
    NO_AUTHORITY,
    PROV_MASK,
    SUGGESTIVE,
    TRUSTED,
    UNTRUSTED,
    authority,
    expired,
    integ,
)
from nucleus_tokens.lattice import known

SINK_COUNT: int = 19
WORKSPACE_WRITE: int = 0
SYSTEM_WRITE: int = 1
BASH_EXEC: int = 2
HTTP_EGRESS: int = 3
GIT_COMMIT_SINK: int = 4
GIT_PUSH_SINK: int = 5
PR_COMMENT_WRITE: int = 6
EMAIL_SEND: int = 7
MEMORY_PERSIST: int = 8
AGENT_SPAWN: int = 9
MCP_WRITE: int = 10
SECRET_READ: int = 11
CLOUD_MUTATION: int = 12
PROPOSED_TABLE_WRITE: int = 13
VERIFIED_TABLE_WRITE: int = 14
SEARCH_INDEX_WRITE: int = 15
CACHE_WRITE: int = 16
TICKET_WRITE: int = 17
AUDIT_LOG_APPEND: int = 18
UNKNOWN_SINK: int = 31

# 1. Bit s of each set is sink s. The sets hold what a sink is EXCUSED from, so that a number
#    beyond the table is excused from nothing.
NON_EXFIL: int = 0x5ED17
# secret_read and audit_log_append take any author and any integrity.
OPEN_TO_ALL: int = 0x40800
UNTRUSTED_OK: int = 0x5BF1F
UNVERIFIED_OK: int = 0x7BF8F
# 2. What can be undone and leaves nothing outside.
REVERSIBLE: int = 0x5A811

# 3. Base-32 digit i is the sink an operation goes to when its binding names none.
DEFAULT_SINKS: int = 0x9618A418D6B1000B

# 4. The rules as bits: rule r is bit r-1. A sink nobody knows breaks all.
SECRET_EXFIL: int = 1
AUTHORITY_TOO_LOW: int = 2
INTEGRITY_TOO_LOW: int = 4
WEB_EXFIL: int = 8
STALE: int = 16
UNVERIFIED: int = 32
ALL_RULES: int = 63


def known_sink(sink: int) -> bool:
    """One of the nineteen."""
    return sink >= 0 and sink < SINK_COUNT


def exfil(sink: int) -> bool:
    """Something leaves."""
    return sink < 0 or (NON_EXFIL >> sink) & 1 == 0


def required_authority(sink: int) -> int:
    """The least authority a value needs here."""
    return NO_AUTHORITY if sink >= 0 and (OPEN_TO_ALL >> sink) & 1 == 1 else SUGGESTIVE


def required_integrity(sink: int) -> int:
    """The least integrity a value needs here: 0 adversarial, 1 untrusted, 2 trusted."""
    if sink < 0 or (UNTRUSTED_OK >> sink) & 1 == 0:
        return TRUSTED
    return 0 if (OPEN_TO_ALL >> sink) & 1 == 1 else UNTRUSTED


def requires_verified(sink: int) -> bool:
    """Only deterministic or human-promoted values."""
    return sink < 0 or (UNVERIFIED_OK >> sink) & 1 == 0


def reversible(sink: int) -> bool:
    """Reversible and no way out: a payload that falls short does not need a person here."""
    return sink >= 0 and (REVERSIBLE >> sink) & 1 == 1


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


def secret_to_exfil(label: int, sink: int) -> bool:
    """Rule 1, the only one of the six that no approval can discharge."""
    return label & 0x0002 != 0 and exfil(sink)


def meets(label: int, sink: int, observed: int, ttl: int, now: int) -> bool:
    """The value meets the sink's requirement; the same as having no failure below."""
    ok = known_sink(sink) and label & ~ceiling(sink) == 0
    return ok and not expired(observed, ttl, now)


def flow_failures(label: int, sink: int, observed: int, ttl: int, now: int) -> int:
    """All rules the flow breaks, as a set; 0 when it breaks none."""
    if not known_sink(sink):
        return ALL_RULES
    r1 = SECRET_EXFIL if secret_to_exfil(label, sink) else 0
    r2 = AUTHORITY_TOO_LOW if authority(label) < required_authority(sink) else 0
    r3 = INTEGRITY_TOO_LOW if integ(label) < required_integrity(sink) else 0
    r4 = WEB_EXFIL if label & 0x0200 != 0 and exfil(sink) else 0
    r5 = STALE if expired(observed, ttl, now) else 0
    r6 = UNVERIFIED if requires_verified(sink) and label & 0xA000 != 0 else 0
    return r1 | r2 | r3 | r4 | r5 | r6


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
