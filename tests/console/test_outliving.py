"""A request outlives the proxy that asked, and several approvers are several people."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from nucleus import ApprovalRequired, approve
from nucleus.approver import Answering, Approve, Question
from nucleus.console.pages import sections
from nucleus.home import Home
from nucleus.looking import look
from nucleus_issuer.bundle import TrustedApprover
from nucleus_issuer.keys import Key
from tests.cli.command import PASSPHRASE, Desk
from tests.sdk.stage import home, serving
from tests.support import world
from tests.support.patience import until as until_true

# A proxy that makes one call, over the home's own store, and says how it went.
PROXY = """
import asyncio, sys
from pathlib import Path
from nucleus.home import Home
from nucleus_proxy import binding, policy
from nucleus_proxy.answers import Presented
from nucleus_proxy.waiting import Caller
rules = policy.parse(b'''version = 1
obligations = ["read_files"]
[wall]
id = "w"
shows = []
[tools.read]
operation = "read_files"
selectors = { "/path" = "path" }
''')
async def told(message):
    print(message, flush=True)
async def call(mediator, token):
    def build():
        args = {"path": "/srv/a.txt"}
        return binding.bind("read", args, rules.tools["read"], binding.Hints(), "/")
    held = Presented(token, "held")
    return await mediator.call(held, build, progress=told, caller=Caller())
place = Home.find(Path(sys.argv[1]), {})
with place.store() as store:
    mediator = place.mediator(store, rules, lambda _: None)
    mediator.open()
    print(type(asyncio.run(call(mediator, Path(sys.argv[2]).read_text().strip()))).__name__)
"""


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return home(tmp_path)


def _proxy(desk: Desk, token: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROXY, str(desk.home), str(token)],
        stdout=subprocess.PIPE,
        env=desk.environ(),
        text=True,
    )


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def _killed(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate(timeout=60)


def test_a_request_outlives_the_proxy_that_asked(desk: Desk) -> None:
    token = desk.issue("agent", "--bearer")
    words = ("--passphrase-file", desk.pass_file)

    def waiting() -> list[str]:
        return [row["id"] for row in desk.run("approvals", "list", "--json").ok().json]

    first = _proxy(desk, token)
    assert "waiting for approval" in _line(first)
    _killed(first)
    (request,) = waiting()
    again = _proxy(desk, token)
    assert request in _line(again), "it waits for what was asked before"
    assert waiting() == [request]
    desk.run("approvals", "approve", request, *words).ok()
    out, _ = again.communicate(timeout=60)
    assert out.strip() == "Granted"
    # Once is once: the next call is another question; what is answered meanwhile counts.
    third = _proxy(desk, token)
    _line(third)
    _killed(third)
    (other,) = waiting()
    assert other != request
    desk.run("approvals", "approve", other, *words).ok()
    last = _proxy(desk, token)
    out, _ = last.communicate(timeout=60)
    assert out.strip() == "Granted", "nobody was asked"


def test_two_approvers_are_two_people(desk: Desk, tmp_path: Path) -> None:
    second = Key("approver", "second", world.public("second"), world.secret("second"))
    place = Home.find(desk.home, {})
    bundle = place.keyring().bundle()
    trusted = TrustedApprover("second", second.public, ("read_files",))
    path = place.keys_directory / "bundle.json"
    path.write_bytes(replace(bundle, approvers=(*bundle.approvers, trusted)).encode())
    rules = desk.file(
        "two.toml", 'version = 1\nobligations = ["read_files"]\n[quorum]\nread_files = 2\n'
    )
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "x").write_text("x")
    told: list[str] = []

    def hears(_: Question, sentence: str) -> None:
        told.append(sentence)

    with (
        ThreadPoolExecutor(1) as pool,  # ended last: a call that waits ends with its session
        serving(desk, workspace, "--profile", "codegen", "--policy", rules) as served,
        served.session() as s,
        place.store() as store,
    ):
        alice = Answering(place, store, place.approver("alice", lambda _: PASSPHRASE), told=hears)
        other = Answering(place, store, second, told=hears)
        call = pool.submit(approve, "read", s.fs.read, "x")

        def until(desk_of: Answering, voices: tuple[str, ...]) -> Question:
            found: list[Question] = []

            def shown() -> bool:
                found[:] = [each for each in desk_of.questions() if each.voices == voices]
                return bool(found)

            until_true(shown, f"a question answered by {voices}")
            return found[0]

        asked = until(alice, ())
        assert asked.needed == 2
        assert alice.settle(asked, Approve()) == 1
        assert told == ["Approved by alice. 1 more must approve it."]
        asked = until(alice, ("alice",))
        assert alice.once(lambda _: Approve()) == 0, "the same person is not asked twice"
        assert not call.done()
        # On every surface: who has spoken, and no second yes of theirs.
        page = sections(look(place, store, alice), "")["approvals"]
        assert "2 approvers; so far alice" in page
        assert 'value="once"' not in page
        assert 'value="deny"' in page
        theirs = sections(look(place, store, other), "")["approvals"]
        assert 'value="once"' in theirs
        assert "2 approvers; so far alice" in desk.run("approvals", "list").ok().out
        (row,) = desk.run("approvals", "list", "--json").ok().json
        words = ("--passphrase-file", desk.pass_file)
        said = desk.run("approvals", "approve", row["id"], *words).ok(2)
        assert "[approval.voice]" in said.err
        assert other.settle(until(other, ("alice",)), Approve()) == 1
        assert str(call.result(60)) == "x"
        with pytest.raises(ApprovalRequired):
            s.fs.read("x")
