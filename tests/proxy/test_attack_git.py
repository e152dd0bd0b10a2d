"""Red team: a repository that is a program. Each of these runs its command under plain git."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.proxy.git_stage import GitStage, sh
from tests.support import world

REPO: dict[str, Any] = {"repo": "."}
COMMIT = {**REPO, "message": "m", "paths": ["."]}
PUSH = {**REPO, "remote": "local", "branch": "main"}


@pytest.fixture
def stage(tmp_path: Path) -> GitStage:
    return GitStage(tmp_path)


def trapped(stage: GitStage) -> Path:
    """Every trap at once; each would leave the file that is returned."""
    ws, sprung = stage.workspace, stage.workspace / "sprung"
    trap = ws / "trap.sh"
    trap.write_text(f"#!/bin/sh\necho sprung >> {sprung}\necho sprung >&2\ncat\n")
    trap.chmod(0o755)
    for name, value in {
        "core.fsmonitor": str(trap), "core.sshCommand": str(trap), "core.pager": str(trap),
        "core.editor": str(trap), "core.askPass": str(trap), "core.gitProxy": str(trap),
        "core.alternateRefsCommand": str(trap), "credential.helper": str(trap),
        "diff.external": str(trap), "diff.evil.textconv": str(trap),
        "diff.evil.command": str(trap), "filter.evil.clean": str(trap),
        "filter.evil.smudge": str(trap), "filter.evil.process": str(trap),
        "filter.evil.required": "true", "gpg.program": str(trap), "commit.gpgSign": "true",
        "uploadpack.packObjectsHook": str(trap), "core.hooksPath": str(ws / "hooks"),
        "remote.local.url": f"ext::{trap}", "remote.local.pushurl": f"ext::{trap}",
        f"url.ext::{trap} .insteadOf": str(stage.bare), "protocol.ext.allow": "always",
        "alias.status": f"!{trap}", "interactive.diffFilter": str(trap),
        "merge.evil.driver": str(trap), "trailer.x.command": str(trap),
        "core.worktree": "/", "include.path": "evil.config", "extensions.worktreeConfig": "false",
    }.items():  # fmt: skip
        sh(ws, "config", name, value)
    for hooks in (ws / "hooks", ws / ".git" / "hooks"):
        hooks.mkdir(exist_ok=True)
        for name in ("pre-commit", "prepare-commit-msg", "commit-msg", "post-commit", "pre-push",
                     "post-index-change", "reference-transaction", "fsmonitor-watchman",
                     "post-checkout", "pre-auto-gc", "update", "post-rewrite"):  # fmt: skip
            (hooks / name).write_bytes(trap.read_bytes())
            (hooks / name).chmod(0o755)
    (ws / ".gitattributes").write_text("* filter=evil diff=evil merge=evil\n")
    (ws / ".git" / "info" / "attributes").write_text("* filter=evil diff=evil\n")
    sprung.unlink(missing_ok=True)
    return sprung


def test_the_traps_are_real(stage: GitStage) -> None:
    """Without us a mere look at the repository runs what stands in it."""
    sprung = trapped(stage)
    sh(stage.workspace, "config", "--unset", "core.worktree")
    subprocess.run(["git", "-C", str(stage.workspace), "status"], capture_output=True, check=False)
    assert sprung.exists()


async def test_looking_at_a_repository_runs_nothing_of_it(stage: GitStage) -> None:
    token = stage.everywhere()
    sprung = trapped(stage)
    (stage.workspace / "a.txt").write_text("two\n")
    status = await stage.use(token, "git_status", REPO)
    assert {"path": "a.txt", "index": " ", "worktree": "M"} in status.structured["entries"]
    diff = await stage.use(token, "git_diff", REPO)
    assert "+two" in diff.structured["diff"]
    assert not sprung.exists()


async def test_a_commit_runs_no_hook_no_filter_and_no_signer(stage: GitStage) -> None:
    token = stage.everywhere()
    sprung = trapped(stage)
    (stage.workspace / "a.txt").write_text("two\n")
    await stage.approved(token, "git_commit", COMMIT)
    assert not sprung.exists()
    assert sh(stage.workspace, "--git-dir=.git", "-c", "core.worktree=.", "cat-file", "-p",
              "main:a.txt") == "two"  # fmt: skip


async def test_a_push_goes_where_the_operator_said_and_runs_nothing(stage: GitStage) -> None:
    token = stage.everywhere()
    sprung = trapped(stage)
    done = await stage.approved(token, "git_push", PUSH)
    assert not sprung.exists()
    assert sh(stage.bare, "rev-parse", "main") == done.structured["commit"]


@pytest.mark.parametrize("shape", ["file", "link", "none", "head"])
async def test_a_git_directory_that_leads_elsewhere_is_refused(
    stage: GitStage, tmp_path: Path, shape: str
) -> None:
    token = stage.everywhere()
    elsewhere = tmp_path / "elsewhere"
    (stage.workspace / ".git").rename(elsewhere)
    if shape == "file":
        (stage.workspace / ".git").write_text(f"gitdir: {elsewhere}\n")
    elif shape == "link":
        (stage.workspace / ".git").symlink_to(elsewhere)
    elif shape == "head":
        elsewhere.rename(stage.workspace / ".git")
        (stage.workspace / ".git" / "HEAD").unlink()
        (stage.workspace / ".git" / "HEAD").symlink_to(tmp_path / "x")
        assert await stage.code(token, "git_status", REPO) == "git.failed"
        return
    assert await stage.code(token, "git_status", REPO) == "git.shape"


async def test_what_a_scope_blocks_shows_in_no_status_no_diff_and_no_commit(
    stage: GitStage,
) -> None:
    ws = stage.workspace
    (ws / ".env").write_text("KEY=1\n")
    sh(ws, "add", "-f", ".env")
    sh(ws, "commit", "-q", "-m", "it was in here")
    (ws / ".env").write_text("KEY=2, and longer\n")
    (ws / "d").mkdir()
    (ws / "d" / ".env").write_text("KEY=3\n")
    (ws / "a.txt").write_text("two\n")
    token = stage.everywhere(["path", "not", ["**/.env"]])
    status = await stage.use(token, "git_status", REPO)
    assert [e["path"] for e in status.structured["entries"]] == ["a.txt"]
    diff = await stage.use(token, "git_diff", REPO)
    assert "KEY" not in diff.structured["diff"]
    await stage.approved(token, "git_commit", COMMIT)
    assert sh(ws, "show", "main:.env") == "KEY=1"  # neither emptied nor brought up to date
    assert sh(ws, "ls-tree", "-r", "--name-only", "main") == ".env\na.txt"
    sh(ws, "add", ".env")
    (ws / "a.txt").write_text("three\n")
    assert await stage.approved_code(token, "git_commit", COMMIT) == "git.outside"


async def test_a_path_outside_the_repository_is_not_committed(stage: GitStage) -> None:
    ws = stage.workspace
    (ws / "sub").mkdir()
    sh(ws / "sub", "init", "-q", "-b", "main")
    args = {"repo": "sub", "message": "m", "paths": ["../a.txt"]}
    assert await stage.approved_code(stage.everywhere(), "git_commit", args) == "git.outside"
    assert await stage.code(stage.everywhere(), "git_status", {"repo": ".."}) == "scope.unknown"


async def test_a_pathspec_is_a_name(stage: GitStage) -> None:
    ws = stage.workspace
    (ws / "b.txt").write_text("b\n")
    for magic in (":/", ":(exclude)a.txt", "*.txt", ":!a"):
        args = {**REPO, "message": "m", "paths": [magic]}
        assert await stage.approved_code(stage.everywhere(), "git_commit", args) == "git.nothing"


async def test_a_branch_that_looks_like_an_option_is_not_one(stage: GitStage) -> None:
    token = world.narrow(stage.everywhere(), ["ref", "not", ["x"]])
    for branch in ("--force", "+main", "main:other", "-f", "@{-1}", "main~1", "refs/tags/../x"):
        assert await stage.code(token, "git_push", {**PUSH, "branch": branch}) == "scope.unknown"
    free = stage.everywhere()
    for branch in ("--force", "main:other"):
        code = await stage.approved_code(free, "git_push", {**PUSH, "branch": branch})
        assert code == "git.arguments"
    assert sh(stage.bare, "branch") == ""
