"""Law: a label is a set of defects; mixing values collects defects, and only a declassification
naming the exact level takes one away.

Confidentiality, integrity, authority, provenance and derivation share one 16-bit integer in
which every set bit is a reason for caution. So the join of all five axes is |, "may flow to" is
`a & ~b == 0`, 0 is the cleanest label and 0xFFFF the worst. Where the textbook says max for one
axis and min for another, here everything is |. Freshness is a pair of numbers and stands apart.

This module stays inside the provable subset: functions over int, bool and tuple[int, ...].
"""

from nucleus_tokens.exposure import PRIVATE_DATA, UNTRUSTED_CONTENT

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

# 3. Intrinsic labels by kind of node. An unlisted kind is web content.
USER_PROMPT: int = 0x0081
TOOL_RESPONSE: int = 0x0135
WEB_CONTENT: int = 0xE27C
MEMORY_READ: int = 0x0435
MEMORY_WRITE: int = 0x2831
# A file that policy lists as trusted; EXISTING_FILE is what any other file gets.
FILE_READ: int = 0x1001
EXISTING_FILE: int = 0x1015
ENV_VAR: int = 0x1073
SECRET_VALUE: int = 0x1073
MODEL_PLAN: int = 0x2801
SUMMARIZATION: int = 0x2800
OUTBOUND_ACTION: int = 0x0800
HTTP_RESPONSE: int = 0x0175
DATABASE_ROW: int = 0x1031
GIT_BLOB: int = 0x1001
CACHED_DATUM: int = 0x0174
DETERMINISTIC_BIND: int = 0x0171
WEB_CONTENT_TTL: int = 3600
MEMORY_READ_TTL: int = 86400


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


# 4. Accessors read the worst bit first, so a bare high bit is never read as something better.
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


# 5. Encoders. A level that does not exist is the worst one.
def conf_bits(level: int) -> int:
    """Confidentiality as defects."""
    if level == PUBLIC:
        return 0
    return 0x01 if level == INTERNAL else 0x03


def integ_bits(level: int) -> int:
    """Integrity as defects."""
    if level == TRUSTED:
        return 0
    return 0x04 if level == UNTRUSTED else 0x0C


def auth_bits(level: int) -> int:
    """Authority as defects."""
    if level == DIRECTIVE:
        return 0
    if level == SUGGESTIVE:
        return 0x10
    return 0x30 if level == INFORMATIONAL else 0x70


def prov_bits(sources: int) -> int:
    """Provenance as defects."""
    return sources << 7 if sources & ~PROV_ALL == 0 else PROV_MASK


def deriv_bits(kind: int) -> int:
    """Derivation as defects."""
    return kind << 13 if kind & ~3 == 0 else DERIV_MASK


def make(conf_level: int, integ_level: int, auth_level: int, sources: int, kind: int) -> int:
    """A label from its five levels."""
    c = conf_bits(conf_level) | integ_bits(integ_level) | auth_bits(auth_level)
    return c | prov_bits(sources) | deriv_bits(kind)


# 6. Propagation: a node is never cleaner than what it was made from.
def propagate(intrinsic: int, parents: tuple[int, ...]) -> int:
    """The intrinsic label of a node joined with the labels of all its parents."""
    acc = intrinsic
    for p in parents:
        acc = acc | p
    return acc


def to_exposure(a: int) -> int:
    """What a session has seen once it has seen a value with this label; preserves joins."""
    private = PRIVATE_DATA if a & CONF_MASK != 0 else 0
    return private | (UNTRUSTED_CONTENT if a & INTEG_MASK != 0 else 0)


# 7. Freshness: a mixture is as old as its oldest part and lives as briefly as its shortest.
def join_observed(a: int, b: int) -> int:
    """The earlier observation."""
    return a if a <= b else b


def join_ttl(a: int, b: int) -> int:
    """The shorter time to live; 0 means it does not expire."""
    if a == 0:
        return b
    if b == 0:
        return a
    return a if a <= b else b


def expired(observed: int, ttl: int, now: int) -> bool:
    """Too old at this time. A negative time to live (which nothing makes) counts as one."""
    return ttl != 0 and now > observed + ttl


# 8. Declassification names one step, from exactly this level to exactly that one. A rule for
#    Internal says nothing about Secret; a rule for Untrusted says nothing about Adversarial.
def lowers_conf(a: int, src: int, dst: int) -> bool:
    """The step applies to this label."""
    return conf(a) == src and dst >= PUBLIC and dst < src


def lower_conf(a: int, src: int, dst: int) -> int:
    """The label after the step; unchanged if it does not apply."""
    return (a & ~CONF_MASK) | conf_bits(dst) if lowers_conf(a, src, dst) else a


def raises_integ(a: int, src: int, dst: int) -> bool:
    """The step applies to this label."""
    return integ(a) == src and dst <= TRUSTED and dst > src


def raise_integ(a: int, src: int, dst: int) -> int:
    """The label after the step; unchanged if it does not apply."""
    return (a & ~INTEG_MASK) | integ_bits(dst) if raises_integ(a, src, dst) else a


def raises_authority(a: int, src: int, dst: int) -> bool:
    """The step applies to this label."""
    return authority(a) == src and dst <= DIRECTIVE and dst > src


def raise_authority(a: int, src: int, dst: int) -> int:
    """The label after the step; unchanged if it does not apply."""
    return (a & ~AUTH_MASK) | auth_bits(dst) if raises_authority(a, src, dst) else a
