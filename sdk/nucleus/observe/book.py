"""Law: a call that was answered stands in the record: its line is written before its answer.

`Book` is the record on the disk, `Witnessed` the store that tells it of each decision as soon as
that is durable. A line is one write, so a process that is killed leaves whole lines and at most
one torn end. A call that cannot be recorded does not run.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from nucleus.observe import record
from nucleus.observe.arguments import Keep
from nucleus_issuer import files
from nucleus_issuer.store import Store
from nucleus_tokens.errors import WorldError
from nucleus_verifier.decision import Deny, Intent
from nucleus_verifier.record import reveal_digest

_WAITING: Final = 4096  # reveals whose decision did not come: those of calls that were asked about


class Book:
    """The record of one observation; begin it, and close it."""

    def __init__(self, path: Path, agent: str, keep: Keep) -> None:
        self.path, self.keep = path, keep
        self._agent = keep.scrub.text(agent)
        self._lock = threading.Lock()
        self._revealed: dict[str, dict[str, Any]] = {}
        self._handle = -1
        self.calls = 0

    def begin(self) -> None:
        """Make the file; one that is there is replaced. Raises WorldError, CallerError."""
        data = record.head(self._agent).encode()
        if self.path.exists():
            files.replace(self.path, data)
        else:
            files.create(self.path, data)
        flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        self._handle = os.open(self.path, flags)

    @property
    def begun(self) -> bool:
        return self._handle >= 0

    def reveal(self, reveal: Mapping[str, object]) -> None:
        """Hear what a decision names by its digest alone; what is kept of it is made here."""
        if "args" not in reveal:
            return  # of an outcome: no result is ever kept
        kept, digest = record.of_reveal(reveal, self.keep), reveal_digest(reveal)
        with self._lock:
            while len(self._revealed) >= _WAITING:
                del self._revealed[next(iter(self._revealed))]
            self._revealed[digest] = kept

    def decided(self, line: Mapping[str, Any]) -> None:
        """Write the line of a decision that is durable. Raises WorldError `observe.book`."""
        if line.get("type") != "decision":
            return
        with self._lock:
            revealed = self._revealed.pop(line["call"]["digest"], None)
            if revealed is None or line["decision"]["verdict"] == "ask":
                return  # the same call comes again when it is approved
            seen = record.of_decision(line, revealed, self.keep)
            self._append(record.line(seen).encode())

    def _append(self, data: bytes) -> None:
        size = os.fstat(self._handle).st_size
        try:
            if self.calls >= record.MOST_CALLS - 1:
                raise OSError("it holds no more calls")
            if os.write(self._handle, data) < len(data):
                os.ftruncate(self._handle, size)
                raise OSError("the disk took only part of a line")
        except OSError as error:
            raise WorldError(
                "observe.book", f"The call cannot be recorded, so it does not run: {error}."
            ) from error
        self.calls += 1

    def close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


class Witnessed(Store):
    """A store that tells a book what it recorded, before whoever asked hears of it."""

    book: Book

    def commit(self, intent: Intent, record: Mapping[str, object]) -> Deny | int:
        done = super().commit(intent, record)
        if not isinstance(done, Deny):
            self.book.decided(record)
        return done

    def append(self, record: Mapping[str, object]) -> int:
        done = super().append(record)
        self.book.decided(record)
        return done
