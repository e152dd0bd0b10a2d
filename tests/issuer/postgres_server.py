"""A real PostgreSQL server for tests: a cluster of its own, killed at will."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

SECONDS: Final = 60
_INSTALL: Final = "sudo apt-get install -y postgresql"


def programs() -> Path:
    """Where Debian keeps the server's programs; a missing server fails the test, in one line."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    assert found, f"PostgreSQL is not installed: {_INSTALL}"
    return found[-1].parent


class Server:
    """One cluster. PostgreSQL refuses to run as root: it then runs as `postgres`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._data = root / "data"
        # A program becomes that user: `subprocess` would have to fork for it, which a process
        # with threads of gRPC does not survive.
        self._as: list[str] = []
        if os.geteuid() == 0:
            entry = pwd.getpwnam("postgres")
            os.chown(root, entry.pw_uid, entry.pw_gid)
            self._as = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
        self._run("initdb", "-D", str(self._data), "-A", "trust", "-U", "nucleus", "-E", "UTF8")

    @property
    def address(self) -> str:
        return self.address_of("state")

    def address_of(self, database: str, schema: str | None = None) -> str:
        """`schema` is where the tables are; a part of one database, quick to make."""
        path = f"&search_path={schema}" if schema else ""
        return f"postgresql://nucleus@/{database}?host={self.root}{path}"

    def _run(self, program: str, *words: str) -> None:
        done = subprocess.run(
            [*self._as, str(programs() / program), *words],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            cwd="/",
            check=False,
        )
        assert done.returncode == 0, done.stderr + done.stdout

    def start(self, **settings: str) -> None:
        """Start it and wait until it answers."""
        given = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.root),
            # After a kill it would flush each of a thousand files by itself.
            "recovery_init_sync_method": "syncfs",
            **settings,
        }
        options = " ".join(f"-c {name}='{value}'" for name, value in given.items())
        log = str(self.root / "log")
        words = ("start", "-D", str(self._data), "-w", "-t", str(SECONDS), "-l", log)
        try:
            self._run("pg_ctl", *words, "-o", options)
        except AssertionError as error:
            raise AssertionError(str(error) + (self.root / "log").read_text()[-2000:]) from error

    def stop(self) -> None:
        """An orderly end."""
        if (self._data / "postmaster.pid").exists():
            self._run("pg_ctl", "stop", "-D", str(self._data), "-m", "fast", "-w")

    def kill(self) -> None:
        """SIGKILL to the postmaster and to everything it started."""
        pid = int((self._data / "postmaster.pid").read_text().split()[0])
        # Stopped first: a child that it starts meanwhile would outlive it, and hold its memory.
        os.kill(pid, signal.SIGSTOP)
        while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            os.sched_yield()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in (pid, *map(int, children)):
            try:
                os.kill(each, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for each in (pid, *map(int, children)):
            _gone(each)
        # Where nobody reaps the dead, the server would take its own corpse for a living one.
        for left in (self._data / "postmaster.pid", *self.root.glob(".s.PGSQL.*.lock")):
            left.unlink(missing_ok=True)

    def sql(self, statement: str, address: str | None = None) -> None:
        """Run one statement as the cluster's owner."""
        address = address or self.address_of("postgres")
        self._run("psql", "-q", "-X", "-v", "ON_ERROR_STOP=1", "-c", statement, address)


def _gone(pid: int) -> None:
    """Wait until a process that was killed is not there any more, without asking the clock."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        import select

        select.select([handle], [], [], SECONDS)
    finally:
        os.close(handle)


@contextmanager
def running(within: Path | None = None, **settings: str) -> Iterator[Server]:
    """A server with an empty database `state`, in a directory that `postgres` may enter."""
    # A path short enough for a socket.
    root = Path(tempfile.mkdtemp(prefix="pg-", dir=within))
    server = Server(root)
    try:
        server.start(**settings)
        server.sql("CREATE DATABASE state")
        yield server
    finally:
        server.stop()
        shutil.rmtree(root, ignore_errors=True)
