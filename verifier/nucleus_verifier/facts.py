"""Law: everything the kernel knows of the world is in these values; they are made before it runs.

`Call` is what the proxy parsed and resolved, once. `Facts` is its one look at the world. A field
that is not known says so (`None`, or a missing counter) and counts against the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

from nucleus_tokens import crypto, jcs, names
from nucleus_tokens.errors import CallerError

# Which kinds of resource each operation may touch. A scope of a kind listed here must be met by
# known resources; an opaque operation may touch all of them. `tool` applies to every call.
RESOURCE_KINDS: Final[Mapping[int, frozenset[str]]] = MappingProxyType(
    {
        names.operation(operation): frozenset(kinds.split())
        for kinds, operations in (
            ("path", "read_files write_files edit_files glob_search grep_search spawn_agent"),
            ("host", "web_search web_fetch manage_pods"),
            ("host ref", "create_pr"),
            ("path ref", "git_commit"),
            ("path host ref", "git_push"),
            ("path host cmd ref", "run_bash"),
        )
        for operation in operations.split()
    }
)


class Selector(NamedTuple):
    """An argument that chooses what is acted on, with the value the proxy resolved it to."""

    pointer: str
    kind: str
    value: Any


@dataclass(frozen=True, slots=True)
class Call:
    """One call, canonical once: what is judged here is what will be done.

    `resources` maps a kind to the resolved values, or to None where they are not known; a kind
    that is absent is not known either. `records` and `projects` are exposure bits. `costs` maps
    units to whole numbers: what the binding does not price is free; `calls` is always 1.

    Raises CallerError `call.malformed` for arguments or a tool name outside I-JSON.
    """

    tool: str
    operation: int
    args: Any
    sink: int
    resources: Mapping[str, tuple[Any, ...] | None]
    selectors: tuple[Selector, ...]
    records: int
    projects: int
    label: int
    observed: int = 0
    ttl: int = 0
    costs: Mapping[str, int] = field(default_factory=dict)
    bad_declassification: bool = False
    _known: dict[str, bytes] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        try:
            jcs.check(self.args)
            jcs.check(self.tool)
        except (ValueError, RecursionError) as error:
            raise CallerError("call.malformed", f"The call is not I-JSON: {error}.") from error

    @property
    def resolved(self) -> Mapping[str, Any]:
        """What the path arguments resolve to, by pointer."""
        return {s.pointer: s.value for s in self.selectors if s.kind == "path"}

    @property
    def args_digest(self) -> bytes:
        """SHA-256 of the arguments in RFC 8785 form, computed once, from what was parsed."""
        found = self._known.get("args")
        if found is None:
            found = self._known["args"] = jcs.digest(self.args)
        return found

    @property
    def digest(self) -> bytes:
        """What an approval of this one call is bound to: the tool and its arguments."""
        tool = self.tool.encode("utf-8")
        return crypto.sha256(
            b"nucleus/call/v1\0" + len(tool).to_bytes(4, "big") + tool + self.args_digest
        )


@dataclass(frozen=True, slots=True)
class Approver:
    """Who may approve which operations (a 13-bit set)."""

    key: bytes
    operations: int


@dataclass(frozen=True, slots=True)
class Keys:
    """The pinned bundle of one audience. What is not listed here does not exist."""

    audience: str
    audience_keys: Mapping[str, bytes]  # akid -> X25519 private key
    issuers: Mapping[tuple[str, str], bytes]  # (iss, kid) -> Ed25519 public key
    approvers: Mapping[str, Approver]  # key id -> approver
    epoch: int = 0  # changes whenever the bundle does: caches are keyed by it
    audience_publics: Mapping[str, bytes] = field(init=False)

    def __post_init__(self) -> None:
        publics = {kid: crypto.exchange_public_of(k) for kid, k in self.audience_keys.items()}
        object.__setattr__(self, "audience_publics", publics)


class Cell(NamedTuple):
    """An exposure cell as it was read: commit succeeds only against this version."""

    id: str
    version: int
    bits: int


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator of the verifier demands beyond the token. It can only add."""

    gate: Literal["ask", "evidence"] = "ask"
    obligations: int = 0
    tool_obligations: Set[str] = frozenset()
    quorum: Mapping[int, int] = field(default_factory=dict)  # operation -> approvers needed


@dataclass(frozen=True, slots=True)
class Facts:
    """The only look at the world, taken before deciding. Times are unix seconds."""

    keys: Keys
    now: int
    arrived: int
    instance: str
    channel: Literal["held", "carried"]
    peer: str | None  # the SPIFFE ID of the mTLS peer
    clock_ok: bool
    lease_ok: bool
    nonce_seen: bool
    revoked: Set[str]
    spent: Mapping[str, int]
    wall: Cell
    tree: Cell
    approvals: tuple[bytes, ...] = ()
    evidence: Set[str] = frozenset()  # pointers for which the proxy holds positive evidence
    policy: Policy = Policy()
