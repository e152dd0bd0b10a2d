"""kill -9 of the proxy at any point of a call of its own tools: a file is written, a command runs.

Every call needs a person, has a nonce and counts against a budget. After it was killed the host
lives again and is sent the very same request, and another one like it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nucleus_proxy.flowstate import FlowState
from nucleus_tokens import crypto
from nucleus_tokens.exposure import PRIVATE_DATA
from tests.algebra.reference import SCALE
from tests.kills.killing import ANY
from tests.kills.stage import KILLED, Client, Lives, Place
from tests.support import world

POLICY = """
version = 1
[wall]
id = "test"
shows = []
[workspace]
root = "{root}"
"""
STEPS = 2000  # a call has about so many
CALLS = {
    "fs_write": {"path": "out.txt", "content": "x\n"},
    "exec_bash": {"script": "echo x >> out.txt"},
}
OPERATIONS = {"fs_write": "write_files", "exec_bash": "run_bash"}
ARMED = ">CachingVerifier.authenticate#2"  # the call after the one that reads
# Until a person is asked, until the decision is durable, and until it is answered.
UNASKED = (
    "<CachingVerifier.authenticate",
    "<Judge.consider",
    "<RevealFile.__call__",
    "<SqlLedger.append",
    "<SqlDesk.ask",
)
UNDECIDED = (
    "<Judge.consider#2",
    "<RevealFile.__call__#2",
    ">SqlLedger._commit",
    "<SqlLedger._spend",
    ">append_record#2",
    "<SqlLedger._commit",
    ">SqlLedger._commit >Batches._commit",
)
DECIDED = (">SqlLedger._commit <Batches._commit", ">Permit.use")
EFFECTS = {
    "fs_write": (
        "<Permit.use", "<FlowState.wrote", ">posix.fchmod", ">posix.rename", "<posix.rename",
        "<posix.fsync#2",
    ),
    "exec_bash": (
        "<Permit.use", "<FlowState.mark", ">_posixsubprocess.fork_exec",
        "<_posixsubprocess.fork_exec", ">set_aside", ">_value",
    ),
}  # fmt: skip
RELEASING = (">Flow.saw", "<Flow.saw", ">Mediator.outcome", ">append_record#3", ">Line.send")
POINTS = [
    *(("fs_write", point) for point in (*UNASKED, *UNDECIDED, *DECIDED)),
    *((tool, point) for tool, some in EFFECTS.items() for point in (*some, *RELEASING)),
    *((tool, f"{ANY}#{n}") for tool in CALLS for n in range(100, STEPS, STEPS // (3 * SCALE))),
]  # fmt: skip


@pytest.fixture(scope="module")
def lives() -> Iterator[Lives]:
    made = Lives()
    yield made
    made.close()


@pytest.mark.parametrize(("tool", "point"), POINTS)
def test_killed_in_a_call(lives: Lives, tmp_path: Path, tool: str, point: str) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "a.txt").write_text("private")
    out = workspace / "out.txt"
    local = world.levels(
        read_files="always", write_files="always", edit_files="always", run_bash="always"
    )
    args = CALLS[tool]
    with Place(
        tmp_path, POLICY.replace("{root}", str(workspace)),
        local, ["path", "in", [str(workspace)]], ["budget", "calls", 9],
        obligations=[OPERATIONS[tool]],
    ) as place:  # fmt: skip
        request = place.signed(tool, args, "one")
        lives.begin(folder=str(tmp_path), point=f"{ARMED} {point}")
        client = Client(tmp_path)
        read = {"path": "a.txt"}
        client.send("fs_read", read, place.signed("fs_read", read, "read"), waits=False)
        assert client.answer() == "ok"
        assert place.seen() == PRIVATE_DATA
        client.send(tool, args, request, waits=True)
        asked = place.waiting(lambda: not client.silent())
        if asked is not None:
            place.approve(asked)
        assert client.answer() is None, "it answered"
        assert lives.ended() == KILLED, "the point was not met"
        client.close()

        decided = len(place.allowed()) - 1  # without the read
        assert out.exists() <= decided <= 1, "an effect without a decision"
        if not point.startswith(ANY):
            assert decided == (point not in (*UNASKED, *UNDECIDED)), "durable where it must be"

        lives.begin(folder=str(tmp_path))
        client = Client(tmp_path)
        answers = []
        for credential in (request, place.signed(tool, args, "two")):
            client.send(tool, args, credential, waits=False)
            answers.append(client.answer())
        client.close()
        lives.end()
        if decided:
            codes = [r["decision"].get("code") for r in place.records("decision")]
            assert codes[-2:] == ["request.replayed", None]
            assert answers == ["credential.refused", "approval.required"], "spent, and stays so"
        elif asked is not None:
            assert answers == ["ok", "approval.required"], "not spent, so it serves once"
        else:
            assert answers == ["approval.required"] * 2

        place.verified()
        allowed = len(place.allowed())
        assert allowed - 1 <= (asked is not None)
        assert place.spent("calls") == allowed
        assert place.seen() == PRIVATE_DATA, "what was seen is not forgotten"
    if out.exists():
        assert allowed == 2
        assert out.read_text() == "x\n", "once"
        with FlowState.open(tmp_path / "labels.db") as labels:
            known = labels.content(crypto.sha256(b"x\n"))
            assert (known or labels.marked(str(out))) is not None, "content without its label"
