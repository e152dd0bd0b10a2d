"""Red team: the guest half is the attacker's, and root. It gains nothing, and what it breaks is
its own machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nucleus_tokens.errors import WorldError
from nucleus_vmhost.vm import changes
from nucleus_vmhost.vm.console import CONSOLE_BYTES
from nucleus_vmhost.vm.image import Image, Recipe
from nucleus_vmhost.vm.packing import Copied, Copy
from nucleus_vmhost.vm.session import Session
from tests.vm.machines import built, copied, gone

HOSTILE = Path(__file__).with_name("hostile.py")


@pytest.fixture(scope="module")
def hostile() -> Image:
    """The same machine with another first process."""
    return built(Recipe(adds=((os.fspath(HOSTILE), "/usr/lib/nucleus/guest/__main__.py"),)))


async def ordered(vm: Session, attack: str) -> int:
    program = await vm.start([f"attack:{attack}!"], cwd="/", env={})
    try:
        async with asyncio.timeout(60):
            return await program.ended
    finally:
        for stream in (program.stdin, program.stdout, program.stderr):
            stream.close()


@pytest.mark.parametrize(
    ("attack", "code"),
    [
        ("giant", "vm.channel"),
        ("malformed", "vm.channel"),
        ("beyond_the_window", "vm.channel"),
        ("cut", "vm.channel"),
        ("panic", "vm.ended"),
        ("ended", "vm.ended"),
        ("flood_of_console", "vm.ended"),
        ("lies", "vm.guest"),
    ],
)
def test_whatever_it_says_ends_in_one_sentence(hostile: Image, attack: str, code: str) -> None:
    async def main() -> None:
        printed = 0

        def said(data: bytes) -> None:
            nonlocal printed
            printed += len(data)

        async with copied(hostile, said=said) as (vm, machine):
            with pytest.raises(WorldError) as found:
                await ordered(vm, attack)
            assert found.value.code == code
            assert len(machine.console) <= CONSOLE_BYTES
        await gone(machine.pid)

    asyncio.run(main())


def test_what_it_forges_of_the_agents_copy_is_refused_as_a_whole(hostile: Image) -> None:
    async def main() -> None:
        async with copied(hostile) as (vm, _):
            copy = Copy("/work", b"", {"attack:forges_changes!": Copied()})
            with pytest.raises(WorldError) as found:
                await changes.told(vm, copy)
            assert found.value.code == "vm.changes"

    asyncio.run(main())


def test_it_reaches_what_it_was_given_and_costs_no_more_than_its_bounds(hostile: Image) -> None:
    met: list[bytes] = []

    async def service(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.append(await reader.readline())
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    async def main() -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "tools.sock")
            async with serving(path):
                before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                async with copied(hostile, {"tools": path}) as (vm, machine):
                    with contextlib.suppress(WorldError, TimeoutError):
                        program = await vm.start(["attack:flood_of_streams!"], cwd="/", env={})
                        async with asyncio.timeout(30):
                            while len(met) < 64:
                                await asyncio.sleep(0.02)
                        for stream in (program.stdin, program.stdout, program.stderr):
                            stream.close()
                        program.ended.cancel()
                        await asyncio.gather(program.ended, return_exceptions=True)
                after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                await gone(machine.pid)
                assert after - before < 400 * 1024, "beside the machine's own memory file"

    @contextlib.asynccontextmanager
    async def serving(path: Path) -> AsyncIterator[None]:
        async with await asyncio.start_unix_server(service, path):
            yield

    asyncio.run(main())
    assert met == [b"tools\n"] * 64, "no more at once than may be, none to what it was not given"
