"""Law: what a call could do is judged before it runs, and nothing it might have done is forgotten.

`records` is what an operation is known to leave behind, `projects` what it could do while it runs,
`raises` what the cells rise by. Below them are the grades and folds of a whole session.

This module stays inside the provable subset: functions over int, bool and tuple[int, ...].
"""

from nucleus_tokens.exposure import ALL, EXFIL_VECTOR
from nucleus_tokens.lattice import RUN_BASH, known

# 1. Octal digit i (from the right, from 0) is operation i. Writes, edits, commits and pods are
#    neutral: they move nothing out by themselves.
RECORDS: int = 0o4044022114001

# 2. A URL is a channel, so web_search and web_fetch also project a way out; a shell is opaque,
#    so it projects everything.
PROJECTS: int = 0o4044066117001

# 3. On a trusted sink (a credential-injected route, a single-tenant host) the URL leads nowhere
#    the agent could listen.
PROJECTS_TRUSTED: int = 0o4044022117001

# 4. Risk is how many legs stand.
SAFE: int = 0
LOW: int = 1
MEDIUM: int = 2
UNINHABITABLE: int = 3


def risk(e: int) -> int:
    """0 safe, 1 low, 2 medium, 3 uninhabitable."""
    return (e & 1) + ((e >> 1) & 1) + ((e >> 2) & 1)


def compose(a: int, b: int) -> int:
    """Grades of the risk monad compose by maximum, with unit safe."""
    return a if a >= b else b


def records(op: int) -> int:
    """What an allowed operation is known to leave behind; unknown operations leave everything."""
    return (RECORDS >> (op + op + op)) & ALL if known(op) else ALL


def projects(op: int, trusted_sink: bool, sealed: bool, mounted: int) -> int:
    """What the operation could do while it runs; the gate judges this.

    sealed: it runs in a work cell with an empty network namespace and no route. An opaque
    operation then can touch only what is mounted there, and is no way out.
    """
    if not known(op):
        return ALL
    if op == RUN_BASH and sealed:
        return mounted & ~EXFIL_VECTOR
    if trusted_sink:
        return (PROJECTS_TRUSTED >> (op + op + op)) & ALL
    return (PROJECTS >> (op + op + op)) & ALL


def raises(op: int, sealed: bool, mounted: int) -> int:
    """What the cells rise by once the operation is let run.

    For an opaque operation this is all it projected. Nobody watched it: if it only raised what
    it records, a shell that ran curl would leave the session without untrusted content, and
    the next push would pass the gate.
    """
    return projects(op, False, sealed, mounted) if op == RUN_BASH else records(op)


def with_binding(bits: int, added: int) -> int:
    """A tool's binding may add labels; there is no function by which it could remove one."""
    return bits | added


def is_exfil_projection(projected: int) -> bool:
    """The call would be a way out."""
    return projected & EXFIL_VECTOR != 0


def after(e: int, bits: int) -> int:
    """The state once these bits are recorded."""
    return e | bits


def gate_complete(e: int, projected: int) -> bool:
    """With this call all three legs would stand, or they stand already."""
    return (e | projected) & ALL == ALL


def session(start: int, steps: tuple[int, ...]) -> int:
    """The state after steps of any number: the join of all of them."""
    acc = start
    for bits in steps:
        acc = acc | bits
    return acc


def session_risk(start: int, grades: tuple[int, ...]) -> int:
    """The grade after steps of any number."""
    acc = start
    for g in grades:
        acc = compose(acc, g)
    return acc
