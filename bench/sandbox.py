"""Law: what a wall costs at the start, beside the same program without one.

    sandbox.py [--json] [--rounds N] [--write [FILE]]

Each round starts `true` once on each road, in a new order: bare; in bubblewrap with namespaces
alone; in a work cell; in the cell of `run --local`, which has a pump; and, fewer times, by the
whole command `nucleus run --local`. Times are wall time, from start to exit code.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

if not __package__:  # run as a file: its own directory would shadow other packages
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from bench import harness
from bench.harness import Row
from nucleus_vmhost import bubblewrap, cell
from nucleus_vmhost.arguments import PROXY_PORT, TOOLS_PORT
from nucleus_vmhost.cell import Extras
from nucleus_vmhost.work import Limits

PROGRAM: Final = ("/bin/true",)
BARE: Final = "bare exec"
NAMESPACES: Final = "bubblewrap, namespaces and mounts alone"
CELL: Final = "a work cell"
LOCAL: Final = "the cell of run --local"
COMMAND: Final = "nucleus run --local, the whole command"
WARM_UP: Final = 5
COMMAND_EVERY: Final = 10
MOST_ADDED: Final = 60_000.0  # microseconds to p50, over a bare exec
_BWRAP: Final = (
    "bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", "/usr", "/usr",
    "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--symlink", "usr/bin",
    "/bin", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", *PROGRAM,
)  # fmt: skip
Road = Callable[[], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Job:
    """Work that is nothing but a program."""

    argv: tuple[str, ...] = PROGRAM
    cwd: str = "/tmp"
    env: Mapping[str, str] = field(default_factory=dict)
    readable: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()
    stdin: bytes = b""
    seconds: float = 60.0
    output_bytes: int = 1 << 20
    network: bool = False
    socket: str | None = None


async def _run(*argv: str, env: Mapping[str, str] | None = None) -> int:
    process = await asyncio.create_subprocess_exec(*argv, env=env)
    return await process.wait()


async def _cell() -> int:
    return (await bubblewrap.Bubblewrap().run(Job())).code


async def _local(sockets: Mapping[int, str]) -> int:
    async with cell.opened(Job(), Limits(), Extras(routes=sockets, streams=(0, 1, 2))) as process:
        return await process.wait()


async def _prepare(folder: Path) -> Road:
    """A home and a token for the whole command."""
    rooms = [entry for entry in sys.path if entry]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(rooms), "NUCLEUS_HOME": f"{folder}/home"}
    nucleus = (sys.executable, "-c", "import sys; from nucleus.cli import main; sys.exit(main())")
    word, token, work = folder / "word", folder / "token", folder / "work"
    work.mkdir()
    word.touch(0o600)
    word.write_text("a passphrase\n", encoding="ascii")
    quiet = {"stdout": asyncio.subprocess.DEVNULL}
    for words in (
        ("init", "--approver", "me", "--dangerously-weak-keys-for-tests"),
        ("token", "issue", "--profile", "codegen", "--sub", "a", "--bearer", "--path", str(work),
         "--out", str(token)),
    ):  # fmt: skip
        made = await asyncio.create_subprocess_exec(
            *nucleus, *words, "--passphrase-file", str(word), env=environ, **quiet
        )
        assert await made.wait() == 0
    words = ("run", "--local", "--token", str(token), "--dir", str(work), "--", *PROGRAM)
    return lambda: _run(*nucleus, *words, env=environ)


async def measure(rounds: int) -> dict[str, list[float]]:
    """Microseconds of each road, sorted."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sockets = {port: f"{folder}/{port}" for port in (PROXY_PORT, TOOLS_PORT)}
        servers = [
            await asyncio.start_unix_server(lambda _, writer: writer.close(), path)
            for path in sockets.values()
        ]
        roads: dict[str, Road] = {
            BARE: lambda: _run(*PROGRAM),
            NAMESPACES: lambda: _run(*_BWRAP),
            CELL: _cell,
            LOCAL: lambda: _local(sockets),
        }
        whole = await _prepare(folder)
        taken: dict[str, list[float]] = {name: [] for name in (*roads, COMMAND)}
        for turn in range(rounds + WARM_UP):
            todo = [*roads.items(), *([(COMMAND, whole)] if turn % COMMAND_EVERY == 0 else [])]
            random.shuffle(todo)
            for road, start in todo:
                began = time.perf_counter_ns()
                assert await start() == 0
                if turn >= WARM_UP:
                    taken[road].append((time.perf_counter_ns() - began) / 1000)
        for server in servers:
            server.close()
    return {road: sorted(times) for road, times in taken.items()}


def rows(taken: Mapping[str, Sequence[float]]) -> list[Row]:
    """p50 and p95 of each road, and what each adds to a bare start."""
    made = []
    bare = harness.percentile(taken[BARE], 0.5)
    for road, times in taken.items():
        if times:
            made += [
                Row(f"{road}, {name}", harness.percentile(times, part))
                for name, part in (("p50", 0.5), ("p95", 0.95))
            ]
    for road in (NAMESPACES, CELL, LOCAL):
        promised = None if road == NAMESPACES else MOST_ADDED
        added = harness.percentile(taken[road], 0.5) - bare
        made.append(Row(f"added by {road}, p50", added, None, promised))
    return made


def report(made: list[Row]) -> str:
    """The section of docs/benchmarks.md."""
    parts = (
        "## Starting behind the wall",
        f"{harness.described()} Microseconds of wall time from starting `true` to its exit code, "
        "side by side. A cell is bubblewrap's namespaces and mounts, and the launcher in it, which "
        "is a Python of its own: that is the larger part. The whole command also starts the "
        "interpreter, reads the policy, opens the store and the two sockets, and looks through "
        "the workspace.",
        harness.table(made, "start", "µs").strip(),
    )
    return "\n\n".join(parts) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and perhaps write; 0 also when a target is missed: a run is no test."""
    options = harness.parser(__doc__, 100).parse_args(argv)
    made = rows(asyncio.run(measure(options.rounds)))
    data = {
        "machine": harness.machine(),
        "rounds": options.rounds,
        "rows": harness.as_json(made),
    }
    harness.publish("sandbox", report(made), data, options.json, options.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())
