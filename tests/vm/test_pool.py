"""A warm machine is claimed once; one that died while it waited is not handed out."""

from __future__ import annotations

import asyncio
import os
import signal

from nucleus_vmhost.vm import keeping
from nucleus_vmhost.vm.image import Image
from nucleus_vmhost.vm.pool import Pool
from nucleus_vmhost.vm.qemu import Qemu
from tests.vm.machines import CACHE, emulators, gone

SCRIPT = ("sh", "-c", "echo mine >> /tmp/seen; cat /tmp/seen; cat /proc/sys/kernel/random/uuid")


def test_each_claim_is_another_machine_and_the_dead_are_passed_over(image: Image) -> None:
    async def main() -> None:
        kept = await keeping.kept(CACHE, Qemu(), image, image.memory_mib)
        try:
            async with Pool(kept, 2) as pool:
                said = []
                for _ in range(2):
                    await pool.full()
                    async with pool.claimed({}) as vm:
                        out = await vm.run(SCRIPT, b"", cwd="/work", own=True)
                        said.append(out.decode().split())
                assert [each[0] for each in said] == ["mine", "mine"]
                assert all(len(each) == 2 for each in said), "each began anew"
                assert said[0][1] != said[1][1]
                await pool.full()
                dead = emulators(os.getpid())
                for pid in dead:
                    os.kill(pid, signal.SIGKILL)
                async with pool.claimed({}) as vm:
                    assert (await vm.ping())["network"] == ["lo"]
                await pool.full()
                left = emulators(os.getpid()) - dead
                assert len(left) == 2
            for pid in left:
                await gone(pid)
        finally:
            kept.close()

    asyncio.run(main())
