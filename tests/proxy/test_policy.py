"""A policy file says exactly what it says, or it is refused as a whole."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleus_proxy import policy
from nucleus_proxy.remotes import Remote
from nucleus_tokens import label_names, names
from nucleus_tokens.errors import CallerError, WorldError
from nucleus_verifier.choosing import SelectorRule

FULL = """
version = 1
gate = "evidence"
obligations = ["git_push", "create_pr"]

[server]
command = ["server", "--stdio"]
cwd = "repo"
env = { PATH = "/usr/bin" }

[wall]
id = "box-1"
shows = ["private_data"]

[quorum]
git_push = 2

[methods]
open = ["resources/read"]

[tools.read]
operation = "read_files"
selectors = { "/path" = "path" }

[tools.add]
operation = "write_files"
sink = "mcp_write"
payload = ["/note"]
adds = ["untrusted_content"]
costs = { micro_usd = 3, tokens = 5 }
trusted_sink = true

[tools.add.selectors]
"/repo" = "path"
"/files" = { kind = "path", base = "/repo" }
"/to" = { kind = "recipient", optional = true }
"""


def test_a_full_file_is_read() -> None:
    file = policy.parse(FULL.encode(), base=Path("/srv"))
    assert file.verifier.gate == "evidence"
    assert file.verifier.obligations == names.obligation_bits(["git_push", "create_pr"])
    assert file.verifier.quorum == {names.operation("git_push"): 2}
    assert file.server.command == ("server", "--stdio")
    assert file.server.cwd == "/srv/repo"
    assert file.server.env == {"PATH": "/usr/bin"}
    assert file.wall == policy.Wall("box-1", 1)
    assert file.opened == {"resources/read"}
    assert file.tools["read"].sink == label_names.sink("secret_read")
    add = file.tools["add"]
    assert (add.sink, add.adds, add.trusted_sink) == (label_names.sink("mcp_write"), 2, True)
    assert add.costs == {"micro_usd": 3, "tokens": 5}
    assert SelectorRule("/files", "path", "/repo") in add.selectors
    assert SelectorRule("/to", "recipient", "", True) in add.selectors


def test_the_least_file_permits_nothing() -> None:
    file = policy.parse(b"version = 1\n")
    assert file.tools == {}
    assert file.wall is None
    assert file.server.env == {}
    assert file.opened == frozenset()
    assert file.verifier.gate == "ask"


REFUSED = [
    ("", "policy.version"),
    ("version = 2", "policy.version"),
    ("version = true", "policy.version"),
    ('version = "1"', "policy.version"),
    ("version = 1\nversion = 1", "policy.syntax"),
    ("version = 1\n[tools.x\n", "policy.syntax"),
    ("version = 1\nobligation = []", "policy.unknown_key"),
    ("version = 1\n[server]\ncomand = []", "policy.unknown_key"),
    ('version = 1\n[wall]\nid = "a"\nshow = []', "policy.unknown_key"),
    ('version = 1\n[wall]\nid = "a"', "policy.value"),
    ('version = 1\n[wall]\nid = "a"\nshows = ["secret"]', "policy.value"),
    ('version = 1\n[wall]\nid = "a"\nshows = "private_data"', "policy.value"),
    ('version = 1\ngate = "open"', "policy.value"),
    ("version = 1\ngate = 1", "policy.value"),
    ('version = 1\nobligations = ["push"]', "policy.value"),
    ('version = 1\nobligations = "git_push"', "policy.value"),
    ("version = 1\n[quorum]\npush = 2", "policy.unknown_key"),
    ("version = 1\n[quorum]\ngit_push = 0", "policy.value"),
    ("version = 1\n[quorum]\ngit_push = true", "policy.value"),
    ("version = 1\n[quorum]\ngit_push = 9", "policy.value"),  # more are not looked at
    ('version = 1\n[methods]\nopen = ["tools/call"]', "policy.value"),
    ('version = 1\n[methods]\nopen = ["*"]', "policy.value"),
    ("version = 1\ntools = []", "policy.value"),
    ("version = 1\n[tools.x]\n", "policy.value"),
    ('version = 1\n[tools.x]\noperation = "reads"', "policy.value"),
    ('version = 1\n[tools.x]\noperation = "read_files"\nlevel = "always"', "policy.unknown_key"),
    ('version = 1\n[tools.x]\noperation = "read_files"\nsink = "nowhere"', "policy.value"),
    ('version = 1\n[tools.x]\noperation = "read_files"\nadds = ["all"]', "policy.value"),
    ('version = 1\n[tools.x]\noperation = "read_files"\ntrusted_sink = 1', "policy.value"),
    ('version = 1\n[tools.x]\noperation = "read_files"\npayload = ["a"]', "policy.value"),
    ('version = 1\n[tools.x]\noperation = "read_files"\npayload = [""]', "policy.value"),
    ('version = 1\n[tools.x]\noperation = "read_files"\npayload = ["/a~2"]', "policy.value"),
    ('version = 1\n[tools.x]\noperation = "read_files"\ncosts = { calls = 0 }',
     "policy.unknown_key"),
    ('version = 1\n[tools.x]\noperation = "read_files"\ncosts = { tokens = -1 }', "policy.value"),
    ('version = 1\n[tools.x]\noperation = "read_files"\nselectors = { "/a" = "file" }',
     "policy.value"),
    ('version = 1\n[tools.x]\noperation = "read_files"\nselectors = { "/a" = { kind = "path", '
     'bse = "/b" } }', "policy.unknown_key"),
    ('version = 1\n[tools.x]\noperation = "read_files"\nselectors = { "/a" = { kind = "path", '
     'base = "/b" } }', "policy.value"),
    ('version = 1\n[tools.x]\noperation = "read_files"\npayload = ["/a"]\n'
     'selectors = { "/a" = "path" }', "policy.value"),
    ('version = 1\n[tools.x]\noperation = "read_files"\npayload = ["/a"]\n'
     'selectors = { "/a/b" = "path" }', "policy.value"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code"), REFUSED)
def test_a_file_with_one_mistake_is_refused(text: str, code: str) -> None:
    with pytest.raises(CallerError) as caught:
        policy.parse(text.encode())
    assert caught.value.code == code


@given(st.binary(max_size=300))
def test_any_bytes_give_a_policy_or_an_error_of_ours(data: bytes) -> None:
    for text in (data, b"version = 1\n" + data):
        with contextlib.suppress(CallerError):
            policy.parse(text)


_toml_value = st.sampled_from(
    [
        "1",
        '"x"',
        '"read_files"',
        "[]",
        '["/a"]',
        "{}",
        "true",
        '{ "/a" = "path" }',
        "1.5",
        '[["x"]]',
    ]
)


@given(
    st.dictionaries(
        st.sampled_from(
            ["gate", "obligations", "quorum", "wall", "server", "methods", "tools", "tools.x",
             "tools.x.operation", "tools.x.selectors", "tools.x.payload", "tools.x.costs",
             "wall.id", "server.env", "server.cwd", "methods.open"]
        ),
        _toml_value,
        max_size=5,
    )
)  # fmt: skip
def test_any_shape_gives_a_policy_or_an_error_of_ours(table: dict[str, str]) -> None:
    text = "version = 1\n" + "".join(f"{key} = {value}\n" for key, value in table.items())
    with contextlib.suppress(CallerError):
        policy.parse(text.encode())


def test_a_missing_file_is_the_worlds_fault(tmp_path: Path) -> None:
    with pytest.raises(WorldError, match="cannot be read") as caught:
        policy.load(tmp_path / "none.toml")
    assert caught.value.code == "policy.unreadable"


def test_a_workspace_and_remotes() -> None:
    text = """
version = 1
[workspace]
root = "ws"
shows = ["private_data"]
[remotes.origin]
url = "https://forge.example/team/x.git"
"""
    file = policy.parse(text.encode(), base=Path("/srv"))
    assert file.workspace == policy.Workspace("/srv/ws", 1)
    origin = Remote("https://forge.example/team/x.git", "forge.example")
    assert file.remotes == {"origin": origin}
    assert (origin.repository, origin.scheme) == ("team/x", "https")
    assert policy.parse(b"version = 1").workspace is None
    bare = policy.parse(b'version = 1\n[workspace]\nroot = "/w"')
    assert bare.workspace == policy.Workspace("/w", policy.NO_WALL)
    for bad in ('[remotes.x]\nurl = "ssh://h/x"', '[remotes.x]\nurl = "x"',
                "[workspace]", "[workspace]\nroot = 1", "[remotes.x]", "remotes = 1",
                '[remotes.x]\nurl = ""', '[workspace]\nroot = "/w"\nshows = ["x"]'):  # fmt: skip
        with pytest.raises(CallerError) as caught:
            policy.parse(b"version = 1\n" + bad.encode())
        assert caught.value.code == "policy.value"
    with pytest.raises(CallerError) as caught:
        policy.parse(b'version = 1\n[workspace]\nroot = "/w"\nmode = 1')
    assert caught.value.code == "policy.unknown_key"


def test_a_server_is_in_a_cell_unless_that_is_called_a_danger() -> None:
    file = policy.parse(b'version = 1\n[server]\nreadable = ["/opt/x"]')
    assert (file.server.danger_outside_cell, file.server.readable) == (False, ("/opt/x",))
    assert policy.parse(b"version = 1\n[server]\ndanger_outside_cell = true").server == replace(
        policy.parse(b"version = 1").server, danger_outside_cell=True
    )
    with pytest.raises(CallerError) as caught:
        policy.parse(b"version = 1\n[server]\ncell = false")
    assert caught.value.code == "policy.unknown_key"
    for bad in (b"danger_outside_cell = 1", b'readable = "/x"'):
        with pytest.raises(CallerError) as caught:
            policy.parse(b"version = 1\n[server]\n" + bad)
        assert caught.value.code == "policy.value"
