"""A person says what was asked for, and lets one value out: by hand, over a real store."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nucleus.home import Home
from nucleus_proxy import binding, policy
from nucleus_proxy.answers import Granted, Presented, Refusal, Withdrawn
from nucleus_proxy.binding import Hints
from nucleus_proxy.waiting import Caller
from tests.cli.command import Desk

POLICY = """
version = 1
gate = "evidence"
[wall]
id = "test"
shows = []
[tools.env]
operation = "read_files"
label = "secret"
selectors."/at" = { kind = "path", optional = true }
payload = ["/name"]
[tools.mail]
operation = "write_files"
sink = "email_send"
selectors."/to" = "email"
selectors."/at" = { kind = "path", optional = true }
payload = ["/body"]
"""
MAIL = {"to": "ann@example.com", "body": "the key is s3cr3t"}


def call(desk: Desk, tool: str, args: dict[str, Any]) -> Granted | Refusal | Withdrawn:
    """One call through the mediator that `nucleus mcp` would run; its result is seen."""
    place = Home.find(desk.home, {})
    rules = policy.parse(POLICY.encode())

    async def work() -> Granted | Refusal | Withdrawn:
        async def heard(_: str) -> None: ...

        with place.store() as store, place.reveals() as reveals, place.labels() as labels:
            mediator = place.mediator(store, rules, reveals, labels=labels, ask_seconds=1)
            mediator.open()
            done = await mediator.call(
                Presented((desk.root / "mail.token").read_text().strip(), "held"),
                lambda: binding.bind(tool, args, rules.tools[tool], Hints(), "/"),
                progress=heard,
                caller=Caller(),
            )
            if isinstance(done, Granted):
                await mediator.saw(done, "s3cr3t" if tool == "env" else "sent")
            return done

    return asyncio.run(work())


@pytest.fixture
def mailer(desk: Desk) -> Desk:
    desk.issue("mail", "--holder-key", "agent.key", profile="codegen")
    return desk


def test_a_value_is_let_out_once(mailer: Desk) -> None:
    desk = mailer
    task = desk.file("task.txt", "Please mail the key to ann@example.com\n")
    given = desk.run("prompt", "give", "mail.token", task).ok()
    assert "Prompt 1 of tree:" in given.out
    assert "Prompt 1" in desk.run("prompt", "give", "mail.token", task).ok().out
    assert "ann@example.com" in desk.run("prompt", "show", "mail.token").ok().out

    assert isinstance(call(desk, "env", {"name": "KEY"}), Granted)
    refused = call(desk, "mail", MAIL)
    assert isinstance(refused, Refusal)
    assert refused.code == "flow.secret"
    shown = desk.run("trace", "show", "--verdict", "deny", "--json").ok().json
    number = shown[-1]["seq"]
    made = desk.run(
        "declassify", "value", number, "/body", "--reason", "it may", "--to", "public",
        "--passphrase-file", desk.pass_file,
    ).ok()  # fmt: skip
    assert "the key is s3cr3t" in made.out
    assert "secret to public" in made.out
    listed = desk.run("declassify", "list", "mail.token", "--json").ok().json
    assert [(each["sinks"], each["to"]) for each in listed] == [(["email_send"], "public")]
    assert "it may" in desk.run("declassify", "list", "mail.token").ok().out

    other = call(desk, "mail", {**MAIL, "body": "the key is s3cr3t."})
    assert isinstance(other, Refusal)
    assert other.code == "flow.secret"
    assert isinstance(call(desk, "mail", MAIL), Granted)
    again = call(desk, "mail", MAIL)
    assert isinstance(again, Refusal)
    assert again.code == "flow.bad_declassification"
    desk.run("trace", "verify").ok()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("9999", "/body"), "release.no_call"),
        (("0", "/body"), "release.no_call"),
        (("1", "/nothing"), "release.no_value"),
        (("1", ""), "release.no_value"),
        (("1", "/name", "--axis", "provenance"), "release.axis"),
        (("1", "/name", "--to", "trusted"), "release.level"),
        (("1", "/name", "--for", "2d"), "release.ttl"),
        (("1", "/name", "--basis", "luck"), "release.malformed"),
        (("1", "/name", "--from", "public", "--to", "secret"), "release.malformed"),
        (("1", "/name", "--approver", "bob"), "file.missing"),
    ],
)
def test_a_release_that_cannot_be(mailer: Desk, words: tuple[str, ...], code: str) -> None:
    assert isinstance(call(mailer, "env", {"name": "KEY"}), Granted)
    done = mailer.run(
        "declassify", "value", *words, "--reason", "r", "--passphrase-file", mailer.pass_file,
        "--json",
    )  # fmt: skip
    assert done.json["error"]["code"] == code, done.out
    assert mailer.run("declassify", "list", "mail.token").ok().out == "Nothing was released.\n"


def test_an_approver_who_may_not_release(mailer: Desk) -> None:
    assert isinstance(call(mailer, "env", {"name": "KEY"}), Granted)
    bundle = mailer.home / "data" / "keys" / "bundle.json"
    bundle.write_bytes(bundle.read_bytes().replace(b',"releases":true', b""))
    done = mailer.run(
        "declassify", "value", "1", "/name", "--reason", "r",
        "--passphrase-file", mailer.pass_file, "--json",
    )  # fmt: skip
    assert done.json["error"]["code"] == "release.not_listed"


def test_a_prompt_that_is_none(desk: Desk) -> None:
    for text in ("", "  \n"):
        done = desk.run("prompt", "give", "agent.token", desk.file("t", text), "--json").ok(2)
        assert done.json["error"]["code"] == "flow.prompt"
    wrong = desk.run("prompt", "give", "agent.token", desk.file("t", b"\xff"), "--json").ok(2)
    assert wrong.json["error"]["code"] == "input.text"
    stranger = desk.run("prompt", "show", desk.file("s", "nuc1_AAAA"), "--json").ok(1)
    assert stranger.json["error"]["code"] == "credential.refused"
    assert desk.run("prompt", "give", "-", "-", "--json").ok(2).json["error"]["code"] == (
        "input.twice"
    )
    assert "No prompt was given" in desk.run("prompt", "show", "agent.token").ok().out
