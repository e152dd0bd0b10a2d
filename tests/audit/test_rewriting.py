"""Other clients' files are changed where their servers stand, and put back, like the usual one."""

# ruff: noqa: E501
from __future__ import annotations

import asyncio
import json
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from nucleus.audit import rewriting, rewriting_toml
from tests.audit.stage import CREDENTIALS
from tests.audit.test_fixing import TELLER
from tests.cli.command import ROOMS, Desk

SECRET = CREDENTIALS["@@GITHUB@@"]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("PYTHONPATH", ROOMS)
    made = Desk(tmp_path)
    made.init()
    (tmp_path / "teller.py").write_text(TELLER)
    (tmp_path / "repo" / ".codex").mkdir(parents=True)
    return made


def codex(desk: Desk) -> str:
    return f"""# how the team works
model = "gpt-5"   # kept

[mcp_servers.teller]  # the first
# started so
command = {json.dumps(sys.executable)}  # by this one
args = [
  {json.dumps(str(desk.root / "teller.py"))},  # its program
]
startup_timeout_sec = 20  # it is slow

[mcp_servers.teller.env]
API_TOKEN = "{SECRET}"
MODE = 'quiet'

# Above the next one.
[mcp_servers."far one"]
url = "https://mcp.example.com/mcp"

[profiles.deep]
# after it
model = "gpt-5-pro"
"""


async def told(entry: dict[str, Any], env: dict[str, str], path: str) -> dict[str, Any]:
    """What the server says it was given, to a client that starts it as its configuration says."""
    started = StdioServerParameters(
        command=entry["command"], args=entry["args"], env={**env, **entry.get("env", {})}
    )
    async with (
        asyncio.timeout(60),
        stdio_client(started) as (reader, writer),
        ClientSession(reader, writer) as session,
    ):
        await session.initialize()
        answer = await session.call_tool("read_note", {"path": path})
        found: dict[str, Any] = json.loads("".join(getattr(e, "text", "") for e in answer.content))
        return found


def test_codex_is_put_behind_the_proxy_and_back(desk: Desk) -> None:
    repo = desk.root / "repo"
    path = repo / ".codex" / "config.toml"
    before = codex(desk)
    path.write_text(before)
    token = desk.issue("agent", "--bearer", "--path", repo, "--ttl", "1h")
    done = desk.run("audit", repo, "--fix", "--token", token).ok(0)
    assert ".codex/config.toml: teller is behind nucleus mcp" in done.out
    assert "far one stays as it is: it is remote" in done.err
    after = path.read_text()
    assert SECRET not in after
    for comment in ("# how the team works", "# kept", "# the first", "# started so",
                    "# by this one", "# Above the next one.", "# it is slow", "# after it"):  # fmt: skip
        assert comment in after
    rest = [line for line in before.splitlines() if line.startswith(("model", "url", "[prof"))]
    assert all(line in after.splitlines() for line in rest)

    assert (
        "behind the proxy already" in desk.run("audit", repo, "--fix", "--token", token).ok(0).err
    )
    assert path.read_text() == after
    entry = tomllib.loads(after)["mcp_servers"]["teller"]
    given = asyncio.run(told(entry, desk.environ(), str(repo / "a.txt")))
    assert given["API_TOKEN"] == SECRET
    assert given["MODE"] == "quiet"

    desk.run("audit", repo, "--unfix").ok(0)
    assert path.read_text() == before

    # Edited since: only the server is put back, with what was added kept.
    desk.run("audit", repo, "--fix", "--token", token).ok(0)
    path.write_text(path.read_text().replace('"gpt-5"', '"gpt-6"'))
    desk.run("audit", repo, "--unfix").ok(0)
    assert tomllib.loads(path.read_text()) == tomllib.loads(before.replace('"gpt-5"', '"gpt-6"'))
    assert "# its program" in path.read_text()


_NAMES = st.sampled_from(["a", "b", "other", "x y", "env"])
_VALUES = st.recursive(
    st.booleans() | st.integers(-99, 99) | st.text("ab\"'\\#\n é", max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=2),
    max_leaves=6,
)


def filled(value: Any) -> Any:
    """A value without its empty tables."""
    if type(value) is not dict:
        return value
    made = {key: filled(each) for key, each in value.items()}
    return {key: each for key, each in made.items() if each != {}}


@given(
    st.dictionaries(_NAMES, st.dictionaries(_NAMES, _VALUES, max_size=3), min_size=1, max_size=3),
    st.dictionaries(_NAMES, _VALUES, max_size=3),
    st.data(),
)
def test_a_changed_table_is_the_new_one_and_all_else_the_old(
    servers: dict[str, Any], other: dict[str, Any], data: st.DataObject
) -> None:
    import tomlkit

    source = "# first\n" + tomlkit.dumps({"other": other, "mcp_servers": servers}) + "# last\n"
    name = data.draw(st.sampled_from(sorted(servers)))
    new = data.draw(st.dictionaries(_NAMES, _VALUES, max_size=3))
    keys = ("mcp_servers", name)
    try:
        made = rewriting_toml.replaced(source, {keys: new})
    except ValueError:
        # A table of its own would have to become a value, and its comments with it.
        assert any(type(each) in (dict, list) for each in servers[name].values())
        return
    said = tomllib.loads(made)
    rest = {k: v for k, v in servers.items() if k != name}
    now = said.pop("mcp_servers")
    assert filled(now.pop(name)) == filled(new)
    assert now == rest
    assert said == {"other": other}
    assert made.startswith("# first\n")
    assert "# last" in made
    try:
        back = rewriting_toml.replaced(made, {keys: rewriting_toml.stood(source, keys)})
    except ValueError:
        return
    assert filled(tomllib.loads(back)) == filled(tomllib.loads(source))


def test_tables_apart_are_changed_too_or_refused() -> None:
    source = "[mcp_servers.a]\ncommand = 'x'\n[other]\nk = 1\n[mcp_servers.b]\ncommand = 'y'\n"
    try:
        made = rewriting_toml.replaced(source, {("mcp_servers", "b"): {"command": "z"}})
    except (ValueError, KeyError):
        return
    assert tomllib.loads(made)["mcp_servers"] == {"a": {"command": "x"}, "b": {"command": "z"}}


@pytest.mark.parametrize(
    "more",
    [
        "a = " + "[" * 120 + "]" * 120,
        "a = " + "[" * 300 + "]" * 300,
        "# " + "x" * 200_000,
        "".join(f"[t{n}]\n" for n in range(3000)),
        'a = """' + "x\n" * 999 + '"""',
        "\r\n# é",
    ],
    ids=range(6),
)
def test_whatever_else_stands_there_stays_or_nothing_is_done(more: str) -> None:
    source = f"[mcp_servers.a]\ncommand = 'x'\n[other]\n{more}\n"
    try:
        made = rewriting_toml.replaced(source, {("mcp_servers", "a"): {"command": "y"}})
    except ValueError:
        return
    assert made == source.replace("'x'", '"y"', 1)


@pytest.mark.parametrize(
    ("value", "argv"),
    [
        ({"command": "x", "args": ["y"]}, ["x", "y"]),
        ({"command": "x y"}, ["x", "y"]),
        ({"type": "local", "command": ["x", "y"], "environment": {"A": "1"}}, ["x", "y"]),
        ({"command": {"path": "x", "args": ["y"], "env": {}}}, ["x", "y"]),
    ],
)
def test_an_entry_keeps_the_shape_of_its_client(value: dict[str, Any], argv: list[str]) -> None:
    made = rewriting.entry(
        value, argv, ["/bin/nucleus"], token="t", policy="p", secrets={"A": "a"}, passed=[]
    )
    assert type(made["command"]) is type(value["command"])
    command = made["command"]
    if isinstance(command, str):
        words = [command, *made["args"]]
    elif isinstance(command, dict):
        words = [command["path"], *command["args"]]
    else:
        words = command
    assert words == ["/bin/nucleus", "mcp", "--token", "t", "--policy", "p", "--secret", "A=a",
                     "--", "x", "y"]  # fmt: skip
    assert "environment" not in made
