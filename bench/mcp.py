"""Law: what a call costs through the proxy beyond what it costs direct, the disk's part apart.

    mcp.py [--json] [--rounds N] [--write [FILE]] [--disk DIRECTORY]

Roads run side by side to copies of one server: direct; through the proxy with its state in memory
(no flush to wait for), on a pipe and over HTTP; through the proxy with its state on disk; and on a
pipe again with labels that follow values. They take turns, in a new order each time, with twenty
calls in a row: the first of them finds the caches of all the other roads, and is also told apart.
Times are wall time, as the client sees it.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

if not __package__:  # run as a file: its own directory would shadow other packages
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from bench import harness, held_proxy
from bench.echo_server import TOOL
from bench.harness import Row

HERE: Final = Path(__file__).resolve().parent
SERVER: Final = (sys.executable, str(HERE / "echo_server.py"))
MEMORY: Final = Path("/dev/shm")  # a tmpfs on every Linux
ARGUMENTS: Final = {"n": 3, "path": str(HERE / "mcp.py")}  # a file that is there, as most are
DIRECT: Final = "direct"
IN_MEMORY: Final = "through the proxy, state in memory"
ON_DISK: Final = "through the proxy, state on disk"
HTTP: Final = "through the proxy over HTTP, state in memory"
LABELS: Final = ", with labels"
WARM_UP: Final = 50
IN_A_ROW: Final = 20
FIRST: Final = ", first of a turn"
# Added to p50, in microseconds, with no flush to wait for.
MOST_ADDED: Final = 1000.0
MOST_ADDED_BY_HTTP: Final = 2000.0
POLICY: Final = f"""version = 1
[wall]
id = "bench"
shows = []
[server]
danger_outside_cell = true
command = {json.dumps(list(SERVER))}
[tools.{TOOL}]
operation = "read_files"
selectors = {{ "/path" = "path" }}
"""


class Road:
    """A process that speaks MCP on its pipes."""

    def __init__(self, command: Sequence[str], environment: dict[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        self._id = 0
        self._ask(
            "initialize",
            {
                "protocolVersion": "2025-06-18",
                "capabilities": {},
                "clientInfo": {"name": "bench", "version": "1"},
            },
        )
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        self._ask("tools/list", {})

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
        self._process.stdin.flush()

    def _ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdout is not None
        self._id += 1
        self._send({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params})
        while line := self._process.stdout.readline():
            reply: dict[str, Any] = json.loads(line)
            if reply.get("id") == self._id:
                return reply
        raise RuntimeError(f"no answer to {method}")

    def call(self) -> float:
        """Microseconds of one tools/call."""
        began = time.perf_counter_ns()
        reply = self._ask("tools/call", {"name": TOOL, "arguments": ARGUMENTS})
        taken = (time.perf_counter_ns() - began) / 1000
        content = reply.get("result", {}).get("content", [{}])
        if json.loads(content[0].get("text", "null")) != ARGUMENTS:
            raise RuntimeError(f"the call did not go through: {reply}")
        return taken

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class HttpRoad(Road):
    """A process that speaks MCP over HTTP, on one connection."""

    def __init__(self, command: Sequence[str], environment: dict[str, str], token: str) -> None:
        self._serving: subprocess.Popen[bytes] | None = None
        port = self._opened(command, environment)
        self._connection = http.client.HTTPConnection("127.0.0.1", port)
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
        }
        super().__init__(("true",))

    def _opened(self, command: Sequence[str], environment: dict[str, str]) -> int:
        """The port of whoever serves."""
        self._serving = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
        assert self._serving.stdout is not None
        return int(self._serving.stdout.readline())

    def _send(self, message: dict[str, Any]) -> None:
        self._post(message)

    def _ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self._id += 1
        message = {"jsonrpc": "2.0", "id": self._id, "method": method, "params": params}
        for line in self._post(message).decode().split("\n"):
            if line.startswith(("data: ", "{")):
                reply: dict[str, Any] = json.loads(line.removeprefix("data: "))
                return reply
        raise RuntimeError(f"no answer to {method}")

    def _post(self, message: dict[str, Any]) -> bytes:
        body = json.dumps(message, separators=(",", ":")).encode()
        self._connection.request("POST", "/mcp", body, self._headers)
        answer = self._connection.getresponse()
        session = answer.getheader("mcp-session-id")
        if session is not None:
            self._headers["Mcp-Session-Id"] = session
        return answer.read()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._connection.close()
        if self._serving is not None:
            self._serving.kill()
            self._serving.communicate()
        super().__exit__(kind, error, where)


def prepare(directory: Path, *, bearer: bool = False) -> str:
    """Keys, one token and the policy, for `held_proxy.py` to find; the token."""
    made = held_proxy.made(str(HERE), bearer=bearer)
    secrets = json.dumps({"audience": made.audience.hex(), "issuer": made.issuer.hex()})
    for name, text in (("keys.json", secrets), ("token", made.text), ("policy.toml", POLICY)):
        (directory / name).write_text(text, encoding="ascii")
        (directory / name).chmod(0o600)
    return made.text


def prepare_many(directory: Path, count: int) -> list[str]:
    """As `prepare`, with so many tokens of one issuer."""
    prepare(directory, bearer=True)
    given = held_proxy.read(directory)
    return [given.text, *(given.another(str(HERE)) for _ in range(count - 1))]


def proxied(directory: Path, *words: str) -> Road:
    """A proxy with its state in `directory`."""
    directory.mkdir()
    token = prepare(directory, bearer="http" in words)
    rooms = [entry for entry in sys.path if entry]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(rooms)}
    command = (sys.executable, str(HERE / "held_proxy.py"), str(directory), *words)
    return HttpRoad(command, environment, token) if "http" in words else Road(command, environment)


def _both(open_: ExitStack, roads: dict[str, Road], name: str, directory: Path) -> None:
    """A road without labels, and one with them."""
    roads[name] = open_.enter_context(proxied(directory / "plain"))
    roads[name + LABELS] = open_.enter_context(proxied(directory / "labels", "labels"))


def flushes(directory: Path, count: int) -> list[float]:
    """Microseconds of one durable SQLite commit of one small row, sorted."""
    connection = sqlite3.connect(directory / "flush.db", isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE t (line BLOB)")
        taken = []
        for _ in range(count):
            began = time.perf_counter_ns()
            connection.execute("INSERT INTO t VALUES (?)", (os.urandom(500),))
            taken.append((time.perf_counter_ns() - began) / 1000)
    finally:
        connection.close()
    return sorted(taken)


def measure(roads: dict[str, Road], rounds: int) -> dict[str, list[float]]:
    """The times of each road, sorted, and those of the first call of each turn."""
    for road in roads.values():
        for _ in range(WARM_UP):
            road.call()
    taken: dict[str, list[float]] = {name: [] for name in roads}
    order = list(roads)
    for _ in range(max(1, rounds // IN_A_ROW)):
        random.shuffle(order)
        for name in order:
            taken[name] += [roads[name].call() for _ in range(IN_A_ROW)]
    firsts = {name + FIRST: times[::IN_A_ROW] for name, times in taken.items()}
    return {name: sorted(times) for name, times in (taken | firsts).items()}


def rows(taken: dict[str, list[float]], disk: list[float], memory: list[float] | None) -> list[Row]:
    """p50 and p99 of each road, what the proxy adds, and a commit beside it."""
    made = []
    parts = (("p50", 0.5), ("p99", 0.99))
    for name, times in taken.items():
        if not name.endswith(FIRST):
            made += [
                Row(f"{name}, {label}", harness.percentile(times, part)) for label, part in parts
            ]
    for name in (IN_MEMORY, HTTP, ON_DISK):
        if name not in taken:
            continue
        for label, part in parts:
            added = harness.percentile(taken[name], part) - harness.percentile(taken[DIRECT], part)
            most = {IN_MEMORY: MOST_ADDED, HTTP: MOST_ADDED_BY_HTTP}.get(name)
            promised = most if label == "p50" else None
            made.append(Row(f"added {name}, {label}", added, None, promised))
        cold, direct = (harness.percentile(taken[each + FIRST], 0.5) for each in (name, DIRECT))
        made.append(Row(f"added {name}{FIRST}, p50", cold - direct))
        if name + LABELS not in taken:
            continue
        # What labels cost: a whole call with them against a whole call without.
        plain, labelled = (harness.percentile(taken[each], 0.5) for each in (name, name + LABELS))
        row = f"added by labels, {name.partition(', ')[2]}, p50"
        made.append(Row(row, labelled - plain, labelled / plain))
    for where, commits in (("disk", disk), ("memory", memory)):
        if commits is not None:
            made += [
                Row(f"one durable commit, {where}, {label}", harness.percentile(commits, part))
                for label, part in parts
            ]
    return made


def report(made: list[Row]) -> str:
    """The section of docs/benchmarks.md."""
    parts = (
        "## A call through the proxy",
        f"{harness.described()} Microseconds of wall time of one `tools/call`, over "
        "stdio or as named, as a client sees it, to a server that only echoes; held token; the "
        f"roads side by side, {IN_A_ROW} calls in a row on each in turn. The proxy parses, "
        "authenticates, decides, commits the decision "
        "before the effect, forwards, and records the outcome before it answers. With its state "
        "in memory it does all of this without waiting for a disk; what a commit costs on this "
        "disk stands below. With labels it also remembers what every result is made of, in a "
        "database of its own.",
        harness.table(made, "tools/call", "µs", "with labels / without").strip(),
    )
    return "\n\n".join(parts) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and perhaps write; 0 also when a target is missed: a run is no test."""
    parser = harness.parser(__doc__, 1000)
    parser.add_argument("--disk", type=Path, help="where the state on disk goes")
    options = parser.parse_args(argv)
    with ExitStack() as open_:
        disk = Path(open_.enter_context(tempfile.TemporaryDirectory(dir=options.disk)))
        roads = {DIRECT: open_.enter_context(Road(SERVER))}
        commits = None
        if MEMORY.is_dir():
            memory = Path(open_.enter_context(tempfile.TemporaryDirectory(dir=MEMORY)))
            _both(open_, roads, IN_MEMORY, memory)
            roads[HTTP] = open_.enter_context(proxied(memory / "http", "http"))
            commits = flushes(memory, options.rounds)
        _both(open_, roads, ON_DISK, disk)
        made = rows(measure(roads, options.rounds), flushes(disk, options.rounds), commits)
    data = {
        "machine": harness.machine(),
        "rounds": options.rounds,
        "rows": harness.as_json(made),
    }
    harness.publish("mcp", report(made), data, options.json, options.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())
