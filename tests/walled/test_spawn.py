"""A sub-agent is a process in a cell of its own: less power, no less seen, and ended with its
starter's token."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nucleus import EffectFailed, Session
from tests.support.patience import PATIENCE, until
from tests.vmhost.cells import running
from tests.walled.spawning import Host, host, task


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with host(tmp_path_factory.mktemp("spawn"), "spawn") as made:
        yield made


def test_it_works_in_its_folder_with_what_it_saw_carried_both_ways(tmp_path: Path) -> None:
    with host(tmp_path, "carried") as here, here.session() as s:
        s.fs.read("b.txt")  # the starter has seen something
        said = s.agent.spawn(
            "reader",
            f"WORK = {str(here.workspace)!r}"
            + task("""
                first = call("fs_read", path="a.txt")
                say([first["structuredContent"]["content"], first["_meta"]["nucleus/exposure"]])
                say([code(call("fs_read", path=at)) for at in ("../b.txt", "/etc/passwd")])
                say([at for at in (WORK, WORK + "/docs/a.txt") if os.path.exists(at)])
                say(code(call("agent_spawn", agent="reader", task="")))
            """),
            caveats=[["cap", {"write_files": "never"}]],
        )
        read, refused, seen, further = map(json.loads, str(said).splitlines())
        assert said.code == 0
        # Before the task reached it, its cell stood at its starter's.
        assert read == ["inside", ["private_data", "exfil_vector"]]
        assert refused == ["scope.outside", "scope.outside"]
        assert seen == [], "it is shown nothing: it reads by its tools"
        assert further == "spawn.depth"
        assert said.exposure >= {"private_data", "exfil_vector"}
        assert s.exposure >= said.exposure
        # Who it is stands in its token, signed by its starter.
        its = [r["record"] for r in here.served.trace() if "wall:reader-" in json.dumps(r)]
        assert its
        assert all(_handed(record) == ["delegate", "reader"] for record in its)


def _handed(record: dict[str, Any]) -> list[str]:
    kind, body, _ = record["token"]["caveats"][-1]
    return [kind, body["to"]]


def test_what_is_shown_to_it_has_been_seen_by_its_starter_in_the_end(tmp_path: Path) -> None:
    with host(tmp_path, "shown") as here, here.session() as s:
        assert s.exposure == set()
        said = s.agent.spawn("looker", "print(open('docs/a.txt').read(), end='')")
        assert str(said) == "inside"
        assert "private_data" in said.exposure
        assert "private_data" in s.exposure


@pytest.mark.parametrize("whose", ["its starter's", "its own"])
def test_revoking_the_token_kills_the_process(here: Host, whose: str) -> None:
    number = f"8{os.getpid()}.{len(whose)}"
    ended: list[Any] = []

    def spawn(s: Session) -> None:
        program = f"call('fs_glob', directory='.', pattern='*'); os.system('sleep {number}')"
        try:
            ended.append(s.agent.spawn("planner", program))
        except EffectFailed as error:
            ended.append(error)

    with here.session() as s:
        thread = threading.Thread(target=spawn, args=(s,))
        thread.start()
        try:
            until(lambda: running(number) or ended, "the sub-agent")
            assert not ended, ended
            what = ("--rid", s.about.rid)
            if whose == "its own":
                what = ("--record", str(_its_call(here)))
            here.desk.run("token", "revoke", *what).ok()
            until(lambda: not running(number), "its end")
        finally:
            here.desk.run("token", "revoke", "--rid", s.about.rid)
            thread.join(PATIENCE)
        (end,) = ended
        if whose == "its own":
            assert end.code == 137
        else:
            assert "token.revoked" in str(end)


def _its_call(here: Host) -> int:
    """The record of a call that the last sub-agent made."""
    found = [(each["seq"], each["record"]) for each in here.served.trace()]
    return max(n for n, r in found if "facts" in r and r["facts"]["wall"][0].startswith("wall:pl"))


def test_one_that_cannot_be_started_says_so_and_the_operator_hears_why(here: Host) -> None:
    with here.session() as s, pytest.raises(EffectFailed, match=r"spawn\.failed") as failed:
        s.agent.spawn("absent", "")
    assert "/opt/nobody" not in str(failed.value)
