"""A command that was let run runs in the agent's machine, beside it, and nowhere out here."""

from __future__ import annotations

import asyncio
import json
import subprocess
from typing import Any

import pytest

from nucleus_proxy.work import Work
from nucleus_tokens.errors import WorldError
from nucleus_vmhost.vm.image import Image
from nucleus_vmhost.vm.packing import Copy
from nucleus_vmhost.vm.working import Inside
from tests.cli.command import Result
from tests.vm.machines import copied
from tests.walled.place import Place

# Several calls on one connection, each answer as it comes.
AGENT = """
import json, os, subprocess, sys, time
server = subprocess.Popen([os.environ["NUCLEUS_MCP"]], stdin=-1, stdout=-1, text=True)
def call(number, tool, **arguments):
    params = {"name": tool, "arguments": arguments}
    line = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}
    server.stdin.write(json.dumps(line) + "\\n"); server.stdin.flush()
    while True:
        said = json.loads(server.stdout.readline())
        if said.get("id") == number:
            print(json.dumps(said["result"].get("structuredContent", said["result"])))
            return
"""


def answers(place: Place, script: str, *words: str) -> list[Any]:
    (place.folder / "agent.py").write_text(AGENT + script)
    argv = place.argv("--ask-for", "1s", *words, "--", "python3", "agent.py")
    at = argv.index("--token")
    argv[at : at + 2] = [
        "--profile", "codegen", "--ahead", "exec_run count=20 for=10m",
        "--ahead", "exec_bash count=20 for=10m",
    ]  # fmt: skip
    run = subprocess.run(
        argv, cwd=place.folder, env=place.desk.environ(), check=False, capture_output=True,
        text=True, timeout=120, start_new_session=True,
    )  # fmt: skip
    done = Result(run.returncode, run.stdout, run.stderr)
    assert done.code == 0, done.err
    return [json.loads(line) for line in done.out.splitlines() if line[:1] in "{["]


def test_commands_run_in_the_copy_as_the_agent_and_end_alone(place: Place) -> None:
    script = """
open("made-inside", "w").write("by the agent")
says = "hostname; id -un; cat; cat made-inside; exit 7"
call(1, "exec_run", argv=["sh", "-c", says], stdin="in ")
call(2, "exec_bash", script="echo $((6*7)) > made-by-command; sleep 600 & echo bye")
call(3, "exec_run", argv=["sleep", "600"], seconds=1)
call(5, "exec_run", argv=["no-such-program"])
call(6, "fs_write", path="README.md", content="written\\n")
call(7, "exec_run", argv=["cat", "README.md", "made-by-command"])
pids = [pid for pid in os.listdir("/proc") if pid.isdigit()]
print(json.dumps([open(f"/proc/{pid}/cmdline").read().split("\\0")[0] for pid in pids]))
"""
    one, two, three, five, _, seven, alive = answers(place, script)
    assert one["code"] == 7
    assert one["stdout"] == "vm\nagent\nin by the agent"
    assert two["stdout"] == "bye\n"
    assert three["timed_out"]
    assert five["code"] == 127
    assert seven["stdout"] == "written\n42\n", "what the tools wrote is in the copy as well"
    assert "sleep" not in alive, "nothing of a command outlives it"
    assert (place.folder / "README.md").read_text() == "written\n"
    assert not (place.folder / "made-by-command").exists()
    place.desk.run("trace", "verify").ok()


def test_what_says_too_much_or_is_wanted_no_more_ends_with_its_group(image: Image) -> None:
    async def main() -> None:
        inside = Inside()
        async with copied(image) as (vm, _):
            with pytest.raises(WorldError):
                await inside.run(Work(("true",), "/tmp"))
            with inside.joined(vm, {}):
                done = await inside.run(Work(("yes",), "/tmp", output_bytes=1000))
                assert done.truncated
                assert len(done.stdout) == 1000
                wanted = asyncio.ensure_future(inside.run(Work(("sleep", "601"), "/tmp")))
                both = [inside.run(Work(("echo", str(n)), "/tmp")) for n in range(6)]
                said = [done.stdout for done in await asyncio.gather(*both)]
                assert said == [b"%d\n" % n for n in range(6)], "each has streams of its own"
                wanted.cancel()
                await asyncio.gather(wanted, return_exceptions=True)
                look = Work(("sh", "-c", "while pidof sleep yes; do :; done"), "/tmp", seconds=30)
                assert not (await inside.run(look)).timed_out
            elsewhere = {"/elsewhere": Copy("/elsewhere", b"", {})}
            with inside.joined(vm, elsewhere), pytest.raises(WorldError) as no:
                await inside.run(Work(("true",), "/tmp", readable=("/tmp",)))
            assert no.value.code == "vm.shown"

    asyncio.run(main())
