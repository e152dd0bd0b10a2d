"""Red team: a command that leaves something behind for somebody else to run or read."""

from __future__ import annotations

from pathlib import Path

import pytest

from nucleus_proxy.effects import exec as commands
from nucleus_vmhost.bubblewrap import Bubblewrap
from tests.proxy.native_stage import NativeStage
from tests.support import world


@pytest.fixture
def stage(tmp_path: Path) -> NativeStage:
    workspace = tmp_path / "workspace"
    for name in (".git/hooks/x", ".git/config", "sub/.git/config", "AGENTS.md", "sub/.env", "a"):
        (workspace / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace / name).write_text("as it was")
    (workspace / ".bashrc").symlink_to("a")
    made = NativeStage(workspace)
    made.tools |= commands.tools(made.root, runner=Bubblewrap(), shows=1, draw=made.draw)
    made.rebind()
    return made


@pytest.mark.parametrize(
    "script",
    [
        "echo evil > .git/hooks/pre-commit",
        "echo evil > .git/config",
        "mv .git other; mkdir .git; echo evil > .git/config",
        "mv sub other; mkdir -p sub/.git; echo evil > sub/.git/config",
        "rm -rf .git sub",
        "echo evil > AGENTS.md; rm AGENTS.md; mv AGENTS.md x",
        "ln -sf /dev/null .git/config; cp a .git/x",
        "echo evil > a",  # .bashrc leads here
        "chmod 777 .git/config; truncate -s0 .git/config",
    ],
)
async def test_what_stands_there_stays_as_it_was(stage: NativeStage, script: str) -> None:
    await stage.use(stage.everywhere(), "exec_bash", {"script": script})
    for name in (".git/hooks/x", ".git/config", "sub/.git/config", "AGENTS.md", ".bashrc"):
        assert (stage.workspace / name).read_text() == "as it was"
    assert not (stage.workspace / ".git" / "hooks" / "pre-commit").exists()


@pytest.mark.parametrize(
    ("script", "places"),
    [
        ("mkdir -p .github/workflows; echo evil > .github/workflows/x.yml", [".github"]),
        ("git init -q new && echo evil > new/.git/hooks/pre-commit", ["new/.git"]),
        (
            "mkdir .vscode d; echo evil > .vscode/tasks.json; cp -r .vscode d",
            [".vscode", "d/.vscode"],
        ),
        ("echo evil > CLAUDE.md; echo evil > d.pth", ["CLAUDE.md", "d.pth"]),
        ("rm .bashrc; echo evil > .bashrc", [".bashrc"]),
        ("ln -s x .envrc", [".envrc"]),
        ("echo evil > .ENVRC", [".ENVRC"]),
    ],
)
async def test_what_did_not_stand_there_is_set_aside(
    stage: NativeStage, script: str, places: list[str]
) -> None:
    value = await stage.use(stage.everywhere(), "exec_bash", {"script": script})
    assert sorted(value.structured["set_aside"]) == sorted(
        str(stage.workspace / place) for place in places
    )
    for place in places:
        path = stage.workspace / place
        assert not path.exists()
        assert not path.is_symlink()
        # Nothing is lost: it is there under a name that nobody runs.
        assert len(list(path.parent.glob(path.name + ".set-aside-*"))) == 1


async def test_a_name_that_a_scope_blocks_is_not_left_behind_either(stage: NativeStage) -> None:
    token = stage.everywhere(["path", "not", ["**/.env"]])
    script = (
        "cat sub/.env; echo x > sub/.env; mv sub/.env y; echo mine > .env; ln a sub/hard; cat a"
    )
    value = await stage.use(token, "exec_bash", {"script": script})
    assert value.structured["stdout"] == "as it was"  # of `a`; the blocked one shows nothing
    assert (stage.workspace / "sub" / ".env").read_text() == "as it was"
    assert value.structured["set_aside"] == [str(stage.workspace / ".env")]


async def test_a_blocked_directory_cannot_be_renamed_to_a_name_that_is_not(
    stage: NativeStage,
) -> None:
    """The scope names one path; were its folder movable, the content would be at another."""
    token = stage.everywhere(["path", "not", [f"{stage.workspace}/sub/.env"]])
    await stage.use(token, "exec_bash", {"script": "mv sub other; mkdir sub"})
    assert await stage.code(token, "fs_read", {"path": "other/.env"}) == "fs.missing"
    assert (stage.workspace / "sub" / ".env").read_text() == "as it was"


async def test_the_sweep_runs_also_when_the_command_is_ended(stage: NativeStage) -> None:
    token = stage.everywhere()
    value = await stage.use(
        token, "exec_bash", {"script": "echo evil > .envrc; sleep 60", "seconds": 1}
    )
    assert value.structured["timed_out"] is True
    assert value.structured["set_aside"] == [str(stage.workspace / ".envrc")]


async def test_a_workspace_too_large_to_be_looked_through_runs_nothing(
    stage: NativeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nucleus_proxy.effects.cells.ENTRIES", 3)
    token = stage.everywhere()
    assert await stage.code(token, "exec_bash", {"script": "touch b"}) == "cell.too_large"
    assert not (stage.workspace / "b").exists()


def test_narrower_authority_never_shows_more() -> None:
    """The subtrees of a conjunction lie within those of each part."""
    from nucleus_proxy.effects import cells
    from nucleus_tokens.patterns import under

    parts = [["/w"], ["/w/a", "/w/b"], ["/w/a/x", "/x"], ["/w/**"], ["/w/*/x"], ["/"], []]
    tops = {}
    for i, first in enumerate(parts):
        for j, second in enumerate(parts):
            token = world.mint(
                world.all_levels(),
                ["path", "in", first or ["/none"]],
                ["path", "in", second or ["/none"]],
            )
            tops[i, j] = cells.subtrees("/w", world.opened(token).prefix.authority)
    for (i, j), both in tops.items():
        assert both == tops[j, i]
        for single in (tops[i, i], tops[j, j]):
            assert all(any(under(b, a) for b in single) for a in both)
    assert tops[1, 2] == ("/w/a/x",)
    assert tops[0, 1] == ("/w/a", "/w/b")
    assert tops[4, 0] == tops[6, 0] == ()


async def test_a_file_that_a_scope_names_alone_is_written_unless_it_would_run(
    stage: NativeStage,
) -> None:
    names = (".git/config", "AGENTS.md", "a")
    token = stage.everywhere(["path", "in", [f"{stage.workspace}/{name}" for name in names]])
    script = f"cd {stage.workspace}; for name in {' '.join(names)}; do echo evil > $name; done; ls"
    value = await stage.use(token, "exec_bash", {"script": script})
    assert value.structured["stdout"].split() == ["AGENTS.md", "a"]
    assert (stage.workspace / "a").read_text() == "evil\n"
    for name in names[:2]:
        assert (stage.workspace / name).read_text() == "as it was"
