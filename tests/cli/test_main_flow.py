"""The main job by hand, with real processes: issue, narrow, hand over, ask, revoke."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest

from nucleus_tokens import chain, holding
from tests.cli.command import PASSPHRASE, PROGRAM, Desk


def test_from_init_to_revocation(tmp_path: Path) -> None:
    """One long story: each step is a process and stands on the ones before it."""
    desk = Desk(tmp_path)
    desk.file("passphrase", PASSPHRASE + b"\n")
    made = desk.process(
        "init", "--approver", "alice", "--passphrase-file", "passphrase",
        "--dangerously-weak-keys-for-tests", "--json",
    ).ok()  # fmt: skip
    assert made.json["approver"] == "alice"
    agent = desk.process("token", "key", "--out", "agent.key").ok().out.strip()
    helper = desk.process("token", "key", "--out", "helper.key", "--json").ok().json["public"]

    issued = desk.process(
        "token", "issue", "--profile", "codegen", "--sub", "agent", "--holder-key", "agent.key",
        "--depth", "2", "--path", ".", "--calls", "50", "--ttl", "1h", "--audience", "local",
        "--out", "agent.token", "--passphrase-file", "passphrase", "--json",
    ).ok()  # fmt: skip
    narrowed = desk.process(
        "token", "attenuate", "agent.token", "--cap", "git_commit=never", "--tool", "git_log",
        "--expires", "10m", "--out", "log.token", "--json",
    ).ok()  # fmt: skip
    handed = desk.process(
        "token", "delegate", "log.token", "--to", "helper", "--key-pub", helper,
        "--holder-key", "agent.key", "--purpose", "read the log", "--out", "helper.token",
    ).ok()  # fmt: skip
    assert "An approval serves exactly the token" in handed.out

    shown = desk.process("token", "inspect", "helper.token", "--json").ok().json
    assert shown["verified"] is True
    assert shown["holder"]["key"] == helper != agent
    assert [c["added_by"] for c in shown["caveats"]] == ["agent"] * 4
    assert shown["rights"]["levels"]["git_commit"] == "never"
    assert shown["rights"]["budgets"][-1] == {"limit": 50, "spent": 0, "unit": "calls"}
    assert shown["revocation"][0]["rid"] == issued.json["rid"]
    assert shown["revocation"][-1]["revokers"] == ["issuer local", "agent", "helper"]

    checked = desk.process("token", "verify", "helper.token", "--cross-check", "--json").ok()
    assert checked.json["valid"] is True
    assert checked.json["cross_check"] == {"agrees": True, "differences": []}

    call = desk.file("call.json", {"tool": "git_log", "arguments": {"repo_path": str(tmp_path)}})
    desk.process("token", "explain", "helper.token", call).ok(0)

    drawn = desk.process("token", "tree", "helper.token").ok().out
    assert "handed to helper" in drawn
    assert "REVOKED" not in drawn

    desk.process("token", "preimage", "log.token", "--out", "log.revoke").ok()
    gone = desk.process("token", "revoke", "--preimage", "log.revoke", "--reason", "done").ok()
    assert "recorded" in gone.out
    assert "effective" in gone.out
    refused = desk.process("token", "verify", "helper.token", "--json").ok(1).json
    assert [p["code"] for p in refused["problems"]] == ["token.revoked"]
    denied = desk.process("token", "explain", "helper.token", call, "--json").ok(1).json
    assert (denied["step"], denied["code"]) == (6, "token.revoked")
    desk.process("token", "verify", "agent.token").ok(0)

    tree = desk.process("token", "tree", issued.json["tid"][:6], "--json").ok().json
    states = _states(tree[0]["tree"])
    assert states[narrowed.json["rid"]] == "revoked"
    assert list(states.values()).count("dead") == 1
    listed = desk.process("token", "list", "--json").ok().json
    assert [(each["sub"], each["state"]) for each in listed] == [("agent", "valid")]

    for name in ("agent.key", "agent.token", "log.token", "helper.token", "log.revoke"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600, name
    _nothing_secret_was_printed(desk)


def _states(node: dict[str, object]) -> dict[str, str]:
    """rid -> how it stands, for a whole tree."""
    state = "revoked" if node["revoked"] else "dead" if node["dead"] else "live"
    found = {str(node["rid"]): state}
    children = node["children"]
    assert isinstance(children, list)
    for child in children:
        found |= _states(child)
    return found


def _nothing_secret_was_printed(desk: Desk) -> None:
    printed = "\n".join(desk.printed)
    secrets = [PASSPHRASE.decode()]
    for path in desk.root.rglob("*.key"):
        secrets.append(json.loads(path.read_text())["secret"])
    for path in desk.root.glob("*.token"):
        text = path.read_text().strip()
        token = holding.read_token(text)
        secrets += [text, text[5:60], token.tag.hex(), chain.to_text(token.tag)[:40]]
        secrets.append(holding.reveal(token).hex())
    assert len(secrets) > 15
    assert not [secret[:12] + "…" for secret in secrets if secret in printed]


def test_a_secret_is_in_no_argument_and_in_no_environment(desk: Desk) -> None:
    """While the command waits for its secrets, everything that others can read of it is read."""
    token_in, token_out = os.pipe()
    process = subprocess.Popen(
        [*PROGRAM, *desk.argv("token", "attenuate", "--token-fd", token_in, "--calls", 1),
         "--out", "narrow.token"],
        cwd=desk.root, env=desk.environ(), pass_fds=(token_in,),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    os.close(token_in)
    seen = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    seen += Path(f"/proc/{process.pid}/environ").read_bytes()
    with os.fdopen(token_out, "wb") as file:
        file.write((desk.root / "agent.token").read_bytes())
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert b"nuc1_" not in seen + out + err
    assert PASSPHRASE not in seen


def test_a_token_goes_from_one_command_to_the_next_by_a_pipe(desk: Desk) -> None:
    text = (desk.root / "agent.token").read_bytes()
    narrowed = desk.process(
        "token", "attenuate", "-", "--calls", "3", "--out", "-", stdin=text
    ).ok()
    assert narrowed.out.startswith("nuc1_")
    assert "at most 3 calls" in narrowed.err
    desk.process("token", "verify", "-", stdin=narrowed.out.encode()).ok()


@pytest.mark.parametrize("word", ["nuc1_AgEA", "--out=nuc1_AgEA"])
def test_a_token_on_the_command_line_is_refused_with_the_reason(template: Desk, word: str) -> None:
    refused = template.run("token", "verify", word).ok(2)
    assert "every process can read it" in refused.err
    assert "[token.in_arguments]" in refused.err
    assert "AgEA" not in refused.out + refused.err
