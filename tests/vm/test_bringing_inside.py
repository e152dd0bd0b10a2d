"""Changes come out before the agent's end too: when it asks, and when a sub-agent has ended."""

from __future__ import annotations

import json
from typing import Any

from tests.support import terminal
from tests.vm.test_commands_inside import AGENT
from tests.vm.test_run_vm import ASKED
from tests.vm.test_spawn_inside import argv
from tests.walled.place import Place, code

# What it says comes in one piece, at its end: nothing of ours is between.
QUIET = "import io; sys.stdout = io.StringIO()\n"
LOUD = """
sys.__stdout__.write(sys.stdout.getvalue()); sys.__stdout__.flush()
"""


def answers(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines() if line[:2] in ('{"', "[[", '["')]


def applied(place: Place) -> list[dict[str, Any]]:
    """The decisions on what a machine of this place told of, in order."""
    shown = place.desk.run("trace", "show", "--json").ok().json
    records = [each["record"] for each in shown]
    found = [each for each in records if each.get("call", {}).get("tool") == "workspace_apply"]
    return [each for each in found if str(place.folder) in json.dumps(each["token"]["caveats"])]


ASKS = """
def write(name, text):
    open(name, "w").write(text)
write("one", "first\\n"); write("README.md", "changed\\n")
server.stdin.write('{"jsonrpc": "2.0", "id": 99, "method": "tools/list"}\\n'); server.stdin.flush()
while "result" not in (said := json.loads(server.stdout.readline())): pass
print(json.dumps([tool["name"] for tool in said["result"]["tools"]]))
call(1, "workspace_bring")
call(2, "workspace_bring")
call(3, "workspace_bring")
write("one", "second\\n"); os.unlink("old"); os.mkdir(".git"); write(".git/config", "later")
call(4, "workspace_bring")
call(5, "fs_write", path="by-tool", content="by the tool\\n")
write("last", "at the end\\n")
"""


def test_an_agent_has_its_changes_brought_out_when_it_asks(place: Place) -> None:
    (place.folder / "agent.py").write_text(AGENT + QUIET + ASKS + LOUD)
    (place.folder / "old").write_text("old\n")
    out, status = place.typed(
        "--workspace", "rw", "--", "python3", "agent.py",
        dialogue=[(ASKED, b"no\n"), (ASKED, code), (ASKED, code), (ASKED, code)],
    )  # fmt: skip
    text = out.decode().replace("\r", "")
    assert status == 0, text
    listed, denied, brought, nothing, again, _ = answers(text)
    assert {"workspace_bring", "fs_read"} < {*listed}
    assert denied["_meta"]["nucleus/failure"]["code"] == "approval.denied"
    folder = str(place.folder)
    assert "paths" in brought, text
    assert brought["paths"] == [f"{folder}/README.md", f"{folder}/one"]
    assert nothing["paths"] == [], "what was written counts as copied"
    assert again["paths"] == [f"{folder}/old", f"{folder}/one"]
    assert any(".git/config" in line for line in again["left"])
    assert text.count("diff    +second") == 1
    assert "diff    +at the end" in text
    assert (place.folder / "one").read_text() == "second\n"
    assert (place.folder / "last").read_text() == "at the end\n"
    assert (place.folder / "by-tool").read_text() == "by the tool\n"
    assert not (place.folder / "old").exists()
    assert not (place.folder / ".git").exists()
    place.desk.run("trace", "verify").ok()


WORKER = """
open("kept", "w").write("by the sub\\n"); open("new", "w").write("new\\n"); os.unlink("old")
call(1, "fs_write", path="by-tool", content="by the tool\\n")
"""
SPAWNS = """
open("kept", "w").write("by the parent\\n")
call(1, "agent_spawn", agent="worker", task=SUB)
call(2, "agent_spawn", agent="shell", task="echo denied > new")
call(3, "workspace_bring")
print(json.dumps([[name, open(name).read()] for name in ("by-tool", "kept", "new")]))
print(json.dumps(sorted(os.listdir())))
"""


def test_what_a_sub_agent_changed_is_asked_about_under_its_own_token(place: Place) -> None:
    for name in ("kept", "old"):
        (place.folder / name).write_text(f"{name}\n")
    words = argv(place, QUIET + SPAWNS + LOUD, sub=AGENT + WORKER, ask="60s")
    out, status = terminal.typed(
        words, [(ASKED, code), (ASKED, b"no\n")], env=place.desk.environ(), folder=place.folder
    )
    text = out.decode().replace("\r", "")
    assert status == 0, text
    first, second, refused, copies, names = answers(text)
    folder = str(place.folder)
    assert first["changes"]["paths"] == [f"{folder}/{name}" for name in ("kept", "new", "old")]
    assert first["wrote"] == [f"{folder}/{name}" for name in ("by-tool", "kept", "new", "old")]
    assert second["changes"]["code"] == "approval.denied"
    assert "does not say what this tool is" in json.dumps(refused), "its own mode is ro"
    # Its starter has it as well, but for what it changed itself.
    assert copies == [["by-tool", "by the tool\n"], ["kept", "by the parent\n"], ["new", "new\n"]]
    assert "old" not in names
    assert (place.folder / "kept").read_text() == "by the sub\n"
    assert (place.folder / "new").read_text() == "new\n"
    assert not (place.folder / "old").exists()
    asked = applied(place)
    assert [each["decision"]["verdict"] for each in asked] == ["ask", "allow", "ask"]
    for each in asked:
        kind, body, _ = each["token"]["caveats"][-1]
        assert kind == "delegate", "never its starter's"
        assert each["facts"]["wall"][0].startswith(f"wall:{body['to']}-")
    place.desk.run("trace", "verify").ok()
