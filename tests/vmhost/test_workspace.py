"""Secrets by their names are found, and ordinary files are not taken for them."""

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
    hidden = _hidden(tmp_path)
    path = str(tmp_path / name)
    assert any(path == each or path.startswith(each + "/") for each in hidden)


@pytest.mark.parametrize("name", SHOWN)
def test_a_program_or_a_text_is_no_secret(tmp_path: Path, name: str) -> None:
    _make(tmp_path, name)
    assert _hidden(tmp_path) == ()


def test_what_a_link_with_a_secrets_name_leads_to_is_hidden(tmp_path: Path) -> None:
    _make(tmp_path, "config/production")
    (tmp_path / ".env").symlink_to("config/production")
    (tmp_path / ".env.out").symlink_to("/etc/passwd")
    assert _hidden(tmp_path) == (f"{tmp_path}/config/production",)


def test_of_a_repository_only_its_configuration_is_a_secret(tmp_path: Path) -> None:
    for name in (".git/config", ".git/refs/heads/token", ".git/hooks/pre-push", "a/.git/config"):
        _make(tmp_path, name)
    assert _hidden(tmp_path) == (f"{tmp_path}/.git/config", f"{tmp_path}/a/.git/config")


def test_a_folder_that_is_too_large_to_look_at_is_not_shown(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        _make(tmp_path, name)
    with pytest.raises(CallerError, match="--workspace none"):
        workspace.secrets([str(tmp_path)], most=2)


def test_a_file_that_is_shown_alone_is_hidden_where_it_has_the_name_of_a_secret(
    tmp_path: Path,
) -> None:
    for name in (".env", "plain"):
        _make(tmp_path, name)
    tops = [f"{tmp_path}/{name}" for name in (".env", "plain", "not-yet")]
    assert workspace.secrets(tops) == (f"{tmp_path}/.env",)


def _hidden(root: Path) -> tuple[str, ...]:
    return workspace.secrets([str(root)])


def _make(root: Path, name: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
