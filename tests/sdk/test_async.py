"""The tools that are awaited are the tools that are called: same names, same arguments."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path

import pytest

from nucleus import ApprovalRequired, NucleusError, PolicyDenied, active, aio, toolsets
from nucleus.active import Waits
from nucleus.aio import Session, approve, fs
from nucleus.aio import toolsets as awaited
from nucleus.approver import Approve
from nucleus.tools import agent, cmd, git, net
from nucleus.tools import fs as sync_fs
from tests.sdk.stage import Served
from tests.sdk.test_approvals import answered_by

FAMILIES = ("Fs", "Net", "Git", "Cmd", "Agent")


def _session(served: Served, profile: str) -> Session:
    return Session(profile, workspace=served.workspace, socket=served.socket)


@pytest.mark.parametrize("family", FAMILIES)
def test_both_have_the_same_tools(family: str) -> None:
    here, there = getattr(toolsets, family), getattr(awaited, family)
    names = {name for name in vars(here) if not name.startswith("_")}
    assert names == {name for name in vars(there) if not name.startswith("_")}
    for name in names:
        mine, other = getattr(here, name), getattr(there, name)
        assert inspect.signature(mine) == inspect.signature(other), name
        assert mine.__doc__ == other.__doc__, name
        assert inspect.iscoroutinefunction(other)
        assert not inspect.iscoroutinefunction(mine)


def test_every_tool_is_a_function_of_its_module() -> None:
    for family, module in zip(FAMILIES, (sync_fs, net, git, cmd, agent), strict=True):
        for name in vars(getattr(toolsets, family)):
            if not name.startswith("_"):
                assert callable(getattr(module, name)), f"{module.__name__}.{name}"


async def test_it_reads_writes_and_is_denied(served: Served, folder: Path) -> None:
    async with _session(served, "safe_pr_fixer") as s:
        await fs.write(folder / "x", "hello\n")
        text = await fs.read(folder / "x")
        await s.fs.write(folder / "x", text + "\n")
        assert (folder / "x").read_text() == "hello\n\n"
        with pytest.raises(PolicyDenied):
            await fs.read("/etc/hostname")
        assert await s.exposure() >= {"private_data", "untrusted_content"}
        assert (await s.explain(fs.read, folder / "x")).verdict == "allow"
        assert len((await s.trace.export_jsonl()).splitlines()) == 8
        with pytest.raises(NucleusError, match=r"session\.other_kind"):
            sync_fs.read(folder / "x")
        below = await s.delegate("helper", ["tool", "in", ["fs_read"]])
        with pytest.raises(PolicyDenied):
            await below.fs.write(folder / "x", "y")
        await below.close()
        await s.attenuate(["budget", "calls", 0])
        with pytest.raises(NucleusError, match=r"budget\.exhausted"):
            await fs.read(folder / "x")
    with pytest.raises(NucleusError, match=r"session\.none"):
        await aio.fs.read(folder / "x")


async def test_many_calls_at_once(served: Served, folder: Path) -> None:
    async with _session(served, "codegen"):
        await asyncio.gather(*(fs.write(folder / f"{n}", f"text {n}") for n in range(12)))
        found = await asyncio.gather(*(fs.read(folder / f"{n}") for n in range(12)))
    assert [str(each) for each in found] == [f"text {n}" for n in range(12)]


async def test_it_waits_for_a_person_and_others_go_on(served: Served, folder: Path) -> None:
    (folder / "x").write_text("x")
    async with _session(served, "codegen") as s:
        await s.attenuate(["approve", ["write_files"]])
        waiting = asyncio.create_task(approve("write", fs.write, folder / "new", "text"))
        assert str(await fs.read(folder / "x")) == "x"
        with pytest.raises(ApprovalRequired):
            await fs.write(folder / "other", "text")
        with answered_by(served.desk, lambda _: Approve()):
            await waiting
    assert (folder / "new").read_text() == "text"


async def test_a_cancelled_call_does_not_run_afterwards(served: Served, folder: Path) -> None:
    async with _session(served, "codegen") as s:
        await s.attenuate(["approve", ["write_files"]])
        asked = asyncio.Event()
        loop = asyncio.get_running_loop()
        told = Waits("write", lambda _: loop.call_soon_threadsafe(asked.set))
        with active.waiting(told):
            waiting = asyncio.create_task(fs.write(folder / "new", "text"))
        await asked.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        # Whoever answers too late answers nobody.
        with answered_by(served.desk, lambda _: Approve()):
            await approve("write", fs.write, folder / "second", "text")
    assert (folder / "second").exists()
    assert not (folder / "new").exists()
