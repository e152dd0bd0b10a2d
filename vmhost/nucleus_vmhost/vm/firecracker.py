"""Law: a Firecracker has its API, a vsock and a console to us and no other road; no network, no
disk.

The same guest and the same framing as with QEMU; the channel is one vsock connection, which the
host makes and the guest takes. **Not booted here**: it was written after Firecracker's description
of its API and its documentation (v1.16.1), and its requests are checked against that description.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nucleus_vmhost.vm import firecracker_api
from nucleus_vmhost.vm.console import Console, Said, unheard
from nucleus_vmhost.vm.driver import CPU_SECONDS, Size, begun, named
from nucleus_vmhost.vm.firecracker_api import Api
from nucleus_vmhost.vm.guest.names import BY_VSOCK, CHANNEL_PORT
from nucleus_vmhost.vm.image import Image
from nucleus_vmhost.vm.jailer import API, Cell, Jailer, Process, put
from nucleus_vmhost.vm.pumps import Line
from nucleus_vmhost.vm.qemu import processor

_START_SECONDS: Final = 30.0
_BOOT_SECONDS: Final = 60.0
_CID: Final = 3  # of the guest; each machine has a vsock of its own
_VSOCK: Final = "v.sock"
_KERNEL, _INITRD, _STATE, _RAM = "vmlinux", "initrd", "state", "ram"
_COMMAND_LINE: Final = f"console=ttyS0 quiet reboot=k panic=-1 pci=off audit=0 {BY_VSOCK}"


@dataclass(slots=True)
class FirecrackerKept:
    """A machine that was stopped: two files in a folder. With a `lock` the folder goes with it."""

    firecracker: Firecracker
    key: str
    folder: Path
    lock: int | None = None

    async def copy(self, cpu_seconds: int, said: Said = unheard) -> FirecrackerMachine:
        async def set_up(machine: FirecrackerMachine, cell: Cell) -> None:
            state, ram = (cell.put(self.folder / name, name) for name in (_STATE, _RAM))
            await machine.api.load(state, ram)

        return await begun(self.firecracker.started(cpu_seconds, said, set_up))

    def store(self, folder: Path) -> None:
        for name in (_STATE, _RAM):
            put(self.folder / name, folder / name)

    def close(self) -> None:
        if self.lock is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            os.close(self.lock)


class FirecrackerMachine:
    """One Firecracker."""

    def __init__(self, cell: Cell, process: Process, pipe: int, said: Said) -> None:
        self.pid = process.pid
        self.api = Api(cell.root / API)
        self.cell = cell
        self._process = process
        self._console = Console(pipe, said)
        self._line: Line | None = None
        self._joined = False

    @property
    def console(self) -> bytes:
        return self._console.text

    def channel(self) -> Line:
        assert self._line is not None  # noqa: S101  it is there once the guest listens and runs
        line, self._line = self._line, None
        return line

    def rejoined(self, line: Line) -> None:
        self._line = line

    def printing(self) -> int:
        return self._console.left()

    async def listens(self, seconds: float) -> None:
        """Until its guest half does, which nobody has connected to yet. Raises WorldError."""
        await self._console.listens(seconds)

    async def ready(self, seconds: float) -> None:
        await self.listens(seconds)
        await self._join()

    async def pause(self) -> None:
        await self.api.pause()

    async def resume(self) -> None:
        await self.api.resume()
        await self._join()

    async def over(self) -> int:
        return await self._process.wait()

    async def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        self._console.close()
        if self._line is not None:
            os.close(self._line.fd)
            self._line = None
        self.cell.remove()

    async def _join(self) -> None:
        if not self._joined:
            fd = await firecracker_api.connected(self.cell.root / _VSOCK, CHANNEL_PORT)
            self._line, self._joined = Line(fd), True


class Firecracker:
    """Runs machines with Firecracker."""

    name = "firecracker"

    def __init__(self, jailer: Jailer | None = None) -> None:
        self._jailer = jailer or Jailer()

    async def boot(self, image: Image, size: Size, said: Said = unheard) -> FirecrackerMachine:
        async def set_up(machine: FirecrackerMachine, cell: Cell) -> None:
            kernel, initrd = cell.put(image.kernel, _KERNEL), cell.put(image.initrd, _INITRD)
            api = machine.api
            await api.machine(vcpus=1, memory_mib=size.memory_mib)
            await api.boot_source(kernel, initrd, _COMMAND_LINE)
            await api.entropy()
            await api.vsock(_CID, f"/{_VSOCK}")
            await api.start()

        return await begun(self.started(size.cpu_seconds, said, set_up))

    async def keep(self, image: Image, memory_mib: int) -> FirecrackerKept:
        machine = await self.boot(image, Size(memory_mib, CPU_SECONDS))
        try:
            # Nobody has connected: what is kept waits for its first connection.
            await machine.listens(_BOOT_SECONDS)
            await machine.pause()
            await machine.api.save(f"/{_STATE}", f"/{_RAM}")
            folder, lock = self._jailer.kept(machine.cell, (_STATE, _RAM))
        finally:
            await machine.end()
        return FirecrackerKept(self, self.key(image, memory_mib), folder, lock)

    def load(self, folder: Path, image: Image, memory_mib: int) -> FirecrackerKept:
        for name in (_STATE, _RAM):
            os.stat(folder / name)
        return FirecrackerKept(self, folder.name, folder)

    def key(self, image: Image, memory_mib: int) -> str:
        """It is of no use to any other Firecracker, image or processor."""
        return named(
            "2", image.key, image.digest, str(memory_mib), self.name, processor(),
            self._jailer.program(), _COMMAND_LINE,
        )  # fmt: skip

    async def started(
        self,
        cpu_seconds: int,
        said: Said,
        set_up: Callable[[FirecrackerMachine, Cell], Awaitable[None]],
    ) -> FirecrackerMachine:
        """A Firecracker in a cell, set up. Raises WorldError `vm.*`."""
        cell = self._jailer.cell()
        pipe, prints = os.pipe2(os.O_CLOEXEC)
        try:
            process = await self._jailer.start(cell, prints, cpu_seconds)
        except BaseException:
            os.close(pipe)
            cell.remove()
            raise
        finally:
            os.close(prints)
        machine = FirecrackerMachine(cell, process, pipe, said)
        try:
            await firecracker_api.listening(cell.root / API, _START_SECONDS)
            await set_up(machine, cell)
        except BaseException:
            await machine.end()
            raise
        return machine
