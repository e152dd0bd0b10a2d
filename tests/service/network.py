"""Two hosts on one machine: network namespaces with a wire between them, which can be cut."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

HERE: Final = "10.90.0.1"
THERE: Final = "10.90.0.2"
SECONDS: Final = 20.0


class Network:
    """A user namespace of our own with two network namespaces: nothing of the machine's is
    touched, and no privilege is needed."""

    def __init__(self, here: int, there: int) -> None:
        self._pids = {HERE: here, THERE: there}

    def at(self, host: str) -> tuple[str, ...]:
        """What stands before a command that runs on this host."""
        pid = str(self._pids[host])
        return ("nsenter", "-t", pid, "--user", "--net", "--preserve-credentials")

    def run(self, host: str, *words: str) -> None:
        done = subprocess.run(
            [*self.at(host), *words], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr

    def wire(self) -> None:
        peer = ("peer", "name", "wire", "netns", str(self._pids[THERE]))
        self.run(HERE, "ip", "link", "add", "wire", "type", "veth", *peer)
        for host in (HERE, THERE):
            self.run(host, "ip", "link", "set", "lo", "up")
            self.run(host, "ip", "address", "add", f"{host}/24", "dev", "wire")
            self.run(host, "ip", "link", "set", "wire", "up")

    def cut(self) -> None:
        """Packets vanish, and nobody is told: each believes the other at a wrong address."""
        for host, other in ((HERE, THERE), (THERE, HERE)):
            wrong = ("lladdr", "02:00:00:00:00:99", "nud", "permanent")
            self.run(host, "ip", "neigh", "replace", other, *wrong, "dev", "wire")

    def mend(self) -> None:
        for host, other in ((HERE, THERE), (THERE, HERE)):
            self.run(host, "ip", "neigh", "del", other, "dev", "wire")


@contextmanager
def network() -> Iterator[Network]:
    with ExitStack() as stack:
        here = stack.enter_context(_holder(["unshare", "--user", "--map-root-user", "--net"], None))
        joined = ["nsenter", "-t", str(here), "--user", "--preserve-credentials"]
        there = stack.enter_context(_holder([*joined, "unshare", "--net"], here))
        made = Network(here, there)
        made.wire()
        yield made


@contextmanager
def _holder(words: list[str], other: int | None) -> Iterator[int]:
    """A process that does nothing but keep a network namespace."""
    with subprocess.Popen([*words, "sleep", "infinity"], stdout=subprocess.DEVNULL) as process:
        try:
            ours = {os.getpid(), *((other,) if other is not None else ())}
            end = time.monotonic() + SECONDS
            while _name(process.pid) in {_name(pid) for pid in ours} or not _sleeps(process.pid):
                assert process.poll() is None, "no namespace of our own: is one allowed here?"
                assert time.monotonic() < end
                time.sleep(0.01)
            yield process.pid
        finally:
            process.kill()


def _name(pid: int) -> str:
    return str(Path(f"/proc/{pid}/ns/net").readlink())


def _sleeps(pid: int) -> bool:
    """It has made its namespaces, and become the program."""
    return Path(f"/proc/{pid}/comm").read_text().strip() == "sleep"
