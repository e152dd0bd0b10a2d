"""A start that is cancelled, at whatever turn of the event loop, ends and leaves no process: of
ours, of the git that carries a push, and of a session's proxy."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from nucleus import minting, serving
from nucleus.home import Home
from nucleus_proxy import starting
from nucleus_proxy.effects import pushing
from nucleus_proxy.effects.pushing import GitTransport, Mirror
from nucleus_proxy.remotes import Remote
from tests.cli.command import Desk
from tests.proxy.git_stage import sh
from tests.vmhost.cells import gone

TURNS = [0, 1, 2, 3, 4, 5, 6, 8, 12, 16, 32, 256]


async def cancelled_after(turns: int, work: Awaitable[Any]) -> None:
    task = asyncio.ensure_future(work)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    async with asyncio.timeout(30):
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("turns", TURNS)
async def test_a_process_with_three_pipes(turns: int) -> None:
    mark = f"{100_000 + turns}.{os.getpid()}"
    before = len(os.listdir("/proc/self/fd"))

    async def work() -> None:
        pipe = asyncio.subprocess.PIPE
        process = await starting.started(
            asyncio.create_subprocess_exec(
                "sh", "-c", f"sleep {mark} & sleep {mark}",
                stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True,
            )
        )  # fmt: skip
        try:
            await asyncio.Event().wait()
        finally:
            await starting.end(process)

    await cancelled_after(turns, work())
    assert await gone(mark)
    assert len(os.listdir("/proc/self/fd")) <= before


async def test_what_cannot_be_started_says_so() -> None:
    with pytest.raises(FileNotFoundError):
        await starting.started(asyncio.create_subprocess_exec("/nowhere/at/all"))


@asynccontextmanager
async def deaf(port_of: list[int]) -> AsyncIterator[None]:
    """A forge that takes connections and says nothing."""

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        finally:
            writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    port_of.append(server.sockets[0].getsockname()[1])
    async with server:
        yield


@pytest.mark.parametrize("turns", [0, 1, 3, 5, 12, 256, 20_000])
async def test_a_push_and_the_transport_it_started(tmp_path: Path, turns: int) -> None:
    sh(tmp_path, "init", "-q", "--bare", "m.git")
    port: list[int] = []
    async with deaf(port):
        url = f"http://127.0.0.1:{port[0]}/team/{tmp_path.name}.git"
        mirror = Mirror(f"{tmp_path}/m.git", f"{tmp_path}/m.git/objects", "0" * 40)
        push = GitTransport().push(mirror, Remote(url, f"127.0.0.1:{port[0]}"), "main")
        await cancelled_after(turns, push)
        assert await gone(url)


async def test_a_remote_that_talks_without_end_is_not_all_kept(tmp_path: Path) -> None:
    """Of what it says the end is kept, whatever it says before."""
    kept = asyncio.StreamReader()
    task = asyncio.ensure_future(pushing._tail(kept))
    for _ in range(200):
        kept.feed_data(b"x" * 65536)
        await asyncio.sleep(0)
    kept.feed_data(b"the end")
    kept.feed_eof()
    said = await task
    assert said.endswith(b"xthe end")
    assert len(said) == 2 * 65536


@pytest.mark.parametrize("turns", [0, 2, 3, 4, 5, 6, 8, 12])
async def test_a_sessions_proxy(desk: Desk, tmp_path: Path, turns: int) -> None:
    """After its token was made: before its proxy starts, while it does, and after."""
    place = Home.find(desk.home, {})
    secret = desk.pass_file.read_bytes().strip()
    made = asyncio.Event()
    loop = asyncio.get_running_loop()
    with place.store() as store:
        offer = serving.Offer(
            profiles=minting.profiles(["read-only"]),
            workspace=tmp_path,
            policy=place.policy_path,
            run="started",
            roots=Path("/etc/ssl/certs/ca-certificates.crt"),
        )
        issuer = place.issuer(store, lambda _: secret)
        sessions = serving.Sessions(
            place, issuer, offer, log=lambda _: loop.call_soon_threadsafe(made.set) and None
        )
        here, there = socket.socketpair()
        with here:
            here.sendall(b"{}\n")
            task = asyncio.ensure_future(sessions.start(there))
            await made.wait()
            await cancelled_after(turns, task)
            here.settimeout(30)
            # The other end is closed everywhere: no process of ours or of a proxy has it.
            with contextlib.suppress(ConnectionResetError):
                while here.recv(65536):
                    pass


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    made = Desk(tmp_path_factory.mktemp("starting"))
    made.init()
    return made
