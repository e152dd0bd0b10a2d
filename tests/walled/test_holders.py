"""The token that a wall's proxy works with is held by a key that was made for this wall."""

from __future__ import annotations

from pathlib import Path

import pytest

from nucleus import minting
from nucleus.home import Home
from nucleus_issuer import keyring
from nucleus_tokens import crypto
from nucleus_tokens.errors import CallerError
from tests.cli.command import Desk
from tests.walled.place import Place


@pytest.fixture
def home(desk: Desk) -> Home:
    return Home.find(desk.home, {})


def issued(desk: Desk, name: str, depth: int) -> tuple[str, bytes]:
    """A token of a key, and the key."""
    path = desk.root / f"{name}.key"
    if not path.exists():
        desk.key(name)
        desk.issue(name, "--holder-key", path, "--depth", depth, "--path", desk.root / "work")
    text = (desk.root / f"{name}.token").read_text().strip()
    return text, keyring.read_holder(path).private


def test_it_is_handed_to_a_new_key_each_time(desk: Desk, home: Home) -> None:
    text, key = issued(desk, "held", 2)
    made = [minting.bound(home, text, key, name) for name in ("vm:1", "vm:2")]
    assert len({private for _, private in made} | {key}) == 3
    for (bound, private), name in zip(made, ("vm:1", "vm:2"), strict=True):
        prefix = home.believed(bound).prefix
        assert prefix.holder.key == crypto.public_of(private)
        assert prefix.depth == 1
        assert [hop.to for hop in prefix.hops] == [name]


def test_a_token_without_its_key_is_not_used(desk: Desk, home: Home) -> None:
    """That of another wall: held by the key that was made for that one."""
    text, key = issued(desk, "held", 2)
    theirs, _ = minting.bound(home, text, key, "vm:1")
    _, ours = minting.bound(home, text, key, "vm:2")
    for private in (b"", ours, key):
        with pytest.raises(CallerError) as said:
            minting.bound(home, theirs, private, "vm:3")
        assert said.value.code == "run.holder"


def test_what_may_not_be_handed_on_stays_with_its_key(desk: Desk, home: Home) -> None:
    text, key = issued(desk, "last", 0)
    assert minting.bound(home, text, key, "vm:1") == (text, key)


def test_a_bearer_token_has_no_key(desk: Desk, home: Home) -> None:
    text = (desk.root / "agent.token").read_text().strip()
    assert minting.bound(home, text, b"", "vm:1") == (text, b"")


def test_the_command_wants_the_key_and_runs_with_it(place: Place) -> None:
    issued(place.desk, "held", 2)
    (place.folder / "out").mkdir()
    refused = place.run("--", "true", holds="held")
    assert "[run.holder]" in refused.ok(2).err
    key = ("--holder-key", place.desk.root / "held.key")
    done = place.run(*key, "--", "sh", "-c", place.calls("fs_read", path="README.md"), holds="held")
    assert "hello" in done.ok().out
    tid = place.desk.run("token", "inspect", place.desk.root / "held.token", "--json").ok().json
    assert f'"{tid["tid"]}"' in place.desk.run("trace", "show", "--json").ok().out


def test_a_run_of_a_profile_has_no_key_to_give(place: Place, tmp_path: Path) -> None:
    argv = place.argv("--holder-key", tmp_path / "no.key", "--", "true")
    at = argv.index("--token")
    argv[at : at + 2] = ["--profile", "read-only"]
    words = argv[argv.index("run") :]
    assert "run.which" in place.desk.run(*words).ok(2).err
