"""Bad input of every kind: one sentence, a code, an exit code, and nothing else."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from nucleus.cli import main
from tests.cli.command import Desk

NEW = ("--out", "new.token")
ISSUE = ("token", "issue", "--sub", "x", *NEW, "--passphrase-file", "passphrase")
BAD: list[tuple[str, int, tuple[str, ...]]] = [
    ("file.missing", 2, ("token", "verify", "nowhere.token")),
    ("file.permissions", 2, ("token", "verify", "open.token")),
    ("token.encoding", 1, ("token", "verify", "garbage.token")),
    ("token.encoding", 1, ("token", "inspect", "bytes.token")),
    ("token.malformed", 1, ("token", "inspect", "short.token")),
    ("token.where", 2, ("token", "verify")),
    ("token.where", 2, ("token", "verify", "agent.token", "--token-fd", "0")),
    ("input.descriptor", 2, ("token", "verify", "--token-fd", "987")),
    ("usage", 2, ("token", "verify", "--token-fd", "three")),
    ("usage", 2, ("token", "issue", "--profile", "codegen")),
    ("usage", 2, ("token", "frobnicate")),
    ("usage", 2, ("token", "verify", "--tokne-fd", "3")),
    ("profile.unknown", 2, (*ISSUE, "--profile", "root", "--bearer")),
    ("profile.syntax", 2, (*ISSUE, "--profile-file", "garbage.token", "--bearer")),
    ("order.profile", 2, (*ISSUE, "--bearer")),
    ("order.bearer", 2, (*ISSUE, "--profile", "codegen")),
    ("order.ttl", 2, (*ISSUE, "--profile", "codegen", "--bearer", "--ttl", "9d")),
    ("order.approve", 2, (*ISSUE, "--profile", "codegen", "--bearer", "--approve", "rm")),
    ("order.account", 2, (*ISSUE, "--profile", "codegen", "--bearer", "--account", "x")),
    ("order.depth", 2, (*ISSUE, "--profile", "codegen", "--bearer", "--depth", "1")),
    ("order.holder", 2, (*ISSUE, "--profile", "codegen", "--holder-spiffe", "agent")),
    ("input.hex", 2, (*ISSUE, "--profile", "codegen", "--holder-pub", "abc")),
    ("input.duration", 2, (*ISSUE, "--profile", "codegen", "--bearer", "--ttl", "soon")),
    ("audience.unknown", 2, (*ISSUE, "--profile", "codegen", "--bearer", "--audience", "moon")),
    ("keys.kind", 2, (*ISSUE, "--profile", "codegen", "--holder-key", "home/data/keys/trace.key")),
    ("keys.passphrase", 2, (*ISSUE[:-1], "wrong", "--profile", "codegen", "--bearer")),
    ("keys.passphrase_empty", 2, (*ISSUE[:-1], "empty", "--profile", "codegen", "--bearer")),
    ("file.exists", 2, ("token", "attenuate", "agent.token", "--calls", "1", "-o", "wrong")),
    ("file.unwritable", 2, ("token", "attenuate", "agent.token", "--calls", "1", "-o", "no/x")),
    ("output.twice", 2, ("token", "attenuate", "agent.token", "--calls", "1", "-o", "-", "--json")),
    ("caveat.none", 2, ("token", "attenuate", "agent.token", *NEW)),
    ("caveat.reserved", 2, ("token", "attenuate", "agent.token", *NEW, "--caveat", '["req",{}]')),
    ("caveat.unknown", 2, ("token", "attenuate", "agent.token", *NEW, "--caveat", '["sudo"]')),
    ("caveat.malformed", 2, ("token", "attenuate", "agent.token", *NEW, "--caveat", '"x"')),
    ("caveat.malformed", 2, ("token", "attenuate", "agent.token", *NEW, "--cap", "rm=always")),
    ("json.refused", 2, ("token", "attenuate", "agent.token", *NEW, "--caveat", "[1,")),
    ("input.pair", 2, ("token", "attenuate", "agent.token", *NEW, "--budget", "calls")),
    ("input.number", 2, ("token", "attenuate", "agent.token", *NEW, "--budget", "tokens=-1")),
    ("input.command", 2, ("token", "attenuate", "agent.token", *NEW, "--cmd", 'git "')),
    ("delegate.not_holder", 2, ("token", "delegate", "agent.token", *NEW, "--to", "x",
        "--key-file", "agent.key", "--holder-key", "helper.key")),
    ("delegate.depth", 2, ("token", "delegate", "agent.token", *NEW, "--to", "x",
        "--key-file", "helper.key", "--holder-key", "agent.key", "--depth", "2")),
    ("delegate.key", 2, ("token", "delegate", "agent.token", *NEW, "--to", "x",
        "--holder-key", "agent.key")),
    ("revoke.what", 2, ("token", "revoke")),
    ("revoke.what", 2, ("token", "revoke", "--rid", "00", "--record", "1")),
    ("revoke.rid", 2, ("token", "revoke", "--rid", "00")),
    ("revoke.unknown", 2, ("token", "revoke", "--rid", "00" * 16)),
    ("revoke.record", 2, ("token", "revoke", "--record", "999")),
    ("input.hex", 2, ("token", "revoke", "--preimage", "wrong")),
    ("token.unknown", 2, ("token", "tree", "ffff")),
    ("call.form", 2, ("token", "explain", "agent.token", "array.json")),
    ("json.refused", 2, ("token", "explain", "agent.token", "garbage.token")),
    ("policy.unreadable", 2, ("token", "explain", "agent.token", "call.json", "--policy", "none")),
    ("policy.version", 2, ("token", "explain", "agent.token", "call.json", "--policy", "empty")),
    ("call.seen", 2, ("token", "explain", "agent.token", "call.json", "--seen", "everything")),
    ("desk.unknown", 2, ("approvals", "deny", "abc")),
    ("desk.unknown", 2, ("approvals", "approve", "", "--passphrase-file", "passphrase")),
    ("trace.unreadable", 1, ("trace", "show", "array.json")),
    ("file.missing", 2, ("trace", "verify", "none.jsonl")),
    ("bundle.malformed", 2, ("trace", "verify", "--bundle", "array.json")),
    ("profile.which", 2, ("profiles", "show")),
    ("home.exists", 2, ("init", "--passphrase-file", "passphrase")),
    ("token.where", 2, ("mcp", "--token", "-", "--", "server")),
    ("passphrase.where", 2, ("init", "--passphrase-file", "wrong", "--passphrase-fd", "9")),
]  # fmt: skip


@pytest.fixture(scope="module")
def bad(template: Desk) -> Desk:
    """The template with files of every wrong kind."""
    template.file("garbage.token", "not a token\n")
    template.file("bytes.token", b"nuc1_\xff\xfe")
    template.file("short.token", "nuc1_AgEA")
    template.file("open.token", "nuc1_AgEA").chmod(0o644)
    template.file("arrow.toml", '"→" = 1\n')
    template.file("wrong", "another passphrase\n")
    template.file("empty", "")
    template.file("array.json", [])
    template.file("call.json", {"tool": "git_log", "arguments": {}})
    return template


@pytest.mark.parametrize(("code", "status", "words"), BAD, ids=lambda v: str(v)[:40])
def test_bad_input_is_one_sentence_with_a_code(
    bad: Desk, code: str, status: int, words: tuple[str, ...]
) -> None:
    result = bad.run(*words).ok(status)
    lines = [line for line in result.err.splitlines() if "no wall stands" not in line]
    assert len(lines) == 1, result.err
    assert lines[0].startswith("nucleus: ")
    assert f"[{code}]" in lines[0]
    assert not result.out or "--json" in words
    assert not (bad.root / "new.token").exists()


def test_an_error_is_a_json_document_too(bad: Desk) -> None:
    result = bad.run("token", "verify", "garbage.token", "--json").ok(1)
    assert result.json["error"]["code"] == "token.encoding"


def test_nothing_works_before_init(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for words in (("token", "list"), ("approvals", "list"), ("trace", "verify")):
        refused = desk.run(*words).ok(2)
        assert "[home.missing]" in refused.err
        assert "nucleus init" in refused.err


def test_a_passphrase_is_never_read_from_standard_input(template: Desk) -> None:
    """Without a terminal and without a file there is nobody to ask. (setsid: no terminal.)"""
    script = "import os; os.setsid()\nimport sys; from nucleus.cli import main; sys.exit(main())"
    import subprocess
    import sys

    words = ["token", "issue", "--profile", "codegen", "--sub", "x", "--bearer", *NEW]
    done = subprocess.run(
        [sys.executable, "-c", script, *template.argv(*words)], input=b"passphrase\n" * 2,
        capture_output=True, cwd=template.root, env=template.environ(), check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert b"[passphrase.no_terminal]" in done.stderr
    assert b"--passphrase-file" in done.stderr


def test_a_defect_of_ours_is_said_without_its_values(
    template: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("a secret value")

    monkeypatch.setattr("nucleus.cli.inputs.token", broken)
    result = template.run("token", "verify", "agent.token").ok(2)
    assert "[bug]" in result.err
    assert "KeyError in broken" in result.err
    assert "a secret value" not in result.err


def test_a_reader_that_goes_away_is_no_traceback(template: Desk) -> None:
    import subprocess

    from tests.cli.command import PROGRAM

    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*PROGRAM, *template.argv("profiles", "list")], stdout=write, stderr=subprocess.PIPE,
        env=template.environ(), check=False, timeout=60,
    )  # fmt: skip
    os.close(write)
    assert done.stderr == b""


def test_the_base_install_says_what_is_missing() -> None:
    """An agent's install has no typer: the script is there all the same."""
    import subprocess
    import sys

    script = "import sys; sys.modules['typer'] = None; from nucleus.cli import main; "
    done = subprocess.run(
        [sys.executable, "-c", script + "sys.exit(main())", "token", "list"], capture_output=True,
        env=Desk(Path()).environ(), check=False, timeout=60, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert "nucleus-runtime[cli]" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_terminal_that_lacks_a_letter_gets_the_rest(bad: Desk) -> None:
    done = bad.process(
        "profiles", "show", "--file", "arrow.toml", env={"PYTHONIOENCODING": "ascii"}
    )
    assert done.code == 2
    assert "\\u2192" in done.err


def test_interrupting_is_130(monkeypatch: pytest.MonkeyPatch, template: Desk) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nucleus.cli.inputs.token", stopped)
    assert main(template.argv("token", "verify", "x")) == 130


def test_bad_input_list_names_each_case_once() -> None:
    spelled = [json.dumps(words) for _, _, words in BAD]
    assert len(spelled) == len(set(spelled))


def test_a_server_that_is_not_there_is_said_before_anything_starts(template: Desk) -> None:
    words = ("mcp", "--token", "agent.token", "--", "no-such-server")
    refused = template.run(*words).ok(2)
    assert "[server.not_found]" in refused.err
