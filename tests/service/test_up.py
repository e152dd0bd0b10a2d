"""`nucleus up` as it runs: three services; whatever is killed, nothing revoked lives."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import PROGRAM, Desk, Result
from tests.service.machine import AGENT, Up, alive, machine
from tests.service.stage import SECONDS, environ
from tests.support.patience import until


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    with machine(tmp_path) as made:
        yield made


def test_one_machine_from_nothing_to_revoked(
    up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agents = Desk(tmp_path)
    where = ("--issuer", f"unix:{up.folder}/issuer.sock")

    def run(*words: object) -> Result:
        monkeypatch.setenv("SPIFFE_ENDPOINT_SOCKET", f"unix://{up.folder}/identity/agent.sock")
        return agents.run("--home", tmp_path / "agent", *words)

    def issued(name: str) -> Path:
        token = tmp_path / name
        run(
            "token", "issue", *where, "--profile", "read-only", "--audience", "local",
            "--sub", AGENT, "-o", token,
        ).ok()  # fmt: skip
        return token

    first, second = issued("first.token"), issued("second.token")
    assert up.call(first)[0] == 200
    run("token", "revoke", *where, first).ok()
    assert up.call(first)[1]["code"] == "token.revoked"
    assert up.call(second)[0] == 200

    for name in ("issuer", "verifier", "identity"):
        before = up.services()
        os.kill(before[name], signal.SIGKILL)
        until(lambda: up.services().get(name, before[name]) != before[name], f"{name} again")  # noqa: B023
        until(lambda: serves(up, second), f"after {name}")
        assert up.call(first)[1]["code"] == "token.revoked"
        assert {k: v for k, v in up.services().items() if k != name} == {
            k: v for k, v in before.items() if k != name
        }, "the others went on"

    services = up.services()
    up.end(signal.SIGKILL)
    until(lambda: not any(map(alive, services.values())), "they outlive the one who started them")
    up.start()
    until(lambda: serves(up, second), "after all of them")
    assert up.call(first)[1]["code"] == "token.revoked"
    assert serves(up, issued("third.token"))


def serves(up: Up, token: Path) -> bool:
    try:
        return up.call(token)[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def test_what_cannot_serve_is_said_and_leaves_nobody(up: Up) -> None:
    second = up.desk.run("--home", up.desk.home, *up.words, up.secret)
    said = subprocess.run(
        [*PROGRAM, "--home", str(up.desk.home), *map(str, up.words), str(up.secret)],
        capture_output=True, text=True, env=environ(), timeout=SECONDS, check=False,
    )  # fmt: skip
    for each in (second.err, said.stderr):
        assert "up.ended" in each
    assert (second.code, said.returncode) == (2, 2)
    assert set(up.services()) == {"identity", "issuer", "verifier"}
    bad = up.desk.file("wrong", b"not the passphrase\n")
    assert "keys." in up.desk.run("--home", up.desk.home, *up.words, bad).ok(2).err
    long = up.desk.run(
        "--home", up.desk.home, "up", "--folder", f"/tmp/{'x' * 100}",
        "--passphrase-file", up.secret,
    )  # fmt: skip
    assert "up.folder" in long.ok(2).err
