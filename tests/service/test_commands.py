"""`nucleus token …` and `approvals …` at an issuer elsewhere: the same words as at home."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nucleus_tokens import names
from nucleus_verifier.rpc import issuer_pb2 as pb
from tests.cli.command import Desk, Result
from tests.service.stage import Stage, running
from tests.support import world

As = Callable[..., Result]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with running(tmp_path_factory.mktemp("commands"), "--lease", "1s") as made:
        made.register()
        yield made


@pytest.fixture
def run(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> As:
    """A command by one of the identities, with a home of its own that has only `issuer.toml`."""
    desk = Desk(tmp_path)
    config = desk.home / "config"
    config.mkdir(parents=True)
    (config / "issuer.toml").write_text(f'address = "{stage.address}"\n')

    def made(who: str, *words: object) -> Result:
        monkeypatch.setenv("SPIFFE_ENDPOINT_SOCKET", stage.socket(who))
        return desk.run(*words)

    return made


def test_a_token_from_its_order_to_its_end(run: As, tmp_path: Path) -> None:
    run("agent", "token", "key", "--out", tmp_path / "a.key").ok()
    order = (
        "token", "issue", "--profile", "codegen", "--audience", "tool.example",
        "--sub", "spiffe://example.org/agent", "--holder-key", tmp_path / "a.key",
        "--ttl", "10m", "--tool", "read", "--idempotency", "first",
    )  # fmt: skip
    made = run("agent", *order, "-o", tmp_path / "a.token", "--json").ok().json
    refused = run("agent", *order, "-o", tmp_path / "b.token")
    assert "token.already_issued" in refused.ok(2).err
    exchanged = run(
        "agent", "token", "exchange", tmp_path / "a.token", "--audience", "else.example",
        "--holder-key", tmp_path / "a.key", "-o", tmp_path / "c.token", "--json",
    ).ok().json  # fmt: skip
    listed = run("agent", "token", "list", "--json").ok().json
    assert {made["tid"], exchanged["tid"]} <= {each["tid"] for each in listed}
    assert made["tid"] in run("ops", "token", "list").ok().out.replace("\n", "")
    gone = run("agent", "token", "revoke", tmp_path / "a.token", "--json").ok()
    assert gone.json["effective"] is True
    assert "recorded as entry" in gone.err
    for which in (made["tid"][:12], tmp_path / "c.token"):
        (tree,) = run("agent", "token", "tree", which, "--json").ok().json
        assert tree["tree"]["dead"] is True
    assert "REVOKED" in run("agent", "token", "tree", made["tid"]).ok().out


def test_whoever_kept_a_preimage_revokes_with_it(run: As, tmp_path: Path) -> None:
    made = run(
        "other", "token", "issue", "--profile", "read-only", "--audience", "tool.example",
        "--sub", "spiffe://example.org/other", "-o", tmp_path / "o.token", "--json",
    ).ok().json  # fmt: skip
    run("other", "token", "preimage", tmp_path / "o.token", "-o", tmp_path / "o.proof").ok()
    done = run("stranger", "token", "revoke", "--preimage", tmp_path / "o.proof", "--json").ok()
    assert done.json["rid"] == made["rid"]


def test_a_person_elsewhere_answers(run: As, stage: Stage, tmp_path: Path) -> None:
    """The approver's key is in the approver's home; the request is at the service."""

    def request(name: str) -> str:
        asked = pb.ApprovalRequest(
            id=world.hex16(name),
            expires=stage.now() + 600,
            tid=world.hex16("tid"),
            rid=world.hex16("rid"),
            cell="wall:1",
            operation=names.OPERATIONS.index("git_push"),
            tool="git_push",
            call_digest="ab" * 32,
            obligations=[pb.Obligation(id="git_push", why="asked for")],
            shown="{}",
        )

        async def work() -> None:
            async with stage.client("tool") as tool:
                await tool.request_approval(asked)

        asyncio.run(work())
        return asked.id

    first, second = request("cli one"), request("cli two")
    listed = run("ops", "approvals", "list", "--json").ok().json
    assert {each["id"] for each in listed} == {first, second}
    home = ("--home", str(stage.home))
    answered = Desk(tmp_path).run(
        *home, "approvals", "approve", first, "--issuer", stage.address,
        "--passphrase-file", stage.pass_file, "--json",
    )  # fmt: skip
    assert answered.ok().json["approver"] == "person"
    run("ops", "approvals", "deny", second, "--reason", "not now").ok()
    states = {
        each["id"]: each["status"]
        for each in run("ops", "approvals", "list", "--all", "--json").ok().json
    }
    assert states == {first: "approved", second: "denied"}
    assert "service.refused" in run("agent", "approvals", "list").ok(2).err


def test_what_only_the_service_says_is_not_ordered(run: As, tmp_path: Path) -> None:
    words: dict[str, tuple[Any, ...]] = {
        "order.remote": ("--account", "a", "--account-limit", "tokens=1", "--profile", "read-only"),
        "issue.grant": ("--profile", "local-dev"),
    }
    for code, more in words.items():
        said = run(
            "agent", "token", "issue", "--sub", "x", "--audience", "tool.example", *more,
            "-o", tmp_path / "no.token",
        )  # fmt: skip
        assert code in said.ok(2).err
        assert not (tmp_path / "no.token").exists()


def test_an_issuer_that_is_not_there_is_one_sentence(run: As, tmp_path: Path) -> None:
    said = run("agent", "token", "list", "--issuer", f"unix:{tmp_path}/nobody.sock")
    assert "service.unreachable" in said.ok(2).err
    assert json.dumps(said.err).count("\\n") <= 2
