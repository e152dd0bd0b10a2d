"""A host with sub-agents: the real `nucleus session serve`, a policy that names some, and a program
that is theirs: it runs the Python text of its task, so they are compromised from the start.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nucleus import Session
from tests.cli.command import Desk
from tests.sdk.stage import Served, home, serving
from tests.vmhost.cells import PYTHON

PROFILE = """
name = "parent"
description = "May start sub-agents."
ttl_seconds = 3_600

[levels]
read_files = "always"
write_files = "always"
edit_files = "always"
glob_search = "always"
spawn_agent = "always"

[budget]
usd = "1"
tokens_in = 1_000
tokens_out = 1_000
"""
POLICY = """
version = 1
[wall]
id = "{wall}"
shows = []
[workspace]
root = "."
shows = ["private_data"]
[agents.reader]
argv = ["{python}", "{program}", "first", "second"]
readable = ["{installed}"]
shows = []
workspace = "docs"
env = { GREETING = "hello there" }
live = 2
[agents.looker]
argv = ["{python}", "{program}"]
readable = ["{installed}"]
shows = []
mode = "ro"
[agents.planner]
argv = ["{python}", "{program}"]
readable = ["{installed}"]
shows = []
depth = 1
caveats = [["cap", { write_files = "never" }]]
live = 4
[agents.absent]
argv = ["/opt/nobody/here"]
"""
PROGRAM = '''
import json, os, subprocess, sys

_server = None


def call(name, **arguments):
    """One call of the proxy's tools: its result as MCP has it."""
    global _server
    if _server is None:
        _server = subprocess.Popen([os.environ["NUCLEUS_MCP"]], stdin=-1, stdout=-1, text=True)
    call.number += 1
    params = {"name": name, "arguments": arguments}
    line = {"jsonrpc": "2.0", "id": call.number, "method": "tools/call", "params": params}
    _server.stdin.write(json.dumps(line) + "\\n")
    _server.stdin.flush()
    return json.loads(_server.stdout.readline())["result"]


call.number = 0


def code(result):
    """Of a refusal or a failure; "ok" without either."""
    found = result["_meta"]
    found = found.get("nucleus/refusal") or found.get("nucleus/failure") or {"code": "ok"}
    return found["code"]


def say(value):
    print(json.dumps(value), flush=True)


exec(sys.stdin.read())
'''


@dataclass(frozen=True)
class Host:
    """What serves, and what its sub-agents work in."""

    served: Served
    desk: Desk

    @property
    def workspace(self) -> Path:
        return self.served.workspace

    def session(self) -> Session:
        return self.served.session("parent")

    def printed(self) -> str:
        return "".join(self.desk.printed)


@contextmanager
def host(folder: Path, wall: str, *more: Any) -> Iterator[Host]:
    """A host whose sessions stand behind the wall `wall`; `more` words for who serves them."""
    desk = home(folder)
    installed = folder / "installed"
    installed.mkdir()
    program = installed / "agent.py"
    program.write_text(PROGRAM)
    workspace = folder / "work"
    (workspace / "docs").mkdir(parents=True)
    (workspace / "docs" / "a.txt").write_text("inside")
    (workspace / "b.txt").write_text("outside")
    policy = POLICY
    for name, value in (
        ("wall", wall), ("python", PYTHON), ("program", program), ("installed", installed),
    ):  # fmt: skip
        policy = policy.replace("{" + name + "}", str(value))
    words: list[Any] = [
        "--profile", desk.file("parent.toml", PROFILE),
        "--policy", desk.file("p.toml", policy), *more,
    ]  # fmt: skip
    with serving(desk, workspace, *words) as served:
        yield Host(served, desk)


def task(text: str) -> str:
    """A sub-agent's program."""
    return textwrap.dedent(text)
