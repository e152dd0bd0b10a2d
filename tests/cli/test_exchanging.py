"""`nucleus token exchange`: at the holder's request, from this host's issuer, and back again."""

from __future__ import annotations

from dataclasses import replace

from nucleus_issuer import bundle
from nucleus_issuer.mint import Audience
from tests.cli.command import Desk
from tests.support import world

ASK = ("--passphrase-file", "passphrase")


def test_an_exchanged_token_serves_elsewhere_and_dies_with_its_origin(desk: Desk) -> None:
    path = desk.home / "data" / "keys" / "bundle.json"
    known = bundle.load(path)
    other = Audience("git.example", "g1", world.ELSEWHERE.public)
    bundle.save(path, replace(known, audiences=(*known.audiences, other)))
    desk.run(
        "token", "attenuate", "agent.token", "--calls", "3", "--path", "docs", "-o", "docs.token"
    ).ok()
    made = desk.process(
        "token", "exchange", "docs.token", "--audience", "git.example", "--holder-key", "agent.key",
        "-o", "git.token", "--json", *ASK,
    ).ok()  # fmt: skip
    shown = desk.run("token", "inspect", "git.token", "--json").ok().json
    assert shown["audience"]["name"] == "git.example"
    assert [caveat[0] for _, caveat in shown["narrowed"]] == ["path", "budget"]
    assert shown["verified"] is False, "another audience's token does not open here"

    # For this host's own audience again, so that its verifier can say what became of it.
    desk.run(
        "token", "exchange", "docs.token", "--audience", "local", "--holder-key", "agent.key",
        "-o", "back.token", *ASK,
    ).ok()  # fmt: skip
    desk.run("token", "verify", "back.token").ok()
    desk.run("token", "revoke", "docs.token").ok()
    assert "token.revoked" in desk.run("token", "verify", "back.token").ok(1).out
    states = {t["tid"]: t["state"] for t in desk.run("token", "list", "--json").ok().json}
    assert states[made.json["tid"]] == "revoked"


def test_what_is_wrong_is_said(desk: Desk) -> None:
    desk.run("token", "key", "--out", "other.key").ok()
    for code, exit_code, key, audience in (
        ("exchange.signature", 1, "other.key", "local"),
        ("audience.unknown", 2, "agent.key", "moon"),
    ):
        refused = desk.run(
            "token", "exchange", "agent.token", "--audience", audience, "--holder-key", key,
            "-o", "new.token", *ASK,
        ).ok(exit_code)  # fmt: skip
        assert f"[{code}]" in refused.err
        assert not (desk.root / "new.token").exists()
