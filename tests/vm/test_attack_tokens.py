"""Red team: an agent in one machine got hold of the token of another."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess

from nucleus.home import Home
from nucleus_tokens.errors import CredentialError
from tests.cli.command import Desk
from tests.vm.machines import memory
from tests.vm.test_commands_inside import AGENT
from tests.walled.place import Place

# A bearer token: whoever has it needs no key. It is shown in every way that there is.
SCRIPT = """
import http.client
stolen = open("stolen").read().strip()
def shown(number, path, **more):
    params = {"name": "fs_write", "arguments": {"path": path, "content": "x"}, **more}
    line = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}
    server.stdin.write(json.dumps(line) + "\\n"); server.stdin.flush()
    while True:
        said = json.loads(server.stdout.readline())
        if said.get("id") == number:
            print(json.dumps(said)); return
shown(1, "by-meta", _meta={"nucleus/credential": stolen})
shown(2, "by-argument", token=stolen)
host, port = os.environ["HTTP_PROXY"].removeprefix("http://").split(":")
for name in ("Authorization", "Proxy-Authorization", "Nucleus-Credential"):
    road = http.client.HTTPConnection(host, int(port))
    road.request("GET", "http://127.0.0.1/", headers={name: f"Bearer {stolen}"})
    print(json.dumps({"id": name, "status": road.getresponse().status}))
"""


def mentions(desk: Desk, name: str) -> int:
    """How often the trace speaks of a token."""
    tid = desk.run("token", "inspect", desk.root / f"{name}.token", "--json").ok().json["tid"]
    return desk.run("trace", "show", "--json").ok().out.count(tid)


def test_a_token_of_another_machine_opens_nothing_here(place: Place) -> None:
    """What is shown by the agent's side counts for nothing: the host half holds this one's."""
    desk = place.desk
    reader = desk.root / "reader.token"
    if not reader.exists():
        desk.issue("reader", "--bearer", "--path", desk.root / "work", profile="read-only")
    before = {name: mentions(desk, name) for name in ("agent", "reader")}
    (place.folder / "stolen").write_bytes((desk.root / "agent.token").read_bytes())
    (place.folder / "agent.py").write_text(AGENT + SCRIPT)
    done = place.run("--", "python3", "agent.py", holds="reader")
    assert done.code == 0, done.err
    said = [json.loads(line) for line in done.out.splitlines()]
    assert [each["id"] for each in said[:2]] == [1, 2]
    for each in said[:2]:
        assert "level.never" in json.dumps(each) or "error" in each, each
    assert not [each for each in said[2:] if each["status"] == 200]
    assert not (place.folder / "by-meta").exists()
    assert not (place.folder / "by-argument").exists()
    assert mentions(desk, "agent") == before["agent"], "nothing was judged by it"
    assert mentions(desk, "reader") > before["reader"]


def test_a_token_out_of_the_memory_of_another_host_half_is_not_taken(place: Place) -> None:
    """It is held by the key that was made for that machine, and this one has another."""
    argv = place.argv("--", "sh", "-c", "echo begun; cat")
    at = argv.index("--token")
    argv[at : at + 2] = ["--profile", "read-only"]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        cwd=place.folder, env=place.desk.environ(), start_new_session=True,
    ) as running:  # fmt: skip
        assert running.stdout is not None
        first = running.stdout.readline()
        assert first == b"begun\n", running.communicate(timeout=60)
        found = set(re.findall(rb"nuc1_[A-Za-z0-9_-]{200,7168}", memory(running.pid)))
        running.communicate(b"", timeout=60)
    desk, whole = place.desk, []
    desk.key("thief")
    for text in found:
        with contextlib.suppress(CredentialError):  # what is left of another text
            whole.append(Home.find(desk.home, {}).believed(text.decode()).prefix)
            desk.file("lifted.token", text)
    (one,) = whole
    assert [hop.purpose for hop in one.hops] == ["run"]
    for words in ((), ("--holder-key", desk.root / "thief.key")):
        done = place.run(*words, "--", "true", holds="lifted").ok(2)
        assert "[run.holder]" in done.err
