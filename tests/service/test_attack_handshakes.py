"""Whoever reaches the socket, with an identity or without, cannot end the issuer by connecting,
nor use up its descriptors by saying nothing.

gRPC looks for a new certificate at each connection and, given one, frees what a connection beside
it may be about to use (grpc/grpc#36693): an issuer that gave its certificate anew each time was
ended by some hundred connections. The identity rotates here while strangers connect.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from pathlib import Path

from tests.issuer.making import SCALE
from tests.service.stage import Stage, order, running

ROTATIONS = 3 * SCALE
CONNECTIONS = 500  # of each stranger, between two rotations
STRANGERS = 4


def _connect(path: str, count: int) -> None:
    for _ in range(count):
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.settimeout(20)
            with suppress(BlockingIOError):  # so many wait already that this one is sent away
                stranger.connect(path)


async def _strangers(stage: Stage) -> None:
    path = stage.address.removeprefix("unix:")
    await asyncio.gather(
        *(asyncio.to_thread(_connect, path, CONNECTIONS) for _ in range(STRANGERS))
    )


async def test_who_connects_and_says_nothing_is_hung_up_on(tmp_path: Path) -> None:
    with running(tmp_path) as stage:
        reader, writer = await asyncio.open_unix_connection(stage.address.removeprefix("unix:"))
        assert await asyncio.wait_for(reader.read(), 30) == b""
        writer.close()


async def test_strangers_who_connect_at_once_do_not_end_the_issuer(tmp_path: Path) -> None:
    with running(tmp_path) as stage:
        await asyncio.to_thread(stage.register)
        async with stage.client("agent") as agent:
            for n in range(ROTATIONS):
                rotated = asyncio.to_thread(stage.identity.rotate)
                await asyncio.gather(_strangers(stage), rotated)
                assert stage.process is not None
                assert stage.process.poll() is None, "".join(stage.log[-20:])
                # Who was connected is served, and who connects now is.
                await agent.issue(order(f"connected-{n}"))
                async with stage.client("agent") as fresh:
                    await fresh.issue(order(f"connects-{n}"))
