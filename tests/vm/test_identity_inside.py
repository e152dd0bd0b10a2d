"""An agent in a machine asks who it is, and is told of itself alone; its token is another thing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from spiffe._proto import workload_pb2 as pb

from nucleus_tokens import crypto
from tests.cli.command import PROGRAM, Desk
from tests.vm.asking import CLIENT
from tests.vm.machines import memory, qemu_of
from tests.vm.test_commands_inside import AGENT
from tests.vm.test_spawn_inside import argv as spawning
from tests.vmhost.cells import PYTHON
from tests.walled.place import Place

REGISTRY = f"""trust_domain = "example.org"
[[workload]]
id = "spiffe://example.org/vm"
uid = {os.getuid()}
each = "vm"
audiences = ["billing"]
[[workload]]
id = "spiffe://example.org/cell"
uid = {os.getuid()}
each = "local"
"""
ASKS = (
    CLIENT
    + """
import sys
call(1, "fs_read", path="README.md")
print(fetched("FetchX509SVID").hex())
print(fetched("FetchJWTSVID", b"\\x0a" + text("billing")).hex())
print(fetched("FetchJWTSVID", b"\\x0a" + text("issuer")))
print(fetched("FetchX509SVID", proves="false"), flush=True)
sys.stdin.read()
"""
)
# The command, which writes down what is drawn for secrets.
DRAWN = """
import os
draw, file = os.urandom, open(os.environ["DRAWN"], "ab", 0)
def drawn(size):
    made = draw(size)
    file.write(made.hex().encode() + b"\\n")
    return made
os.urandom = drawn
"""


@pytest.fixture
def served(desk: Desk) -> Iterator[None]:
    """The host's identity service."""
    if not (desk.home / "data" / "identity").exists():
        desk.run("identity", "init", "example.org").ok()
        (desk.home / "config" / "workloads.toml").write_text(REGISTRY)
    with subprocess.Popen(
        [*PROGRAM, *desk.argv("identity", "serve")], stderr=subprocess.PIPE, env=desk.environ()
    ) as process:
        assert process.stderr is not None
        try:
            assert b"serving" in process.stderr.readline()
            yield
        finally:
            process.terminate()
            process.wait(60)


class Ran:
    """One run of the agent that asks: what it was told, and what its host half worked with."""

    def __init__(self, place: Place, drawn: Path) -> None:
        (place.folder / "agent.py").write_text(AGENT + ASKS)
        argv = place.argv("--", "python3", "agent.py")
        at = argv.index("--token")
        argv[at : at + 2] = ["--profile", "read-only"]
        argv[: len(PROGRAM)] = [sys.executable, "-c", DRAWN + PROGRAM[-1]]
        running = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            cwd=place.folder, env=place.desk.environ({"DRAWN": str(drawn)}),
            start_new_session=True,
        )  # fmt: skip
        self.err = b""
        try:
            assert running.stdout is not None
            read, *lines = [running.stdout.readline().decode().strip() for _ in range(5)]
            assert "hello" in read
            (self.listed,) = place.desk.run("vm", "list", "--json").ok().json
            self.memory = memory(qemu_of(running.pid))
        finally:
            _, self.err = running.communicate(b"", timeout=60)
        assert running.returncode == 0, self.err
        self.svid = pb.X509SVIDResponse.FromString(bytes.fromhex(lines[0])).svids[0]
        self.jwt = pb.JWTSVIDResponse.FromString(bytes.fromhex(lines[1])).svids[0]
        self.refused = lines[2:]
        self.leaf = x509.load_der_x509_certificate(self.svid.x509_svid)
        self.drawn = {bytes.fromhex(line) for line in drawn.read_text().split()}


def holder(desk: Desk, to: str) -> str:
    """The key that a token was handed to under this name, and judged, as the trace says."""
    lines = desk.run("trace", "show", "--json").ok().json
    caveats = [
        each for line in lines for each in line["record"].get("token", {}).get("caveats", [])
    ]
    (key,) = {each[1]["key"] for each in caveats if each[0] == "delegate" and each[1]["to"] == to}
    return str(key)


@pytest.mark.usefixtures("served")
def test_each_machine_is_somebody_and_its_holders_key_is_not_in_it(
    place: Place, tmp_path: Path
) -> None:
    runs = [Ran(place, tmp_path / f"drawn{number}") for number in range(2)]
    for ran in runs:
        own = f"spiffe://example.org/vm/{ran.listed['id']}"
        assert ran.svid.spiffe_id == ran.jwt.spiffe_id == f"{own}/agent"
        names = ran.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.UniformResourceIdentifier) == [f"{own}/agent"]
        key = serialization.load_der_private_key(ran.svid.x509_svid_key, None)
        assert key.public_key() == ran.leaf.public_key()
        assert ran.refused == ["None", "None"], "another audience; without the header"
        assert ran.svid.x509_svid_key in ran.memory, "what the agent was given is in its machine"
    first, second = runs
    assert first.svid.spiffe_id != second.svid.spiffe_id
    assert first.leaf.public_key() != second.leaf.public_key()
    for ran in runs:
        secrets = {each for each in ran.drawn if len(each) == crypto.KEY_BYTES}
        public = holder(place.desk, f"spiffe://example.org/vm/{ran.listed['id']}")
        assert public in {crypto.public_of(each).hex() for each in secrets}, "made for this one"
        for each in secrets:
            assert each not in ran.memory
            assert each.hex().encode() not in ran.memory
        kept = [path for path in place.desk.root.rglob("*") if path.is_file()]
        for path in kept:
            whole = path.read_bytes()
            mine = [e for e in secrets if crypto.public_of(e).hex() == public]
            assert not [e for e in mine if e in whole or e.hex().encode() in whole], path


SPAWNS = """
call(1, "agent_spawn", agent="helper", task=SUB)
print(fetched("FetchX509SVID").hex())
"""
SUB_ASKS = """
call(1, "fs_read", path="README.md")
print(fetched("FetchX509SVID").hex())
"""


@pytest.mark.usefixtures("served")
def test_a_sub_agent_is_somebody_else(place: Place) -> None:
    sub = AGENT + CLIENT + SUB_ASKS
    argv = spawning(place, CLIENT + f"SUB = {sub!r}\n" + SPAWNS)
    run = subprocess.run(
        argv, cwd=place.folder, env=place.desk.environ(), check=False,
        capture_output=True, text=True, timeout=200, start_new_session=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    spawned, own = run.stdout.splitlines()
    said = json.loads(spawned)
    assert said.get("code") == 0, said
    asked = [said["output"].splitlines()[-1], own]
    svids = [pb.X509SVIDResponse.FromString(bytes.fromhex(each)).svids[0] for each in asked]
    theirs, ours = (svid.spiffe_id.removesuffix("/agent") for svid in svids)
    assert theirs == f"spiffe://example.org/vm/{said['id']}"
    assert ours != theirs
    assert svids[0].x509_svid_key != svids[1].x509_svid_key
    assert holder(place.desk, theirs) != holder(place.desk, ours)


LOOKS = """
import os
print(os.environ.get("SPIFFE_ENDPOINT_SOCKET"))
made = socket.socket(socket.AF_UNIX)
made.connect("/run/nucleus/identity.sock")
print(made.recv(1))
"""


def test_without_a_trust_domain_nobody_answers_and_nothing_else_changes(place: Place) -> None:
    (place.folder / "agent.py").write_text(AGENT + CLIENT + LOOKS)
    done = place.run("--", "python3", "agent.py").ok()
    assert done.out.splitlines()[0] == "None"
    assert done.out.splitlines()[1] == "b''"
    assert done.err == ""


@pytest.mark.usefixtures("served")
def test_behind_the_local_wall_it_is_the_same_by_tcp(place: Place) -> None:
    (place.folder / "agent.py").write_text(CLIENT + 'print(fetched("FetchX509SVID").hex())\n')
    local = replace(place, where="--local")
    out = local.run("--", PYTHON, "agent.py").ok().out
    svid = pb.X509SVIDResponse.FromString(bytes.fromhex(out.strip())).svids[0]
    assert re.fullmatch("spiffe://example.org/cell/[0-9a-f]{16}/agent", svid.spiffe_id)
