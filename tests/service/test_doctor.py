"""`nucleus doctor` on a real deployment: well while it is; a sentence for each thing broken."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nucleus.cli import main
from nucleus.doctoring import Finding
from tests.cli.command import Result
from tests.service.machine import Up, alive, machine
from tests.support.patience import until


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with machine(tmp_path_factory.mktemp("doctor")) as made:
        yield made


@pytest.fixture
def ask(up: Up, monkeypatch: pytest.MonkeyPatch) -> Any:
    def made(*words: object, code: int = 1) -> dict[str, list[dict[str, str]]]:
        monkeypatch.setenv("SPIFFE_ENDPOINT_SOCKET", f"unix://{up.folder}/identity/verifier.sock")
        where = ("--issuer", f"unix:{up.folder}/issuer.sock")
        said: Result = up.desk.run("--home", up.desk.home, "doctor", *where, "--json", *words)
        assert said.ok(code).json["well"] is (code == 0)
        found: dict[str, list[dict[str, str]]] = {}
        for each in said.json["findings"]:
            assert each["state"] in ("well", "warning") or each["do"], each
            found.setdefault(each["what"], []).append(each)
        return found

    return made


def wrong(found: dict[str, list[dict[str, str]]]) -> dict[str, str]:
    return {
        what: " ".join(each["says"] for each in every if each["state"] == "wrong")
        for what, every in found.items()
        if any(each["state"] == "wrong" for each in every)
    }


def test_a_whole_deployment_is_well(up: Up, ask: Any) -> None:
    found = ask("--deep", code=0)
    assert set(found) == {
        "home", "permissions", "keys", "store", "clock", "disk", "files", "identity", "issuer",
        "sidecar",
    }  # fmt: skip
    assert "spiffe://local/verifier" in found["identity"][0]["says"]
    assert found["sidecar"][-1]["says"] == "It is ready."
    shown = up.desk.run("--home", up.desk.home, "doctor").ok().out
    assert "ok       keys" in shown


def test_each_thing_that_is_broken_is_said(up: Up, ask: Any) -> None:
    keys = up.desk.home / "data" / "keys"
    (private,) = keys.glob("audience-*.key")
    private.chmod(0o644)
    assert "open to other users" in wrong(ask())["permissions"]
    private.chmod(0o600)
    keys.chmod(0o777)
    assert "can be written by others" in wrong(ask())["permissions"]
    keys.chmod(0o700)

    door = up.folder / "check.sock"
    mode = door.stat().st_mode
    door.chmod(0o666)
    assert "check is open to more" in wrong(ask())["sidecar"]
    door.chmod(mode)

    policy = up.desk.home / "config" / "issuance.toml"
    before = policy.read_text()
    policy.write_text(before + "\n[surprise]\n")
    assert "files" in wrong(ask())
    policy.write_text(before)

    state = up.desk.home / "state" / "state.sqlite"
    with sqlite3.connect(state) as raw:
        (mark,) = raw.execute("SELECT value FROM meta WHERE key = 'high_water'").fetchone()
        raw.execute("UPDATE meta SET value = ? WHERE key = 'high_water'", (mark + 10_000,))
    raw.close()
    assert "clock stands before" in wrong(ask())["clock"]
    with sqlite3.connect(state) as raw:
        raw.execute("UPDATE meta SET value = ? WHERE key = 'high_water'", (mark,))
    raw.close()
    assert wrong(ask(code=0)) == {}


def test_what_does_not_run_is_said_last(up: Up, ask: Any) -> None:
    """The issuer alone first: then the sidecar says itself that it is stale."""
    issuer = up.services()["issuer"]
    os.kill(issuer, signal.SIGSTOP)
    try:
        until(lambda: "revocation.stale" in wrong(ask()).get("sidecar", ""), "it goes stale")
        assert "issuer" in wrong(ask())
    finally:
        os.kill(issuer, signal.SIGCONT)
    services = up.services()
    assert up.end(signal.SIGTERM) == 0
    assert not any(map(alive, services.values()))
    found = wrong(ask())
    assert set(found) == {"identity", "sidecar"} | (set(found) & {"issuer"})
    assert "Nobody answers" in found["sidecar"]


def test_without_a_home_there_is_nothing_to_look_at(tmp_path: Path, capsys: Any) -> None:
    assert main(["--home", str(tmp_path / "none"), "doctor"]) == 1
    assert "nucleus init" in capsys.readouterr().out


def test_a_finding_says_what_to_do_only_where_there_is_something() -> None:
    assert "do" not in Finding("disk", "well", "There is room.").fields()
