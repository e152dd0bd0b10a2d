"""Law: what was accepted stands in the home, whole; only a person's word replaces it.

One file for each server: the definitions that were accepted, and the latest that were offered. The
first offer is accepted as it comes unless something in it is hidden or steers, or the operator
wants to see it first; after that a difference of one character is withheld.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Generator, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from nucleus import installed, lookalikes, shapes
from nucleus.audit import hidden, packages
from nucleus_issuer import files
from nucleus_proxy.alike import looks
from nucleus_proxy.pinning import ALIKE, CHANGED, FLAGGED, UNACCEPTED, Judged, Origin
from nucleus_tokens.crypto import sha256
from nucleus_tokens.errors import CallerError, WorldError

MOST_BYTES: Final = 16 * 1024 * 1024
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_INTERPRETER: Final = re.compile(r"node|deno|bun|ruby|(?:pypy|python)[\d.]*")
_TEXTS_DEPTH: Final = 16
Definitions = dict[str, Any]


@dataclass
class Record:
    """One server's file. `identity` is what starts it and what it says of itself."""

    server: str
    accepted: Definitions = field(default_factory=dict[str, Any])
    identity: dict[str, Any] | None = None
    offered: Definitions = field(default_factory=dict[str, Any])
    offered_identity: dict[str, Any] | None = None

    @property
    def moved(self) -> list[str]:
        """What of the identity is another one now. What was not heard of is no difference."""
        old, new = self.identity or {}, self.offered_identity or {}
        return sorted(key for key in old.keys() & new.keys() if not same(old[key], new[key]))

    def waiting(self) -> list[str]:
        """The tools whose latest definition is not the accepted one."""
        return sorted(n for n, new in self.offered.items() if not same(self.accepted.get(n), new))

    def accept(self, tools: Sequence[str]) -> None:
        """Take these as they are offered now, and the server as it is."""
        self.identity = {**(self.identity or {}), **(self.offered_identity or {})}
        self.accepted |= {name: self.offered[name] for name in tools}


class PinStore:
    """The pins of one home."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def judge(
        self,
        origin: Origin,
        said: Mapping[str, Any],
        tools: Sequence[Mapping[str, Any]],
        beside: Set[str],
    ) -> Judged:
        """See `nucleus_proxy.pinning.Pins`. Raises WorldError `pins.*`, `file.*`."""
        with self.locked(origin.server or called(origin)) as record:
            before = json.dumps(_written(record))
            record.offered_identity = {**(record.offered_identity or {}), **_identity(origin, said)}
            words = record.offered_identity.get("instructions")
            spoken = not steers(words) or (record.identity or {}).get("instructions") == words
            if record.identity is None and not origin.strict and spoken:
                record.identity = record.offered_identity
            elif record.identity is not None and not origin.strict:
                # What was never heard of, such as a version, is taken when it is.
                fresh = record.offered_identity.keys() - record.identity.keys()
                if spoken:
                    more = {key: record.offered_identity[key] for key in fresh}
                    record.identity = {**record.identity, **more}
            withheld: dict[str, str] = {}
            names = {str(tool["name"]) for tool in tools} | record.accepted.keys()
            for tool in tools:
                code = self._one(record, origin, names, beside, dict(tool))
                if code:
                    withheld[str(tool["name"])] = code
            if json.dumps(_written(record)) != before:
                self._write(record)
            known = record.identity is not None and not record.moved
            return Judged(withheld, known and spoken)

    def _one(
        self,
        record: Record,
        origin: Origin,
        names: set[str],
        beside: Set[str],
        tool: Definitions,
    ) -> str | None:
        """Why this one is withheld, if it is."""
        name = tool["name"]
        record.offered[name] = tool
        if same(record.accepted.get(name), tool):
            return CHANGED if record.moved else None
        if name in record.accepted or record.moved:
            return CHANGED
        alike = {other for other in (names | beside) - {name} if looks(other) == looks(name)}
        if lookalikes.unusual(name) or alike:
            return ALIKE
        if any(findings(tool)) or any(mentions(tool, beside - names)):
            return FLAGGED
        if origin.strict or record.identity is None:
            return UNACCEPTED
        record.accepted[name] = tool
        return None

    # Files ------------------------------------------------------------------------------------

    def servers(self) -> list[str]:
        """Of all that was ever seen, in order."""
        found = [self._read(path).server for path in self._folder.glob("*.json")]
        return sorted(found)

    def read(self, server: str) -> Record:
        """Raises CallerError `pins.unknown`."""
        path = self._path(server)
        if not path.exists():
            raise CallerError(
                "pins.unknown", f"Nothing of a server {server!r} was seen in this home.",
                hint="`nucleus mcp pins list` names those that were.",
            )  # fmt: skip
        return self._read(path)

    def accept(self, server: str, tools: Sequence[str] = ()) -> list[str]:
        """Accept these tools, or all that wait, as they were last offered; their names. Raises
        CallerError `pins.unknown`."""
        self.read(server)
        with self.locked(server) as record:
            wanted = list(tools) or record.waiting()
            for name in wanted:
                if name not in record.offered:
                    raise CallerError("pins.unknown", f"{server} offers no tool {name!r}.")
            record.accept(wanted)
            self._write(record)
            return wanted

    @contextmanager
    def locked(self, server: str) -> Generator[Record]:
        """One server's record, which no other process changes meanwhile."""
        files.private_directory(self._folder)
        try:
            handle = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise WorldError("pins.unreadable", "The pins cannot be locked.") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            path = self._path(server)
            yield self._read(path) if path.exists() else Record(server)
        finally:
            os.close(handle)

    def _path(self, server: str) -> Path:
        plain = _NAME.fullmatch(server)
        # A name that is no file's is spelled as its digest; the file says the name.
        return self._folder / (f"{server if plain else sha256(server.encode()).hex()}.json")

    def _read(self, path: Path) -> Record:
        raw = files.read(path, secret=False, most=MOST_BYTES)
        try:
            value = json.loads(raw)
            return Record(
                str(value["server"]), value["accepted"], value["identity"],
                value["offered"], value["offered_identity"],
            )  # fmt: skip
        except (ValueError, KeyError, TypeError) as error:
            raise WorldError(
                "pins.unreadable", f"The pins in {path} cannot be read.",
                hint="Move the file away to accept its server anew.",
            ) from error  # fmt: skip

    def _write(self, record: Record) -> None:
        raw = json.dumps(_written(record), indent=1, sort_keys=True).encode()
        if len(raw) > MOST_BYTES:
            raise WorldError(
                "pins.too_large", f"What {record.server} says of its tools is too much to keep."
            )
        files.replace(self._path(record.server), raw)


def same(one: object, other: object) -> bool:
    """Whether two values are one in JSON, where 1, 1.0 and true are three."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _written(record: Record) -> dict[str, Any]:
    return {
        "v": 1, "server": record.server, "identity": record.identity, "accepted": record.accepted,
        "offered_identity": record.offered_identity, "offered": record.offered,
    }  # fmt: skip


def _identity(origin: Origin, said: Mapping[str, Any]) -> dict[str, Any]:
    """What starts a server, with its package's version, and what it says of itself."""
    found: dict[str, Any] = {"program": origin.url or program(origin.command)}
    info = shapes.table(said.get("serverInfo"))
    if info is not None:
        found |= {key: info.get(key) for key in ("name", "version")}
        found["instructions"] = said.get("instructions")
    return found


def program(command: Sequence[str]) -> str:
    """A command in one word: the package that it fetches, or the one its program is part of, with
    its version; else the program's name."""
    named = packages.of(tuple(command))
    if named is not None:
        return f"{named.registry}:{named.name}@{named.version or 'latest'}"
    return installed.package(command) or (packages.base(command[0]) if command else "")


def called(origin: Origin) -> str:
    """What a server is called that the operator gave no name: by its program, or its host."""
    if origin.url:
        return origin.url.partition("://")[2].partition("/")[0]
    named = program(origin.command).partition(":")
    if named[2]:
        return re.sub(r"(?<=.)@.*", "", named[2])
    words = [word for word in origin.command[1:2] if _INTERPRETER.fullmatch(named[0])]
    return Path(words[0]).stem if words else named[0]


# Reading what a server says -------------------------------------------------------------------


def findings(value: object, at: str = "", depth: int = 0) -> Iterator[str]:
    """What in a definition people do not see, or steers the agent: one sentence each. Every text in
    it counts, also those of fields that nobody has heard of."""
    if depth > _TEXTS_DEPTH:
        yield f"{at}: it is nested too deeply to be read"
        return
    if type(value) is str:
        seen, said = hidden.characters(value), hidden.steering(value, everywhere=True)
        if seen:
            yield f"{at or '/'} holds {seen}"
        if said:
            yield f"{at or '/'} tells the agent: {said!r}"
        return
    inside = shapes.table(value)
    for key, each in inside.items() if inside is not None else ():
        yield from findings(key, at, depth + 1)
        yield from findings(each, f"{at}/{key}", depth + 1)
    for number, each in enumerate(shapes.items(value) or ()):
        yield from findings(each, f"{at}/{number}", depth + 1)


def mentions(value: object, others: Set[str]) -> Iterator[str]:
    """Which tools of other servers a definition speaks of: it could bend how they are used. Only
    names that are no words of a language count."""
    text = json.dumps(value)
    for name in sorted(others):
        if re.search(r"[_\d]|[a-z][A-Z]", name) and re.search(
            rf"(?<![\w]){re.escape(name)}(?![\w])", text
        ):
            yield name


def steers(text: object) -> bool:
    """Whether what a server says of itself must not be shown as it is."""
    return type(text) is str and any(findings(text))
