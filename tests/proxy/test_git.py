"""git under permits, in real cells, against real repositories and a fake forge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.proxy.fake_forge import HEADER, FakeForge
from tests.proxy.git_stage import GitStage, sh
from tests.support import world

REPO = {"repo": "."}


@pytest.fixture
def stage(tmp_path: Path) -> GitStage:
    return GitStage(tmp_path)


async def test_status_and_diff_show_what_changed(stage: GitStage) -> None:
    token = stage.everywhere()
    (stage.workspace / "a.txt").write_text("two\n")
    (stage.workspace / "ü b.txt").write_text("new\n")
    status = (await stage.use(token, "git_status", REPO)).structured
    assert status["branch"] == "main"
    assert status["entries"] == [
        {"path": "a.txt", "index": " ", "worktree": "M"},
        {"path": "ü b.txt", "index": "?", "worktree": "?"},
    ]
    diff = (await stage.use(token, "git_diff", REPO)).structured["diff"]
    assert "-one\n+two\n" in diff
    assert (await stage.use(token, "git_diff", {**REPO, "staged": True})).structured["diff"] == ""


async def test_a_commit_holds_the_paths_that_were_named(stage: GitStage) -> None:
    token = stage.everywhere()
    ws = stage.workspace
    (ws / "a.txt").unlink()
    (ws / "d").mkdir()
    (ws / "d" / "b.txt").write_text("b\n")
    (ws / "c.txt").write_text("c\n")
    args = {**REPO, "message": "why\n\nbody", "paths": ["d", "a.txt"]}
    done = (await stage.use(token, "git_commit", args)).structured
    assert sh(ws, "rev-parse", "main") == done["commit"]
    assert sh(ws, "log", "-1", "--format=%an %B") == "agent why\n\nbody"
    assert sh(ws, "ls-tree", "-r", "--name-only", "main") == "d/b.txt"
    assert sh(ws, "status", "--porcelain") == "?? c.txt"
    assert await stage.code(token, "git_commit", args) == "git.nothing"


async def test_a_commit_goes_to_the_branch_that_was_judged(stage: GitStage) -> None:
    token = stage.everywhere(["ref", "in", ["topic"]])
    (stage.workspace / "a.txt").write_text("two\n")
    args = {**REPO, "message": "m", "paths": ["a.txt"]}
    assert await stage.code(token, "git_commit", args) == "scope.outside"
    sh(stage.workspace, "checkout", "-q", "-b", "topic")
    assert (await stage.approved(token, "git_commit", args)).structured["branch"] == "topic"
    sh(stage.workspace, "checkout", "-q", "--detach")
    assert await stage.code(token, "git_commit", args) == "scope.unknown"


async def test_a_push_moves_one_branch_forward(stage: GitStage) -> None:
    token = stage.everywhere()
    args = {**REPO, "remote": "local", "branch": "main"}
    # What a model wrote is no verified derivation.
    owed = await stage.owed(token, "git_push", args)
    assert owed == ["flow:derivation"]
    done = (await stage.approved(token, "git_push", args)).structured
    assert sh(stage.bare, "rev-parse", "main") == done["commit"]
    assert sh(stage.bare, "branch", "--format=%(refname:short)") == "main"
    # Never by force.
    sh(stage.workspace, "commit", "-q", "--amend", "-m", "another")
    assert await stage.approved_code(token, "git_push", args) == "git.failed"
    assert sh(stage.bare, "rev-parse", "main") == done["commit"]
    nowhere = {**args, "branch": "nowhere"}
    assert await stage.approved_code(token, "git_push", nowhere) == "git.failed"


async def test_a_push_is_judged_by_its_host_and_its_branch(stage: GitStage) -> None:
    args = {**REPO, "remote": "local", "branch": "main"}
    for caveat, code in (
        (["host", "in", ["forge.example"]], "scope.outside"),
        (["ref", "in", ["topic"]], "scope.outside"),
        (["ref", "not", ["main"]], "scope.outside"),
        (["path", "in", [f"{stage.workspace}/d"]], "scope.unknown"),
        (["host", "in", ["localhost"]], None),
    ):
        token = world.narrow(stage.everywhere(), caveat)
        if code is None:
            await stage.approved(token, "git_push", args)
        else:
            assert await stage.code(token, "git_push", args) == code
    unknown = {**args, "remote": "https://elsewhere.example/x"}
    token = stage.everywhere(["host", "in", ["localhost"]])
    assert await stage.code(token, "git_push", unknown) == "scope.unknown"
    assert await stage.approved_code(stage.everywhere(), "git_push", unknown) == "git.remote"
    with_head = {**args, "branch": "HEAD"}
    assert await stage.code(
        world.narrow(stage.everywhere(), ["ref", "in", ["HEAD"]]), "git_push", with_head
    ) in ("scope.unknown",)


async def test_a_push_and_a_pull_request_reach_a_forge_with_the_proxys_credential(
    tmp_path: Path,
) -> None:
    repositories = tmp_path / "forge"
    repositories.mkdir()
    forge = FakeForge(repositories)
    remote = forge.repository("team/x")
    with forge.serving():
        stage = GitStage(tmp_path, forge)
        token = stage.everywhere()
        args: dict[str, Any] = {**REPO, "remote": "origin", "branch": "main"}
        done = (await stage.approved(token, "git_push", args)).structured
        assert sh(remote, "rev-parse", "main") == done["commit"]
        asked = {**REPO, "remote": "origin", "head": "main", "base": "stable", "title": "T",
                 "body": "B"}  # fmt: skip
        made = (await stage.approved(token, "git_create_pr", asked)).structured
        assert made == {"url": f"{forge.url}/pulls/1", "number": 1}
        assert forge.pulls == [
            {"title": "T", "body": "B", "head": "main", "base": "stable",
             "path": "/api/v1/repos/team/x/pulls"}
        ]  # fmt: skip
        secret = HEADER.partition(": ")[2]
        assert {given for _, given in forge.requests} == {secret}
        no_forge = {**asked, "remote": "local"}
        assert await stage.approved_code(token, "git_create_pr", no_forge) == "forge.none"
    assert await stage.approved_code(token, "git_create_pr", asked) == "forge.failed"
    shown = str(stage.ledger.records()) + str(stage.reveals)
    assert secret not in shown
