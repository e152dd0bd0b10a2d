"""Law: every effect lands in one of nineteen sinks, and a sink has one requirement, kept in one
table; a sink nobody listed requires everything.

What a sink accepts is itself a label, its ceiling: a value may go there when it flows to that
label and is fresh. The six numbered rules below are the same statement taken apart, so that a
refusal can say why.

This module stays inside the provable subset: functions over int, bool and tuple[int, ...].
"""

from nucleus_tokens.labels import (
    NO_AUTHORITY,
    SUGGESTIVE,
    TRUSTED,
    UNTRUSTED,
    authority,
    expired,
    integ,
)

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

# 3. The rules as bits: rule r is bit r-1. A sink nobody knows breaks all.
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


def secret_to_exfil(label: int, sink: int) -> bool:
    """Rule 1, the only one of the six that no approval can discharge."""
    return label & 0x0002 != 0 and exfil(sink)


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
