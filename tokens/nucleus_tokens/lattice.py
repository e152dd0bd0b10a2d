"""Law: authority is one integer; to narrow is to clear bits, and no clearing ever sets one.

Thirteen operations, each never < low_risk < always, are packed two bits apiece (never 00,
low_risk 01, always 11). In that thermometer code meet is &, join is |, and a <= b is
`a & ~b == 0`, for all thirteen at once. Capabilities form a Heyting algebra; permissions
(capabilities with obligations) do not, because nu is not monotone. The arrow, and all that
`decide` does not need, is in `heyting`.

This module stays inside the provable subset: functions over int, bool and tuple[int, ...].
"""

# 1. Operation i is dimension i: bits 2i and 2i+1 of a capability, bit i of an obligation set.
DIMS: int = 13
READ_FILES: int = 0
WRITE_FILES: int = 1
EDIT_FILES: int = 2
RUN_BASH: int = 3
GLOB_SEARCH: int = 4
GREP_SEARCH: int = 5
WEB_SEARCH: int = 6
WEB_FETCH: int = 7
GIT_COMMIT: int = 8
GIT_PUSH: int = 9
CREATE_PR: int = 10
MANAGE_PODS: int = 11
SPAWN_AGENT: int = 12

# 2. Levels.
NEVER: int = 0
LOW_RISK: int = 1
ALWAYS: int = 2

# 3. The two bits of every dimension; the ends of the lattice.
LO: int = 0x1555555
HI: int = 0x2AAAAAA
TOP: int = 0x3FFFFFF
BOTTOM: int = 0
OPS: int = 0x1FFF

# 4. Groups of dimensions: disjoint, and together TOP.
READS: int = 0x0000F03
WRITES: int = 0x000003C
EXECUTION: int = 0x00000C0
NETWORK: int = 0x000F000
GIT: int = 0x03F0000
INFRA: int = 0x3C00000

# 5. Static nu: the exfil leg as dimensions (run_bash, git_push, create_pr) and as operations.
NU_DIMS: int = 0x03C00C0
NU_OPS: int = 0x608


def valid(a: int) -> bool:
    """Every high bit stands on its low bit, and nothing lies above the thirteenth dimension."""
    return a & ~TOP == 0 and ((a & HI) >> 1) & ~a == 0


def meet(a: int, b: int) -> int:
    """What both permit."""
    return a & b


def join(a: int, b: int) -> int:
    """What either permits."""
    return a | b


def leq(a: int, b: int) -> bool:
    """a permits nothing that b does not."""
    return a & ~b == 0


def known(op: int) -> bool:
    """op is one of the thirteen; every reader below fails closed on anything else."""
    return op >= 0 and op < DIMS


def level_of(a: int, op: int) -> int:
    """0 never, 1 low_risk, 2 always; an unknown operation and a bare high bit are never."""
    if not known(op):
        return NEVER
    low = (a >> (op + op)) & 1
    return low + ((a >> (op + op + 1)) & low)


def with_level(op: int, level: int) -> int:
    """The capability of this one operation at this level; unknown operation or level: nothing."""
    if not known(op) or level < LOW_RISK or level > ALWAYS:
        return BOTTOM
    return (level + level - 1) << (op + op)


# 6. Between capabilities (26 bits) and sets of operations (13 bits), constant shifts only.
def granted(caps: int) -> int:
    """The set of operations above never."""
    w = caps & LO
    x = (w | (w >> 1)) & 0x3333333
    y = (x | (x >> 2)) & 0xF0F0F0F
    z = (y | (y >> 4)) & 0x0FF00FF
    return (z | (z >> 8)) & OPS


# 7. Obligations: a set of operations that need a person. More obligations is less authority.
def obliged(obligations: int, op: int) -> bool:
    """This operation needs a person; an unknown one always does."""
    return not known(op) or (obligations >> op) & 1 == 1


def nu_fires(caps: int) -> bool:
    """The policy holds all three legs: private data, untrusted content, a way out."""
    return caps & READS != 0 and caps & NETWORK != 0 and caps & NU_DIMS != 0


def nu(caps: int, obligations: int) -> int:
    """Obligations with each granted exfil operation added once the policy holds all three legs.

    NOT monotone in caps. It is computed once, from the ceiling; never again from a meet.
    """
    return obligations | (granted(caps) & NU_OPS) if nu_fires(caps) else obligations
