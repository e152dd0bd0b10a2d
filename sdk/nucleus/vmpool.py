"""Law: warm microVMs wait in one process of their own, which does nothing else.

`nucleus run --vm` claims one where there is one, and makes its own otherwise. The process holds no
token, key or name of anybody; killed, it takes its machines with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from nucleus_vmhost.vm import claims, keeping, memory, probing
from nucleus_vmhost.vm import image as images
from nucleus_vmhost.vm.driver import Size
from nucleus_vmhost.vm.pool import Pool


async def serve(
    cache: Path, home: Path, name: str, size: int, most: int, tell: Callable[[str], None]
) -> NoReturn:
    """Keep `size` machines of a named image warm until cancelled, and give away at most `most` at a
    time, to runs of `home`. Raises CallerError, WorldError `vm.*`."""
    memory.sparingly()
    image = images.named(cache, name)
    each = Size.of(image)
    driver = probing.driver(cache, image)
    kept = await keeping.kept(cache, driver, image, each)
    try:
        async with (
            Pool(driver, kept, size) as pool,
            claims.Desk(pool, home, name, most).open(driver.key(image, each)),
        ):
            await pool.full()
            tell(f"{size} microVMs of image {name} are warm")
            while True:
                await asyncio.Event().wait()
    finally:
        kept.close()
