"""Red team: run_bash that reads outside the token's `path`, by every road a shell has."""

from __future__ import annotations

from pathlib import Path

import pytest

from nucleus_proxy.effects import exec as commands
from nucleus_tokens.exposure import PRIVATE_DATA
from nucleus_vmhost.bubblewrap import Bubblewrap
from tests.proxy.native_stage import NativeStage
from tests.support import world

CANARY = "canary-7f3a"
# {ws} is the workspace, of which the token's scope shows src without its .env.
SCRIPTS = (
    "cat {ws}/../outside.txt {ws}/docs/plan.txt {ws}/src/.env",
    "cat ../../outside.txt ../docs/plan.txt .env ./x/../.env",
    "cat link; cat folder/plan.txt; ls -R folder/; cat < link",
    "cd {ws} && cat docs/plan.txt; cd .. && cat outside.txt; ls -Ra .",
    "ln -s {ws}/docs d; cat d/plan.txt; ln {ws}/docs/plan.txt e; cat e; mv {ws}/docs here",
    "for p in self 1 $PPID $$; do cat /proc/$p/root{ws}/docs/plan.txt /proc/$p/cwd/.env; done",
    "cat /proc/*/environ /proc/*/cmdline /proc/*/mountinfo | tr '\\0' '\\n'; ls -l /proc/*/fd",
    "exec 3< {ws}/docs/plan.txt; cat <&3; cat /dev/fd/4 /dev/fd/5 /dev/fd/6",
    "python3 -c \"print(open('{ws}/docs/plan.txt').read())\"",
    "tar cf - {ws} .. | tr -d '\\0'; cp -r {ws}/docs . ; cat docs/*",
    "unshare -rm cat {ws}/docs/plan.txt; mount --bind {ws}/docs . ; cat plan.txt",
    "chroot {ws} /bin/cat /docs/plan.txt; umount -l .env; cat .env; rm -f .env; cat .env",
    "git -C {ws} --work-tree=.. show HEAD:docs/plan.txt; git -C .. diff --no-index /dev/null docs",
    "grep -rsh 'canary.' {ws}/.. /tmp /home /root /run /srv /var/tmp /dev/shm /mnt",
)


@pytest.fixture
def stage(tmp_path: Path) -> NativeStage:
    workspace = tmp_path / "workspace"
    (workspace / "src" / "x").mkdir(parents=True)
    (workspace / "docs").mkdir()
    for path in ("docs/plan.txt", "src/.env", "../outside.txt"):
        (workspace / path).write_text(CANARY)
    (workspace / "src" / "link").symlink_to(tmp_path / "outside.txt")
    (workspace / "src" / "folder").symlink_to(workspace / "docs")
    (workspace / "src" / "mine.txt").write_text("mine")
    made = NativeStage(workspace)
    made.tools |= commands.tools(made.root, runner=Bubblewrap(), shows=PRIVATE_DATA, draw=made.draw)
    made.rebind()
    return made


@pytest.mark.parametrize("script", SCRIPTS)
async def test_a_script_reads_nothing_outside(stage: NativeStage, script: str) -> None:
    token = stage.everywhere(
        ["path", "in", [f"{stage.workspace}/src"]], ["path", "not", ["**/.env"]]
    )
    said = script.replace("{ws}", str(stage.workspace))
    done = await stage.use(token, "exec_bash", {"script": f"cat mine.txt; ({said}) 2>&1"})
    out = done.structured["stdout"] + done.structured["stderr"]
    assert out.startswith("mine"), "the cell runs, and shows what the scope admits"
    # What it was told it may say again; what it was not told it cannot.
    assert CANARY not in out.replace(said, "")
    assert (stage.workspace / "docs" / "plan.txt").read_text() == CANARY


async def test_a_place_outside_to_start_from_is_denied(stage: NativeStage) -> None:
    token = stage.everywhere(["path", "in", [f"{stage.workspace}/src"]])
    for cwd in (".", "..", "docs", "src/../docs", "src/folder", str(stage.workspace.parent), "/"):
        code = await stage.code(token, "exec_bash", {"script": "cat plan.txt", "cwd": cwd})
        assert code in ("scope.unknown", "scope.outside"), cwd


async def test_a_scope_that_no_cell_can_show_runs_nothing(stage: NativeStage) -> None:
    token = world.narrow(stage.everywhere(), ["path", "in", [f"{stage.workspace}/*/*.txt"]])
    assert await stage.code(token, "exec_bash", {"script": "cat */*"}) == "scope.unknown"
