"""Runs the `nucleus` command for tests: as a process of its own, or in this one where only the
answer matters.

In a process it is run as a user runs it, from the rooms of this checkout. In this process it is the
same `main`, with its streams replaced; that saves the interpreter's start.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nucleus.cli import main
from tests.house.source import PACKAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM: Final = [
    sys.executable,
    "-c",
    "import sys; from nucleus.cli import main; sys.exit(main())",
]
ROOMS: Final = os.pathsep.join(str(path.parent) for path in PACKAGES.values())
PASSPHRASE: Final = b"correct horse battery staple"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def ok(self, code: int = 0) -> Result:
        """It ended with this code, and without a traceback."""
        assert "Traceback" not in self.err + self.out, self.err
        assert self.code == code, f"exit {self.code}: {self.err}{self.out}"
        return self


@dataclass
class Desk:
    """A home, a working directory, and everything that was printed there."""

    root: Path
    printed: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def pass_file(self) -> Path:
        return self.root / "passphrase"

    def file(self, name: str, content: str | bytes | Any) -> Path:
        """A private file; what is neither text nor bytes is written as JSON."""
        path = self.root / name
        if not isinstance(content, str | bytes):
            content = json.dumps(content)
        path.unlink(missing_ok=True)
        path.touch(0o600)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def argv(self, *words: object) -> list[str]:
        return ["--home", str(self.home), *map(str, words)]

    def environ(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        kept = {k: os.environ[k] for k in ("PATH", "HOME", "LANG") if k in os.environ}
        return {**kept, "PYTHONPATH": ROOMS, "TERM": "xterm-256color", **self.env, **(more or {})}

    def process(
        self,
        *words: object,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        pass_fds: tuple[int, ...] = (),
    ) -> Result:
        """The command as a process."""
        done = subprocess.run(
            [*PROGRAM, *self.argv(*words)],
            input=stdin,
            capture_output=True,
            cwd=self.root,
            env=self.environ(env),
            pass_fds=pass_fds,
            check=False,
            timeout=120,
        )
        return self._kept(Result(done.returncode, done.stdout.decode(), done.stderr.decode()))

    def run(self, *words: object, stdin: bytes = b"") -> Result:
        """The command in this process."""
        out, err = io.BytesIO(), io.BytesIO()
        with _streams(stdin, out, err), _inside(self.root):
            code = main(self.argv(*words))
        return self._kept(Result(code, out.getvalue().decode(), err.getvalue().decode()))

    def _kept(self, result: Result) -> Result:
        self.printed += [result.out, result.err]
        return result

    # The usual steps --------------------------------------------------------------------------

    def init(self) -> None:
        self.file("passphrase", PASSPHRASE + b"\n")
        self.run(
            "init", "--approver", "alice", "--passphrase-file", self.pass_file,
            "--dangerously-weak-keys-for-tests",
        ).ok()  # fmt: skip

    def key(self, name: str) -> str:
        """A holder's key; its public half."""
        return self.run("token", "key", "--name", name, "--out", self.root / f"{name}.key").ok().out

    def issue(self, name: str, *words: object, profile: str = "codegen") -> Path:
        """A token for the key `name`."""
        path = self.root / f"{name}.token"
        self.run(
            "token", "issue", "--profile", profile, "--sub", name, "--out", path,
            "--passphrase-file", self.pass_file, *words,
        ).ok()  # fmt: skip
        return path


@contextmanager
def _streams(stdin: bytes, out: io.BytesIO, err: io.BytesIO) -> Iterator[None]:
    before = sys.stdin, sys.stdout, sys.stderr
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin))
    sys.stdout = io.TextIOWrapper(out, encoding="utf-8", write_through=True)
    sys.stderr = io.TextIOWrapper(err, encoding="utf-8", write_through=True)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for stream in (sys.stdout, sys.stderr):
            stream.detach()
        sys.stdin, sys.stdout, sys.stderr = before


@contextmanager
def _inside(directory: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(directory)
    try:
        yield
    finally:
        os.chdir(before)
