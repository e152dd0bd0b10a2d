"""Law: what a microVM costs: from boot, copy and claim to a first answer, and in memory.

    vm.py [--json] [--copies N] [--claims N] [--idle N] [--write [FILE]]

Real machines of the default image, in their jails. *Boot* starts the image and waits for one call
all the way to its first process and back; *restore* does so with a copy of the kept machine.
*Claim* takes a warm one out of a pool, over the pool's socket as `nucleus run --vm` does, and waits
for its first answer, which is that its clock and randomness are set. *Idle* is the memory of each
of so many warm machines, what they share divided among them (PSS). *Beside* starts a Python program
in four machines at once while the idle ones wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

if not __package__:  # run as a file: its own directory would shadow other packages
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from bench import harness
from nucleus_vmhost.vm import claims, image, keeping, memory, probing, session
from nucleus_vmhost.vm.driver import CPU_SECONDS, Driver, Kept, Running, Size
from nucleus_vmhost.vm.pool import Pool

BOOTS: Final = 3
ACTIVE: Final = 4
KEY: Final = "0" * 32
HERE: Final = Path(__file__)
PROGRAM: Final = ("python3", "-IS", "-c", "print(sum(range(1000)))")
TARGETS: Final = {"restore": 300.0, "claim": 10.0, "idle": 30.0}
_BOOT_SECONDS: Final = 180.0


class Bench:
    """One image, what is kept of it, and how to copy that."""

    def __init__(self, driver: Driver, made: image.Image, kept: Kept) -> None:
        self.driver, self.made, self.kept = driver, made, kept

    async def boot(self) -> Running:
        machine = await self.driver.boot(self.made, Size.of(self.made))
        await machine.ready(_BOOT_SECONDS)
        return machine

    async def restore(self) -> Running:
        machine = await self.kept.copy(CPU_SECONDS)
        await machine.resume()
        return machine

    async def claims(self, count: int) -> list[float]:
        """One after the other; the pool is full again before each, so that nothing else runs."""
        taken: list[float] = []
        async with (
            Pool(self.kept, 2) as pool,
            claims.Desk(pool, HERE, "", 2).open(KEY),
        ):
            for _ in range(count):
                await pool.full()
                taken.append(await answered(_claimed, lambda vm: vm.claim()))
        return sorted(taken)

    async def idle(self, count: int) -> tuple[list[float], list[float]]:
        """MiB of each machine that waits, and milliseconds of programs in others beside them."""
        async with Pool(self.kept, count) as pool:
            await pool.full()
            sizes = sorted(_pss(pid) / 1024 for pid in _emulators())
            async with contextlib.AsyncExitStack() as stack:
                active = [await stack.enter_async_context(pool.claimed({})) for _ in range(ACTIVE)]
                await pool.full()
                took = await asyncio.gather(*(_program(vm) for vm in active))
        return sizes, sorted(took)


async def answered(
    start: Callable[[], Awaitable[Running]], call: Callable[[session.Session], Awaitable[Any]]
) -> float:
    """Milliseconds from its start to its first answer."""
    began = time.perf_counter()
    async with session.opened(await start(), {}) as vm:
        await call(vm)
        return (time.perf_counter() - began) * 1000


async def _claimed() -> Running:
    machine = await claims.claimed(HERE, KEY)
    assert machine is not None, "the pool is full"
    return machine


async def _program(vm: session.Session) -> float:
    began = time.perf_counter()
    assert await vm.run(PROGRAM, b"", cwd="/tmp") == b"499500\n"
    return (time.perf_counter() - began) * 1000


def _emulators() -> list[int]:
    """The QEMUs beneath this process."""
    found, todo = [], [Path("/proc/self")]
    while todo:
        for task in (todo.pop() / "task").iterdir():
            for child in (task / "children").read_text().split():
                todo.append(Path("/proc", child))
                if Path("/proc", child, "comm").read_text().startswith("qemu-system"):
                    found.append(int(child))
    return found


def _pss(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


async def measured(copies: int, claimed: int, idling: int) -> dict[str, list[float]]:
    """Milliseconds of each, and MiB of the idle ones; sorted."""
    memory.sparingly()
    cache = session.cache()
    made = image.named(cache, image.DEFAULT)
    driver = probing.qemu(cache, made)
    kept = await keeping.kept(cache, driver, made, made.memory_mib)
    bench = Bench(driver, made, kept)
    try:
        found = {
            "boot": sorted([await answered(bench.boot, _ping) for _ in range(BOOTS)]),
            "restore": sorted([await answered(bench.restore, _ping) for _ in range(copies)]),
            "claim": await bench.claims(claimed),
        }
        found["idle"], found["beside"] = await bench.idle(idling)
        return found
    finally:
        kept.close()


async def _ping(vm: session.Session) -> None:
    await vm.ping()


def report(found: dict[str, list[float]]) -> str:
    """The section of docs/benchmarks.md."""
    names = {
        "boot": "boot to first answer, ms",
        "restore": "restore to first answer, ms",
        "claim": "claim warm to first answer, ms",
        "idle": "memory of one that waits (PSS), MiB",
        "beside": f"a Python program in {ACTIVE} at once beside {len(found['idle'])} that wait, ms",
    }
    lines = [
        "| what | times | p50 | p95 | most | to reach | |",
        "|---|---:|---:|---:|---:|---|---|",
    ]
    for key, name in names.items():
        taken, target = found[key], TARGETS.get(key)
        p50 = harness.percentile(taken, 0.5)
        met = "" if target is None else "reached" if p50 <= target else "**missed**"
        lines.append(
            f"| {name} | {len(taken)} | {p50:.1f} | {harness.percentile(taken, 0.95):.1f} | "
            f"{taken[-1]:.1f} | {'' if target is None else f'p50 ≤ {target:g}'} | {met} |"
        )
    parts = (
        "## Starting a microVM",
        f"{harness.described()} By emulation, unless `nucleus vm doctor --boot` saw a guest boot "
        "with KVM. Wall time, one machine at a time except in the last row; each answer comes from "
        "the first process inside, through the guest half. Every claim that is counted succeeded.",
        "\n".join(lines),
    )
    return "\n\n".join(parts) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and perhaps write; 0 also when a target is missed: a run is no test."""
    parser = harness.parser(__doc__)
    parser.add_argument("--copies", "--rounds", type=int, default=20)
    parser.add_argument("--claims", type=int, default=100)
    parser.add_argument("--idle", type=int, default=20)
    given = parser.parse_args(argv)
    found = asyncio.run(measured(given.copies, given.claims, given.idle))
    data = {"machine": harness.machine(), **found}
    harness.publish("vm", report(found), data, given.json, given.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())
