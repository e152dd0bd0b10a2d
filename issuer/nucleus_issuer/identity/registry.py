"""Law: who may be whom stands in one file; who is not in it is nobody.

    trust_domain = "example.org"

    [[workload]]
    id = "spiffe://example.org/agent/one"
    uid = 1001                  # every selector that is given must match
    exe = "/usr/bin/agent"      # optional: what the process runs

    [[workload]]
    id = "spiffe://example.org/vm/7"
    socket = "vm-7.sock"        # whoever reaches this socket

    [[workload]]
    id = "spiffe://example.org/vm"
    uid = 1000                  # not this user's processes: each microVM that they start,
    each = "vm"                 # spiffe://example.org/vm/NAME, and .../NAME/agent inside it
    audiences = ["billing"]     # optional: what that agent may have JWT-SVIDs for

An entry has `uid` (with or without `gid` and `exe`) or `socket`, never both. A process may match
several entries: it then has several identities, in the order of the file. What is below an entry
with `each` is no other's.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

from nucleus_issuer import files
from nucleus_tokens.errors import CallerError
from nucleus_verifier.rpc.names import WorkloadId, check_trust_domain, workload_id

_FILE_BYTES: Final = 1024 * 1024
_KEYS: Final = frozenset(("id", "uid", "gid", "exe", "socket", "each", "audiences"))
_MOST: Final = 10_000
_AUDIENCE_CHARS: Final = 256

# What stands between an agent and its host: a microVM, or a cell of the local wall.
Kind = Literal["vm", "local"]
KINDS: Final = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Peer:
    """What the kernel says of the process at the other end of a socket."""

    uid: int
    gid: int
    pid: int
    exe: str | None  # None: not known


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the registry."""

    id: WorkloadId
    uid: int | None
    gid: int | None
    exe: str | None
    socket: str | None
    each: Kind | None = None
    audiences: frozenset[str] = frozenset()

    def matches(self, peer: Peer) -> bool:
        """Whether a process is this workload; with `each`, whether it may start one."""
        return (
            self.socket is None
            and self.uid == peer.uid
            and (self.gid is None or self.gid == peer.gid)
            and (self.exe is None or self.exe == peer.exe)
        )


@dataclass(frozen=True, slots=True)
class Registry:
    """All workloads of one host."""

    trust_domain: str
    entries: tuple[Entry, ...]

    def of_peer(self, peer: Peer) -> tuple[WorkloadId, ...]:
        """The identities of a process, none if it is in no entry."""
        return _once(e.id for e in self.entries if e.each is None and e.matches(peer))

    def of_wall(self, peer: Peer, kind: str) -> Entry | None:
        """Below which identity a process may start walls of this kind; None: it may not."""
        found = (e for e in self.entries if e.each == kind and e.matches(peer))
        return next(found, None)

    def of_socket(self, name: str) -> tuple[WorkloadId, ...]:
        """The identities of whoever reaches this socket."""
        return _once(entry.id for entry in self.entries if entry.socket == name)

    @property
    def sockets(self) -> tuple[str, ...]:
        """The names of the sockets that are an identity."""
        return tuple(dict.fromkeys(e.socket for e in self.entries if e.socket is not None))

    @property
    def has_walls(self) -> bool:
        return any(entry.each is not None for entry in self.entries)

    @property
    def needs_exe(self) -> bool:
        return any(entry.exe is not None for entry in self.entries)


def load(path: Path) -> Registry:
    """Read a registry. Raises WorldError `file.*`, CallerError `identity.registry`."""
    return parse(files.read(path, secret=False, most=_FILE_BYTES))


def parse(data: bytes) -> Registry:
    """A registry from TOML. Raises CallerError `identity.registry`, `identity.id` or
    `identity.trust_domain`; nothing is guessed or left out."""
    try:
        value = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _bad(f"it is not TOML: {error}") from error
    if set(value) - {"trust_domain", "workload"} or type(value.get("trust_domain")) is not str:
        raise _bad("it holds 'trust_domain' and tables [[workload]], and nothing else")
    domain = check_trust_domain(value["trust_domain"])
    tables = value.get("workload", [])
    if type(tables) is not list or len(tables) > _MOST:
        raise _bad(f"[[workload]] is a list of at most {_MOST} tables")
    entries = tuple(_entry(table, domain) for table in tables)
    for number, entry in enumerate(entries):
        below = [e for n, e in enumerate(entries) if n != number and _is_below(e.id, entry.id)]
        if entry.each is not None and below:
            raise _bad(f"what is below {entry.id} is for its walls, and not {below[0].id}")
    return Registry(domain, entries)


def _entry(table: Any, domain: str) -> Entry:
    if type(table) is not dict or set(table) - _KEYS or type(table.get("id")) is not str:
        raise _bad(f"a workload has an 'id', and of {', '.join(sorted(_KEYS))} nothing else")
    uid, gid, exe, socket = (table.get(key) for key in ("uid", "gid", "exe", "socket"))
    if (uid is None) == (socket is None):
        raise _bad(f"{table['id']}: give either 'uid' or 'socket'")
    if socket is not None and (gid is not None or exe is not None):
        raise _bad(f"{table['id']}: a socket is an identity by itself")
    for number in (uid, gid):
        if number is not None and (type(number) is not int or not 0 <= number < 2**32 - 1):
            raise _bad(f"{table['id']}: uid and gid are whole numbers")
    if exe is not None and (type(exe) is not str or not exe.startswith("/")):
        raise _bad(f"{table['id']}: exe is an absolute path")
    if socket is not None and not _is_name(socket):
        raise _bad(f"{table['id']}: socket is a file name such as 'vm-7.sock'")
    each, audiences = table.get("each"), table.get("audiences", [])
    if each is not None and (each not in KINDS or uid is None):
        raise _bad(f"{table['id']}: each is one of {', '.join(KINDS)}, and goes with a uid")
    if type(audiences) is not list or not all(map(_is_audience, audiences)):
        raise _bad(f"{table['id']}: audiences is a list of names")
    if audiences and each is None:
        raise _bad(f"{table['id']}: audiences go with each; a workload's own are not restricted")
    identity = workload_id(table["id"], domain)
    return Entry(identity, uid, gid, exe, socket, each, frozenset(audiences))


def _is_below(one: WorkloadId, other: WorkloadId) -> bool:
    return one.segments[: len(other.segments)] == other.segments


def _is_audience(value: Any) -> bool:
    return type(value) is str and 0 < len(value) <= _AUDIENCE_CHARS


def _is_name(value: Any) -> bool:
    return (
        type(value) is str
        and 0 < len(value) <= 64
        and value[0] not in ".-"
        and all(c.isascii() and (c.isalnum() or c in "._-") for c in value)
    )


def _once(ids: Iterable[WorkloadId]) -> tuple[WorkloadId, ...]:
    return tuple(dict.fromkeys(ids))


def _bad(why: str) -> CallerError:
    return CallerError("identity.registry", f"The registry of workloads cannot be used: {why}.")
