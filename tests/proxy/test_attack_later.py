"""Red team: a file written today that somebody else runs tomorrow."""

from __future__ import annotations

from pathlib import Path

import pytest

from nucleus_proxy import later
from tests.proxy.native_stage import NativeStage

LATER = [
    ".git/hooks/pre-commit", ".git/config", ".git/info/attributes", "sub/.git/hooks/post-checkout",
    ".git", ".GIT/config", ".gitattributes", "sub/.gitmodules", ".github/workflows/ci.yml",
    ".gitlab-ci.yml", ".vscode/tasks.json", ".VSCode/tasks.json", ".idea/workspace.xml",
    "x.code-workspace", ".devcontainer/devcontainer.json", ".bashrc", ".profile", ".envrc",
    ".npmrc", "sub/.npmrc", ".pre-commit-config.yaml", ".husky/pre-push", "sitecustomize.py",
    "lib/evil.pth", "AGENTS.md", "agents.md", "CLAUDE.md", ".claude/settings.json",
    ".cursor/rules/x.mdc", ".cursorrules", ".mcp.json", ".ssh/authorized_keys", ".exrc",
    ".nucleus/policy.toml", ".config/git/config", ".config/systemd/user/x.service",
]  # fmt: skip
ORDINARY = ["src/main.py", "README.md", "git/hooks.md", "github/x.yml", "a.github", ".env",
            "tests/conftest.py", "Makefile", "profile", "docs/AGENTS.md.txt"]  # fmt: skip


@pytest.mark.parametrize("path", LATER)
def test_what_runs_later_is_known(path: str) -> None:
    assert later.runs_later(f"/srv/ws/{path}")


@pytest.mark.parametrize("path", ORDINARY)
def test_what_does_not_is_not(path: str) -> None:
    assert not later.runs_later(f"/srv/ws/{path}")


async def test_a_write_there_needs_a_persons_word(tmp_path: Path) -> None:
    stage = NativeStage(tmp_path)
    token = stage.everywhere()
    (tmp_path / ".git").mkdir()
    (tmp_path / "link").symlink_to(".git")
    (tmp_path / ".envrc").write_text("x")
    for path in (".git/hooks/pre-commit", "link/config", ".github/workflows/x.yml"):
        owed = await stage.owed(token, "fs_write", {"path": path, "content": "x"})
        assert owed == ["op:write_files"]
    owed = await stage.owed(token, "fs_edit", {"path": ".envrc", "old": "x", "new": "y"})
    assert owed == ["op:edit_files"]
    assert await stage.code(token, "fs_write", {"path": "src/x.py", "content": "x"}) == "ok"
    assert await stage.code(token, "fs_read", {"path": ".envrc"}) == "ok"
    assert not (tmp_path / ".git" / "hooks").exists()
