"""Commands in real work cells: what they see, what they leave, what their call is judged by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nucleus_proxy.effects import exec as commands
from nucleus_tokens import labelling
from nucleus_tokens.exposure import EXFIL_VECTOR, PRIVATE_DATA
from nucleus_vmhost.bubblewrap import Bubblewrap
from tests.proxy.native_stage import NativeStage
from tests.support import world


@pytest.fixture
def stage(tmp_path: Path) -> NativeStage:
    workspace = tmp_path / "workspace"
    (workspace / "src").mkdir(parents=True)
    (workspace / "src" / "a.txt").write_text("inside")
    (workspace / ".env").write_text("KEY=1")
    (tmp_path / "outside.txt").write_text("the secret")
    made = NativeStage(workspace)
    made.tools |= commands.tools(made.root, runner=Bubblewrap(), shows=PRIVATE_DATA, draw=made.draw)
    made.rebind()
    return made


async def run(stage: NativeStage, token: Any, *argv: str, **more: Any) -> dict[str, Any]:
    return (await stage.use(token, "exec_run", {"argv": list(argv), **more})).structured


async def bash(stage: NativeStage, token: Any, script: str) -> dict[str, Any]:
    return (await stage.use(token, "exec_bash", {"script": script})).structured


async def test_a_command_runs_and_its_end_is_told(stage: NativeStage) -> None:
    token = stage.everywhere()
    done = await run(stage, token, "cat", "src/a.txt", "-", stdin="and this")
    assert (done["code"], done["stdout"], done["set_aside"]) == (0, "insideand this", [])
    assert (await run(stage, token, "false"))["code"] == 1
    assert (await run(stage, token, "pwd", cwd="src"))["stdout"] == f"{stage.workspace}/src\n"
    slow = await run(stage, token, "sleep", "60", seconds=1)
    assert slow["timed_out"] is True
    # A word is a word: no shell looks at it.
    assert (await run(stage, token, "echo", "$HOME; id"))["stdout"] == "$HOME; id\n"
    assert (await bash(stage, token, "echo $((1+1))"))["stdout"] == "2\n"


async def test_a_command_sees_only_what_every_scope_admits(stage: NativeStage) -> None:
    token = stage.everywhere(["path", "not", ["**/.env"]])
    done = await bash(stage, token, f"cat .env; cat {stage.workspace}/../outside.txt; ls -a ..")
    assert "KEY" not in done["stdout"]
    assert "secret" not in done["stdout"]
    narrow = world.narrow(token, ["path", "in", [f"{stage.workspace}/src"]])
    done = await bash(stage, narrow, f"pwd; ls -a {stage.workspace}")
    assert done["stdout"].split() == [f"{stage.workspace}/src", ".", "..", "src"]


async def test_where_no_scope_can_be_enforced_nothing_runs(stage: NativeStage) -> None:
    ws = str(stage.workspace)
    token = stage.everywhere()
    nothing = world.narrow(token, ["path", "in", [f"{ws}/**/*.py"]])
    assert await stage.code(nothing, "exec_run", {"argv": ["true"]}) == "scope.unknown"
    apart = world.narrow(token, ["path", "in", [f"{ws}/src"]], ["path", "in", [f"{ws}/docs"]])
    assert await stage.code(apart, "exec_run", {"argv": ["true"]}) == "scope.unknown"
    src = world.narrow(token, ["path", "in", [f"{ws}/src"]])
    assert await stage.code(src, "exec_run", {"argv": ["true"], "cwd": "."}) == "scope.unknown"
    assert await stage.code(src, "exec_run", {"argv": ["true"], "cwd": ".."}) == "scope.unknown"
    assert await stage.code(src, "exec_run", {"argv": ["true"], "cwd": "src"}) == "ok"
    # A cell without a network meets every scope over hosts, and refs out of reach every one too.
    hosts = world.narrow(token, ["host", "in", ["example.org"]], ["ref", "in", ["topic"]])
    assert await stage.code(hosts, "exec_run", {"argv": ["true"]}) == "ok"


async def test_who_may_not_write_files_runs_commands_on_a_read_only_workspace(
    stage: NativeStage,
) -> None:
    root = ["path", "in", [str(stage.workspace)]]
    for token in (
        stage.token(world.levels(run_bash="always", read_files="always"), root),
        world.narrow(stage.everywhere(), ["approve", ["write_files"]]),
        stage.everywhere(obligations=["edit_files"]),
    ):
        done = await bash(stage, token, "echo x > src/b.txt; echo x > /tmp/ok && cat /tmp/ok")
        assert done["stdout"] == "x\n"
        assert not (stage.workspace / "src" / "b.txt").exists()
    none = stage.token(world.levels(run_bash="always"), root)
    assert await stage.code(none, "exec_run", {"argv": ["true"]}) == "scope.unknown"
    free = stage.token(world.levels(run_bash="always"))
    assert await stage.code(free, "exec_run", {"argv": ["true"]}) == "cell.nothing"


async def test_a_command_writes_where_it_may(stage: NativeStage) -> None:
    token = stage.everywhere()
    await bash(stage, token, "mkdir new; echo x > new/b.txt; rm src/a.txt")
    assert (stage.workspace / "new" / "b.txt").read_text() == "x\n"
    assert not (stage.workspace / "src" / "a.txt").exists()


async def test_there_is_no_way_out_and_the_cells_know(stage: NativeStage) -> None:
    token = stage.everywhere()
    done = await bash(stage, token, "cat /proc/net/dev | wc -l; env | sort | cut -d= -f1 | xargs")
    lines = done["stdout"].splitlines()
    assert lines[0] == "3"  # two of head, and the loopback
    assert not {"USER", "SSH_AUTH_SOCK", "NUCLEUS_HOME"} & set(lines[1].split())
    bits = stage.ledger.cells["wall:test"].bits
    assert bits & PRIVATE_DATA
    assert not bits & EXFIL_VECTOR
    # With the web seen as well, a model's words are asked about, and the gate is not.
    stage.ledger.open_cell("wall:test", 3)
    owed = await stage.owed(token, "exec_run", {"argv": ["true"]})
    assert owed == ["flow:authority", "flow:integrity"]


async def test_what_comes_back_is_no_better_than_what_was_seen(stage: NativeStage) -> None:
    token = stage.everywhere()
    value = await stage.use(token, "exec_run", {"argv": ["true"]})
    assert value.label & labelling.EXISTING_FILE == labelling.EXISTING_FILE


async def test_at_low_risk_the_words_are_asked_about(stage: NativeStage) -> None:
    token = stage.everywhere(["cap", {"run_bash": "low_risk"}])
    assert await stage.owed(token, "exec_run", {"argv": ["true"]}) == ["input:/argv"]
    assert await stage.owed(token, "exec_bash", {"script": "true"}) == ["input:/script"]
