"""Law: a label reads back as the words it was made from; a node of an unknown kind is the web.

The words for sinks, groups, risks, verdicts, labels and nodes. None of them stands in a token,
so `decide` does not load this module.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, TypedDict

from nucleus_tokens import labelling, labels, lattice
from nucleus_tokens.names import bits_of, names_of, number_of, numbers

# 1. The position is the number.
SINKS: Final[tuple[str, ...]] = (
    "workspace_write", "system_write", "bash_exec", "http_egress", "git_commit", "git_push",
    "pr_comment_write", "email_send", "memory_persist", "agent_spawn", "mcp_write",
    "secret_read", "cloud_mutation", "proposed_table_write", "verified_table_write",
    "search_index_write", "cache_write", "ticket_write", "audit_log_append",
)  # fmt: skip
CONFIDENTIALITY: Final[tuple[str, ...]] = ("public", "internal", "secret")
INTEGRITY: Final[tuple[str, ...]] = ("adversarial", "untrusted", "trusted")
AUTHORITY: Final[tuple[str, ...]] = ("none", "informational", "suggestive", "directive")
PROVENANCE: Final[tuple[str, ...]] = ("user", "tool", "web", "memory", "model", "system")
DERIVATION: Final[tuple[str, ...]] = (
    "deterministic", "ai_derived", "human_promoted", "mixed", "opaque_external",
)  # fmt: skip
RISKS: Final[tuple[str, ...]] = ("safe", "low", "medium", "uninhabitable")
VERDICTS: Final[tuple[str, ...]] = ("deny", "ask", "allow")

SINK_NUMBER: Final = numbers(SINKS)
CONFIDENTIALITY_NUMBER: Final = numbers(CONFIDENTIALITY)
INTEGRITY_NUMBER: Final = numbers(INTEGRITY)
AUTHORITY_NUMBER: Final = numbers(AUTHORITY)
PROVENANCE_NUMBER: Final = numbers(PROVENANCE)
DERIVATION_NUMBER: Final = numbers(DERIVATION)

# 2. Groups of dimensions, as masks for heyting.project and its kin.
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

# 3. Kinds of node: (intrinsic label, time to live in seconds, 0 for none).
_WEB: Final = (labelling.WEB_CONTENT, labelling.WEB_CONTENT_TTL)
NODE_KINDS: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {
        "user_prompt": (labelling.USER_PROMPT, 0),
        "tool_response": (labelling.TOOL_RESPONSE, 0),
        "web_content": _WEB,
        "mcp_tool_result": _WEB,
        "image": _WEB,
        "audio": _WEB,
        "pdf": _WEB,
        "memory_read": (labelling.MEMORY_READ, labelling.MEMORY_READ_TTL),
        "memory_write": (labelling.MEMORY_WRITE, 0),
        "file_read": (labelling.FILE_READ, 0),
        "existing_file": (labelling.EXISTING_FILE, 0),
        "env_var": (labelling.ENV_VAR, 0),
        "secret": (labelling.SECRET_VALUE, 0),
        "model_plan": (labelling.MODEL_PLAN, 0),
        "summarization": (labelling.SUMMARIZATION, 0),
        "outbound_action": (labelling.OUTBOUND_ACTION, 0),
        "retry": (labelling.OUTBOUND_ACTION, 0),
        "http_response": (labelling.HTTP_RESPONSE, 0),
        "database_row": (labelling.DATABASE_ROW, 0),
        "git_blob": (labelling.GIT_BLOB, 0),
        "cached_datum": (labelling.CACHED_DATUM, 0),
        "deterministic_bind": (labelling.DETERMINISTIC_BIND, 0),
    }
)


class LabelWords(TypedDict):
    """A label in words, as make_label takes them."""

    confidentiality: str
    integrity: str
    authority: str
    provenance: tuple[str, ...]
    derivation: str


def node_label(kind: str) -> tuple[int, int]:
    """The intrinsic label and time to live of a kind; an unlisted kind is web content."""
    return NODE_KINDS.get(kind, _WEB)


def sink(name: str) -> int:
    """The number of a sink."""
    return number_of(SINK_NUMBER, name, "sink")


def make_label(
    confidentiality: str,
    integrity: str,
    authority: str,
    provenance: Iterable[str],
    derivation: str,
) -> int:
    """A label from the names of its levels."""
    return labelling.make(
        number_of(CONFIDENTIALITY_NUMBER, confidentiality, "confidentiality"),
        number_of(INTEGRITY_NUMBER, integrity, "integrity"),
        number_of(AUTHORITY_NUMBER, authority, "authority"),
        bits_of(PROVENANCE_NUMBER, provenance, "source"),
        number_of(DERIVATION_NUMBER, derivation, "derivation"),
    )


def describe_label(label: int) -> LabelWords:
    """A label in words; make_label(**describe_label(x)) is x."""
    if not labels.valid(label):
        raise ValueError(f"not a label: {label:#x}")
    return {
        "confidentiality": CONFIDENTIALITY[labels.conf(label)],
        "integrity": INTEGRITY[labels.integ(label)],
        "authority": AUTHORITY[labels.authority(label)],
        "provenance": names_of(PROVENANCE, labels.provenance(label), "source"),
        "derivation": DERIVATION[labels.derivation(label)],
    }
