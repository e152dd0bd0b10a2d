"""Law: a machine serves one session; what it answers is bounded, and a machine that says what no
guest says is ended.

The host half of a channel: it names the services that the guest may reach, claims the machine
for its session and starts programs in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from nucleus_tokens.errors import WorldError
from nucleus_vmhost.vm.channel import Channel
from nucleus_vmhost.vm.driver import CPU_SPENT, LIFE_SECONDS, Machine, Running
from nucleus_vmhost.vm.frames import Broken
from nucleus_vmhost.vm.guest import names
from nucleus_vmhost.vm.streams import Side

_CALL_SECONDS: Final = 60.0
_ENTROPY: Final = 64
_PIECE: Final = 65536
_WARM_CALLS: Final = 8
_WARM_SECONDS: Final = 0.02


@dataclass(frozen=True, slots=True)
class Program:
    """A program in the machine: its streams, and what it ends with."""

    stdin: socket.socket
    stdout: socket.socket
    stderr: socket.socket
    ended: asyncio.Task[int]


@dataclass(frozen=True, slots=True)
class Seat:
    """The terminal that a program gets: its size, and which of its three streams it is."""

    rows: int
    columns: int
    streams: tuple[bool, bool, bool]


class Session:
    """A machine that somebody uses."""

    def __init__(self, machine: Running, channel: Channel, over: asyncio.Task[None]) -> None:
        self._machine, self._channel, self._over = machine, channel, over
        self._starting = asyncio.Lock()

    async def ping(self) -> dict[str, Any]:
        """One call all the way to the first process and back; what it says of its network."""
        return await self._called(names.PING, {}, _CALL_SECONDS)

    async def claim(self) -> None:
        """Make the machine this session's: the clock is now, and its randomness its own."""
        entropy = secrets.token_bytes(_ENTROPY).hex()
        await self._called(names.CLAIM, {"entropy": entropy, "time": time.time_ns()}, _CALL_SECONDS)

    async def start(
        self,
        argv: Sequence[str],
        *,
        cwd: str,
        env: Mapping[str, str],
        own: bool = False,
        beside: bool = False,
        seat: Seat | None = None,
    ) -> Program:
        """Start a program as the agent. `own` makes its folder the agent's. Everything of the
        agent ends with it; of what runs `beside` the agent, only its own group. Where `ended` is
        cancelled, so is the program."""
        order = {"argv": list(argv), "cwd": cwd, "env": dict(env), "own": own, "beside": beside}
        if seat is not None:
            order["terminal"] = asdict(seat)
        streams: list[socket.socket] = []
        try:
            # The guest joins streams and orders as they come.
            async with self._starting:
                for name in (names.STDIN, names.STDOUT, names.STDERR):
                    streams.append(await self._connected(name))
                asked = await self._asked(names.RUN, order)
        except BaseException:
            for stream in streams:
                stream.close()
            raise
        first, second, third = streams
        return Program(first, second, third, asyncio.ensure_future(self._ran(asked)))

    async def resized(self, rows: int, columns: int) -> None:
        """Of the last program that got one, the terminal has another size."""
        order = {"rows": rows, "columns": columns}
        await self._called(names.SIZE, order, _CALL_SECONDS)

    async def run(
        self,
        argv: Sequence[str],
        stdin: bytes,
        *,
        cwd: str,
        own: bool = False,
        beside: bool = False,
        most: int = names.LINE,
    ) -> bytes:
        """Run a program of the guest's own to its end; what it says, up to `most` bytes and a
        little.

        Raises WorldError `vm.guest` where it fails.
        """
        program = await self.start(argv, cwd=cwd, env={}, own=own, beside=beside)
        loop = asyncio.get_running_loop()

        async def feed() -> None:
            with program.stdin:
                await loop.sock_sendall(program.stdin, stdin)
                program.stdin.shutdown(socket.SHUT_WR)
                await loop.sock_recv(program.stdin, 1)

        async def read(stream: socket.socket) -> bytes:
            kept = bytearray()
            with stream:
                while data := await loop.sock_recv(stream, _PIECE):
                    if len(kept) < most:
                        kept += data
            return bytes(kept)

        feeding = asyncio.ensure_future(feed())
        try:
            out, said = await asyncio.gather(read(program.stdout), read(program.stderr))
            code = await program.ended
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
        if code:
            text = said.decode(errors="replace").strip()[:200]
            raise WorldError("vm.guest", f"{argv[0]} failed in the microVM: {text!a}")
        return out

    async def _ran(self, asked: socket.socket) -> int:
        code = (await self._answered(names.RUN, asked, None)).get("code")
        if type(code) is not int or not 0 <= code <= 255:
            raise WorldError("vm.guest", "The microVM does not say how its program ended.")
        return code

    async def _called(
        self, service: str, order: dict[str, Any], seconds: float | None
    ) -> dict[str, Any]:
        return await self._answered(service, await self._asked(service, order), seconds)

    async def _asked(self, service: str, order: dict[str, Any]) -> socket.socket:
        """A connection on which an order was given."""
        return await self._connected(service, json.dumps(order).encode() + b"\n")

    async def _answered(
        self, service: str, connection: socket.socket, seconds: float | None
    ) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        kept = bytearray()
        try:
            async with asyncio.timeout(seconds):
                while b"\n" not in kept and len(kept) < names.LINE:
                    data = await loop.sock_recv(connection, _PIECE)
                    if not data:
                        break
                    kept += data
            said = json.loads(kept)
        except TimeoutError as error:
            raise WorldError("vm.guest", "The microVM did not answer in time.") from error
        except (OSError, ValueError, RecursionError) as error:
            raise await self._why() from error
        finally:
            connection.close()
        if not isinstance(said, dict):
            raise WorldError("vm.guest", "The microVM does not speak as it should.")
        if "error" in said:
            text = ascii(str(said["error"]))[:200]
            raise WorldError("vm.guest", f"The microVM refuses {service}: {text}")
        return said

    async def _connected(self, service: str, said: bytes = b"") -> socket.socket:
        try:
            return self._channel.connected(service, said)
        except ConnectionError as error:
            raise await self._why() from error

    async def _why(self) -> WorldError:
        """Why nothing comes any more."""
        await asyncio.wait({self._over}, timeout=1)
        if self._over.done() and not self._over.cancelled():
            broken = self._over.exception()
            if isinstance(broken, Broken):
                return WorldError("vm.channel", f"The microVM broke its channel: {broken}.")
            return await self._ended()
        return WorldError("vm.guest", "The microVM does not speak as it should.")

    async def _ended(self) -> WorldError:
        """Why there is no machine any more."""
        code = -1
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                code = await self._machine.over()
        if code == CPU_SPENT:
            return WorldError(
                "vm.cpu",
                "The microVM has used all the CPU time it had.",
                hint="Give it more: --cpu-seconds N",
            )
        return WorldError(
            "vm.ended", "The microVM has ended.", hint="Its last words: nucleus vm logs"
        )


@contextlib.asynccontextmanager
async def opened(
    machine: Running, services: Mapping[str, Path], life_seconds: int = LIFE_SECONDS
) -> AsyncIterator[Session]:
    """Speak with a machine; at the end of the block, or of the time it has, it is over.

    Raises WorldError `vm.*`.
    """
    channel = Channel(machine.channel(), Side.HOST, services)
    over = asyncio.ensure_future(channel.run())
    life = asyncio.timeout(life_seconds)
    try:
        async with life:
            yield Session(machine, channel, over)
    except TimeoutError as error:
        if not life.expired():
            raise
        raise WorldError(
            "vm.life",
            f"The microVM has lived for the {life_seconds} seconds it had.",
            hint="Give it more: --life TIME",
        ) from error
    finally:
        over.cancel()
        await asyncio.gather(over, return_exceptions=True)
        await machine.end()


async def warmed(machine: Machine) -> None:
    """Have a copy answer some calls, so that its code is translated and its memory its own, and
    pause it. Nobody's services are there meanwhile. Raises WorldError `vm.*`."""
    await machine.resume()
    channel = Channel(machine.channel(), Side.HOST, {})
    over = asyncio.ensure_future(channel.run())
    try:
        for _ in range(_WARM_CALLS):
            await Session(machine, channel, over).claim()
            # To fall idle and to wake from that is code as well.
            await asyncio.sleep(_WARM_SECONDS)
        machine.rejoined(await channel.left(_CALL_SECONDS))
        await machine.pause()
    except (TimeoutError, ConnectionError) as error:
        raise WorldError("vm.guest", "The microVM does not speak as it should.") from error
    finally:
        over.cancel()
        await asyncio.gather(over, return_exceptions=True)


def cache() -> Path:
    """Where images and what was kept of them are, for this user."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nucleus" / "vm"
