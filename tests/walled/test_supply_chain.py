"""A package of somebody else's index taints the session, its build script gets nowhere, and what
the agent read after it does not leave: real pip, real indexes, the example as it is shipped."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.cli.command import ROOMS
from tests.house.source import ROOT

NOWHERE = {"OSError", "HTTPError", "FileNotFoundError", "PermissionError"}


def test_dependency_confusion_does_not_get_out() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "supply_chain.py"],
        capture_output=True, text=True, check=False, timeout=120,
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONPATH": ROOMS},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    installed, read, pushed, remote = map(json.loads, done.stdout.splitlines())
    assert installed["installed"] == ["internal_utils-9.9.dist-info"], "the higher number wins"
    attempts = installed["attempts"]
    assert len(attempts) == 5
    assert set(attempts.values()) <= NOWHERE, attempts
    assert attempts["through the proxy"] == "HTTPError", "the road outward refused it"
    assert read["exposure"] == ["private_data", "untrusted_content"]
    assert pushed["push"] == "approval.required"
    assert "gate:exposure" in pushed["owed"]
    assert remote == {"the remote has": "nothing"}
