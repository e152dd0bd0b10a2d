"""Files made to break the reader: each gives a note, none stops the rest, and none takes long."""

# ruff: noqa: E501
from __future__ import annotations

import json
import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleus.audit import clients, commands, credentials, hidden, jsonc, reading_yaml
from nucleus.audit.facts import Instructions, Place
from nucleus.audit.rules_text import instructions
from tests.audit.stage import audit, found

SLOW = settings(max_examples=60)
REMOTE = '{"mcpServers": {"x": {"url": "http://a.example.com"}}}'
SEEN = ("remote-without-tls", "z/.mcp.json", 1)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with one bad file at its end, which must be found whatever stands before it."""
    (tmp_path / "z").mkdir()
    (tmp_path / "z" / ".mcp.json").write_text(REMOTE)
    return tmp_path


def test_a_cycle_of_links_a_pipe_and_a_foreign_link(place: Path) -> None:
    (place / "a").mkdir()
    (place / "a" / "loop").symlink_to(place)
    (place / "a" / ".mcp.json").symlink_to(place / "a" / ".mcp.json")
    (place / "b").mkdir()
    os.mkfifo(place / "b" / ".mcp.json")
    (place / "c").mkdir()
    (place / "c" / ".mcp.json").symlink_to("/etc/passwd")
    (place / "CLAUDE.md").write_text("Fine.\n")
    (place / "AGENTS.md").symlink_to("CLAUDE.md")  # as people do; it is read once
    (place / "d" / "claude_desktop_config.json").mkdir(parents=True)
    report = audit(place)
    assert SEEN in found(report)
    unread = {f.place.path for f in report.findings if f.rule == "unreadable-config"}
    assert unread == {"a/.mcp.json", "b/.mcp.json", "c/.mcp.json"}


def test_bytes_that_are_no_text_and_names_that_are_none(place: Path) -> None:
    (place / "a").mkdir()
    (place / "a" / ".mcp.json").write_bytes(b'{"mcpServers": "\xff\xfe\x80"}')
    name = os.fsencode(place) + b"/\xff\xfe"
    os.mkdir(name)
    with open(name + b"/.mcp.json", "wb") as file:
        file.write(REMOTE.encode())
    (place / "u").mkdir()
    (place / "u" / ".mcp.json").write_bytes(REMOTE.encode("utf-16"))
    (place / "bom").mkdir()
    (place / "bom" / ".mcp.json").write_bytes(b"\xef\xbb\xbf" + REMOTE.encode())
    report = audit(place)
    paths = {path for rule, path, _ in found(report) if rule == "remote-without-tls"}
    assert paths == {"z/.mcp.json", "u/.mcp.json", "bom/.mcp.json", "\\xff\\xfe/.mcp.json"}
    assert ("unreadable-config", "a/.mcp.json", 1) in found(report)


def test_what_is_too_large_or_too_deep_is_named(place: Path) -> None:
    for folder, text in {
        "big": '{"mcpServers": {}}' + " " * (1024 * 1024),
        "deep": "[" * 100_000 + "]" * 100_000,
        "deeper": '{"a":' * 3000 + "1" + "}" * 3000,
        "number": '{"a": ' + "9" * 10_000 + "}",
        "nan": '{"a": NaN}',
        "many": json.dumps({"mcpServers": {f"s{i}": {"url": f"http://e{i}.example.com"} for i in range(3000)}}),
    }.items():  # fmt: skip
        (place / folder).mkdir()
        (place / folder / ".mcp.json").write_text(text)
    report = audit(place)
    assert SEEN in found(report)
    unread = {f.place.path for f in report.findings if f.rule == "unreadable-config"}
    assert unread == {f"{f}/.mcp.json" for f in ("big", "deep", "deeper", "number", "nan")}
    assert sum(f.place.path == "many/.mcp.json" for f in report.findings) <= 1001


@pytest.mark.parametrize(
    "piece",
    ["<!--", "/*", "${{", "curl ", "sk-", "eyJ", 'a"', "\\", "a:", "- ", "nc ", "<!-- -->", ",", " ",
     "://", "[", "\u200b", "ignore all ", "rm -", "`", "-----BEGIN ", "AAAA", "a=", "#", "\t"],
)  # fmt: skip
def test_much_of_anything_is_read_in_passing(piece: str) -> None:
    """No pattern takes time that grows faster than the text: the suite's own limit is the clock."""
    text = piece * (64 * 1024 // len(piece))
    for parse in (jsonc.parse, reading_yaml.parse):
        try:
            parse(text)
        except ValueError:
            pass
    list(instructions(Instructions(Place("x"), text)))
    list(commands.line_dangers(text))
    list(commands.argv_dangers((text, text)))
    hidden.steering(text, everywhere=True)
    hidden.encoded(text)
    credentials.is_one("TOKEN", text)
    for folder, name in (("", ".env"), (".github/workflows", "x.yml"), ("", "Dockerfile")):
        reader = clients.reader(folder, name)
        assert reader is not None
        list(reader(name, text))


@settings(SLOW)
@given(st.text(max_size=200))
def test_no_text_crashes_a_reader(text: str) -> None:
    for folder, name in (
        ("", ".mcp.json"), (".codex", "config.toml"), (".github/workflows", "a.yml"), ("", ".env"),
        ("", "Dockerfile"), ("", "devcontainer.json"), ("", "CLAUDE.md"), (".nucleus", "a.toml"),
    ):  # fmt: skip
        reader = clients.reader(folder, name)
        assert reader is not None
        from nucleus.audit.judging import of

        for fact in reader(name, text):
            list(of(fact))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["mcpServers", "command", "args", "env", "url", "permissions", "allow", "x",
                         "hooks", "servers", "headers", "projects", "mcp", "runArgs", "mounts"]),
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@settings(SLOW)
@given(_JSON)
def test_no_shape_crashes_a_reader(value: object) -> None:
    """Keys that clients know, with values they never have."""
    from nucleus.audit.judging import of

    for folder, name in (("", ".mcp.json"), (".claude", "settings.json"), ("", "devcontainer.json"),
                         (".vscode", "settings.json"), ("", "opencode.json")):  # fmt: skip
        reader = clients.reader(folder, name)
        assert reader is not None
        for fact in reader(name, json.dumps({"mcpServers": {"a": value}, "permissions": value})):
            list(of(fact))


LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}]\n" for a, b in pairwise("abcdefghijklmnopqrstuvwxyz")
)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (LAUGHS, "line 1 has an anchor"),
        ("a: *nobody\n", "line 1 has an anchor"),
        ("a: 1\nb: !!python/object/apply:os.system ['true']\n", "line 2 has a tag"),
        ("a: !include other.yml\n", "line 1 has a tag"),
        ("on: push\non: pull_request_target\n", "line 2 has a key twice"),
        ("? [a]\n: b\n", "line 1 has a key twice, or one that is no text"),
        ("a: 1\n---\nb: 2\n", "several documents"),
        ("[" * 200 + "]" * 200, "nested too deeply"),
        ("a: [" + "x," * 60_000 + "]", "too many values"),
        ("a: x" + "y" * reading_yaml.MOST_CHARS, "too long"),
        ("a: 'b\n", "is not YAML"),
        ("a: \x00\n", "is not YAML"),
        ("a: \ud800\n", "no Unicode"),
    ],
    ids=range(13),
)
def test_yaml_that_would_be_more_than_it_says_is_not_read(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        reading_yaml.parse(text)
    reader = clients.reader(".github/workflows", "x.yml")
    assert reader is not None
    (fact,) = reader(".github/workflows/x.yml", text)
    assert type(fact).__name__ == "Unread"


@pytest.mark.parametrize(
    "word",
    ["risk-assessment-reporting", "task-management-server-v2", "npm_config_cache_directory",
     "key-value-store-2024-release", "sk-learn-pipeline-examples", "secret_santa_organiser",
     "--package=task-master-ai@0.31.2", "key-rotation-20240101"],
)  # fmt: skip
def test_a_name_is_no_credential(word: str) -> None:
    assert not credentials.is_one("PACKAGE", word)
    assert not list(credentials.in_words(["run", word]))


@pytest.mark.parametrize("body", ["a1B2c3D4e5F6g7H8i9J0", "abcdefgh12345678", "QwErTyUiOpAsDfGh"])
@pytest.mark.parametrize("prefix", ["sk-", "sk-proj-", "hf_", "npm_", "glpat-", "xoxb-1234567890-"])
def test_what_has_the_form_of_one_is_one(prefix: str, body: str) -> None:
    assert credentials.formed(f"x={prefix}{body}")
    assert credentials.blotted(f"x={prefix}{body};", "?") == "x=?;"
