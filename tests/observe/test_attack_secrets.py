"""A server that says what it was given in every place it can; a client that passes it on.

Nothing of it reaches the record, the policy, the profile, what is printed, or the audit's report.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleus.audit import scrubbing
from nucleus.observe import record
from tests.cli.command import Desk
from tests.observe.stage import SERVER, Client

SECRET = "hunter2/is+not=the;word"
WORD = "sk-proj-" + "a1B2c3D4e5F6g7H8i9J0"
FORMS = (
    SECRET,
    base64.b64encode(SECRET.encode()).decode().rstrip("="),
    SECRET.encode().hex(),
    WORD,
)


def clean(text: str) -> None:
    for form in FORMS:
        assert form not in text


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    path = tmp_path_factory.mktemp("secrets") / "server.py"
    path.write_text(SERVER)
    return [sys.executable, str(path), WORD]


@pytest.mark.parametrize("values", [(), ("--values",)])
def test_no_secret_reaches_the_record_or_what_is_made_of_it(
    server: list[str], tmp_path: Path, values: tuple[str, ...]
) -> None:
    where = tmp_path / "record.jsonl"
    client = Client(where, server, *values, API_TOKEN=SECRET, TMPDIR=str(tmp_path))
    calls = [
        ("read_note", {"path": "/etc/hostname"}),
        ("read_note", {"path": "/etc/hostname", "how": "error"}),
        ("read_note", {"path": f"/etc/{WORD}", "how": "failed"}),
        ("write_note", {"path": "/etc/hostname", "text": f"with {SECRET} in it", "how": "stderr"}),
        ("write_note", {"path": "/etc/hostname", SECRET: 1, "password": "short"}),
        ("frobnicate", {"deep": {"list": [SECRET, WORD]}, "token": "abcdef", "words": WORD}),
        (SECRET, {}),
        ("**", {}),
    ]
    for number, (tool, arguments) in enumerate(calls):
        client.call(number, tool, **arguments)
        answer = json.dumps(client.answer(number))
        # The answers are the client's, as they are: it could ask the server itself.
        assert tool in (SECRET, "**") or WORD in answer
    said = client.end()
    assert "starting with [credential] and [credential]" in said
    text = where.read_text()
    seen = record.read(text)
    assert [call.verdict for call in seen.calls] == ["allow"] * 6 + ["deny"] * 2
    assert "short" not in text
    desk = Desk(tmp_path)
    made = desk.run(
        "observe", "policy", where, "-o", tmp_path / "p.json", "--profile", tmp_path / "p.toml"
    ).ok(0)
    desk.run("observe", "replay", tmp_path / "p.json", where, "--json").ok(3)
    written = [path.read_text() for path in tmp_path.iterdir() if path.is_file()]
    assert len(written) == 3
    for each in (text, said, made.out, made.err, *written):
        clean(each)
    assert '"**"' not in (tmp_path / "p.json").read_text()


def test_no_secret_reaches_the_report(server: list[str], tmp_path: Path) -> None:
    """It knows a credential of its command line; those of its environment are not given to it."""
    (tmp_path / "server.py").write_text(SERVER)
    command = ["server.py", "--api-key", WORD]
    config = {"command": sys.executable, "args": command, "env": {"API_TOKEN": SECRET}}
    (tmp_path / ".mcp.json").write_text(json.dumps({"mcpServers": {"leaky": config}}))
    (tmp_path / "server.py").write_text(SERVER.replace("sys.argv[1]", "sys.argv[-1]"))
    desk = Desk(tmp_path)
    for words in ((), ("--json",), ("--format", "sarif"), ("--format", "markdown"), ("--suggest",)):
        shown = desk.run("audit", tmp_path, "--live", "--fail-on", "never", *words)
        assert "frobnicate" in shown.out or words, shown.err
        clean(shown.out + shown.err)
    page = tmp_path / "page.html"
    desk.run("audit", tmp_path, "--live", "--fail-on", "never", "--html", page)
    clean(page.read_text())


@given(st.text(min_size=6, max_size=40), st.text(max_size=20), st.text(max_size=20))
def test_a_known_secret_is_found_wherever_it_stands(word: str, before: str, after: str) -> None:
    """As it is, as JSON, as hexadecimal; in base64 at any place but for the letters it shares."""
    scrub = scrubbing.of({"API_TOKEN": word})
    if not scrub.known:
        return  # it only stands for one: `${TOKEN}`, a path, `your-token`
    assert word not in scrub.text(before + word + after).replace(scrubbing.MARK, "")
    assert (
        word.encode("utf-8", "surrogatepass").hex()
        not in scrub.text((before + word + after).encode("utf-8", "surrogatepass").hex())
        or len(word) < 6
    )
    assert json.dumps({word: [word]}) != json.dumps(scrub.value({word: [word]}))


def test_a_home_of_an_observer_that_was_killed_is_removed_by_the_next(
    server: list[str], tmp_path: Path
) -> None:
    """There the arguments of a call stand while it waits to be approved."""
    left = Client(tmp_path / "a.jsonl", server, TMPDIR=str(tmp_path))
    (home,) = tmp_path.glob("nucleus-observe-*")
    left.process.kill()
    left.end()
    assert home.exists()
    other = Client(tmp_path / "b.jsonl", server, TMPDIR=str(tmp_path))
    assert home.exists(), "it could be one that is just being made"
    (running,) = set(tmp_path.glob("nucleus-observe-*")) - {home}
    os.utime(home / "lock", (1, 1))
    os.utime(running / "lock", (1, 1))
    Client(tmp_path / "c.jsonl", server, TMPDIR=str(tmp_path)).end()
    assert not home.exists()
    assert running.exists()
    other.end()
    assert tempfile.gettempdir() != str(tmp_path)
