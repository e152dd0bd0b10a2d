"""Law: what the packed numbers mean is said here once more, by name and dimension, bit by bit.

Nothing here uses a mask, a shift or a table of the kernel. Claims compare the kernel with this,
so they would survive a change of the packing, and a wrong mask cannot hide behind itself.
"""

from collections.abc import Callable, Iterable

from proofs.symbolic.machine import WIDTH, Expr
from proofs.symbolic.solver import z3


def words(text: str) -> list[str]:
    return text.split()


OPERATIONS = words(
    "read_files write_files edit_files run_bash glob_search grep_search web_search web_fetch "
    "git_commit git_push create_pr manage_pods spawn_agent"
)
DIMENSIONS = range(len(OPERATIONS))
GROUPS = {
    "READS": ("read_files", "glob_search", "grep_search"),
    "WRITES": ("write_files", "edit_files"),
    "EXECUTION": ("run_bash",),
    "NETWORK": ("web_search", "web_fetch"),
    "GIT": ("git_commit", "git_push", "create_pr"),
    "INFRA": ("manage_pods", "spawn_agent"),
}
NU_EXFIL = ("run_bash", "git_push", "create_pr")
PRIVATE, UNTRUSTED, EXFIL = 1, 2, 4
RECORDS = {
    "read_files": PRIVATE,
    "glob_search": PRIVATE,
    "grep_search": PRIVATE,
    "web_search": UNTRUSTED,
    "web_fetch": UNTRUSTED,
    "run_bash": EXFIL,
    "git_push": EXFIL,
    "create_pr": EXFIL,
    "spawn_agent": EXFIL,
}
# A shell is opaque, and a URL is a channel.
PROJECTS = RECORDS | {"run_bash": 7, "web_search": 6, "web_fetch": 6}
PROJECTS_TRUSTED = RECORDS | {"run_bash": 7}

SINKS = words(
    "workspace_write system_write bash_exec http_egress git_commit git_push pr_comment_write "
    "email_send memory_persist agent_spawn mcp_write secret_read cloud_mutation "
    "proposed_table_write verified_table_write search_index_write cache_write ticket_write "
    "audit_log_append"
)
EXFIL_SINKS = words(
    "http_egress git_push pr_comment_write email_send agent_spawn cloud_mutation ticket_write"
)
TRUSTED_SINKS = words("git_push pr_comment_write email_send verified_table_write ticket_write")
VERIFIED_SINKS = words("git_commit git_push pr_comment_write verified_table_write")
OPEN_SINKS = words("secret_read audit_log_append")
REVERSIBLE_SINKS = words(
    "workspace_write git_commit secret_read proposed_table_write search_index_write cache_write "
    "audit_log_append"
)
DEFAULT_SINKS = words(
    "secret_read workspace_write workspace_write bash_exec secret_read secret_read http_egress "
    "http_egress git_commit git_push pr_comment_write cloud_mutation agent_spawn"
)


def n(value: int) -> Expr:
    return z3.BitVecVal(value, WIDTH)


def bit(term: Expr, index: int) -> Expr:
    """The truth that this bit is set."""
    return z3.Extract(index, index, term) == z3.BitVecVal(1, 1)


def within(term: Expr, width: int) -> Expr:
    """No bit at or above `width`; so not negative either."""
    return z3.Extract(WIDTH - 1, width, term) == 0


def count(term: Expr, indices: Iterable[int]) -> Expr:
    """How many of these bits are set."""
    total = n(0)
    for index in indices:
        total = total + z3.If(bit(term, index), n(1), n(0))
    return total


def level(caps: Expr, i: int) -> Expr:
    """Operation i's level: 0 never, 1 low_risk, 2 always."""
    return z3.If(bit(caps, 2 * i + 1), n(2), z3.If(bit(caps, 2 * i), n(1), n(0)))


def capability(caps: Expr) -> Expr:
    """A capability: thirteen levels and nothing else."""
    filled = [z3.Implies(bit(caps, 2 * i + 1), bit(caps, 2 * i)) for i in DIMENSIONS]
    return z3.And(within(caps, 26), *filled)


def operations(term: Expr) -> Expr:
    """A set of operations."""
    return within(term, 13)


def exposure(term: Expr) -> Expr:
    return within(term, 3)


def holds(caps: Expr, names: Iterable[str]) -> Expr:
    """Some operation of these is above never."""
    return z3.Or(*[level(caps, OPERATIONS.index(name)) >= n(1) for name in names])


def every(spec: Callable[[int], Expr]) -> Expr:
    """In each of the thirteen dimensions."""
    return z3.And(*[spec(i) for i in DIMENSIONS])


def least(a: Expr, b: Expr) -> Expr:
    return z3.If(a <= b, a, b)


def most(a: Expr, b: Expr) -> Expr:
    return z3.If(a >= b, a, b)


def lookup(index: Expr, table: Iterable[int], otherwise: int) -> Expr:
    """The table's entry at a symbolic index."""
    term = n(otherwise)
    for i, value in enumerate(table):
        term = z3.If(index == i, n(value), term)
    return term


def among(index: Expr, names: Iterable[str], of: list[str]) -> Expr:
    """The index is that of one of the names."""
    return z3.Or(*[index == of.index(name) for name in names])


# Labels, axis by axis: how many defects each thermometer shows.
def conf(label: Expr) -> Expr:
    return z3.If(bit(label, 1), n(2), z3.If(bit(label, 0), n(1), n(0)))


def integ(label: Expr) -> Expr:
    return z3.If(bit(label, 3), n(0), z3.If(bit(label, 2), n(1), n(2)))


def authority(label: Expr) -> Expr:
    low = z3.If(bit(label, 4), n(2), n(3))
    return z3.If(bit(label, 6), n(0), z3.If(bit(label, 5), n(1), low))


def source(label: Expr, i: int) -> Expr:
    """Source i is among the provenance."""
    return bit(label, 7 + i)


def derivation(label: Expr) -> Expr:
    mixed = z3.If(bit(label, 14), n(3), n(1))
    human = z3.If(bit(label, 14), n(2), n(0))
    return z3.If(bit(label, 15), n(4), z3.If(bit(label, 13), mixed, human))


def label(term: Expr) -> Expr:
    """A label: sixteen bits, every thermometer filled from below, opaque with all three bits."""
    below = [(1, 0), (3, 2), (5, 4), (6, 5), (15, 14), (15, 13)]
    return z3.And(within(term, 16), *[z3.Implies(bit(term, a), bit(term, b)) for a, b in below])


def described(term: Expr, c: Expr, i: Expr, a: Expr, sources: list[Expr], d: Expr) -> Expr:
    """The label is a label and has these five."""
    marks = [source(term, j) == on for j, on in enumerate(sources)]
    return z3.And(
        label(term),
        conf(term) == c,
        integ(term) == i,
        authority(term) == a,
        derivation(term) == d,
        *marks,
    )
