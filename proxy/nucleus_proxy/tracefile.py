"""Law: the ledger is the trace; a file is a copy of it that others can read, line by line.

`export` appends what the file does not have yet, under a lock, as often as anybody likes: the same
file results. A last line that was torn by a crash is set aside, never completed. `rotate` does the
same into a directory of files, each named by its first record; the chain goes on from one to the
next, so that a file that is missing in the middle is missed. The reveal file keeps what the trace
only digests, readable by its owner alone.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Protocol, Self

from nucleus_tokens import arguments
from nucleus_tokens.errors import CallerError, CredentialError, WorldError
from nucleus_verifier import trace

_BATCH: Final = 500
_TAIL: Final = 64 * 1024
_spell: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class TraceSource(Protocol):
    """Where the trace is kept."""

    def trace_lines(self, after_seq: int = 0, limit: int = 1000) -> Sequence[tuple[int, bytes]]:
        """(sequence number, line without its newline), in order."""
        ...


def export(source: TraceSource, path: Path) -> int:
    """Bring the file at `path` up to date; returns the last sequence number in it.

    Raises CallerError `trace.other_history` when the file is not a copy of this trace, WorldError
    `trace.file` when it cannot be written; what was written before stays valid.
    """
    with _opened(path) as file:
        return _append(source, file, _after(source, _last_line(file, path)), None)[0]


def rotate(source: TraceSource, folder: Path, most_bytes: int) -> int:
    """Bring the directory `folder` up to date; a new file begins once one has `most_bytes`.

    Returns the last sequence number in it. Raises as `export` does.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _failed(folder, error) from error
    with _opened(folder / ".lock"):
        end = (0, trace.GENESIS)
        for path in segments(folder)[-1:]:
            with _opened(path) as file:
                last = _last_line(file, path)
                # A file whose first line was torn: its place in the chain is in its name.
                end = _after(source, last) if last else _before(source, _first(path))
                end = _append(source, file, end, most_bytes)
        while source.trace_lines(end[0], 1):
            with _opened(folder / f"trace-{end[0] + 1:012d}.jsonl") as file:
                end = _append(source, file, end, most_bytes)
        return end[0]


def segments(folder: Path) -> list[Path]:
    """The files that `rotate` made, in order."""
    return sorted(folder.glob("trace-*.jsonl"))


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
    except OSError as error:
        raise _failed(path, error) from error


def _failed(path: Path, error: OSError) -> WorldError:
    return WorldError("trace.file", f"The trace file {path} cannot be written: {error}.")


def _last_line(file: IO[bytes], path: Path) -> bytes:
    """The last whole line, after setting a torn one aside; empty for an empty file."""
    end = file.seek(0, os.SEEK_END)
    size = _TAIL
    while True:
        start = max(0, end - size)
        file.seek(start)
        data = file.read(end - start)
        if start == 0 or data.count(b"\n") >= 2:
            break
        size *= 2
    whole, newline, torn = data.rpartition(b"\n")
    if torn:
        with open(f"{path}.torn", "ab", opener=_private) as aside:
            aside.write(torn + b"\n")
            aside.flush()
            os.fsync(aside.fileno())
        file.truncate(end - len(torn))
    file.seek(0, os.SEEK_END)
    return whole.rpartition(b"\n")[2] if newline else b""


def _after(source: TraceSource, last: bytes) -> tuple[int, str]:
    """Where a copy that ends with this line goes on: its number and hash."""
    if not last:
        return 0, trace.GENESIS
    try:
        value = arguments.parse(last)
        seq, digest = value["seq"], value["hash"]
        known = source.trace_lines(seq - 1, 1)
    except (CredentialError, KeyError, TypeError) as error:
        raise CallerError("trace.other_history", "The file does not end like a trace.") from error
    if not known or known[0][1] != last:
        raise CallerError(
            "trace.other_history", "The file is a copy of another trace.", hint="Use a new one."
        )
    return seq, digest


def _first(path: Path) -> int:
    digits = path.stem.removeprefix("trace-")
    if not digits.isascii() or not digits.isdigit() or int(digits) < 1:
        raise CallerError("trace.other_history", f"{path} is not named like a part of a trace.")
    return int(digits)


def _before(source: TraceSource, first: int) -> tuple[int, str]:
    """Where a part that begins with this record goes on."""
    if first == 1:
        return 0, trace.GENESIS
    known = source.trace_lines(first - 2, 1)
    if not known:
        raise CallerError("trace.other_history", f"Record {first - 1} is missing.")
    return first - 1, arguments.parse(known[0][1])["hash"]


def _append(
    source: TraceSource, file: IO[bytes], end: tuple[int, str], most_bytes: int | None
) -> tuple[int, str]:
    """Append what follows `end`, until the file has `most_bytes`; where it ends now."""
    seq, digest = end
    size = file.seek(0, os.SEEK_END)
    while (most_bytes is None or size < most_bytes) and (lines := source.trace_lines(seq, _BATCH)):
        made: list[bytes] = []
        for number, line in lines:
            value = arguments.parse(line)
            if number != seq + 1 or value["prev"] != digest:
                raise CallerError("trace.other_history", f"Record {seq + 1} is missing.")
            seq, digest = number, value["hash"]
            made.append(line + b"\n")
            size += len(line) + 1
            if most_bytes is not None and size >= most_bytes:
                break
        file.write(b"".join(made))
        file.flush()
        os.fsync(file.fileno())
    return seq, digest


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


class RevealFile:
    """Appends reveals, one line of JSON each, to a file that only its owner reads.

    A reveal belongs to the record that names its digest. It is written before the record, so a
    record never lacks its reveal; a reveal without a record tells of a race that was lost.
    """

    def __init__(self, path: Path) -> None:
        """Raises WorldError `reveal.file` when it cannot be opened, CallerError
        `reveal.readable` when others could read it."""
        try:
            self._file = open(path, "ab", buffering=0, opener=_private)  # noqa: SIM115  # kept open
            mode = os.fstat(self._file.fileno()).st_mode
        except OSError as error:
            raise WorldError("reveal.file", f"The reveal file {path} cannot be opened.") from error
        if mode & 0o077:
            self._file.close()
            raise CallerError(
                "reveal.readable", f"Others may read {path}.", hint="Give it mode 0600."
            )
        self._lock = threading.Lock()

    def __call__(self, reveal: Mapping[str, object]) -> None:
        """Append one reveal. Raises WorldError `reveal.file`: then nothing may be recorded."""
        # ASCII, and in the order it came: what a record names is the digest of the value.
        line = _spell(reveal).encode("ascii") + b"\n"
        try:
            with self._lock:
                fcntl.flock(self._file, fcntl.LOCK_EX)
                try:
                    took = self._file.write(line)
                    if took != len(line):
                        self._file.truncate(os.fstat(self._file.fileno()).st_size - took)
                        raise OSError("it took only part of a line")
                finally:
                    fcntl.flock(self._file, fcntl.LOCK_UN)
        except OSError as error:
            raise WorldError("reveal.file", f"A reveal could not be kept: {error}.") from error

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.close()
