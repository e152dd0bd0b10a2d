"""What a microVM costs: from a copy to its first answer, from a claim to its first answer, memory.

    python -m bench.vm [--copies 20] [--claims 100] [--pool 4] [--idle 20] [--json]

Real machines of the default image by emulation, in their jails. *Restore* starts a copy of the
kept machine and waits for one call all the way to its first process and back. *Claim* takes a warm
one out of a pool and waits for its first answer, which is that its clock and randomness are set.
*Idle* is the memory of each of so many warm machines, what they share divided among them (PSS).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path

from nucleus_vmhost.vm import image, keeping, session
from nucleus_vmhost.vm.driver import Size
from nucleus_vmhost.vm.pool import Pool
from nucleus_vmhost.vm.qemu import Qemu, QemuKept


def spread(took: Sequence[float]) -> dict[str, float]:
    """Milliseconds."""
    ordered = sorted(took)
    return {
        "p50_ms": round(ordered[len(ordered) // 2] * 1000, 1),
        "p95_ms": round(ordered[int(len(ordered) * 0.95)] * 1000, 1),
        "most_ms": round(ordered[-1] * 1000, 1),
    }


async def restores(driver: Qemu, kept: QemuKept, count: int) -> dict[str, float]:
    took: list[float] = []
    for _ in range(count):
        start = time.perf_counter()
        machine = await driver.copy(kept)
        async with session.opened(machine, {}) as vm:
            await machine.resume()
            await vm.ping()
            took.append(time.perf_counter() - start)
    return spread(took)


async def claims(driver: Qemu, kept: QemuKept, count: int, size: int) -> dict[str, float]:
    """One after the other; the pool is full again before each, so that nothing else runs."""
    took: list[float] = []
    async with Pool(driver, kept, size) as pool:
        for _ in range(count):
            await pool.full()
            start = time.perf_counter()
            async with pool.claimed({}):
                took.append(time.perf_counter() - start)
    return {**spread(took), "claims": len(took)}


async def idle(driver: Qemu, kept: QemuKept, count: int) -> dict[str, float]:
    async with Pool(driver, kept, count) as pool:
        await pool.full()
        sizes = [_pss(pid) for pid in _emulators()]
    return {"machines": len(sizes), "pss_mib": round(sum(sizes) / len(sizes) / 1024, 1)}


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


async def measured(copies: int, claimed: int, size: int, idling: int) -> dict[str, object]:
    cache = session.cache()
    made = image.named(cache, image.DEFAULT)
    driver = Qemu()
    kept = await keeping.kept(cache, driver, made, Size.of(made))
    try:
        return {
            "restore": await restores(driver, kept, copies),
            "claim": await claims(driver, kept, claimed, size),
            "idle": await idle(driver, kept, idling),
        }
    finally:
        kept.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--copies", type=int, default=20)
    parser.add_argument("--claims", type=int, default=100)
    parser.add_argument("--pool", type=int, default=4)
    parser.add_argument("--idle", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    said = parser.parse_args()
    found = asyncio.run(measured(said.copies, said.claims, said.pool, said.idle))
    if said.json:
        print(json.dumps(found))
        return
    for name, numbers in found.items():
        print(f"{name:10} {numbers}")


if __name__ == "__main__":
    main()
