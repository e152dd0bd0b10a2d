"""Law: a label is a set of defects; mixing values collects defects, and only a declassification
naming the exact level takes one away.

Confidentiality, integrity, authority, provenance and derivation share one 16-bit integer in
which every set bit is a reason for caution. So the join of all five axes is |, "may flow to" is
`a & ~b == 0`, 0 is the cleanest label and 0xFFFF the worst. Where the textbook says max for one
axis and min for another, here everything is |. Freshness is a pair of numbers and stands apart.

This module stays inside the provable subset: functions over int, bool and tuple[int, ...].
"""

# 1. Layout. Bits 0-1 confidentiality, 2-3 integrity, 4-6 authority, 7-12 provenance,
#    13-15 derivation; thermometers, except provenance (a set) and derivation (ai and human are
#    two bits, mixed is both, opaque is all three).
CONF_MASK: int = 0x0003
INTEG_MASK: int = 0x000C
AUTH_MASK: int = 0x0070
PROV_MASK: int = 0x1F80
DERIV_MASK: int = 0xE000

BOTTOM: int = 0x0000
TOP: int = 0xFFFF
# Public, untrusted, no authority, no provenance, deterministic.
DEFAULT: int = 0x0074

# 2. Levels, as `make` takes them and the accessors return them.
PUBLIC: int = 0
INTERNAL: int = 1
SECRET: int = 2
ADVERSARIAL: int = 0
UNTRUSTED: int = 1
TRUSTED: int = 2
NO_AUTHORITY: int = 0
INFORMATIONAL: int = 1
SUGGESTIVE: int = 2
DIRECTIVE: int = 3
USER: int = 1
TOOL: int = 2
WEB: int = 4
MEMORY: int = 8
MODEL: int = 16
SYSTEM: int = 32
PROV_ALL: int = 63
DETERMINISTIC: int = 0
AI_DERIVED: int = 1
HUMAN_PROMOTED: int = 2
MIXED: int = 3
OPAQUE_EXTERNAL: int = 4


def valid(a: int) -> bool:
    """Sixteen bits, and every thermometer filled from below."""
    rest = ~a & TOP
    return a & ~TOP == 0 and (((a & 0x806A) >> 1) | ((a & 0x8000) >> 2)) & rest == 0


def join(a: int, b: int) -> int:
    """The label of a value made from both."""
    return a | b


def flows_to(a: int, b: int) -> bool:
    """A value labelled a may stand where b is accepted: it has no defect that b has not."""
    return a & ~b == 0


# 3. Accessors read the worst bit first, so a bare high bit is never read as something better.
def conf(a: int) -> int:
    """0 public, 1 internal, 2 secret."""
    return SECRET if a & 0x02 != 0 else a & 0x01


def integ(a: int) -> int:
    """0 adversarial, 1 untrusted, 2 trusted."""
    if a & 0x08 != 0:
        return ADVERSARIAL
    return UNTRUSTED if a & 0x04 != 0 else TRUSTED


def authority(a: int) -> int:
    """0 none, 1 informational, 2 suggestive, 3 directive."""
    if a & 0x40 != 0:
        return NO_AUTHORITY
    if a & 0x20 != 0:
        return INFORMATIONAL
    return SUGGESTIVE if a & 0x10 != 0 else DIRECTIVE


def provenance(a: int) -> int:
    """The set of sources, six bits."""
    return (a >> 7) & PROV_ALL


def derivation(a: int) -> int:
    """0 deterministic, 1 ai_derived, 2 human_promoted, 3 mixed, 4 opaque_external."""
    return OPAQUE_EXTERNAL if a & 0x8000 != 0 else (a >> 13) & 3


# 4. Freshness.
def expired(observed: int, ttl: int, now: int) -> bool:
    """Too old at this time. A negative time to live (which nothing makes) counts as one."""
    return ttl != 0 and now > observed + ttl
