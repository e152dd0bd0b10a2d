"""Law: what the proxy learned of values survives the proxy; a file's label is on the disk before
the file is.

One SQLite file (WAL, synchronous=FULL): prompts, what results taught, what sessions have seen, the
labels of contents, and releases people signed. Several processes may share it. No sqlite3 error
leaves this module. Labels only rise here; there is no statement that lowers one.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from nucleus_proxy.flowtracker import CLEAN, Labelled
from nucleus_proxy.knowledge import Fact
from nucleus_proxy.words import MOST_CHARS
from nucleus_tokens import labels
from nucleus_tokens.errors import CallerError, WorldError
from nucleus_tokens.limits import PATH_SEGMENTS

_VERSION: Final = 1
_BUSY_SECONDS: Final = 10.0
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS prompts (n INTEGER PRIMARY KEY, tree TEXT NOT NULL, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS facts (n INTEGER PRIMARY KEY, tree TEXT NOT NULL, fact TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS seen (cell TEXT PRIMARY KEY, label INTEGER NOT NULL,
  observed INTEGER NOT NULL, ttl INTEGER NOT NULL, poisoned INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS contents (digest BLOB PRIMARY KEY, label INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS places (path TEXT PRIMARY KEY, label INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS marks (path TEXT PRIMARY KEY, label INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS releases (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
  tree TEXT NOT NULL, signed BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS prompts_tree ON prompts (tree);
CREATE INDEX IF NOT EXISTS facts_tree ON facts (tree);
CREATE INDEX IF NOT EXISTS releases_tree ON releases (tree);
"""
_RAISE: Final = {
    table: f"INSERT INTO {table} VALUES (?, ?)"  # noqa: S608  our own tables
    f" ON CONFLICT ({key}) DO UPDATE SET label = label | excluded.label"
    for table, key in (("contents", "digest"), ("places", "path"), ("marks", "path"))
}
_ABOVE: Final = ",".join("?" * (PATH_SEGMENTS + 2))
_MOST_RELEASES: Final = 64  # of one tree, that are read


class FlowState:
    """The proxy's memory of values. `open` it, `close` it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = threading.RLock()

    @classmethod
    def open(cls, path: Path | None) -> FlowState:
        """The file at `path`, made if it is missing; without one, memory that ends with the
        process. Raises WorldError `flow.state`."""
        try:
            if path is not None:
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
                if path.stat().st_mode & 0o077:
                    raise WorldError("flow.state", f"Others may read {path}: give it mode 0600.")
            connection = sqlite3.connect(
                ":memory:" if path is None else path,
                timeout=_BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,  # one thread at a time, by our lock
            )
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA trusted_schema = OFF")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version not in (0, _VERSION):
                raise WorldError("flow.state", f"{path} was written by another version.")
            connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = 1; COMMIT;")
        except (sqlite3.Error, OSError) as error:
            raise WorldError("flow.state", f"The labels cannot be opened: {error}.") from error
        return cls(connection)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self, sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
        try:
            with self._lock:
                return self._connection.execute(sql, values).fetchall()
        except (sqlite3.Error, UnicodeError) as error:
            raise WorldError("flow.state", f"The labels cannot be used: {error}.") from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, on the disk when it ends."""
        try:
            with self._lock, self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
        except (sqlite3.Error, UnicodeError) as error:
            raise WorldError("flow.state", f"The labels cannot be used: {error}.") from error

    def version(self) -> int:
        """Another number whenever another process has changed something."""
        return int(self._run("PRAGMA data_version")[0][0])

    # Prompts and facts ------------------------------------------------------------------------

    def give_prompt(self, tree: str, text: str) -> None:
        """The user of this root token said this, to the proxy; said again it adds nothing. `tree`
        is the cell of the whole delegation tree. Raises CallerError `flow.prompt`."""
        if not text.strip() or len(text) > MOST_CHARS or "\0" in text:
            raise CallerError("flow.prompt", f"A prompt has 1 to {MOST_CHARS} characters.")
        if text not in self.prompts(tree):
            self._run("INSERT INTO prompts (tree, text) VALUES (?, ?)", (tree, text))

    def prompts(self, tree: str) -> tuple[str, ...]:
        """All prompts, in order."""
        return tuple(
            t for (t,) in self._run("SELECT text FROM prompts WHERE tree = ? ORDER BY n", (tree,))
        )

    def teach(self, tree: str, facts: Iterable[Fact]) -> None:
        """Facts of one result, all or none."""
        rows = [(tree, json.dumps(fact, separators=(",", ":"))) for fact in facts]
        if not rows:
            return
        with self._writing() as connection:
            connection.executemany("INSERT INTO facts (tree, fact) VALUES (?, ?)", rows)

    def facts(self, tree: str, limit: int) -> list[Fact]:
        """At most `limit` facts, in order."""
        rows = self._run("SELECT fact FROM facts WHERE tree = ? ORDER BY n LIMIT ?", (tree, limit))
        return [tuple(json.loads(fact)) for (fact,) in rows]

    # What a session has seen ------------------------------------------------------------------

    def seen(self, cell: str) -> tuple[Labelled, bool]:
        """(the join of what this cell has seen, whether it is poisoned)."""
        rows = self._run("SELECT label, observed, ttl, poisoned FROM seen WHERE cell = ?", (cell,))
        return (Labelled(*rows[0][:3]), bool(rows[0][3])) if rows else (CLEAN, False)

    def saw(self, cell: str, what: Labelled, *, poisoned: bool = False) -> None:
        """Raise a cell's ceiling, durably."""
        with self._writing() as connection:
            before, was = self.seen(cell)
            connection.execute(
                "INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?, ?)",
                (cell, *before.join(what), int(was or poisoned)),
            )

    # Contents of files ------------------------------------------------------------------------

    def content(self, digest: bytes) -> int | None:
        """The label of a content that the proxy wrote; None if it never did."""
        rows = self._run("SELECT label FROM contents WHERE digest = ?", (digest,))
        return int(rows[0][0]) if rows else None

    def wrote(self, path: str, digest: bytes, label: int) -> None:
        """A content is about to be written at this path with this label."""
        with self._writing() as connection:
            for table, key in (("contents", digest), ("places", path)):
                connection.execute(_RAISE[table], (key, _checked(label)))

    def mark(self, path: str, label: int) -> None:
        """Somebody else's code is about to write anywhere at or under `path`."""
        self._run(_RAISE["marks"], (path, _checked(label)))

    def marked(self, path: str) -> int | None:
        """The join of all marks over this path; None if there is none."""
        rows = self._run(f"SELECT label FROM marks WHERE path IN ({_ABOVE})", _above(path))  # noqa: S608  placeholders only
        return _joined(rows)

    def under(self, path: str) -> int:
        """The join of everything that was ever written at or under this path, or marked at,
        under or over it. It does not fall when a file is removed."""
        rows = self._run(f"SELECT label FROM marks WHERE path IN ({_ABOVE})", _above(path))  # noqa: S608  placeholders only
        # Whatever starts with the path and a slash: "0" is the character after the slash.
        inside = path.rstrip("/")
        for table in ("marks", "places"):
            rows += self._run(
                f"SELECT label FROM {table} WHERE path = ? OR (path > ? AND path < ?)",  # noqa: S608  our own tables
                (path, f"{inside}/", f"{inside}0"),
            )
        return _joined(rows) or labels.BOTTOM

    # Releases ---------------------------------------------------------------------------------

    def add_release(self, tree: str, release_id: str, signed: bytes) -> None:
        """A person's release. Raises CallerError `release.duplicate`."""
        if self._run("SELECT 1 FROM releases WHERE id = ?", (release_id,)):
            raise CallerError("release.duplicate", "There is a release of this id.")
        self._run(
            "INSERT INTO releases (id, tree, signed) VALUES (?, ?, ?)", (release_id, tree, signed)
        )

    def releases(self, tree: str) -> list[bytes]:
        """The latest releases of a tree. Whether one holds, and was spent, is not known here."""
        rows = self._run(
            "SELECT signed FROM releases WHERE tree = ? ORDER BY n DESC LIMIT ?",
            (tree, _MOST_RELEASES),
        )
        return [bytes(signed) for (signed,) in rows]


def _above(path: str) -> tuple[str, ...]:
    """The path and every directory over it, as many as there are placeholders."""
    found = ["/"]
    for part in path.split("/")[1:]:
        found.append(f"{found[-1].rstrip('/')}/{part}")
    return tuple((found + [path] * (PATH_SEGMENTS + 2))[: PATH_SEGMENTS + 2])


def _joined(rows: list[Any]) -> int | None:
    """The join of labels; None for none."""
    joined = labels.BOTTOM
    for (label,) in rows:
        joined = labels.join(joined, label)
    return joined if rows else None


def _checked(label: int) -> int:
    """A label nobody can read is the worst."""
    return label if labels.valid(label) else labels.TOP
