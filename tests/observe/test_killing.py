"""What was answered stands in the record, also when the observer is killed with it in hand."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from nucleus.observe import record
from tests.cli.command import Desk
from tests.observe.stage import SERVER, Client

CALLS = 8


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    path = tmp_path_factory.mktemp("killing") / "server.py"
    path.write_text(SERVER)
    return [sys.executable, str(path)]


@pytest.mark.parametrize("answers", [1, 5])
def test_what_was_answered_survives_a_kill(server: list[str], tmp_path: Path, answers: int) -> None:
    """All calls are on their way when the kill comes."""
    where = tmp_path / "record.jsonl"
    client = Client(where, server, "--values")
    for number in range(CALLS):
        client.call(number, "read_note", path="/etc/hostname", n=number)
    told = {client.next()["id"] for _ in range(answers)}
    os.kill(client.process.pid, signal.SIGKILL)
    # What was in the pipe already was answered too.
    while "id" in (answer := client.next()):
        told.add(answer["id"])
    client.end()
    assert client.process.returncode == -signal.SIGKILL
    seen = record.read(where.read_text())
    kept = [call.arguments["/n"].value for call in seen.calls if call.arguments is not None]
    assert told <= set(kept)
    assert len(kept) == len(set(kept))
    assert not seen.torn
    desk = Desk(tmp_path)
    made = desk.run("observe", "policy", where, "-o", tmp_path / "policy.json").ok(0)
    assert "has no end" not in made.err
    desk.run("observe", "replay", tmp_path / "policy.json", where).ok(0)


def test_a_torn_last_line_is_left_out_and_said(server: list[str], tmp_path: Path) -> None:
    where = tmp_path / "record.jsonl"
    client = Client(where, server)
    for number in range(2):
        client.call(number, "read_note", path="/etc/hostname")
        client.answer(number)
    client.end()
    whole = where.read_bytes()
    desk = Desk(tmp_path)
    for cut in (1, 20, len(whole.splitlines()[-1])):
        where.write_bytes(whole[:-cut])
        made = desk.run("observe", "policy", where, "-o", tmp_path / f"{cut}.json").ok(0)
        assert "the last line of" in made.err
        assert "has no end and is left out" in made.err
        assert "read_files: 1 call" in made.err
    # In the middle it is damage, and nothing is made of it.
    lines = whole.splitlines(keepends=True)
    where.write_bytes(b"".join((lines[0], lines[1][:-20], b"\n", lines[2])))
    assert "[observe.record]" in desk.run("observe", "policy", where).ok(2).err
