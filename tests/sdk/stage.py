"""A stage for the SDK: a home, the real `nucleus session serve` as a process, and a workspace."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nucleus import Session
from tests.cli.command import PROGRAM, Desk


@dataclass(frozen=True)
class Served:
    """A running `nucleus session serve`."""

    desk: Desk
    socket: Path
    workspace: Path
    process: subprocess.Popen[bytes]

    def session(self, profile: str = "") -> Session:
        return Session(profile, workspace=self.workspace, socket=self.socket)

    def file(self, name: str, content: str) -> Path:
        path = self.workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    def listed(self, s: Session) -> list[dict[str, Any]]:
        """What the list of the sessions that run says of this one."""
        rows = self.desk.run("session", "list", "--json").ok().json
        return [row for row in rows if row["tid"] == s.about.tid]

    def trace(self) -> list[dict[str, Any]]:
        """The host's trace, verified."""
        assert self.desk.run("trace", "verify", "--json").ok().json["verified"] is True
        records: list[dict[str, Any]] = self.desk.run("trace", "show", "--json").ok().json
        return records


def home(root: Path) -> Desk:
    """A new home with weak keys; everybody's passphrase is the same file."""
    root.chmod(0o700)
    desk = Desk(root)
    desk.init()
    return desk


@contextmanager
def serving(
    desk: Desk,
    workspace: Path,
    *words: object,
    within: Callable[[list[str]], list[str]] = list,
    **popen: Any,
) -> Iterator[Served]:
    """Serve sessions in `workspace` while the block runs; without words, of safe-pr-fixer.
    `within` gives the command that runs a command where the proxy shall stand."""
    socket = desk.root / "run" / f"{workspace.name}.sock"
    given = words or ("--profile", "safe-pr-fixer")
    argv = desk.argv(
        "session", "serve", "--workspace", workspace, "--socket", socket,
        "--passphrase-file", desk.pass_file, *given,
    )  # fmt: skip
    process = subprocess.Popen(
        within([*PROGRAM, *argv]),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=desk.environ(),
        **popen,
    )
    assert process.stderr is not None
    try:
        said = b""
        while b"sessions of" not in said:
            line = process.stderr.readline()
            assert line, said.decode()
            said += line
        yield Served(desk, socket, workspace, process)
    finally:
        process.terminate()
        _, rest = process.communicate(timeout=60)
        desk.printed.append((said + rest).decode())
        assert b"Traceback" not in said + rest, (said + rest).decode()
        assert b"defect" not in said + rest, (said + rest).decode()
