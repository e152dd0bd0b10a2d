"""A host with the embedded Workload API: the real command as a process, the real client beside."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from spiffe import WorkloadApiClient

from nucleus.cli import main
from tests.cli.command import PROGRAM, ROOMS

DOMAIN = "example.org"
SECONDS = 10.0
_BECOME = """
import os, sys
from spiffe import WorkloadApiClient
uid = int(sys.argv[2])
os.setgroups([]); os.setresgid(uid, uid, uid); os.setresuid(uid, uid, uid)
"""


@dataclass
class Host:
    """One trust domain in a folder of its own."""

    home: Path
    folder: Path
    process: subprocess.Popen[str]

    def client(self, socket: str = "workload.sock") -> WorkloadApiClient:
        return WorkloadApiClient(f"unix://{self.folder / socket}", default_timeout=SECONDS)

    def rotate(self) -> None:
        assert main(["--home", str(self.home), "identity", "rotate"]) == 0

    def until_said(self, words: str) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if words in line:
                return
        raise AssertionError(f"the service ended without saying {words!r}")


@contextmanager
def host(root: Path, registry: str, *, lives: str = "1h", announce: str = "5s") -> Iterator[Host]:
    """A running service; it is ended by SIGTERM and must end cleanly."""
    # A folder that other users reach: that they do is the point of some tests.
    home, folder = root / "home", Path(tempfile.mkdtemp(prefix="identity-"))
    folder.chmod(0o755)
    assert main(["--home", str(home), "identity", "init", DOMAIN]) == 0
    (home / "config" / "workloads.toml").write_text(f'trust_domain = "{DOMAIN}"\n{registry}')
    words = ["--home", str(home), "identity", "serve", "--folder", str(folder), "--lives", lives,
             "--announce", announce]  # fmt: skip
    process = subprocess.Popen(
        [*PROGRAM, *words],
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": ROOMS},
    )
    made = Host(home, folder, process)
    try:
        made.until_said("serving at")
        yield made
    finally:
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=SECONDS)
        assert process.returncode == 0, rest
        assert "Traceback" not in rest
        shutil.rmtree(folder)


def as_user(uid: int, socket: Path, program: str) -> str:
    """Run a Python program as another user of this host, given the socket; what it says.

    It becomes that user after it has imported its modules: they may lie where only root reads.
    """
    done = subprocess.run(
        [sys.executable, "-c", _BECOME + program, f"unix://{socket}", str(uid)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr[-2000:]
