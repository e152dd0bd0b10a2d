"""Law: a QEMU has two sockets to us and no other road: the guest's channel and its own control.

The microvm machine, without network, disk or screen. A machine that is kept is its memory, sealed,
and the little that QEMU says of the rest; each copy maps the memory privately.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nucleus_tokens.errors import NucleusError, WorldError
from nucleus_vmhost.vm import jail, memory
from nucleus_vmhost.vm.console import Console, Said, unheard
from nucleus_vmhost.vm.driver import CPU_SECONDS, Size, begun, named
from nucleus_vmhost.vm.guest.names import PORT
from nucleus_vmhost.vm.image import Image
from nucleus_vmhost.vm.pumps import Line
from nucleus_vmhost.vm.qmp import Monitor

_START_SECONDS: Final = 60.0
_BOOT_SECONDS: Final = 180.0
_STATE_BYTES: Final = 16 << 20
_TB_MIB: Final = 64
_ADDRESS_MIB: Final = 2048  # of QEMU itself, beside the guest's memory
_PIECE: Final = 65536
_IGNORE_SHARED: Final = [{"capability": "x-ignore-shared", "state": True}]
_RAM, _STATE = "ram", "state"


@dataclass(slots=True)
class QemuKept:
    """A machine that was stopped. `ram` is sealed."""

    qemu: Qemu
    key: str
    image: Image
    memory_mib: int
    ram: int
    state: bytes

    async def copy(self, cpu_seconds: int, said: Said = unheard) -> QemuMachine:
        state = os.memfd_create("state", os.MFD_CLOEXEC)
        try:
            os.write(state, self.state)
            os.lseek(state, 0, os.SEEK_SET)
            size = Size(self.memory_mib, cpu_seconds)
            return await self.qemu.started(
                self.image, size, self.ram, share=False, incoming=state, said=said
            )
        finally:
            os.close(state)

    def store(self, folder: Path) -> None:
        memory.written(self.ram, folder / _RAM)
        (folder / _STATE).write_bytes(self.state)

    def close(self) -> None:
        os.close(self.ram)


class QemuMachine:
    """One QEMU. `pipe` is what it prints into."""

    def __init__(self, process: asyncio.subprocess.Process, pipe: int, said: Said) -> None:
        self.pid = process.pid
        self._process = process
        self._console = Console(pipe, said)
        self._line: Line | None = None
        self._monitor: Monitor | None = None

    async def joined(self, channel: socket.socket, control: socket.socket) -> None:
        """Take hold of its two roads. Raises WorldError `vm.qemu`."""
        self._line = Line(channel.detach())
        self._monitor = await Monitor.opened(control, _START_SECONDS)

    @property
    def console(self) -> bytes:
        return self._console.text

    @property
    def last(self) -> str:
        """The last line that it printed."""
        return self._console.last

    def channel(self) -> Line:
        assert self._line is not None  # noqa: S101  it was joined
        line, self._line = self._line, None
        return line

    def rejoined(self, line: Line) -> None:
        self._line = line

    def printing(self) -> int:
        return self._console.left()

    async def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Ask QEMU itself. Raises WorldError `vm.qemu`."""
        assert self._monitor is not None  # noqa: S101  it was joined
        return await self._monitor.ask(command, _START_SECONDS, **arguments)

    async def hand(self, fd: int, name: str) -> None:
        """Give QEMU a descriptor under a name."""
        assert self._monitor is not None  # noqa: S101  it was joined
        await self._monitor.ask("getfd", _START_SECONDS, fd, fdname=name)

    async def ready(self, seconds: float) -> None:
        await self._console.listens(seconds)

    async def pause(self) -> None:
        await self.ask("stop")

    async def resume(self) -> None:
        await self.ask("cont")

    async def over(self) -> int:
        return await self._process.wait()

    async def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        # What was started is the jail; QEMU is gone when its sockets are.
        if self._monitor is not None:
            await self._monitor.over(_START_SECONDS)
        self._console.close()
        if self._line is not None:
            os.close(self._line.fd)
            self._line = None


class Qemu:
    """Runs machines with QEMU. `kvm` is for where a guest was really seen to boot with it."""

    def __init__(self, *, kvm: bool = False) -> None:
        self._kvm = kvm
        self.name = "qemu-kvm" if kvm else "qemu"

    async def boot(self, image: Image, size: Size, said: Said = unheard) -> QemuMachine:
        ram = memory.made(size.memory_mib << 20)
        try:
            return await self.started(image, size, ram, share=True, said=said)
        finally:
            os.close(ram)

    async def keep(self, image: Image, memory_mib: int) -> QemuKept:
        ram = memory.made(memory_mib << 20)
        try:
            size = Size(memory_mib, CPU_SECONDS)
            machine = await self.started(image, size, ram, share=True)
            try:
                await machine.ready(_BOOT_SECONDS)
                await machine.pause()
                state = await _saved(machine)
            finally:
                await machine.end()
            memory.seal(ram)
        except BaseException:
            os.close(ram)
            raise
        return QemuKept(self, self.key(image, memory_mib), image, memory_mib, ram, state)

    def load(self, folder: Path, image: Image, memory_mib: int) -> QemuKept:
        state = (folder / _STATE).read_bytes()
        return QemuKept(self, folder.name, image, memory_mib, memory.read(folder / _RAM), state)

    def key(self, image: Image, memory_mib: int) -> str:
        """It is of no use to any other QEMU, image or processor."""
        found = os.stat(jail.program())
        return named(
            "1", image.key, image.digest, str(memory_mib), self.name, processor(),
            f"{found.st_size} {found.st_mtime_ns}",
            *self._words(memory_mib, (0, 0, 0), (0, 0), share=False),
        )  # fmt: skip

    async def started(
        self,
        image: Image,
        size: Size,
        ram: int,
        *,
        share: bool,
        incoming: int = -1,
        said: Said = unheard,
    ) -> QemuMachine:
        """A QEMU whose guest's memory is `ram`. Raises WorldError `vm.*`."""
        starting = self._starting(image, size, ram, share=share, incoming=incoming, said=said)
        return await begun(starting)

    async def _starting(
        self, image: Image, size: Size, ram: int, *, share: bool, incoming: int, said: Said
    ) -> QemuMachine:
        found = jail.jail(
            address_mib=2 * size.memory_mib + _ADDRESS_MIB,
            cpu_seconds=size.cpu_seconds,
            kvm=self._kvm,
        )
        with contextlib.ExitStack() as stack:
            channel, theirs = socket.socketpair()
            control, its = socket.socketpair()
            keeps = stack.enter_context(contextlib.ExitStack())
            keeps.callback(channel.close)
            keeps.callback(control.close)
            stack.callback(theirs.close)
            stack.callback(its.close)
            kernel = stack.enter_context(image.kernel.open("rb")).fileno()
            initrd = stack.enter_context(image.initrd.open("rb")).fileno()
            channels = (theirs.fileno(), its.fileno())
            argv = [
                *found.argv,
                *self._words(size.memory_mib, (kernel, initrd, ram), channels, share=share),
                *(("-incoming", "defer") if incoming >= 0 else ()),
            ]
            pipe, prints = os.pipe2(os.O_CLOEXEC)
            keeps.callback(os.close, pipe)
            stack.callback(os.close, prints)
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=prints,
                stderr=asyncio.subprocess.STDOUT,
                env={},
                cwd="/",
                pass_fds=[fd for fd in (*channels, kernel, initrd, ram, incoming) if fd >= 0],
                start_new_session=True,
                **_as(found),
            )
            keeps.pop_all()
        machine = QemuMachine(process, pipe, said)
        try:
            await machine.joined(channel, control)
            if incoming >= 0:
                await _loaded(machine, incoming)
        except BaseException as error:
            await machine.end()
            if isinstance(error, NucleusError) and machine.last:
                why = f"QEMU did not start the microVM: {machine.last}"
                raise WorldError("vm.qemu", why) from error
            raise
        return machine

    def _words(
        self,
        memory_mib: int,
        files: tuple[int, int, int],
        channels: tuple[int, int],
        *,
        share: bool,
    ) -> list[str]:
        kernel, initrd, ram = (f"/proc/self/fd/{fd}" for fd in files)
        channel, control = channels
        machine = "microvm,memory-backend=ram"
        accel = "kvm" if self._kvm else f"tcg,thread=multi,tb-size={_TB_MIB}"
        backend = f"memory-backend-file,id=ram,size={memory_mib}M,mem-path={ram}"
        shared = "on" if share else "off"
        return [
            "-M", machine, "-accel", accel, "-cpu", "host" if self._kvm else "max",
            "-m", str(memory_mib), "-nodefaults", "-no-user-config", "-display", "none",
            "-no-reboot", "-object", f"{backend},share={shared}",
            "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
            "-kernel", kernel, "-initrd", initrd, "-append", _command_line(),
            "-serial", "stdio", "-device", "virtio-serial-device,max_ports=2",
            "-chardev", f"socket,id=channel,fd={channel}",
            "-device", f"virtserialport,chardev=channel,name={PORT},nr=1",
            "-chardev", f"socket,id=control,fd={control}",
            "-mon", "chardev=control,mode=control",
        ]  # fmt: skip


def _command_line() -> str:
    """Emulated, a kernel does not find out how fast its clock is: it is told."""
    said = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    found = re.search(r"cpu MHz\s*: (\d+)", said)
    khz = int(found[1]) * 1000 if found else 2_000_000
    words = "console=ttyS0 quiet panic=-1 tsc=reliable mitigations=off audit=0 pci=off"
    # What hardens a kernel against its programs, or counts: they are one agent's, and a call costs
    # a tenth more.
    soft = "init_on_alloc=0 hardened_usercopy=off randomize_kstack_offset=off lsm=landlock psi=0"
    return f"{words} {soft} tsc_early_khz={khz}"


def _as(found: jail.Jail) -> dict[str, Any]:
    if found.uid is None:
        return {}
    return {"user": found.uid, "group": found.uid, "extra_groups": found.groups}


def processor() -> str:
    """What it can do: a kept machine goes on only where that is the same."""
    said = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    flags = re.search(r"^flags\s*: (.*)$", said, re.MULTILINE)
    return f"{os.uname().machine} {flags[1] if flags else ''}"


async def _saved(machine: QemuMachine) -> bytes:
    """What QEMU says of everything but the memory. The machine is over then."""
    read, write = os.pipe2(os.O_CLOEXEC)
    try:
        await machine.ask("migrate-set-capabilities", capabilities=_IGNORE_SHARED)
        await machine.hand(write, "state")
    except BaseException:
        os.close(read)
        raise
    finally:
        os.close(write)
    kept = asyncio.ensure_future(asyncio.to_thread(_all, read))
    try:
        await machine.ask("migrate", uri="fd:state")
        await _migrated(machine)
    finally:
        await machine.end()  # and with it the pipe's other end
        await asyncio.wait({kept})
    return kept.result()


def _all(fd: int) -> bytes:
    kept = bytearray()
    with open(fd, "rb", buffering=0) as pipe:
        while data := pipe.read(_PIECE):
            kept += data
            if len(kept) > _STATE_BYTES:
                raise WorldError("vm.qemu", "QEMU says more of a microVM than there is to say.")
    return bytes(kept)


async def _loaded(machine: QemuMachine, incoming: int) -> None:
    await machine.ask("migrate-set-capabilities", capabilities=_IGNORE_SHARED)
    await machine.ask("migrate-incoming", uri=f"fd:{incoming}")
    await _migrated(machine)


async def _migrated(machine: QemuMachine) -> None:
    async with asyncio.timeout(_START_SECONDS):
        while True:
            match (await machine.ask("query-migrate")).get("status"):
                case "completed":
                    return
                case "failed" | "cancelled":
                    raise WorldError("vm.qemu", "QEMU could not keep or copy the microVM.")
                case _:
                    await asyncio.sleep(0.001)
