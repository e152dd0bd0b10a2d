"""The algebra once more, slowly and obviously: dictionaries of levels, enums, tables as text.

Nothing here shares a line, a mask or an order of bits with the code it is compared to. The
originals of the tables (their March, April and August columns, and the second integrity table)
are kept too, because some counts are only reproducible with them.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from itertools import product
from typing import Final

from hypothesis import settings
from hypothesis import strategies as st

SCALE: Final = int(os.environ.get("NUCLEUS_SCALE", "1"))
LAW: Final = settings(max_examples=150 * SCALE)

# -- capabilities ----------------------------------------------------------------------------


class Level(IntEnum):
    NEVER = 0
    LOW_RISK = 1
    ALWAYS = 2


OPS: Final = [
    "read_files", "write_files", "edit_files", "run_bash", "glob_search", "grep_search",
    "web_search", "web_fetch", "git_commit", "git_push", "create_pr", "manage_pods",
    "spawn_agent",
]  # fmt: skip

GROUPS: Final = {
    "reads": {"read_files", "glob_search", "grep_search"},
    "writes": {"write_files", "edit_files"},
    "network": {"web_search", "web_fetch"},
    "execution": {"run_bash"},
    "git": {"git_commit", "git_push", "create_pr"},
    "infra": {"manage_pods", "spawn_agent"},
}
Caps = dict[str, Level]


def all_at(level: Level) -> Caps:
    return dict.fromkeys(OPS, level)


def meet(a: Caps, b: Caps) -> Caps:
    return {op: min(a[op], b[op]) for op in OPS}


def join(a: Caps, b: Caps) -> Caps:
    return {op: max(a[op], b[op]) for op in OPS}


def leq(a: Caps, b: Caps) -> bool:
    return all(a[op] <= b[op] for op in OPS)


def implies(a: Caps, b: Caps) -> Caps:
    return {op: Level.ALWAYS if a[op] <= b[op] else b[op] for op in OPS}


def neg(a: Caps) -> Caps:
    return implies(a, all_at(Level.NEVER))


def project(a: Caps, group: set[str]) -> Caps:
    return {op: a[op] if op in group else Level.NEVER for op in OPS}


def inject(a: Caps, src: Caps, group: set[str]) -> Caps:
    return {op: src[op] if op in group else a[op] for op in OPS}


def granted(a: Caps) -> set[str]:
    return {op for op in OPS if a[op] > Level.NEVER}


def nu(a: Caps, obligations: set[str]) -> set[str]:
    has = granted(a)
    legs = (
        has & {"read_files", "glob_search", "grep_search"},
        has & {"web_fetch", "web_search"},
        has & {"git_push", "create_pr", "run_bash"},
    )
    return obligations | legs[2] if all(legs) else obligations


def box(a: Caps, obligations: set[str]) -> Caps:
    return {op: Level.NEVER if op in obligations else a[op] for op in OPS}


def pack(a: Caps) -> int:
    """By writing the bits down as text, the last operation first."""
    code = {Level.NEVER: "00", Level.LOW_RISK: "01", Level.ALWAYS: "11"}
    return int("".join(code[a[op]] for op in reversed(OPS)), 2)


def pack_set(names: Iterable[str], order: Iterable[str]) -> int:
    chosen = set(names)
    return int("".join("1" if name in chosen else "0" for name in reversed([*order])) or "0", 2)


def ops_set(names: Iterable[str]) -> int:
    return pack_set(names, OPS)


def caps_of(letters: str) -> Caps:
    """A row of the profile table: thirteen letters N, L, A; a missing spawn is N."""
    levels = {"N": Level.NEVER, "L": Level.LOW_RISK, "A": Level.ALWAYS}
    row = letters.split()
    return {
        op: levels[letter] for op, letter in zip(OPS, row + ["N"] * (13 - len(row)), strict=True)
    }


def _decode(n: int) -> Caps:
    return {op: Level(n // 3**i % 3) for i, op in enumerate(OPS)}


CAPS: Final = st.integers(0, 3**13 - 1).map(_decode)
OP_SETS: Final = st.sets(st.sampled_from(OPS))

# -- exposure --------------------------------------------------------------------------------


class Leg(StrEnum):
    P = "private_data"
    U = "untrusted_content"
    X = "exfil_vector"


_COMMON: Final[dict[str, set[Leg]]] = {
    "read_files": {Leg.P},
    "glob_search": {Leg.P},
    "grep_search": {Leg.P},
    "web_search": {Leg.U},
    "web_fetch": {Leg.U},
    "run_bash": {Leg.X},
    "git_push": {Leg.X},
    "create_pr": {Leg.X},
}
_NEUTRAL: Final = ("write_files", "edit_files", "git_commit", "manage_pods")
# Ours: the March column plus spawn_agent.
RECORDS: Final = {**{op: set[Leg]() for op in _NEUTRAL}, **_COMMON, "spawn_agent": {Leg.X}}
# The original's August column: every change to anything is a way out.
AUGUST: Final = {**{op: {Leg.X} for op in _NEUTRAL}, **_COMMON, "spawn_agent": {Leg.X}}
EXPOSURES: Final = [
    {leg for leg, on in zip(Leg, bits, strict=True) if on}
    for bits in product((False, True), repeat=3)
]


def legs(names: Iterable[str]) -> int:
    return pack_set(names, [leg.value for leg in Leg])


def projects(op: str, trusted: bool, sealed: bool, mounted: set[Leg]) -> set[Leg]:
    if op == "run_bash":
        return mounted - {Leg.X} if sealed else set(Leg)
    if op in ("web_fetch", "web_search") and not trusted:
        return {Leg.U, Leg.X}
    return RECORDS[op]


def gates(seen: set[Leg], projected: set[Leg]) -> bool:
    return seen | projected == set(Leg) and Leg.X in projected


# -- labels ----------------------------------------------------------------------------------


class Conf(IntEnum):
    PUBLIC = 0
    INTERNAL = 1
    SECRET = 2


class Integ(IntEnum):
    ADVERSARIAL = 0
    UNTRUSTED = 1
    TRUSTED = 2


class Auth(IntEnum):
    NONE = 0
    INFORMATIONAL = 1
    SUGGESTIVE = 2
    DIRECTIVE = 3


class Deriv(StrEnum):
    DET = "deterministic"
    AI = "ai_derived"
    HUMAN = "human_promoted"
    MIXED = "mixed"
    OPAQUE = "opaque_external"


SOURCES: Final = ("user", "tool", "web", "memory", "model", "system")


def deriv_join(a: Deriv, b: Deriv) -> Deriv:
    if a == b:
        return a
    if Deriv.OPAQUE in (a, b):
        return Deriv.OPAQUE
    if Deriv.DET in (a, b):
        return b if a == Deriv.DET else a
    return Deriv.MIXED


@dataclass(frozen=True)
class Label:
    conf: Conf
    integ: Integ
    auth: Auth
    prov: frozenset[str]
    deriv: Deriv

    def join(self, other: "Label") -> "Label":
        return Label(
            max(self.conf, other.conf),
            min(self.integ, other.integ),
            min(self.auth, other.auth),
            self.prov | other.prov,
            deriv_join(self.deriv, other.deriv),
        )

    def flows_to(self, other: "Label") -> bool:
        return (
            self.conf <= other.conf
            and self.integ >= other.integ
            and self.auth >= other.auth
            and self.prov <= other.prov
            and deriv_join(self.deriv, other.deriv) == other.deriv
        )

    def pack(self) -> int:
        """The layout as text: derivation, provenance, authority, integrity, confidentiality."""
        text = (
            {"DET": "000", "AI": "001", "HUMAN": "010", "MIXED": "011", "OPAQUE": "111"}[
                self.deriv.name
            ]
            + "".join("1" if s in self.prov else "0" for s in reversed(SOURCES))
            + ("111", "011", "001", "000")[self.auth]
            + ("11", "01", "00")[self.integ]
            + ("00", "01", "11")[self.conf]
        )
        return int(text, 2)


def labels(provs: Iterable[frozenset[str]]) -> list[Label]:
    return [Label(*axes) for axes in product(Conf, Integ, Auth, provs, Deriv)]


PROVS: Final = [
    frozenset(s for s, on in zip(SOURCES, bits, strict=True) if on)
    for bits in product((False, True), repeat=6)
]
LABELS: Final = st.builds(
    Label,
    st.sampled_from(Conf),
    st.sampled_from(Integ),
    st.sampled_from(Auth),
    st.sampled_from(PROVS),
    st.sampled_from(Deriv),
)

_LETTER_C: Final = dict(zip("PIS", Conf, strict=True))
_LETTER_I: Final = {"Adv": Integ.ADVERSARIAL, "U": Integ.UNTRUSTED, "T": Integ.TRUSTED}
_WORD_A: Final = dict(zip(("No", "Info", "Sug", "Dir"), Auth, strict=True))
_WORD_D: Final = {"Det": Deriv.DET, "AI": Deriv.AI, "Opaque": Deriv.OPAQUE}
_NODES: Final = """
user_prompt I T Dir user Det 0
tool_response I U Info tool Det 0
web_content P Adv No web Opaque 3600
mcp_tool_result P Adv No web Opaque 3600
image P Adv No web Opaque 3600
audio P Adv No web Opaque 3600
pdf P Adv No web Opaque 3600
memory_read I U Info memory Det 86400
memory_write I T Info model AI 0
file_read I T Dir system Det 0
existing_file I U Sug system Det 0
env_var S T No system Det 0
secret S T No system Det 0
model_plan I T Dir model AI 0
summarization P T Dir model AI 0
outbound_action P T Dir model Det 0
retry P T Dir model Det 0
http_response I U No tool Det 0
database_row I T Info system Det 0
git_blob I T Dir system Det 0
cached_datum P U No tool Det 0
deterministic_bind I T No tool Det 0
"""
NODES: Final = {
    k: (Label(_LETTER_C[c], _LETTER_I[i], _WORD_A[a], frozenset({p}), _WORD_D[d]), int(ttl))
    for k, c, i, a, p, d, ttl in (line.split() for line in _NODES.split("\n") if line)
}

# -- sinks -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sink:
    name: str
    auth: Auth
    integ: Integ
    exfil: bool
    verified: bool


_SINKS: Final = """
workspace_write Sug/U
system_write Sug/U
bash_exec Sug/U
http_egress Sug/U/E
git_commit Sug/U/V
git_push Sug/T/E/V
pr_comment_write Sug/T/E/V
email_send Sug/T/E
memory_persist Sug/U
agent_spawn Sug/U/E
mcp_write Sug/U
secret_read No/Adv
cloud_mutation Sug/U/E
proposed_table_write Sug/U
verified_table_write Sug/T/V
search_index_write Sug/U
cache_write Sug/U
ticket_write Sug/T/E
audit_log_append No/Adv
"""


def _sink(line: str) -> Sink:
    name, row = line.split()
    auth, integ, *flags = row.split("/")
    return Sink(name, _WORD_A[auth], _LETTER_I[integ], "E" in flags, "V" in flags)


SINKS: Final = [_sink(line) for line in _SINKS.split("\n") if line]
REVERSIBLE: Final = {
    "workspace_write",
    "git_commit",
    "proposed_table_write",
    "search_index_write",
    "cache_write",
    "audit_log_append",
    "secret_read",
}
# The second integrity table of the original, which we did not keep.
SECOND_INTEGRITY: Final = {
    s.name: Integ.ADVERSARIAL
    if s.name in ("workspace_write", "bash_exec", "audit_log_append", "secret_read")
    or s.name in ("proposed_table_write", "search_index_write", "cache_write")
    else Integ.UNTRUSTED
    for s in SINKS
}
DEFAULT_SINK: Final = dict(
    zip(
        OPS,
        [
            "secret_read",
            "workspace_write",
            "workspace_write",
            "bash_exec",
            "secret_read",
            "secret_read",
            "http_egress",
            "http_egress",
            "git_commit",
            "git_push",
            "pr_comment_write",
            "cloud_mutation",
            "agent_spawn",
        ],
        strict=True,
    )
)


def failing_rules(a: Label, sink: Sink, stale: bool) -> list[int]:
    broken = {
        1: a.conf == Conf.SECRET and sink.exfil,
        2: a.auth < sink.auth,
        3: a.integ < sink.integ,
        4: "web" in a.prov and sink.exfil,
        5: stale,
        6: sink.verified and a.deriv not in (Deriv.DET, Deriv.HUMAN),
    }
    return [rule for rule, is_broken in broken.items() if is_broken]
