"""Red team: whoever starts sub-agents, and whoever is started. Real cells, real processes."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from nucleus import EffectFailed, NucleusError, Session
from tests.support.patience import until
from tests.vmhost.cells import running
from tests.walled.spawning import Host, host, task


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with host(tmp_path_factory.mktemp("attack"), "attack") as made:
        yield made


def said(s: Session, agent: str, text: str, **more: Any) -> list[Any]:
    """What a sub-agent found, line by line."""
    done = s.agent.spawn(agent, task(text), **more)
    assert done.code == 0, str(done)
    return [json.loads(line) for line in str(done).splitlines()]


def test_no_caveat_widens_what_the_starter_or_the_operator_gave(here: Host) -> None:
    with here.session() as s:
        s.attenuate(["cap", {"write_files": "never"}])
        wide = [
            ["cap", {"write_files": "always", "run_bash": "always"}],
            ["path", "in", ["/", str(here.workspace)]],
        ]
        found = said(
            s, "reader",
            """
            say([code(call("fs_write", path="a.txt", content="x")),
                 code(call("fs_read", path="../b.txt")),
                 code(call("exec_run", argv=["id"])),
                 code(call("fs_read", path="a.txt"))])
            """,
            caveats=wide,
        )  # fmt: skip
        assert found == [["level.never", "scope.outside", "level.never", "ok"]]
        for caveats in ([["delegate", {}, ""]], [["req", {}]], [["only"]], [["nothing", 1]]):
            with pytest.raises(EffectFailed, match=r"spawn\.caveats"):
                s.agent.spawn("reader", "", caveats=caveats)
    assert (here.workspace / "docs" / "a.txt").read_text() == "inside"


def test_the_operators_caveats_cannot_be_left_out(here: Host) -> None:
    with here.session() as s:
        (found,) = said(s, "planner", 'say(code(call("fs_write", path="n", content="x")))')
    assert found == "level.never"
    assert not (here.workspace / "n").exists()


@pytest.mark.parametrize(
    "name", ["nobody", "", "reader ", "Reader", "../reader", "reader; id", "reader\n", "/bin/sh"]
)
def test_what_the_operator_does_not_name_is_not_started(here: Host, name: str) -> None:
    with here.session() as s, pytest.raises(NucleusError, match=r"spawn\.unknown"):
        s.agent.spawn(name, "say('started')")


def test_a_folder_outside_of_the_agents_own_is_refused(here: Host) -> None:
    (here.workspace / "docs" / "out").symlink_to("/etc")
    with here.session() as s:
        for folder in ("..", "/", ".", "docs/../..", "docs/out"):
            with pytest.raises(NucleusError, match=r"spawn\.directory"):
                s.agent.spawn("reader", "", directory=folder)


def test_a_task_is_never_an_argument_nor_a_variable(here: Host) -> None:
    text = "say([sys.argv[1:], sys.orig_argv[1:2]]) #'; id; $(id) `id` --version -c \\0 \x1b[31m"
    with here.session() as s:
        ((argv, program),) = said(s, "reader", text)
        (shown,) = said(
            s, "reader",
            """
            # task-text
            lines = open("/proc/self/cmdline").read() + open("/proc/self/environ").read()
            say(["task-text" in lines, "task-text" in "".join(os.environ.values())])
            """,
        )  # fmt: skip
    assert argv == ["first", "second"]
    assert program[0].endswith("agent.py")
    assert shown == [False, False]


def test_nothing_of_the_proxys_environment_is_inside(here: Host) -> None:
    with here.session() as s:
        (found,) = said(s, "reader", "say(dict(os.environ))")
    assert found.pop("GREETING") == "hello there"
    ours = {name for name, value in os.environ.items() if found.get(name) == value}
    assert ours <= {"LANG", "PATH", "LC_CTYPE"}
    assert {name for name in found if name.startswith("NUCLEUS")} == {
        "NUCLEUS_MCP",
        "NUCLEUS_TOOLS",
        "NUCLEUS_TOOLS_GRPC",
    }
    assert str(here.desk.home) not in json.dumps(found)


def test_it_finds_neither_its_own_token_nor_its_starters(here: Host) -> None:
    """By process, descriptor, file, socket or method."""
    with here.session() as s:
        names, methods, sockets = said(
            s, "looker",
            """
            found = {}
            def look(path):
                try: found[path] = open(path, "rb").read(1 << 20)
                except OSError: pass
            for at in os.listdir("/proc"):
                for name in ("environ", "cmdline", "mem", "maps"): look(f"/proc/{at}/{name}")
            for top in ("/run", "/tmp", "/home", "/root", os.path.dirname(WORK)):
                for place, _, files in os.walk(top):
                    if "/lib/python" not in place:  # the interpreter's own
                        for name in files: look(os.path.join(place, name))
            marks = (b"nuc1_", b"passphrase", b"bundle.json", b"tools.sock")
            say([path for path, text in found.items() if any(mark in text for mark in marks)])
            asked = []
            for method in ("nucleus/open", "nucleus/delegate", "nucleus/attenuate",
                           "nucleus/trace", "nucleus/exposure"):
                line = json.dumps({"jsonrpc": "2.0", "id": method, "method": method,
                                   "params": {"to": "me"}})
                call("fs_glob", directory=".", pattern="none")
                _server.stdin.write(line + "\\n"); _server.stdin.flush()
                asked.append("result" in json.loads(_server.stdout.readline()))
            say(asked)
            import socket
            def reached(path):
                try: socket.socket(socket.AF_UNIX).connect(path); return True
                except OSError: return False
            say([reached(SOCKET), reached(os.path.dirname(SOCKET))])
            """.replace("WORK", repr(str(here.workspace))).replace(
                "SOCKET", repr(str(here.served.socket))
            ),
        )  # fmt: skip
    assert names == []
    assert methods == [False] * 5
    assert sockets == [False, False]


def test_more_than_may_live_are_not_started(here: Host) -> None:
    """Two readers may live; six are asked for, and each of them would start more."""
    number = f"7{os.getpid()}.5"
    program = f"""
        call("agent_spawn", agent="reader", task="os.system('sleep {number}')")
        os.system("sleep {number}")
    """
    ended: list[str] = []

    def spawn(s: Session) -> None:
        try:
            s.agent.spawn("reader", task(program))
        except EffectFailed as error:
            ended.append(error.code)

    with here.session() as s:
        threads = [threading.Thread(target=spawn, args=(s,)) for _ in range(6)]
        for thread in threads:
            thread.start()
        until(lambda: len(ended) >= 4 and len(running(number)) >= 2, "four refusals")
        assert ended == ["spawn.full"] * 4
        assert len(running(number)) == 2
        here.desk.run("token", "revoke", "--rid", s.about.rid).ok()
        for thread in threads:
            thread.join(60)
        until(lambda: not running(number), "their end")
    assert len(ended) == 6


def test_a_chain_of_sub_agents_ends_where_the_operator_says(here: Host) -> None:
    """`planner` may hand on once: its sub-agent cannot, by whatever name."""
    with here.session() as s:
        (found,) = said(
            s, "planner",
            '''
            inner = "say([code(call('agent_spawn', agent=n, task='')) for n in NAMES])"
            inner = inner.replace("NAMES", "('planner', 'reader')")
            say(call("agent_spawn", agent="planner", task=inner)["structuredContent"]["output"])
            ''',
        )  # fmt: skip
    assert json.loads(found) == ["spawn.depth", "spawn.depth"]


def test_when_its_starter_goes_it_goes(here: Host) -> None:
    number = f"6{os.getpid()}.5"
    s = here.session()
    s.open()
    failed: list[str] = []

    def spawn() -> None:
        try:
            s.agent.spawn("reader", f"os.system('setsid sleep {number} & sleep {number}')")
        except NucleusError as error:
            failed.append(error.code)

    thread = threading.Thread(target=spawn)
    thread.start()
    until(lambda: len(running(number)) == 2, "the sub-agent")
    s.close()
    until(lambda: not running(number), "its end")
    thread.join(60)
    assert failed
