"""Law: a name is known or it is refused; nothing is guessed, folded or defaulted to authority.

The algebra speaks in integers. This module alone knows what they are called on the wire, and
it is deliberately outside the provable subset.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from nucleus_tokens import labels, lattice

# 1. Tuples: the position is the number. The order is part of the format and only grows at the end.
OPERATIONS: Final[tuple[str, ...]] = (
    "read_files",
    "write_files",
    "edit_files",
    "run_bash",
    "glob_search",
    "grep_search",
    "web_search",
    "web_fetch",
    "git_commit",
    "git_push",
    "create_pr",
    "manage_pods",
    "spawn_agent",
)
LEVELS: Final[tuple[str, ...]] = ("never", "low_risk", "always")
EXPOSURES: Final[tuple[str, ...]] = ("private_data", "untrusted_content", "exfil_vector")
RISKS: Final[tuple[str, ...]] = ("safe", "low", "medium", "uninhabitable")
SINKS: Final[tuple[str, ...]] = (
    "workspace_write",
    "system_write",
    "bash_exec",
    "http_egress",
    "git_commit",
    "git_push",
    "pr_comment_write",
    "email_send",
    "memory_persist",
    "agent_spawn",
    "mcp_write",
    "secret_read",
    "cloud_mutation",
    "proposed_table_write",
    "verified_table_write",
    "search_index_write",
    "cache_write",
    "ticket_write",
    "audit_log_append",
)
CONFIDENTIALITY: Final[tuple[str, ...]] = ("public", "internal", "secret")
INTEGRITY: Final[tuple[str, ...]] = ("adversarial", "untrusted", "trusted")
AUTHORITY: Final[tuple[str, ...]] = ("none", "informational", "suggestive", "directive")
PROVENANCE: Final[tuple[str, ...]] = ("user", "tool", "web", "memory", "model", "system")
DERIVATION: Final[tuple[str, ...]] = (
    "deterministic",
    "ai_derived",
    "human_promoted",
    "mixed",
    "opaque_external",
)
VERDICTS: Final[tuple[str, ...]] = ("deny", "ask", "allow")
FLOW_RULES: Final[tuple[str, ...]] = (
    "allow",
    "secret_to_exfil",
    "authority",
    "integrity",
    "web_to_exfil",
    "freshness",
    "derivation",
)


def _numbers(names: tuple[str, ...]) -> Mapping[str, int]:
    return MappingProxyType({name: i for i, name in enumerate(names)})


# 2. The inverse of each tuple, read-only.
OPERATION_NUMBER: Final = _numbers(OPERATIONS)
LEVEL_NUMBER: Final = _numbers(LEVELS)
EXPOSURE_NUMBER: Final = _numbers(EXPOSURES)
SINK_NUMBER: Final = _numbers(SINKS)
CONFIDENTIALITY_NUMBER: Final = _numbers(CONFIDENTIALITY)
INTEGRITY_NUMBER: Final = _numbers(INTEGRITY)
AUTHORITY_NUMBER: Final = _numbers(AUTHORITY)
PROVENANCE_NUMBER: Final = _numbers(PROVENANCE)
DERIVATION_NUMBER: Final = _numbers(DERIVATION)

# 3. Groups of dimensions, as masks for lattice.project and its kin.
GROUPS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "reads": lattice.READS,
        "writes": lattice.WRITES,
        "network": lattice.NETWORK,
        "execution": lattice.EXECUTION,
        "git": lattice.GIT,
        "infra": lattice.INFRA,
    }
)

# 4. Kinds of node: (intrinsic label, time to live in seconds, 0 for none).
NODE_KINDS: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {
        "user_prompt": (labels.USER_PROMPT, 0),
        "tool_response": (labels.TOOL_RESPONSE, 0),
        "web_content": (labels.WEB_CONTENT, labels.WEB_CONTENT_TTL),
        "mcp_tool_result": (labels.WEB_CONTENT, labels.WEB_CONTENT_TTL),
        "image": (labels.WEB_CONTENT, labels.WEB_CONTENT_TTL),
        "audio": (labels.WEB_CONTENT, labels.WEB_CONTENT_TTL),
        "pdf": (labels.WEB_CONTENT, labels.WEB_CONTENT_TTL),
        "memory_read": (labels.MEMORY_READ, labels.MEMORY_READ_TTL),
        "memory_write": (labels.MEMORY_WRITE, 0),
        "file_read": (labels.FILE_READ, 0),
        "existing_file": (labels.EXISTING_FILE, 0),
        "env_var": (labels.ENV_VAR, 0),
        "secret": (labels.SECRET_VALUE, 0),
        "model_plan": (labels.MODEL_PLAN, 0),
        "summarization": (labels.SUMMARIZATION, 0),
        "outbound_action": (labels.OUTBOUND_ACTION, 0),
        "retry": (labels.OUTBOUND_ACTION, 0),
        "http_response": (labels.HTTP_RESPONSE, 0),
        "database_row": (labels.DATABASE_ROW, 0),
        "git_blob": (labels.GIT_BLOB, 0),
        "cached_datum": (labels.CACHED_DATUM, 0),
        "deterministic_bind": (labels.DETERMINISTIC_BIND, 0),
    }
)


def node_label(kind: str) -> tuple[int, int]:
    """The intrinsic label and time to live of a kind; an unlisted kind is web content."""
    return NODE_KINDS.get(kind, (labels.WEB_CONTENT, labels.WEB_CONTENT_TTL))


def _number(table: Mapping[str, int], name: object, what: str) -> int:
    """The number of a name. Only a str is looked up: an equal object of another type is not one."""
    if type(name) is not str or name not in table:
        raise ValueError(f"unknown {what}: {name!r}")
    return table[name]


def _bits(table: Mapping[str, int], names: Iterable[str], what: str) -> int:
    # A bare string would be read letter by letter; it is always a mistake.
    if isinstance(names, str):
        raise ValueError(f"a list of {what} names is needed, not the string {names!r}")
    bits = 0
    for name in names:
        bits |= 1 << _number(table, name, what)
    return bits


def _names(table: tuple[str, ...], bits: int, what: str) -> tuple[str, ...]:
    if bits < 0 or bits >> len(table):
        raise ValueError(f"not a set of {what}s: {bits:#x}")
    return tuple(name for i, name in enumerate(table) if bits >> i & 1)


def operation(name: str) -> int:
    """The number of an operation."""
    return _number(OPERATION_NUMBER, name, "operation")


def sink(name: str) -> int:
    """The number of a sink."""
    return _number(SINK_NUMBER, name, "sink")


def pack_levels(levels: Mapping[str, str], default: str = "never") -> int:
    """Capabilities from names. What is not named gets the default: never for a ceiling or an
    `only` caveat, always for a `cap` caveat (which leaves the rest as it was)."""
    fill = _number(LEVEL_NUMBER, default, "level")
    numbers = {
        _number(OPERATION_NUMBER, op, "operation"): _number(LEVEL_NUMBER, level, "level")
        for op, level in levels.items()
    }
    packed = 0
    for dim in range(lattice.DIMS):
        packed |= lattice.with_level(dim, numbers.get(dim, fill))
    return packed


def unpack_levels(caps: int) -> dict[str, str]:
    """All thirteen operations with their levels, in order."""
    if not lattice.valid(caps):
        raise ValueError(f"not a packed capability: {caps:#x}")
    return {name: LEVELS[lattice.level_of(caps, i)] for i, name in enumerate(OPERATIONS)}


def exposure_bits(names: Iterable[str]) -> int:
    """An exposure from names."""
    return _bits(EXPOSURE_NUMBER, names, "exposure")


def exposure_names(bits: int) -> tuple[str, ...]:
    """The names of an exposure, in order."""
    return _names(EXPOSURES, bits, "exposure")


def obligation_bits(names: Iterable[str]) -> int:
    """An obligation set from names of operations."""
    return _bits(OPERATION_NUMBER, names, "operation")


def obligation_names(bits: int) -> tuple[str, ...]:
    """The operations of an obligation set, in order."""
    return _names(OPERATIONS, bits, "operation")


def provenance_bits(names: Iterable[str]) -> int:
    """A provenance set from names of sources."""
    return _bits(PROVENANCE_NUMBER, names, "source")


def make_label(
    confidentiality: str,
    integrity: str,
    authority: str,
    provenance: Iterable[str],
    derivation: str,
) -> int:
    """A label from the names of its levels."""
    return labels.make(
        _number(CONFIDENTIALITY_NUMBER, confidentiality, "confidentiality"),
        _number(INTEGRITY_NUMBER, integrity, "integrity"),
        _number(AUTHORITY_NUMBER, authority, "authority"),
        provenance_bits(provenance),
        _number(DERIVATION_NUMBER, derivation, "derivation"),
    )


def describe_label(label: int) -> dict[str, str | tuple[str, ...]]:
    """A label in words; make_label(**describe_label(x)) is x."""
    if not labels.valid(label):
        raise ValueError(f"not a label: {label:#x}")
    return {
        "confidentiality": CONFIDENTIALITY[labels.conf(label)],
        "integrity": INTEGRITY[labels.integ(label)],
        "authority": AUTHORITY[labels.authority(label)],
        "provenance": _names(PROVENANCE, labels.provenance(label), "source"),
        "derivation": DERIVATION[labels.derivation(label)],
    }
