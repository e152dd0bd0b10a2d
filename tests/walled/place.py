"""A workspace and the command that puts an agent into it."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cli.command import PROGRAM, Desk, Result
from tests.vmhost.cells import PYTHON

Said = bytes | Callable[[bytes], bytes]


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

    def typed(self, *words: object, dialogue: Sequence[tuple[bytes, Said]]) -> tuple[bytes, int]:
        """The command at a terminal, with somebody who waits for a text and types an answer."""
        pid, screen = pty.fork()
        if pid == 0:
            os.chdir(self.folder)
            argv = self.argv(*words)
            os.execvpe(argv[0], argv, self.desk.environ())  # noqa: S606
        out, left = b"", list(dialogue)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if select.select([screen], [], [], 0.1)[0]:
                try:
                    data = os.read(screen, 65536)
                except OSError:
                    break
                if not data:
                    break
                out += data
            if left and left[0][0] in out:
                _, said = left.pop(0)
                os.write(screen, said if isinstance(said, bytes) else said(out))
        else:
            os.kill(pid, 9)
        _, status = os.waitpid(pid, 0)
        os.close(screen)
        assert not left, out.decode(errors="replace")
        return out, os.waitstatus_to_exitcode(status)


def code(out: bytes) -> bytes:
    """What has to be typed to approve the last question."""
    found: list[bytes] = re.findall(rb"Type (\w{4}) to approve", out)
    return found[-1] + b"\n"
