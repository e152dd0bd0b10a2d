"""Any agent runs in a microVM unmodified, with a copy of what it may see, and one road out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.vm.machines import alive, children, memory, qemu_of, said
from tests.walled.place import Place, code

ASKED = b"anything else to deny it: "

# An agent that knows of MCP and of nothing else.
AGENT = """
import json, os, subprocess
server = subprocess.Popen([os.environ["NUCLEUS_MCP"]], stdin=-1, stdout=-1, text=True)
def call(number, tool, **arguments):
    params = {"name": tool, "arguments": arguments}
    line = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}
    server.stdin.write(json.dumps(line) + "\\n"); server.stdin.flush()
    while True:
        said = json.loads(server.stdout.readline())
        if said.get("id") == number:
            return json.dumps(said)
print("copy", open("README.md").read().strip())
print("read", call(1, "fs_read", path="README.md"))
print("push", call(2, "git_push", repo=".", remote="origin", branch="main"))
print("wrote", call(3, "fs_write", path="AGENTS.md", content="by the agent"))
server.stdin.close(); server.wait()
print("finished")
"""


def test_an_agent_reads_is_denied_a_push_asks_is_granted_and_finishes(place: Place) -> None:
    (place.folder / "agent.py").write_text(AGENT)
    out, status = place.typed("--", "python3", "agent.py", dialogue=[(ASKED, code)])
    said = {word: line for line in out.decode().splitlines() for word in [line.split(" ")[0]]}
    assert status == 0, out
    assert said["copy"].rstrip() == "copy hello"
    assert json.loads(said["read"][5:])["result"]["structuredContent"]["content"] == "hello\n"
    assert "level.never" in said["push"]
    assert "finished" in said
    assert "Approved by" in out.decode()
    assert (place.folder / "AGENTS.md").read_text() == "by the agent"
    place.desk.run("trace", "verify").ok()
    last = json.dumps(place.desk.run("trace", "show", "--json").ok().json)
    assert "wall:vm:" in last
    assert "level.never" in last


def test_inside_there_is_no_network_no_host_and_no_other_user(place: Place) -> None:
    script = (
        "cat; echo wrong >&2; ls /sys/class/net; ip route; cat /etc/resolv.conf; id -un;"
        "ls /run/first /proc/1/environ; ls -d /home/*; nslookup example.org 127.0.0.1;"
        "grep -c . /proc/net/route; date +%s; pwd; exit 5"
    )
    done = place.run("--", "sh", "-c", script, stdin=b"typed\n")
    lines = done.out.splitlines()
    assert done.code == 5
    assert lines[:3] == ["typed", "lo", "agent"]
    assert lines[-1] == str(place.folder)
    assert abs(int(lines[-2]) - place.folder.stat().st_mtime) < 600, "the clock is right"
    assert "/home/agent" in lines
    assert "wrong\n" in done.err
    assert done.err.count("ermission denied") >= 1
    assert "can't resolve" in done.out + done.err or "refused" in done.out + done.err


def test_what_is_hidden_is_not_copied_and_what_is_written_stays_inside(place: Place) -> None:
    (place.folder / ".env").write_text("KEY=1")
    (place.folder / "link").symlink_to("/etc/hostname")
    (place.folder / "sub").mkdir()
    (place.folder / "sub" / "tool").write_text("#!/bin/sh\necho ran\n")
    (place.folder / "sub" / "tool").chmod(0o755)
    script = "ls -A; sub/tool; echo new > README.md; cat README.md link"
    done = place.run("--", "sh", "-c", script)
    assert done.out.split() == ["README.md", "link", "sub", "ran", "new"]
    assert (place.folder / "README.md").read_text() == "hello\n"


def test_no_secret_of_the_host_is_in_the_machine(place: Place) -> None:
    """Searched for in all memory of the machine, while the agent runs."""
    running = place.start("--", "sh", "-c", "echo begun-here-$((1+1)); cat")
    try:
        said(running, b"begun-here-2\n")
        found = memory(qemu_of(running.pid))
    finally:
        _, err = running.communicate(b"", timeout=60)
    assert running.returncode == 0, err
    assert b"begun-here-" in found, "this is the machine's memory"
    token = (place.desk.root / "agent.token").read_bytes().strip()
    assert token[:5] == b"nuc1_"
    secrets = {token, token[20:60], place.desk.pass_file.read_bytes().strip()}
    for path in place.desk.home.rglob("*"):
        if path.is_file() and path.suffix in (".key", ".json", ".toml", ".pem"):
            for line in path.read_bytes().splitlines():
                secrets |= {line.strip()} if len(line.strip()) >= 24 else set()
    assert len(secrets) > 3
    for secret in secrets:
        assert secret not in found
    assert os.fsencode(place.desk.home) not in found, "nor where they are"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_of_a_run_that_is_killed_nothing_is_left(
    place: Place, how: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = Path(tempfile.mkdtemp(prefix="n", dir="/tmp"))  # short: sockets are in it
    monkeypatch.setitem(place.desk.env, "TMPDIR", str(scratch))
    running = place.start("--", "sh", "-c", "echo begun; cat")
    said(running, b"begun\n")
    listed = place.desk.run("vm", "list", "--json").ok().json
    assert [each["pid"] for each in listed] == [running.pid]
    family = children(running.pid)
    assert len(family) >= 3
    running.send_signal(how)
    running.communicate(timeout=60)
    for _ in range(2000):
        if not any(map(alive, family)):
            break
        signal.sigtimedwait([], 0.01)
    assert not [pid for pid in family if alive(pid)]
    assert place.desk.run("vm", "list", "--json").ok().json == []
    assert not list(scratch.iterdir())
    scratch.rmdir()
    place.desk.run("trace", "verify").ok()


def test_a_person_ends_a_machine_and_reads_what_it_printed(place: Place) -> None:
    running = place.start("--", "sh", "-c", "echo begun; cat")
    said(running, b"begun\n")
    (listed,) = place.desk.run("vm", "list", "--json").ok().json
    assert place.desk.run("vm", "kill", listed["id"]).ok().out == f"ended {listed['id']}\n"
    running.communicate(timeout=60)
    assert running.returncode == 128 + signal.SIGTERM
    place.desk.run("vm", "logs", listed["id"]).ok()
    assert "vm.which" in place.desk.run("vm", "kill", listed["id"]).ok(2).err


def test_a_machine_whose_qemu_is_killed_ends_the_run_with_a_sentence(place: Place) -> None:
    running = place.start("--", "sh", "-c", "echo begun; cat")
    said(running, b"begun\n")
    os.kill(qemu_of(running.pid), signal.SIGKILL)
    _, err = running.communicate(timeout=60)
    assert b"[vm.ended]" in err, err
    assert running.returncode not in (0, None)
    place.desk.run("trace", "verify").ok()


def test_qemu_is_nobody_without_files_network_or_programs(place: Place) -> None:
    running: subprocess.Popen[bytes] = place.start("--", "sh", "-c", "echo begun; cat")
    try:
        said(running, b"begun\n")
        pid = qemu_of(running.pid)
        status = dict(
            line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        )
        assert status["Seccomp"] == "2"
        assert status["NoNewPrivs"] == "1"
        assert status["CapEff"].strip("0") == ""
        assert os.geteuid() != 0 or status["Uid"].split()[0] not in ("0", str(os.geteuid()))
        assert Path(f"/proc/{pid}/net/dev").read_text().count("\n") == 3
        root = Path("/proc", str(pid), "root")
        shown = set(os.listdir(root))
        assert shown <= {"usr", "lib", "lib64", "proc", "dev"}
        assert not [p for p in (root / "usr" / "bin").iterdir() if "qemu" not in p.name]
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
        assert str(place.folder).encode() not in words
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert any(
            line.split()[3:5] == ["0", "0"] for line in limits.splitlines() if "file size" in line
        )
    finally:
        running.communicate(b"", timeout=60)
