"""Law: warm microVMs wait in one process of their own, which does nothing else.

`nucleus run --vm` claims one where there is one, and makes its own otherwise. The process holds no
token, key or name of anybody; killed, it takes its machines with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from nucleus_vmhost.vm import claims, keeping, memory
from nucleus_vmhost.vm.pool import Pool
from nucleus_vmhost.vm.wanted import Wanted


async def serve(
    cache: Path, home: Path, wanted: Wanted, count: int, most: int, tell: Callable[[str], None]
) -> NoReturn:
    """Keep `count` such machines warm until cancelled, and give away at most `most` at a time, to
    runs of `home`. Raises CallerError, WorldError `vm.*`."""
    memory.sparingly()
    choice = wanted.chosen(cache)
    size = choice.size
    kept = await keeping.kept(cache, choice.driver, choice.image, size.memory_mib)
    try:
        async with (
            Pool(kept, count, size.cpu_seconds) as pool,
            claims.Desk(pool, home, wanted.image, most).open(choice.pool),
        ):
            await pool.full()
            tell(f"{count} microVMs of image {wanted.image} are warm")
            while True:
                await asyncio.Event().wait()
    finally:
        kept.close()
