"""What a folder shows: secrets by their names are found, ordinary files are not taken for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from nucleus_tokens.errors import CallerError
from nucleus_vmhost import workspace

HIDDEN = [
    ".env", ".env.local", "a/.ENV", "deep/er/server.pem", "tls.KEY", "secrets/x", ".ssh/id_rsa",
    "id_ed25519.pub", ".npmrc", ".aws/credentials", "token", "token.txt", "tokens.json",
    "credentials", "credentials.json", "Password.txt", ".nucleus/policy.toml", ".netrc",
    ".git-credentials",
]  # fmt: skip
SHOWN = [
    "README.md", "token.py", "tokenizer.rs", "tokens/lattice.py", "password_reset.ts", "keys.md",
    "environment.yml", "src/secretsmanager.go", "credentials.md", "mykey.keys", "monkey",
    ".gitignore",
]  # fmt: skip


@pytest.mark.parametrize("name", HIDDEN)
def test_a_secret_by_its_name_is_hidden(tmp_path: Path, name: str) -> None:
    _make(tmp_path, name)
    hidden = _look(tmp_path).hidden
    path = str(tmp_path / name)
    assert any(path == each or path.startswith(each + "/") for each in hidden)


@pytest.mark.parametrize("name", SHOWN)
def test_a_program_or_a_text_is_no_secret(tmp_path: Path, name: str) -> None:
    _make(tmp_path, name)
    assert _look(tmp_path).hidden == ()


def test_what_a_token_forbids_is_hidden(tmp_path: Path) -> None:
    for name in ("a/b", "c/d"):
        _make(tmp_path, name)
    found = workspace.look(
        str(tmp_path), allowed=lambda path: "/c" not in path, runs_later=lambda _: False
    )
    assert found.hidden == (f"{tmp_path}/c",)


def test_what_a_link_with_a_secrets_name_leads_to_is_hidden(tmp_path: Path) -> None:
    _make(tmp_path, "config/production")
    (tmp_path / ".env").symlink_to("config/production")
    (tmp_path / ".env.out").symlink_to("/etc/passwd")
    assert _look(tmp_path).hidden == (f"{tmp_path}/config/production",)


def test_what_runs_later_is_found_once_and_set_aside_when_new(tmp_path: Path) -> None:
    _make(tmp_path, ".git/hooks/pre-commit")
    (tmp_path / "LATER.md").symlink_to("README.md")
    before = _look(tmp_path)
    assert before.frozen == (f"{tmp_path}/.git",)
    _make(tmp_path, "sub/.git/config")
    (tmp_path / "LATER.md").unlink()
    (tmp_path / "LATER.md").symlink_to("evil.md")
    moved = workspace.set_aside(before, _look(tmp_path), "set-aside")
    assert moved == (f"{tmp_path}/LATER.md", f"{tmp_path}/sub/.git")
    assert (tmp_path / ".git").exists()
    assert (tmp_path / "sub" / ".git.set-aside" / "config").exists()
    assert not (tmp_path / "sub" / ".git").exists()


def test_a_folder_that_is_too_large_to_look_at_is_not_shown(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        _make(tmp_path, name)
    with pytest.raises(CallerError, match="--workspace none"):
        workspace.look(str(tmp_path), allowed=bool, runs_later=lambda _: False, most=2)


def _look(root: Path) -> workspace.Shown:
    return workspace.look(
        str(root), allowed=bool, runs_later=lambda path: path.endswith(("/.git", "/LATER.md"))
    )


def _make(root: Path, name: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
