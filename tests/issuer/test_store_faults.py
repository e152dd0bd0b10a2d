"""Full and read-only disks, damaged, foreign and old files: a clear error and no effect."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nucleus_issuer import migrations
from nucleus_issuer.batches import Connection
from nucleus_issuer.database import Database
from nucleus_issuer.store import Store
from nucleus_tokens.errors import WorldError
from tests.issuer.contract import everything, opened
from tests.issuer.making import RECORD, RID0, Clock, intent, issued, spend, wanted

BIG = {"type": "decision", "padding": "x" * 20_000}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    where = tmp_path / "state" / "state.sqlite"
    with Store.open(where, create=True, clock=Clock()) as store:
        opened(store)
        store.record(issued())
    return where


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    where = tmp_path / "disk"
    where.mkdir(mode=0o700)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs", str(where)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("mounting needs root")
    yield where
    subprocess.run(["umount", "-l", str(where)], check=True)


def code_of(path: Path) -> str:
    with pytest.raises(WorldError) as caught:
        Store.open(path, clock=Clock())
    assert str(caught.value).count("\n") == 0
    return caught.value.code


def raw(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(statement)
    connection.close()


# Full and read-only -----------------------------------------------------------------------------


def _fill(store: Store) -> None:
    def until_full() -> None:
        for n in range(10_000):
            store.commit(intent(spends=(spend(1, 10**6),), nonce=(str(n), 2**40)), BIG)

    with pytest.raises(WorldError) as caught:
        until_full()
    assert caught.value.code == "store.full"


def test_a_full_database_records_nothing_and_permits_nothing(path: Path) -> None:
    with Store.open(path, clock=Clock()) as store:
        writer = store._database._writer
        assert writer is not None
        writer.execute("PRAGMA max_page_count = 80")
        _fill(store)
        before = everything(store)
        for _ in range(3):
            with pytest.raises(WorldError) as caught:
                store.commit(intent(spends=(spend(1, 10**6),), raised=7), BIG)
            assert caught.value.code == "store.full"
        assert everything(store) == before
        writer.execute("PRAGMA max_page_count = 10000")
        assert isinstance(store.commit(intent(raised=7), RECORD), int)


def test_a_full_disk_records_nothing_and_heals_when_there_is_room(small_disk: Path) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * 600_000)
    with Store.open(small_disk / "state" / "state.sqlite", create=True, clock=Clock()) as store:
        opened(store).record(issued())
        _fill(store)
        before = everything(store)
        with pytest.raises(WorldError) as caught:
            store.commit(intent(raised=7), BIG)
        assert caught.value.code == "store.full"
        assert everything(store) == before
        filler.unlink()
        assert isinstance(store.commit(intent(raised=7), RECORD), int)
        assert store.revoke(RID0, by="alice", reason="").seq == 1
        store.check()


def test_a_read_only_disk_is_refused_and_left_as_it_was(small_disk: Path) -> None:
    where = small_disk / "state" / "state.sqlite"
    with Store.open(where, create=True, clock=Clock()) as store:
        opened(store)
        store.append(RECORD)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert code_of(where) == "store.readonly"
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    with Store.open(where, clock=Clock()) as store:
        assert len(store.trace_lines()) == 1


# Root is not stopped by permissions: for root the read-only disk above is the same case.
if os.geteuid() != 0:

    def test_a_read_only_directory_is_refused(path: Path) -> None:
        path.parent.chmod(0o500)
        try:
            assert code_of(path) == "store.readonly"
        finally:
            path.parent.chmod(0o700)


def test_writing_through_a_read_only_connection_is_an_error_with_a_name(path: Path) -> None:
    with Store.open(path, clock=Clock()) as store:
        store._database._writer.execute("PRAGMA query_only = ON")  # type: ignore[union-attr]
        with pytest.raises(WorldError) as caught:
            store.append(RECORD)
        assert caught.value.code == "store.readonly"


# Damaged, foreign, old --------------------------------------------------------------------------


def test_a_missing_file_is_not_replaced_by_an_empty_one(tmp_path: Path) -> None:
    """An empty state knows no revocation."""
    assert code_of(tmp_path / "state.sqlite") == "store.missing"
    assert not (tmp_path / "state.sqlite").exists()


def test_a_file_cut_to_nothing_is_not_an_empty_state(path: Path) -> None:
    os.truncate(path, 0)
    assert code_of(path) == "store.foreign"
    with pytest.raises(WorldError):
        Store.open(path, create=True)


NOISE = random.Random(1).randbytes(9000)


@pytest.mark.parametrize("content", [bytes(8192), b"not a database at all" * 500, NOISE])
def test_bytes_that_are_no_database_are_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert code_of(path) in ("store.corrupt", "store.foreign")


def test_a_damaged_page_is_an_error_with_a_name(path: Path) -> None:
    """Wherever the damage is, what comes out is our error or the right answer."""
    with Store.open(path, clock=Clock()) as store:
        for n in range(40):
            store.append({"n": n, "padding": "y" * 1000})
    size = path.stat().st_size
    good = path.read_bytes()
    named = 0
    for page in range(1, size // 4096):
        path.write_bytes(good[: page * 4096] + b"\xa5" * 4096 + good[(page + 1) * 4096 :])
        try:
            with Store.open(path, clock=Clock()) as store:
                store.check()
        except WorldError as error:
            named += error.code in ("store.corrupt", "store.foreign", "store.failed")
    assert named == size // 4096 - 1


def test_a_changed_record_is_found_by_the_check(path: Path) -> None:
    with Store.open(path, clock=Clock()) as store:
        for _ in range(3):
            store.append({"key": "value"})
    changed = "CAST(replace(CAST(line AS TEXT), 'value', 'VALUE') AS BLOB)"
    raw(path, f"UPDATE trace SET line = {changed} WHERE seq = 2")  # noqa: S608
    with Store.open(path, clock=Clock()) as store, pytest.raises(WorldError) as caught:
        store.check()
    assert caught.value.code == "store.corrupt"


def test_a_newer_file_is_not_guessed_at(path: Path) -> None:
    raw(path, f"PRAGMA user_version = {len(migrations.MIGRATIONS) + 1}")
    assert code_of(path) == "store.newer"


def test_a_database_of_another_program_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "theirs.sqlite"
    raw(path, "CREATE TABLE bookmarks (url TEXT)")
    path.chmod(0o600)
    before = path.read_bytes()
    assert code_of(path) == "store.foreign"
    with pytest.raises(WorldError):
        Store.open(path, create=True)
    assert path.read_bytes() == before


def test_each_migration_is_applied_once_and_in_order(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = ("CREATE TABLE later (n INTEGER)", "INSERT INTO later VALUES (1)")
    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, more))
    for _ in range(2):
        Store.open(path, clock=Clock()).close()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT COUNT(*) FROM later").fetchone() == (1,)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(migrations.MIGRATIONS),)
    assert connection.execute("SELECT COUNT(*) FROM inventory").fetchone() == (1,)
    connection.close()


def test_a_migration_that_fails_changes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = ("CREATE TABLE later (n INTEGER)", "INSERT INTO nowhere VALUES (1)")
    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, broken))
    assert code_of(path) == "store.failed"
    monkeypatch.undo()
    with Store.open(path, clock=Clock()) as store:
        assert store.issued(issued().tid) == issued()


def test_an_older_copy_does_not_revive_a_revoked_token(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.sqlite"
    shutil.copy(path, copy)
    with Store.open(path, clock=Clock()) as store:
        store.revoke(RID0, by="alice", reason="")
    for rest in path.parent.glob("state.sqlite-*"):
        rest.unlink()
    shutil.copy(copy, path)
    assert code_of(path) == "store.rolled_back"
    anchor = path.with_name("state.sqlite.anchor")
    anchor.write_text("what\n")
    assert code_of(path) == "store.rolled_back"


def test_the_anchor_never_falls(path: Path) -> None:
    with Store.open(path, clock=Clock()) as store:
        store.revoke(RID0, by="alice", reason="")
        store.drop_anchor(0)
        assert int(path.with_name("state.sqlite.anchor").read_text()) == 1


# Who may open it, and from where ----------------------------------------------------------------


def test_files_are_private_from_the_start(path: Path) -> None:
    with Store.open(path, clock=Clock()) as store:
        store.append(RECORD)
        assert path.parent.stat().st_mode & 0o777 == 0o700
        for each in path.parent.iterdir():
            assert each.stat().st_mode & 0o077 == 0, each
        assert len(list(path.parent.iterdir())) == 4, "database, wal, shm and anchor; no leftovers"


def test_a_state_others_may_write_is_refused(path: Path) -> None:
    path.chmod(0o620)
    assert code_of(path) == "file.permissions"
    path.chmod(0o600)
    path.parent.chmod(0o770)
    with pytest.raises(WorldError) as caught:
        Store.open(path, create=True)
    assert caught.value.code == "file.permissions"


def test_two_creators_make_one_file(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    tmp_path.chmod(0o700)
    Database.create(path)
    first = path.stat().st_ino
    Database.create(path)
    assert path.stat().st_ino == first


def test_a_closed_or_forked_store_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.open(path, clock=Clock())
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: 1)
        with pytest.raises(WorldError) as caught:
            store.append(RECORD)
        assert caught.value.code == "store.forked"
    store.close()
    for use in (lambda: store.append(RECORD), lambda: store.read(wanted())):
        with pytest.raises(WorldError) as caught:
            use()
        assert caught.value.code == "store.closed"


def test_an_interrupted_write_is_not_done_and_the_next_one_is(path: Path) -> None:
    with Store.open(path, clock=Clock()) as store:

        def interrupted(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE cells SET bits = 7")
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            store._database.write(interrupted)
        assert store.read(wanted()).wall.bits == 0
        assert store.append(RECORD) == 1


def test_an_interrupted_read_leaves_nothing_open(path: Path) -> None:
    with Store.open(path, clock=Clock()) as store:

        def interrupted(_: object) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            store._database.read(interrupted)
        assert store.append(RECORD) == 1
        assert store.read(wanted()).wall.bits == 0


def test_who_reads_does_not_wait_for_who_writes_and_sees_none_of_it(path: Path) -> None:
    with Store.open(path, clock=Clock()) as store:
        inside, looked = threading.Event(), threading.Event()

        def slow(connection: Connection) -> None:
            connection.execute("UPDATE cells SET bits = 7")
            inside.set()
            assert looked.wait(20)

        with ThreadPoolExecutor(1) as pool:
            writes = pool.submit(store._database.write, slow)
            assert inside.wait(20)
            assert store.read(wanted()).wall.bits == 0
            looked.set()
            writes.result(20)
        assert store.read(wanted()).wall.bits == 7
