"""An agent behind the local wall uses the tools by gRPC, with a client of its own."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.house.source import ROOT
from tests.walled.place import Place

AGENT = ROOT / "examples" / "grpc_agent.py"


def check(said: str) -> None:
    """What the example hears, in any wall."""
    listed, read, push, strange, twice = map(json.loads, said.splitlines())
    assert {"fs_read", "exec_run"} <= set(listed)
    assert "git_push" not in listed
    assert read == {"value": "hello\n", "exposure": ["private_data", "untrusted_content"]}
    assert push["refused"] == "level.never"
    assert push["hint"]
    assert strange["refused"] == "tool.unclassified"
    assert twice == {"status": "INVALID_ARGUMENT", "nucleus-code": "json.refused"}


@pytest.mark.slow
def test_a_grpc_client_of_somebody_else_calls_the_tools(place: Place) -> None:
    shutil.copy(AGENT, place.folder / "agent.py")
    venv = Path(sys.prefix).resolve()
    done = place.run(
        "--show", venv, "--show", ROOT / "proxy", "--env", f"PYTHONPATH={ROOT / 'proxy'}",
        "--", venv / "bin" / "python", "agent.py",
    ).ok()  # fmt: skip
    check(done.out)
    assert done.err == ""
    place.desk.run("trace", "verify").ok()
    last = json.dumps(place.desk.run("trace", "show", "--json").ok().json)
    assert "local:" in last
    assert "level.never" in last
