"""Law: what reading a file costs under a permit, beside what it costs without one.

    effects.py [--json] [--rounds N] [--write [FILE]]

One 4 KiB file, in one process, side by side: `open().read()`; the walk and the read of the effect
alone; a decision alone (authenticated, judged, committed, with the state in memory); and a whole
`fs_read` over the socket, its client included. All of it runs in one thread, whose CPU time is
counted: nothing here waits for anything but a neighbour.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

if not __package__:  # run as a file: its own directory would shadow other packages
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from bench import harness, held_proxy
from bench.harness import Row
from nucleus_issuer.store import Store, wall_clock
from nucleus_proxy import native, policy
from nucleus_proxy.answers import Granted, Presented
from nucleus_proxy.effects import fs, opening
from nucleus_proxy.effects.opening import Root
from nucleus_proxy.mediator import Mediator
from nucleus_proxy.offload import inline
from nucleus_proxy.serve import Service, listening
from nucleus_proxy.waiting import Caller
from nucleus_proxy.wire import FRAME_BYTES
from nucleus_verifier.caching import CachingVerifier

MEMORY: Final = Path("/dev/shm")  # a tmpfs on every Linux
BYTES: Final = 4096
WARM_UP: Final = 50
BARE: Final = "open().read()"
WALK: Final = "the effect's walk, read and digest"
DECISION: Final = "a decision, committed in memory"
WHOLE: Final = "fs_read over the socket"


class Bench:
    """One proxy with one file, and a client at its socket."""

    def __init__(self, place: Path) -> None:
        self.place = place
        workspace = place / "workspace"
        (workspace / "src").mkdir(parents=True)
        self.file = workspace / "src" / "a.bin"
        self.file.write_bytes(os.urandom(BYTES // 2).hex().encode())
        made = held_proxy.made(str(workspace))
        self.token = made.text
        self.root = Root(str(workspace))
        self.tools = fs.tools(self.root, draw=os.urandom, offload=inline)
        text = f'version = 1\n[wall]\nid = "bench"\nshows = []\n[workspace]\nroot = "{workspace}"\n'
        self.store = Store.open(place / "state.db", create=True)
        self.mediator = Mediator(
            verifier=CachingVerifier(made.keys()),
            ledger=self.store,
            desk=self.store,
            policy=native.bound(policy.parse(text.encode()), self.tools),
            instance="bench",
            run="bench",
            clock=wall_clock,
            draw=os.urandom,
            reveals=lambda _: None,
            offload=inline,
        )
        self.mediator.open()

    async def measure(self, rounds: int) -> dict[str, list[float]]:
        """Microseconds of each, one a round, in a new order each time; sorted."""
        service = Service(
            self.mediator, draw=os.urandom, log=lambda _: None, native=self.tools, held=self.token
        )
        path = self.place / "run" / "s"
        async with listening(path, service):
            self.reader, self.writer = await asyncio.open_unix_connection(path, limit=FRAME_BYTES)
            await self.reader.readline()
            self.id = 0
            roads = {
                BARE: self._bare, WALK: self._walk, DECISION: self._decision, WHOLE: self._whole,
            }  # fmt: skip
            taken: dict[str, list[float]] = {name: [] for name in roads}
            order = list(roads)
            for turn in range(rounds + WARM_UP):
                random.shuffle(order)
                for name in order:
                    began = time.thread_time_ns()
                    await roads[name]()
                    spent = (time.thread_time_ns() - began) / 1000
                    if turn >= WARM_UP:
                        taken[name].append(spent)
            self.writer.close()
        self.store.close()
        self.root.close()
        return {name: sorted(times) for name, times in taken.items()}

    async def _bare(self) -> None:
        with open(self.file, "rb") as file:
            assert len(file.read()) == BYTES

    async def _walk(self) -> None:
        with (
            self.root.parent(str(self.file)) as (directory, name),
            opening.opened(directory, name) as (fd, found),
        ):
            assert len(fs.contents(fd, found, 0, BYTES)[0]) == BYTES

    async def _decision(self) -> None:
        async def heard(_: str) -> None: ...

        row = self.tools["fs_read"]
        done = await self.mediator.call(
            Presented(self.token, "held"),
            lambda: row.bind({"path": "src/a.bin"}, self.root.path),
            progress=heard,
            caller=Caller(),
        )
        assert isinstance(done, Granted), done

    async def _whole(self) -> None:
        self.id += 1
        frame: dict[str, Any] = {
            "jsonrpc": "2.0", "id": self.id, "method": "tools/call",
            "params": {"name": "fs_read", "arguments": {"path": "src/a.bin"}},
        }  # fmt: skip
        self.writer.write(json.dumps(frame).encode() + b"\n")
        answer = json.loads(await self.reader.readline())
        assert answer["result"]["structuredContent"]["size"] == BYTES, answer


def rows(taken: dict[str, list[float]]) -> list[Row]:
    """The p50 of each, as a ratio to the bare read, and what a whole call adds to it."""
    middle = {name: harness.percentile(times, 0.5) for name, times in taken.items()}
    made = [
        Row(f"{name}, p50", value, None if name == BARE else value / middle[BARE])
        for name, value in middle.items()
    ]
    added = middle[WHOLE] - middle[BARE]
    return [*made, Row("added by all of it, p50", added, added / middle[BARE])]


def report(made: list[Row]) -> str:
    """The section of docs/benchmarks.md."""
    parts = (
        "## Reading a file under a permit",
        f"{harness.described()} Microseconds of CPU time for one 4 KiB file, in one thread, side "
        "by side; held token, state in memory, so no disk is waited for. The last row but one "
        "includes the client's own part.",
        harness.table(made, "reading 4 KiB", "µs", "against open().read()").strip(),
    )
    return "\n\n".join(parts) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and perhaps write."""
    options = harness.parser(__doc__, 1000).parse_args(argv)
    where = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=where) as place:
        taken = asyncio.run(Bench(Path(place).resolve()).measure(options.rounds))
    made = rows(taken)
    data = {
        "machine": harness.machine(),
        "rounds": options.rounds,
        "rows": harness.as_json(made),
    }
    harness.publish("effects", report(made), data, options.json, options.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())
