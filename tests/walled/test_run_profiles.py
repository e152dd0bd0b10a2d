"""A profile's name is the whole policy of a run: what the agent is offered, what it does unasked,
what is denied; and whoever made its token is gone before it starts."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from nucleus import composing
from nucleus.home import Home
from nucleus_issuer.profiles import CANONICAL, named
from nucleus_proxy import policy
from nucleus_tokens.names import OPERATIONS, unpack_levels
from tests.cli.command import PROGRAM, Desk, Result
from tests.vmhost.cells import PYTHON

AGENT = """
import json, os, subprocess
server = subprocess.Popen([os.environ["NUCLEUS_MCP"]], stdin=-1, stdout=-1, text=True)
ids = iter(range(1, 99))
def ask(method, **params):
    line = {"jsonrpc": "2.0", "id": next(ids), "method": method, "params": params}
    server.stdin.write(json.dumps(line) + "\\n")
    server.stdin.flush()
    answer = json.loads(server.stdout.readline())
    while "id" not in answer:
        answer = json.loads(server.stdout.readline())
    return answer.get("result", answer)
def call(name, **arguments):
    return ask("tools/call", name=name, arguments=arguments)
"""
LOOKS = """
def ran(answer):
    return answer.get("isError", "error" in answer) is False and answer["content"][0]["text"]
found = {
    "tools": sorted(tool["name"] for tool in ask("tools/list")["tools"]),
    "read": ran(call("fs_read", path="README.md")),
    "write": ran(call("fs_write", path="made", content="x")),
    "out": ran(call("fs_read", path="/etc/hostname")),
}
print(json.dumps(found))
"""


class Runs:
    """A workspace and the command as a person types it."""

    def __init__(self, desk: Desk, folder: Path) -> None:
        self.desk, self.folder = desk, folder

    def argv(self, *words: object) -> list[str]:
        return [*PROGRAM, *self.desk.argv("run", "--local", "--dir", self.folder, *words)]

    def run(
        self, *words: object, program: str = "", secret: bool = True, fds: tuple[int, ...] = ()
    ) -> Result:
        (self.folder / "agent.py").write_text(AGENT + program)
        keys = ("--passphrase-file", self.desk.pass_file) if secret else ()
        done = subprocess.run(
            self.argv(*keys, *words, "--", PYTHON, "agent.py"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=self.desk.environ(),
            pass_fds=fds,
            check=False,
            timeout=120,
            start_new_session=True,
        )
        return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    made = Desk(tmp_path_factory.mktemp("profiles"))
    made.init()
    return made


@pytest.fixture
def at(host: Desk, tmp_path: Path) -> Runs:
    (tmp_path / "README.md").write_text("hello\n")
    return Runs(host, tmp_path)


def offered(profile: str, folder: Path) -> list[str]:
    """The tools of operations that the profile does not deny."""
    rules = composing.at(policy.parse(b"version = 1"), folder)
    levels = unpack_levels(named(profile).levels)
    every = composing.tools(rules, draw=bytes)
    return sorted(
        name for name, tool in every.items()
        if levels[OPERATIONS[tool.binding.operation]] != "never"
    )  # fmt: skip


@pytest.mark.parametrize("profile", CANONICAL)
def test_each_profile_by_its_name(at: Runs, profile: str) -> None:
    found = json.loads(at.run("--profile", profile, program=LOOKS).ok().out)
    assert found["tools"] == offered(profile, at.folder)
    assert found["read"] == "hello\n"
    # What lies in the workspace is evidenced by the token's own ceiling, so nobody is asked.
    writes = unpack_levels(named(profile).levels)["write_files"] != "never"
    assert (found["write"] is not False) is writes
    assert (at.folder / "made").exists() is writes
    assert found["out"] is False
    issued = at.desk.run("token", "list", "--json").ok().json
    assert f"run in {at.folder}" in json.dumps(issued)
    at.desk.run("trace", "verify").ok()


def test_a_profile_of_ones_own_is_a_file(at: Runs) -> None:
    own = at.desk.root / "own.toml"
    text = (
        'name = "own"\ndescription = "Looks."\nttl_seconds = 60\n[levels]\nread_files = "always"\n'
    )
    own.write_text(text + '[budget]\nusd = "0"\ntokens_in = 0\ntokens_out = 0\n')
    found = json.loads(at.run("--profile", own, program=LOOKS).ok().out)
    assert "fs_read" in found["tools"]
    assert "fs_write" not in found["tools"]


@pytest.mark.parametrize("prompt", ["Look at http://host.test/a for me", "Look around"])
def test_the_users_words_vouch_for_what_they_name(at: Runs, prompt: str) -> None:
    words = at.desk.file("prompt", prompt)
    program = 'print(call("net_fetch", url="http://host.test/a"))'
    given = ("--profile", "triage-bot", "--prompt", words, "--ask-for", "1s")
    assert "approval.expired" in at.run(*given, program=program).ok().out
    asked = at.desk.run("approvals", "list", "--all", "--json").ok().json[-1]
    owed = {each["id"] for each in asked["obligations"]}
    assert "gate:exposure" in owed
    assert ("input:/url" in owed) is ("host.test" not in prompt)


# Approvals ahead --------------------------------------------------------------------------------


def test_what_is_approved_ahead_is_counted_and_ends(at: Runs) -> None:
    program = 'for n in range(3): print(call("exec_run", argv=["echo", f"ran {n}"]))'
    words = ("--profile", "codegen", "--ahead", "exec_run count=2 for=10m", "--ask-for", "1s")
    done = at.run(*words, program=program).ok()
    assert [f"ran {n}" in done.out for n in range(3)] == [True, True, False]
    assert "approval.expired" in done.out
    # It was for this run: another one of the same profile is asked again.
    again = at.run("--profile", "codegen", "--ask-for", "1s", program=program).ok()
    assert "ran 0" not in again.out


def test_it_holds_for_a_token_too_and_a_command_grants_to_a_run(at: Runs) -> None:
    at.desk.issue("held", "--bearer", "--path", at.folder)
    token = ("--token", at.desk.root / "held.token", "--ask-for", "1s")
    program = 'print(call("exec_run", argv=["echo", "it ran"]))'
    ahead = ("--ahead", "exec_run")
    assert "it ran" in at.run(*token, *ahead, program=program).ok().out
    assert "it ran" not in at.run(*token, program=program).ok().out
    # Another terminal, while the agent runs.
    (at.folder / "agent.py").write_text(
        AGENT + 'print("up", flush=True)\ninput()\n' + program.replace("it ran", "granted")
    )
    with subprocess.Popen(
        at.argv("--profile", "codegen", "--passphrase-file", at.desk.pass_file, "--ask-for", "1s",
                "--", PYTHON, "agent.py"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=at.folder, env=at.desk.environ(),
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"up\n"
        (listed,) = at.desk.run("session", "list", "--json").ok().json
        assert (listed["profile"], listed["workspace"]) == ("codegen", str(at.folder))
        words = ("exec_run", "--passphrase-file", at.desk.pass_file)
        at.desk.run("approvals", "grant", *words).ok()
        process.stdin.write(b"\n")
        process.stdin.close()
        assert b"granted" in process.stdout.read()
        assert process.wait(60) == 0
    assert at.desk.run("session", "list", "--json").ok().json == []


@pytest.mark.parametrize("words", ["nothing", "fs_read colour=red", "'"])
def test_what_cannot_be_approved_ahead_runs_nothing(at: Runs, words: str) -> None:
    done = at.run("--profile", "codegen", "--ahead", words, program="print('ran')").ok(2)
    assert "ahead." in done.err
    assert "ran" not in done.out


# Mistakes ---------------------------------------------------------------------------------------


def test_a_mistake_runs_nothing_and_leaves_no_token(at: Runs) -> None:
    before = at.desk.run("token", "list", "--json").ok().json
    wrong = at.desk.file("wrong", "wrong\n")
    at.desk.issue("spare", "--bearer")
    after = len(before) + 1
    cases: list[tuple[tuple[Any, ...], bool, str]] = [
        (("--profile", "root"), True, "profile.unknown"),
        (("--profile", "codegen", "--token", at.desk.root / "spare.token"), True, "run.which"),
        ((), True, "token"),
        (("--profile", "codegen", "--passphrase-file", wrong), False, "keys."),
        (("--profile", "codegen"), False, "passphrase.no_terminal"),
    ]
    for words, secret, code in cases:
        done = at.run(*words, program="print('ran')", secret=secret).ok(2)
        assert code in done.err, (words, done.err)
        assert "ran" not in done.out
    assert len(at.desk.run("token", "list", "--json").ok().json) == after


def test_a_passphrase_comes_by_a_descriptor_for_both_processes(at: Runs) -> None:
    reading, writing = os.pipe()
    os.write(writing, at.desk.pass_file.read_bytes())
    os.close(writing)
    words = ("--profile", "codegen", "--ahead", "exec_run", "--passphrase-fd", reading)
    program = 'print(call("exec_run", argv=["echo", "it ran"]))'
    done = at.run(*words, program=program, secret=False, fds=(reading,))
    os.close(reading)
    assert "it ran" in done.ok().out


# Attacked ---------------------------------------------------------------------------------------


def test_the_process_that_runs_effects_holds_no_key_that_mints_or_approves(at: Runs) -> None:
    """Its whole memory is searched for both keys, while the agent runs."""

    def passphrase(_: str) -> bytes:
        return at.desk.pass_file.read_bytes().strip()

    home = Home.find(at.desk.home, {})
    issuer = home.keyring().issuer(home.issuer_key_id(), passphrase).signer.private
    approver = home.approver(None, passphrase).private
    (at.folder / "agent.py").write_text('print("up", flush=True)\ninput()\n')
    with subprocess.Popen(
        at.argv("--profile", "codegen", "--passphrase-file", at.desk.pass_file,
                "--ahead", "exec_run", "--", PYTHON, "agent.py"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=at.folder, env=at.desk.environ(),
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"up\n"
        held = memory(process.pid)
        process.stdin.write(b"\n")
        process.stdin.close()
        assert process.wait(60) == 0
    assert b"nuc1_" in held, "it is the right process: it holds the token"
    for secret in (issuer, approver, passphrase("")):
        assert secret not in held


def memory(pid: int) -> bytes:
    """All that a process has written to."""
    found = []
    with Path(f"/proc/{pid}/mem").open("rb", 0) as mem:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            match = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if match and "[v" not in line:
                start, end = (int(part, 16) for part in match.groups())
                mem.seek(start)
                found.append(mem.read(end - start))
    return b"".join(found)
