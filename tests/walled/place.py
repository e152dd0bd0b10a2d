"""A workspace and the command that puts an agent into it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cli.command import PROGRAM, Desk, Result
from tests.support import terminal
from tests.support.terminal import Said
from tests.vmhost.cells import PYTHON


@dataclass(frozen=True, slots=True)
class Place:
    desk: Desk
    folder: Path
    where: str = "--local"

    def argv(self, *words: object, holds: str = "agent") -> list[str]:
        return [
            *PROGRAM,
            *self.desk.argv(
                "run", self.where, "--token", self.desk.root / f"{holds}.token",
                "--dir", self.folder, "--passphrase-file", self.desk.pass_file, *words,
            ),
        ]  # fmt: skip

    def run(self, *words: object, holds: str = "agent", stdin: bytes = b"") -> Result:
        """The command without a terminal anywhere."""
        done = subprocess.run(
            self.argv(*words, holds=holds),
            input=stdin,
            capture_output=True,
            cwd=self.folder,
            env=self.desk.environ(),
            check=False,
            timeout=120,
            start_new_session=True,
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    def calls(self, tool: str, **arguments: object) -> str:
        """A shell command of an agent that makes one call and prints the answer."""
        params = {"name": tool, "arguments": arguments}
        line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
        (self.folder / "call.py").write_text(
            "import os, subprocess\n"
            "p = subprocess.Popen([os.environ['NUCLEUS_MCP']], stdin=-1, stdout=-1, text=True)\n"
            f"p.stdin.write({line!r} + '\\n'); p.stdin.flush()\n"
            "print(p.stdout.readline(), flush=True)\n"
            "p.stdin.close(); p.wait()\n"
        )
        return f"{PYTHON} call.py"

    def start(self, *words: object) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.argv(*words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.folder,
            env=self.desk.environ(),
            start_new_session=True,
        )

    def typed(
        self, *words: object, dialogue: Sequence[tuple[bytes, Said]], holds: str = "agent"
    ) -> tuple[bytes, int]:
        """The command at a terminal, with somebody who waits for a text and types an answer."""
        argv = self.argv(*words, holds=holds)
        return terminal.typed(argv, dialogue, env=self.desk.environ(), folder=self.folder)


def code(out: bytes) -> bytes:
    """What has to be typed to approve the last question."""
    found: list[bytes] = re.findall(rb"Type (\w{4}) to approve", out)
    return found[-1] + b"\n"
