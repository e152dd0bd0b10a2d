"""What is shown: what hostile text cannot do to a terminal, and what no reader sees."""

from __future__ import annotations

import os
import pty
import re
import subprocess

import pytest

from nucleus_verifier.ports import PendingRequest
from tests.cli.command import PROGRAM, Desk

HOSTILE = "bad\x1b]0;owned\x07\x1b[31m\u202egnp\u200b\nname"
# Everything that moves a cursor, hides text or turns it around.
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


def test_hostile_text_in_a_token_reaches_no_terminal(desk: Desk) -> None:
    path = desk.issue(
        "agent",
        "--bearer",
        "--force",
        "--memo",
        HOSTILE,
        "--caveat",
        '["tool","in",["a\\u001b[2J"]]',
    )
    renamed = desk.run(
        "token", "issue", "--profile", "codegen", "--sub", HOSTILE, "--bearer", "--out", "x.token",
        "--passphrase-file", desk.pass_file,
    ).ok()  # fmt: skip
    assert "\\u202e" in renamed.out
    for words in (
        ("token", "inspect", path),
        ("token", "inspect", "x.token"),
        ("token", "verify", "x.token"),
        ("token", "list"),
        ("token", "tree"),
        ("token", "list", "--json"),
        ("token", "inspect", "x.token", "--json"),
    ):
        shown = desk.run(*words).ok().out
        assert not CONTROL.search(shown), words


def test_a_request_is_shown_exactly_and_safely(desk: Desk) -> None:
    _ask(desk, args='{"message":"' + HOSTILE.encode("unicode_escape").decode() + '"}')
    shown = desk.run("approvals", "list").ok().out
    assert not CONTROL.search(shown)
    assert "agent → bad\\x1b]0;owned\\x07" in shown
    assert re.search(r"commit at /srv/repo  \((10m|9m \d+s) left\)", shown)
    assert "exactly git_commit {" in shown
    assert "op:git_commit: it needs a person" in shown
    (request,) = desk.run("approvals", "list", "--json").ok().json
    assert request["chain"] == ["agent", HOSTILE]


def test_a_short_id_is_enough_and_an_ambiguous_one_is_not(desk: Desk) -> None:
    _ask(desk, request_id="aa11223344556677")
    _ask(desk, request_id="aa99223344556677")
    refused = desk.run("approvals", "deny", "aa").ok(2)
    assert "[desk.unknown]" in refused.err
    desk.run("approvals", "deny", "aa1", "--reason", "no").ok()
    done = desk.run(
        "approvals", "approve", "aa", "--passphrase-file", desk.pass_file, "--for", "2m"
    ).ok()
    assert "Approved by alice: this one call, once, for 2m." in done.out
    assert "Nothing waits" in desk.run("approvals", "list").ok().out
    states = {r["id"]: r["status"] for r in desk.run("approvals", "list", "--all", "--json").json}
    assert states == {"aa11223344556677": "denied", "aa99223344556677": "approved"}
    again = desk.run("approvals", "deny", "aa99223344556677").ok(2)
    assert "[desk.closed]" in again.err


def test_a_pattern_approves_several_calls(desk: Desk) -> None:
    _ask(desk)
    bad = desk.run(
        "approvals", "approve", "aa", "--pattern", '["exp",1]', "--passphrase-file", desk.pass_file
    ).ok(2)
    assert "[approval.pattern]" in bad.err
    done = desk.run(
        "approvals", "approve", "aa", "--pattern", '["tool","in",["git_commit"]]', "--count", 5,
        "--for", "1h", "--passphrase-file", desk.pass_file, "--json",
    ).ok()  # fmt: skip
    assert done.json["approver"] == "alice"


def test_the_wrong_passphrase_approves_nothing(desk: Desk) -> None:
    _ask(desk)
    desk.file("other", "guess")
    refused = desk.run("approvals", "approve", "aa", "--passphrase-file", "other").ok(2)
    assert "[keys.passphrase]" in refused.err
    assert len(desk.run("approvals", "list", "--json").json) == 1


def _ask(desk: Desk, request_id: str = "aa11223344556677", args: str = '{"message":"x"}') -> None:
    from nucleus.home import Home
    from nucleus_tokens import canonical, names

    home = Home.find(desk.home, {})
    shown = {
        "args": args,
        "args_whole": True,
        "chain": ["agent", HOSTILE],
        "exposure": ["private_data"],
        "resources": {"path": ["/srv/repo"]},
    }
    with home.store() as store:
        now = home.clock()
        store.ask(
            PendingRequest(
                id=request_id,
                created=now,
                expires=now + 600,
                tid="11" * 16,
                rid="22" * 16,
                cell="run:x",
                operation=names.operation("git_commit"),
                tool="git_commit",
                call_digest="33" * 32,
                obligations=(("op:git_commit", "it needs a person"),),
                shown=canonical.encode(shown).decode(),
            )
        )


def test_no_color_is_respected_on_a_terminal(desk: Desk) -> None:
    desk.run("token", "revoke", "agent.token").ok()
    plain = _on_a_terminal(desk, {"NO_COLOR": "1"}, "token", "tree")
    assert not re.search(r"\x1b\[[0-9;]*(?:3|4|9|10)[0-7][;m]", plain)
    assert "REVOKED" in plain


def test_a_token_is_not_written_to_a_terminal(desk: Desk) -> None:
    shown = _on_a_terminal(desk, {}, "token", "attenuate", "agent.token", "--calls", "1", "-o", "-")
    assert "[output.terminal]" in shown
    assert "nuc1_" not in shown


def _on_a_terminal(desk: Desk, env: dict[str, str], *words: str) -> str:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, *desk.argv(*words)], stdin=theirs, stdout=theirs, stderr=theirs,
        cwd=desk.root, env=desk.environ(env),
    )  # fmt: skip
    os.close(theirs)
    read = b""
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:  # Linux says so when the last writer is gone
            break
        if not data:
            break
        read += data
    os.close(ours)
    process.wait(timeout=60)
    return read.decode()


def test_what_is_not_verified_says_so(desk: Desk) -> None:
    """Without keys a token is only its own word; with those of another host it is refused."""
    away = Desk(desk.root / "away")
    away.root.mkdir()
    text = (desk.root / "agent.token").read_bytes()
    shown = away.run("token", "inspect", "-", stdin=text).ok().out
    assert "UNVERIFIED: there are no keys here" in shown
    away.init()
    assert "UNVERIFIED" in away.run("token", "inspect", "-", stdin=text).ok().out
    value = away.run("token", "inspect", "-", "--json", stdin=text).ok().json
    assert value["verified"] is False
    assert value["refused"]["code"] in ("audience.unknown", "issuer.unknown", "header.signature")
    assert [each["added_by"] for each in value["caveats"]] == []
    away.run("token", "verify", "-", stdin=text).ok(1)


def test_profiles_are_shown_as_tables_and_as_json(template: Desk) -> None:
    listed = template.run("profiles", "list", "--json").ok().json
    assert len(listed) == 10
    shown = template.run("profiles", "show", "Release").ok().out
    assert "a person is asked" in shown
    assert template.run("profiles", "show", "release", "--json").ok().json in listed
    assert "release" in template.run("profiles", "list").ok().out


@pytest.mark.parametrize(
    ("caveat", "code"),
    [('["exp",1]', "token.expired"), ('["nbf",4000000000]', "token.not_yet_valid")],
)
def test_verify_says_what_time_does_to_a_token(template: Desk, caveat: str, code: str) -> None:
    words = ("--caveat", caveat, "-o", "timed.token", "--force")
    template.run("token", "attenuate", "agent.token", *words).ok()
    value = template.run("token", "verify", "timed.token", "--json").ok(1).json
    assert [problem["code"] for problem in value["problems"]] == [code]
