"""Law: an agent in a microVM has a copy of what its token lets it read, and the same one road out.

What `nucleus run --local` does with a sandbox, with a machine: above the sockets of the proxy they
share everything. The token stays in this process, the machine's host half; the guest's forwards.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import Final

from nucleus import vms
from nucleus.home import Home
from nucleus.walled import Order, Where
from nucleus_proxy.effects.cells import View
from nucleus_tokens.errors import CallerError
from nucleus_vmhost.terminal import Terminal
from nucleus_vmhost.vm import claims, keeping, packing, probing, session, stdio
from nucleus_vmhost.vm import image as images
from nucleus_vmhost.vm.driver import Running, Size
from nucleus_vmhost.vm.guest import names

_FIRST: Final = "this image runs for the first time: it is booted and kept"
_UNPACK: Final = ("busybox", "tar", "-x", "-p", "-f", "-")


def where(place: Home, cache: Path, name: str, tell: Callable[[str], None]) -> Where:
    """A microVM of a named image. Raises CallerError `vm.image`."""
    image = images.named(cache, name)

    async def agent(order: Order, shown: View, folder: Path, terminal: Terminal) -> int:
        if order.mode == "rw":
            raise CallerError(
                "run.workspace",
                "A microVM has a copy of the workspace, of which nothing is brought out.",
                hint="Say --workspace ro: the agent writes through the proxy's tools then.",
            )
        tops = (*shown.readable, *(os.path.realpath(path) for path in order.shows))
        copies = [(top, packing.packed(top, shown.masked, image.room)) for top in tops]
        if sum(len(copy) for _, copy in copies) > image.room:
            raise CallerError("vm.workspace", "What is shown does not fit into the microVM.")
        size = Size.of(image)
        driver = probing.driver(cache, image)
        with (
            vms.listed(place, name, order.argv[0], str(order.folder)) as said,
            _held(folder) as services,
        ):
            machine: Running | None = await claims.claimed(driver.key(image, size), said)
            if machine is None:
                machine = await keeping.copied(
                    cache, driver, image, size, said, partial(tell, _FIRST)
                )
            async with session.opened(machine, services) as vm:
                await vm.claim()
                for top, copy in copies:
                    await vm.run(_UNPACK, copy, cwd=top, own=True)
                cwd = str(order.folder) if copies else names.HOME
                program = await vm.start(order.argv, cwd=cwd, env=order.env)
                with terminal.carrying():
                    return await stdio.carried(program, terminal.streams)

    return Where(agent)


@contextlib.contextmanager
def _held(folder: Path) -> Generator[dict[str, Path]]:
    """The proxy's sockets, which are ours alone from here on: a killed run leaves none behind."""
    sockets = {names.TOOLS: folder / "tools.sock", names.PROXY: folder / "proxy.sock"}
    held = {name: os.open(path, os.O_PATH | os.O_CLOEXEC) for name, path in sockets.items()}
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield {name: Path(f"/proc/self/fd/{fd}") for name, fd in held.items()}
    finally:
        for fd in held.values():
            os.close(fd)
