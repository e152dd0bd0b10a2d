"""Red team: the token of one machine, taken out of the process that worked with it.

It is held by the key that was made for that machine and, where there is a trust domain, by the
machine's SPIFFE ID as well. Both are missing wherever it is taken.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from nucleus import composing, minting
from nucleus.home import Home
from nucleus_issuer import keyring
from nucleus_proxy import policy as policies
from nucleus_proxy.answers import Granted, Presented, Refusal
from nucleus_proxy.mediator import Mediator
from nucleus_proxy.waiting import Caller
from nucleus_tokens import holding
from nucleus_tokens.errors import CallerError
from tests.cli.command import Desk
from tests.vm.machines import memory
from tests.walled.place import Place

WALLS = ("spiffe://example.org/vm/0123456789abcdef", "spiffe://example.org/vm/fedcba9876543210")


class Stage:
    """A verifier of this host, and the tokens of two machines with the keys made for them."""

    def __init__(self, home: Home, place: Place, mediator: Mediator, tools: Any) -> None:
        self.home, self.mediator, self.tools = home, mediator, tools
        self.args = {"path": str(place.folder / "README.md")}
        root = place.desk.root
        text = (root / "two.token").read_text().strip()
        key = keyring.read_holder(root / "two.key").private
        self.made = [minting.bound(home, text, key, wall) for wall in WALLS]

    def signed(self, token: str, private: bytes) -> str:
        """The credential for one call, with the proof of this key."""
        return holding.request(
            holding.read_token(token),
            private,
            tool="fs_read",
            args=self.args,
            time=self.home.clock(),
            nonce=os.urandom(16).hex(),
            instance=self.mediator.instance,
        )

    async def shown(self, text: str, peer: str | None) -> Granted | Refusal:
        """What comes of it, shown by a peer with this identity."""
        done = await self.mediator.call(
            Presented(text, "carried", peer),
            partial(self.tools["fs_read"].bind, self.args, ""),
            progress=_unheard,
            caller=Caller(waits=False),
        )
        assert isinstance(done, Granted | Refusal)
        return done


async def _unheard(_: str) -> None:
    return None


@pytest.fixture
def stage(desk: Desk, place: Place) -> Iterator[Stage]:
    if not (desk.root / "two.key").exists():
        desk.key("two")
        key = desk.root / "two.key"
        desk.issue("two", "--holder-key", key, "--depth", 2, "--path", desk.root / "work")
    home = Home.find(desk.home, {})
    rules = composing.at(policies.parse(b"version = 1\n"), place.folder)
    tools = composing.tools(rules, draw=home.random)
    with home.store() as store, home.reveals() as reveals:
        mediator = home.mediator(store, composing.with_tools(rules, tools), reveals)
        mediator.open()
        yield Stage(home, place, mediator, tools)


async def test_both_halves_of_a_holder_are_wanted(stage: Stage) -> None:
    (token, key), (_, another) = stage.made
    ours, theirs = WALLS
    refused = [
        await stage.shown(text, peer)
        for text, peer in (
            (token, None),  # the bare token
            (token, ours),
            (stage.signed(token, another), ours),  # the key of another machine
            (stage.signed(token, key), None),  # its key, and nobody's identity
            (stage.signed(token, key), theirs),  # the identity of another machine
            (stage.signed(token, key), f"{ours}/agent"),  # what the agent inside can be
        )
    ]
    for each in refused:
        assert isinstance(each, Refusal), each
        assert each.code == "credential.refused"
    assert isinstance(await stage.shown(stage.signed(token, key), ours), Granted)


def test_the_host_half_of_another_machine_does_not_take_it(stage: Stage, place: Place) -> None:
    (token, _), (_, another) = stage.made
    (place.desk.root / "stolen.token").write_text(token)
    (place.desk.root / "stolen.token").chmod(0o600)
    for words in ((), ("--holder-key", place.desk.root / "two.key")):
        assert "[run.holder]" in place.run(*words, "--", "true", holds="stolen").ok(2).err
    with pytest.raises(CallerError):
        minting.bound(stage.home, token, another, WALLS[1])


@pytest.mark.usefixtures("stage")
def test_the_key_that_handed_it_on_is_not_in_the_process_that_uses_it(place: Place) -> None:
    """As with a profile: what could hand it on again has ended before the agent starts."""
    key = place.desk.root / "two.key"
    argv = place.argv("--holder-key", key, "--", "sh", "-c", "echo begun; cat", holds="two")
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        cwd=place.folder, env=place.desk.environ(), start_new_session=True,
    ) as running:  # fmt: skip
        assert running.stdout is not None
        assert running.stdout.readline() == b"begun\n"
        found = memory(running.pid)
        running.communicate(b"", timeout=60)
    private = keyring.read_holder(key).private
    assert b"begun" in found
    assert private not in found
    assert private.hex().encode() not in found
