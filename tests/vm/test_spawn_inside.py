"""A sub-agent of an agent in a machine has a machine of its own: less power, no less seen."""

from __future__ import annotations

import contextlib
import json
import subprocess
from pathlib import Path

from nucleus_tokens.names import EXPOSURES, exposure_names
from tests.support.patience import until
from tests.vm.machines import children
from tests.vm.test_commands_inside import AGENT
from tests.walled.place import Place
from tests.walled.spawning import PROFILE

POLICY = """
version = 1
[wall]
id = "vm"
shows = []
[workspace]
root = "{root}"
shows = ["private_data"]
[agents.helper]
argv = ["python3", "-c", "import sys; exec(sys.stdin.read())"]
shows = []
mode = "ro"
seconds = 60
[agents.browser]
argv = ["sh"]
readable = ["web"]
shows = ["untrusted_content"]
seconds = 60
[agents.shell]
argv = ["sh"]
shows = []
mode = "rw"
[agents.worker]
argv = ["python3", "-c", "import sys; exec(sys.stdin.read())"]
shows = []
mode = "rw"
seconds = 60
"""
SUB = (
    AGENT
    + """
print(json.dumps({"host": os.uname().nodename, "uid": os.getuid(), "sees": sorted(os.listdir())}))
call(1, "exec_run", argv=["sh", "-c", "echo of-the-sub > mine; cat mine; ls /home"])
call(2, "fs_write", path="README.md", content="x")
call(3, "fs_read", path="README.md")
"""
)
_RUNS = 'run_bash = "always"'
SCRIPT = """
open("of-the-parent", "w").write("x")
call(1, "agent_spawn", agent="helper", task=SUB, caveats=[["cap", {"write_files": "never"}]])
print(json.dumps(sorted(os.listdir())))
"""


def argv(
    place: Place, script: str, *, sub: str = SUB, ask: str = "1s", may: str = _RUNS
) -> list[str]:
    """The command of a run whose agent may start sub-agents."""
    root = place.desk.root
    (root / "web").mkdir(exist_ok=True)
    (root / "policy.toml").write_text(POLICY.replace("{root}", str(place.folder)))
    (root / "parent.toml").write_text(PROFILE.replace("[levels]", f"[levels]\n{may}"))
    (place.folder / "agent.py").write_text(AGENT + f"SUB = {sub!r}\n" + script)
    policy = ("--policy", root / "policy.toml")
    made = place.argv("--ask-for", ask, *policy, "--", "python3", "agent.py")
    at = made.index("--token")
    made[at : at + 2] = ["--profile", str(root / "parent.toml")]
    return made


def test_a_sub_agent_has_a_machine_of_its_own(place: Place) -> None:
    run = subprocess.run(
        argv(place, SCRIPT), cwd=place.folder, env=place.desk.environ(), check=False,
        capture_output=True, text=True, timeout=120, start_new_session=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    spawned, seen = map(json.loads, run.stdout.splitlines())
    assert spawned.get("code") == 0, spawned
    about, command, write, read = map(json.loads, spawned["output"].splitlines())
    assert about == {"host": "vm", "uid": 1000, "sees": ["README.md", "agent.py"]}
    assert command["stdout"].startswith("of-the-sub\n")
    assert "level.never" in json.dumps(write)
    assert read["content"] == "hello\n"
    assert "of-the-parent" in seen
    assert "mine" not in seen, "its commands ran in its own"
    assert not (place.folder / "mine").exists()
    place.desk.run("trace", "verify").ok()


def qemus(pid: int) -> list[int]:
    found = []
    for each in children(pid):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if Path(f"/proc/{each}/comm").read_text().startswith("qemu-system"):
                found.append(each)
    return found


def test_it_ends_with_the_token_of_its_starter(place: Place) -> None:
    script = """
call(1, "agent_spawn", agent="helper", task="import time; time.sleep(600)")
"""
    running = subprocess.Popen(
        argv(place, script), cwd=place.folder, env=place.desk.environ(), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        until(lambda: len(qemus(running.pid)) == 2, "two machines")
        assert len(place.desk.run("vm", "list", "--json").ok().json) == 2
        (run,) = place.desk.run("session", "list", "--json").ok().json
        place.desk.run("token", "revoke", "--rid", run["rid"]).ok()
        until(lambda: len(qemus(running.pid)) < 2, "the end of the sub-agent's")
    finally:
        out, err = running.communicate(timeout=60)
    assert b"token.revoked" in out, (out, err)
    place.desk.run("trace", "verify").ok()


EXPOSED = """
call(1, "agent_spawn", agent="browser", task="echo of-the-web")
call(2, "fs_read", path="README.md")
call(3, "agent_spawn", agent="helper", task=SUB)
"""


def test_what_its_starter_saw_it_has_seen_and_what_it_saw_its_starter_has(place: Place) -> None:
    """Its starter hears of the web from another one; its own way out is judged with that."""
    sub = AGENT + 'call(1, "net_fetch", url="http://127.0.0.1/")\n'
    words = argv(place, EXPOSED, sub=sub, may='web_fetch = "always"')
    at = words.index("--ask-for")
    words[at:at] = ["--ahead", "agent_spawn count=2 for=10m"]
    run = subprocess.run(
        words, cwd=place.folder, env=place.desk.environ(), check=False,
        capture_output=True, text=True, timeout=120, start_new_session=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "of-the-web" in run.stdout
    shown = place.desk.run("trace", "show", "--json").ok().json
    records = [each["record"] for each in shown if "call" in each["record"]][-4:]
    made = [
        (
            r["call"]["tool"],
            r["facts"]["wall"][0].split("-")[0],
            exposure_names(r["facts"]["wall"][2]),
        )
        for r in records
    ]
    wall = records[0]["facts"]["wall"][0]
    assert made == [
        ("agent_spawn", wall, ("private_data",)),
        ("fs_read", wall, EXPOSURES),
        ("agent_spawn", wall, EXPOSURES),
        ("net_fetch", "wall:helper", EXPOSURES),
    ]
    owed = records[-1]["decision"]["obligations"]
    assert "flow:web_to_exfil" in owed, "judged with what it never saw itself"
    place.desk.run("trace", "verify").ok()
