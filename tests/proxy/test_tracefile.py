"""A trace file is a copy; made twice it is the same file, torn it is made whole."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from nucleus_proxy import tracefile
from nucleus_proxy.tracefile import RevealFile
from nucleus_tokens.errors import CallerError, NucleusError, WorldError
from nucleus_verifier import trace
from tests.support import world
from tests.support.memory_ledger import MemoryLedger


def _ledger(records: int, word: str = "x") -> MemoryLedger:
    ledger = MemoryLedger(lambda: world.NOW)
    for number in range(records):
        ledger.append({"type": "test", "n": number, "word": word})
    return ledger


def _whole(path: Path) -> int:
    entries, broken = trace.read(path.read_bytes().splitlines())
    assert broken is None
    return len(entries)


def test_an_export_is_the_trace_and_a_second_one_changes_nothing(tmp_path: Path) -> None:
    path, ledger = tmp_path / "trace.jsonl", _ledger(1203)
    assert tracefile.export(ledger, path) == 1203
    before = path.read_bytes()
    assert tracefile.export(ledger, path) == 1203
    assert path.read_bytes() == before
    assert path.stat().st_mode & 0o777 == 0o600
    ledger.append({"type": "test"})
    assert tracefile.export(ledger, path) == 1204
    assert _whole(path) == 1204


def test_an_empty_trace_is_an_empty_file(tmp_path: Path) -> None:
    assert tracefile.export(_ledger(0), tmp_path / "t") == 0
    assert (tmp_path / "t").read_bytes() == b""


@pytest.mark.parametrize("kept", [0, 1, 10, 150, 151, 400])
def test_a_torn_last_line_is_set_aside(tmp_path: Path, kept: int) -> None:
    path, ledger = tmp_path / "trace.jsonl", _ledger(3)
    tracefile.export(ledger, path)
    whole = path.read_bytes()
    path.write_bytes(whole[:kept])
    assert tracefile.export(ledger, path) == 3
    assert path.read_bytes() == whole
    torn = whole[:kept].rpartition(b"\n")[2]
    aside = tmp_path / "trace.jsonl.torn"
    assert (aside.read_bytes() if aside.exists() else b"") == (torn + b"\n" if torn else b"")


@pytest.mark.parametrize("text", [b"hello\n", b"{}\n", b'{"seq":1}\n', b"[]\n"])
def test_a_file_that_is_no_trace_is_left_alone(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(text)
    with pytest.raises(CallerError) as caught:
        tracefile.export(_ledger(3), path)
    assert caught.value.code == "trace.other_history"
    assert path.read_bytes() == text


@pytest.mark.parametrize("records", [1, 5])
def test_a_copy_of_another_trace_is_never_continued(tmp_path: Path, records: int) -> None:
    path = tmp_path / "trace.jsonl"
    tracefile.export(_ledger(3, "other"), path)
    before = path.read_bytes()
    with pytest.raises(CallerError) as caught:
        tracefile.export(_ledger(records), path)
    assert caught.value.code == "trace.other_history"
    assert path.read_bytes() == before


def test_many_exports_at_once_give_one_file(tmp_path: Path) -> None:
    path, ledger = tmp_path / "trace.jsonl", _ledger(700)
    threads = [threading.Thread(target=tracefile.export, args=(ledger, path)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _whole(path) == 700


def test_a_place_that_cannot_be_written_is_the_worlds_fault(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "no" / "trace"):
        with pytest.raises(WorldError) as caught:
            tracefile.export(_ledger(1), path)
        assert caught.value.code == "trace.file"


def test_reveals_are_appended_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "reveals.jsonl"
    for number in (1, 2):
        with RevealFile(path) as reveals:
            reveals({"n": number, "f": 1.5, "t": "e\u0301\n"})
    assert [json.loads(line)["n"] for line in path.read_bytes().splitlines()] == [1, 2]
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    with pytest.raises(CallerError) as caught:
        RevealFile(path)
    assert caught.value.code == "reveal.readable"


def test_a_full_disk_leaves_whole_lines(tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    with pytest.raises(NucleusError) as caught, RevealFile(Path("/dev/full")) as reveals:
        reveals({"n": 1})
    assert caught.value.code in ("reveal.file", "reveal.readable")


# Rotation ---------------------------------------------------------------------------------------


def _parts(folder: Path) -> list[bytes]:
    return [line for path in tracefile.segments(folder) for line in path.read_bytes().splitlines()]


def test_the_chain_goes_on_from_file_to_file(tmp_path: Path) -> None:
    ledger = _ledger(1203)
    assert tracefile.rotate(ledger, tmp_path / "t", 20_000) == 1203
    paths = tracefile.segments(tmp_path / "t")
    assert len(paths) > 5
    whole = [line for _, line in ledger.trace_lines(0, 5000)]
    assert _parts(tmp_path / "t") == whole
    before = {path: path.read_bytes() for path in paths}
    ledger.append({"type": "test"})
    assert tracefile.rotate(ledger, tmp_path / "t", 20_000) == 1204
    # Only the last one grows; a complete one is never written again.
    assert all(path.read_bytes() == before[path] for path in paths[:-1])
    entries, broken = trace.read(_parts(tmp_path / "t"))
    assert (len(entries), broken) == (1204, None)
    paths[2].unlink()
    _, broken = trace.read(_parts(tmp_path / "t"))
    assert broken is not None


@pytest.mark.parametrize("kept", [0, 7, 400])
def test_a_part_that_was_torn_is_made_whole(tmp_path: Path, kept: int) -> None:
    ledger = _ledger(200)
    tracefile.rotate(ledger, tmp_path / "t", 10_000)
    last = tracefile.segments(tmp_path / "t")[-1]
    whole = _parts(tmp_path / "t")
    last.write_bytes(last.read_bytes()[:kept])
    assert tracefile.rotate(ledger, tmp_path / "t", 10_000) == 200
    assert _parts(tmp_path / "t") == whole


def test_a_directory_of_another_trace_is_left_alone(tmp_path: Path) -> None:
    tracefile.rotate(_ledger(20), tmp_path / "t", 1000)
    before = _parts(tmp_path / "t")
    with pytest.raises(CallerError, match="another trace"):
        tracefile.rotate(_ledger(40, "y"), tmp_path / "t", 1000)
    assert _parts(tmp_path / "t") == before
