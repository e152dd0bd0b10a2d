"""What a program wrote is what it would write again: nobody edits it, and it is never stale."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.source import ROOT, repository

PROTOCOLS = [path for path in repository() if path.suffix == ".proto"]


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda path: path.stem)
def test_the_protobuf_modules_are_those_of_their_protocol(protocol: Path, tmp_path: Path) -> None:
    room = ROOT / protocol.relative_to(ROOT).parts[0]
    name = protocol.relative_to(room)
    subprocess.run(
        [
            sys.executable, "-m", "grpc_tools.protoc", f"-I{room}", f"--python_out={tmp_path}",
            f"--pyi_out={tmp_path}", f"--grpc_python_out={tmp_path}", str(name),
        ],
        cwd=room,
        check=True,
    )  # fmt: skip
    made = {path.name: path.read_text() for path in (tmp_path / name).parent.iterdir()}
    assert made, "the compiler wrote nothing"
    for each, text in made.items():
        assert (protocol.parent / each).read_text() == text, (
            f"run `python -m grpc_tools.protoc` as this test does, into {room.name}/: {each}"
        )
