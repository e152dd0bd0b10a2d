"""What is pushed goes to the repository that the operator named, with a credential that only the
proxy knows: a policy file, the composition's own tools, and a forge that checks who comes."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nucleus import composing
from nucleus_proxy import policy
from nucleus_proxy.egress import compose
from nucleus_proxy.egress.secrets import BLANK, Credential, Secret
from nucleus_tokens.errors import CallerError
from tests.house.source import ROOT
from tests.proxy.fake_forge import FakeForge
from tests.proxy.git_stage import GitStage, sh
from tests.support import internet

KEY = "of-the-proxy"
BASIC = "Basic " + base64.b64encode(f"bot:{KEY}".encode()).decode()
REMOTES = """
[egress]
secrets = { forge = { file = "forge.token" }, other = { file = "missing" } }
[remotes.origin]
url = "https://localhost:{port}/team/x.git"
api = "https://localhost:{port}/api/v1"
secret = "forge"
user = "bot"
header = "authorization: token {}"
"""
PUSH: dict[str, Any] = {"remote": "origin", "branch": "main"}
PULL: dict[str, Any] = {
    "remote": "origin",
    "head": "main",
    "base": "stable",
    "title": "T",
    "body": "",
}


def written(folder: Path, forge: FakeForge) -> policy.PolicyFile:
    """The policy file, for where the forge listens."""
    text = REMOTES.replace("{port}", forge.url.rpartition(":")[2])
    text = f'version = 1\n[workspace]\nroot = "workspace"\n{text}'
    return policy.parse(text.encode(), base=folder)


@contextmanager
def staged(
    tmp_path: Path, forge: FakeForge, roots: str = "roots.pem"
) -> Iterator[tuple[GitStage, Path]]:
    """The tools as the composition makes them of a policy file; and the forge's repository."""
    remote = forge.repository("team/x")
    key = tmp_path / "forge.token"
    key.write_text(KEY + "\n")
    key.chmod(0o600)
    stage = GitStage(tmp_path)
    rules = written(tmp_path, forge)
    names = composing.secret_names(rules)
    assert names == {"forge"}, "what no tool uses is not read"
    secrets = compose.secrets(rules.egress, only=names)
    stage.tools |= composing.tools(rules, draw=stage.draw, roots=tmp_path / roots, secrets=secrets)
    stage.rebind()
    with forge.serving():
        yield stage, remote


@pytest.fixture
def forge(tmp_path: Path) -> FakeForge:
    (tmp_path / "forge").mkdir()
    _, chain, key = internet.make_authority(tmp_path, ["localhost"])
    return FakeForge(tmp_path / "forge", (chain, key))


async def test_git_and_the_forge_are_each_told_the_credential_their_way(
    tmp_path: Path, forge: FakeForge
) -> None:
    with staged(tmp_path, forge) as (stage, remote):
        token = stage.everywhere()
        repo = {"repo": str(stage.workspace)}
        done = (await stage.approved(token, "git_push", {**repo, **PUSH})).structured
        assert sh(remote, "rev-parse", "main") == done["commit"]
        made = (await stage.approved(token, "git_create_pr", {**repo, **PULL})).structured
        assert made["number"] == 1
    assert {given for path, given in forge.requests if path.startswith("/team")} == {BASIC}
    assert {given for path, given in forge.requests if path.startswith("/api")} == {f"token {KEY}"}
    said = str(stage.ledger.records()) + str(stage.reveals) + str([done, made])
    assert not any(secret in said for secret in (KEY, BASIC.split()[1]))


async def test_a_remote_that_echoes_its_credential_tells_it_to_nobody(
    tmp_path: Path, forge: FakeForge
) -> None:
    """A server refuses with what it was told, in both spellings, as its reason."""
    with staged(tmp_path, forge) as (stage, remote):
        hook = remote / "hooks" / "pre-receive"
        hook.write_text(f"#!/bin/sh\necho {KEY} {BASIC} >&2\nexit 1\n")
        hook.chmod(0o755)
        token, args = stage.everywhere(), {"repo": str(stage.workspace), **PUSH}
        with pytest.raises(CallerError, match=r"git\.failed") as refused:
            await stage.approved(token, "git_push", args)
    assert KEY not in str(refused.value)
    assert BASIC.split()[1] not in str(refused.value)
    assert sh(remote, "branch") == ""


async def test_a_forge_that_nobody_vouches_for_is_told_nothing(
    tmp_path: Path, forge: FakeForge
) -> None:
    """The roots of the composition are believed, by git too, and no others."""
    (tmp_path / "other").mkdir()
    internet.make_authority(tmp_path / "other", ["localhost"])
    with staged(tmp_path, forge, "other/roots.pem") as (stage, _):
        token, repo = stage.everywhere(), {"repo": str(stage.workspace)}
        assert await stage.approved_code(token, "git_push", {**repo, **PUSH}) == "git.failed"
        assert await stage.approved_code(token, "git_create_pr", {**repo, **PULL}) == "forge.failed"
    assert forge.requests == []


def test_what_comes_back_is_without_the_secret_in_either_spelling() -> None:
    made = Credential.basic("bot", Secret("forge", KEY.encode()))
    assert made.dangerously_value() == BASIC
    said = f"you are {BASIC}, or {KEY}!".encode()
    assert made.scrub(said) == b"you are Basic " + BLANK + b", or " + BLANK + b"!"
    assert KEY not in repr(made)


async def test_without_its_secret_a_remote_is_judged_and_not_asked(
    tmp_path: Path, forge: FakeForge
) -> None:
    """Whoever explains a call has no secret, and pushes nothing without it."""
    with staged(tmp_path, forge) as (stage, _):
        rules = written(tmp_path, forge)
        stage.tools |= composing.tools(rules, draw=stage.draw, roots=tmp_path / "roots.pem")
        stage.rebind()
        token, args = stage.everywhere(), {"repo": str(stage.workspace), **PUSH}
        assert await stage.owed(token, "git_push", args) == ["flow:derivation"]
        assert await stage.approved_code(token, "git_push", args) == "secret.source"
    assert forge.requests == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("https://localhost:9/team", "http://localhost:9/team"),
        ("https://localhost:9/api", "http://localhost:9/api"),
        ("https://localhost:9/team/x.git", "/srv/x.git"),
        ("https://localhost:9/team", "https://user@localhost:9/team"),
        ("https://localhost:9/team", "ssh://localhost/team"),
        ('secret = "forge"', 'secret = "another"'),
        ('secret = "forge"', ""),
        ('user = "bot"', 'user = "b:t"'),
        ('user = "bot"', 'token = "inline"'),
        ('header = "authorization: token {}"', 'header = "host: {}"'),
    ],
)
def test_one_mistake_refuses_the_file(tmp_path: Path, old: str, new: str) -> None:
    text = "version = 1\n" + REMOTES.replace("{port}", "9")
    policy.parse(text.encode(), base=tmp_path)
    inside = text.replace("[egress]", '[egress]\nprivate = { "localhost:9" = "127.0.0.1" }')
    policy.parse(inside.replace("https:", "http:").encode(), base=tmp_path)
    assert old in text
    with pytest.raises(CallerError, match=r"policy\."):
        policy.parse(text.replace(old, new).encode(), base=tmp_path)


def test_the_example_of_the_documentation_is_a_policy() -> None:
    page = (ROOT / "docs" / "spec" / "policy.md").read_text()
    example = page.split("## `remotes`")[1].split("```toml\n")[1].split("```")[0]
    made = policy.parse(b"version = 1\n" + example.encode(), base=Path("/etc")).remotes["origin"]
    assert (made.host, made.repository, made.user) == ("forge.example.com", "team/x", "bot")
