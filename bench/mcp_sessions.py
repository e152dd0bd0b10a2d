"""Law: what many clients at once cost one proxy: memory for each, and what a call then takes.

    mcp_sessions.py [--json] [--sessions N] [--rounds N] [--write [FILE]]

N clients with a token each keep a session over HTTP open, each with a server of its own, and call
in turns from a few threads. The memory is the proxy's own: its servers are other processes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

if not __package__:  # run as a file: its own directory would shadow other packages
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from bench import harness, mcp
from bench.harness import Row

SESSIONS: Final = 200
THREADS: Final = 8


class Session(mcp.HttpRoad):
    """One more client of a proxy that serves already."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._token = token
        super().__init__(("true",), {}, token)

    def _opened(self, command: Sequence[str], environment: dict[str, str]) -> int:
        self._serving = None
        return self._port


def resident(process: int) -> float:
    """KiB of memory of a process that nobody shares with it."""
    text = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii")
    kept = [line.split() for line in text.splitlines() if line.startswith("Private_")]
    return float(sum(int(words[1]) for words in kept))


def measure(folder: Path, sessions: int, calls: int) -> list[Row]:
    """Open them, let each call, and read what it took."""
    folder.mkdir()
    texts = mcp.prepare_many(folder, sessions)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = (sys.executable, str(mcp.HERE / "held_proxy.py"), str(folder), "http")
    with ExitStack() as open_:
        serving = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
        open_.callback(serving.communicate)
        open_.callback(serving.kill)
        assert serving.stdout is not None
        port = int(serving.stdout.readline())
        before = resident(serving.pid)
        began = time.perf_counter()
        clients = [open_.enter_context(Session(port, text)) for text in texts]
        opened = time.perf_counter() - began
        taken: list[float] = []

        def work(mine: Sequence[Session]) -> None:
            for _ in range(calls):
                taken.extend([client.call() for client in mine])

        workers = [
            threading.Thread(target=work, args=(clients[n::THREADS],)) for n in range(THREADS)
        ]
        began = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        spent = time.perf_counter() - began
        after = resident(serving.pid)
    times = sorted(taken)
    if len(times) != sessions * calls:
        raise RuntimeError("a call did not go through")
    return [
        Row("sessions at once", float(sessions)),
        Row("opening one with its server, ms", opened / sessions * 1000),
        Row("memory of the proxy for one, KiB", (after - before) / sessions),
        Row("calls in a second, all together", len(times) / spent),
        Row(f"one of {THREADS} calls at once, p50, ms", harness.percentile(times, 0.5) / 1000),
        Row(f"one of {THREADS} calls at once, p99, ms", harness.percentile(times, 0.99) / 1000),
    ]


def report(made: list[Row]) -> str:
    """The section of docs/benchmarks.md."""
    parts = (
        "## Many clients at once",
        f"{harness.described()} Clients over HTTP with a token and a server each, all open at "
        f"once, calling in turns from {THREADS} threads of one process on the same machine; state "
        "in memory. The memory is the proxy's own, after the calls.",
        harness.table(made, "what", "value").strip(),
    )
    return "\n\n".join(parts) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and perhaps write."""
    parser = harness.parser(__doc__)
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    parser.add_argument("--rounds", type=int, default=10, help="calls of each session")
    options = parser.parse_args(argv)
    where = mcp.MEMORY if mcp.MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=where) as folder:
        made = measure(Path(folder) / "state", options.sessions, options.rounds)
    data = {"machine": harness.machine(), "rows": harness.as_json(made)}
    harness.publish("mcp_sessions", report(made), data, options.json, options.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())
