"""Red team: an agent brings out twice what it changed, or gets what is hidden by a sub-agent.

In one real machine, with the host half's own parts.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

from nucleus_proxy.work import Work
from nucleus_vmhost.vm import packing
from nucleus_vmhost.vm.image import Image
from nucleus_vmhost.vm.packing import Copied
from nucleus_vmhost.vm.working import Inside
from tests.vm.machines import copied

ODD = ("-rf", "a\nb", "--", "sub/'\" $(x)")


def test_what_is_brought_out_is_told_once_and_what_is_hidden_never_enters(
    image: Image, tmp_path: Path
) -> None:
    top = str(tmp_path)
    for name in ("kept", "gone", "changed", *ODD):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("copied\n")
    for name in ("hidden", "secrets/key"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("secret\n")
    masked = (f"{top}/hidden", f"{top}/secrets")
    copy, inside = packing.packed(top, masked, 1 << 20), Inside()

    async def shell(script: str) -> str:
        done = await inside.run(Work(("sh", "-ec", script), top, readable=(top,)))
        assert done.code == 0, done
        return done.stdout.decode()

    async def main() -> None:
        async with copied(image) as (vm, _):
            await vm.run(packing.UNPACK, copy.archive, cwd=top, own=True)
            with inside.joined(vm, {top: copy}, masked):
                await two_at_once()
                await by_a_sub_agent()
            assert {
                (each.name, each.gone) for _, one in await inside.last(vm) for each in one.changes
            } == {("kept", False)}

    async def two_at_once() -> None:
        await shell("echo new > new; rm gone")
        os.unlink(tmp_path / "gone")
        async with inside.looked() as told:
            again = asyncio.ensure_future(look())
            assert {each.name for _, one in told for each in one.changes} == {"new", "gone"}
            await shell("true")
            assert not again.done(), "nobody looks while somebody is asked"
            new = Copied(hashlib.sha256(b"new\n").digest())
            (tmp_path / "new").write_text("new\n")
            inside.brought({f"{top}/new": new, f"{top}/gone": None})
        assert await again == set(), "what was written is not told again"

    async def look() -> set[str]:
        async with inside.looked() as told:
            return {each.name for _, one in told for each in one.changes}

    async def by_a_sub_agent() -> None:
        """What it wrote out here, or removed, is taken in; what is hidden is not."""
        await shell("echo 'by the agent' > kept")
        for name in ("kept", "changed", "hidden", "secrets/key"):
            (tmp_path / name).write_text("by the sub\n")
        for name in ODD:
            (tmp_path / name).unlink()
        paths = ("kept", "changed", "hidden", "secrets/key", *ODD)
        await inside.caught_up([f"{top}/{name}" for name in paths])
        found = await shell("find . -type f | sort; cat kept changed")
        assert found == "./changed\n./kept\n./new\nby the agent\nby the sub\n"
        # Nor by a tool of the agent's own: what it knows of it, it has read by a tool.
        await inside.wrote([f"{top}/hidden"])
        assert "hidden" not in await shell("ls")

    asyncio.run(main())
