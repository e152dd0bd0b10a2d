"""Law: a source gets the label its kind deserves, and a release moves exactly the level it names.

Where labels come from and how one is lowered: the encoders, the intrinsic label of each kind of
node, and the steps of declassification. `decide` only compares labels; it makes none.

This module stays inside the provable subset: functions over int, bool and tuple[int, ...].
"""

from nucleus_tokens.exposure import PRIVATE_DATA, UNTRUSTED_CONTENT
from nucleus_tokens.labels import (
    AUTH_MASK,
    CONF_MASK,
    DERIV_MASK,
    DIRECTIVE,
    INFORMATIONAL,
    INTEG_MASK,
    INTERNAL,
    PROV_ALL,
    PROV_MASK,
    PUBLIC,
    SUGGESTIVE,
    TRUSTED,
    UNTRUSTED,
    authority,
    conf,
    integ,
)

# 1. Intrinsic labels by kind of node. An unlisted kind is web content.
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


# 2. Encoders. A level that does not exist is the worst one.
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


# 3. Declassification names one step, from exactly this level to exactly that one. A rule for
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


# Propagation: a node is never cleaner than what it was made from.
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


# Freshness: a mixture is as old as its oldest part and lives as briefly as its shortest.
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
