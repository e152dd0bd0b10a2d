"""What the command says of itself: help, examples, version, completion, and how fast it starts."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from typing import Any

import pytest
import typer

import nucleus
from nucleus.cli.app import GROUPS, build
from tests.cli.command import PROGRAM, Desk
from tests.house.source import ROOT

COMMANDS = [
    ("init",),
    ("demo",),
    *((group, name) for group in GROUPS for name in GROUPS[group]()[1]),
]
# What takes long to load and has no place in a help page.
HEAVY = {"nacl", "pymacaroons", "asyncio", "rich", "sqlite3", "pydantic", "hashlib"}
OURS = {"nucleus_issuer", "nucleus_proxy", "nucleus_verifier"}


@pytest.mark.parametrize("words", [(), *((group,) for group in GROUPS), *COMMANDS], ids=" ".join)
def test_every_help_page_has_an_example(template: Desk, words: tuple[str, ...]) -> None:
    shown = template.run(*words, "--help").ok().out
    examples = shown.partition("Examples:")[2]
    assert f"nucleus {words[0] if words else 'init'}" in examples, shown
    assert max(map(len, shown.splitlines())) <= 120


def test_every_example_is_a_command_that_exists() -> None:
    """Options too: an example that is refused is worse than none."""
    known = _options(build())
    for text in _examples():
        words = shlex.split(text.replace("…", "").replace("--home ./trial ", ""))
        path = tuple(w for w in words[1:3] if not w.startswith("-"))
        path = path if path in known else path[:1]
        if path in (("mcp",), ("observe",)):
            path = (*path, "run")
        assert path in known, text
        mine = words[: words.index("--")] if "--" in words else words
        used = {w.partition("=")[0] for w in mine if w.startswith("--")}
        assert used <= known[path], f"{text}: {used - known[path]}"


def _examples() -> list[str]:
    from nucleus.cli import demo, init

    found = [init.EXAMPLES, demo.EXAMPLES]
    found += [epilog for make in GROUPS.values() for _, epilog in make()[1].values()]
    lines = [line.strip() for text in found for line in text.splitlines()]
    return [line[line.index("nucleus ") :] for line in lines if "nucleus " in line]


def _options(app: typer.Typer) -> dict[tuple[str, ...], set[str]]:
    found: dict[tuple[str, ...], set[str]] = {}
    todo: list[tuple[tuple[str, ...], Any]] = [((), typer.main.get_command(app))]
    while todo:
        path, command = todo.pop()
        found[path] = {option for each in command.params for option in each.opts} | {"--help"}
        todo += [((*path, name), sub) for name, sub in getattr(command, "commands", {}).items()]
    return found


def test_the_readme_tour_names_commands_that_exist() -> None:
    known = _options(build())
    readme = (ROOT / "README.md").read_text()
    tour = re.findall(r"`nucleus ([a-z -]+)[^`]*`((?:, `[a-z]+`)*)", readme)
    assert len(tour) > 8
    for first, more in tour:
        words = [word for word in first.split() if not word.startswith("-")]
        last = re.findall(r"`([a-z]+)`", more)
        for path in (tuple(words), *((words[0], name) for name in last)):
            assert path in known, f"README: nucleus {' '.join(path)}"
    for block in re.findall(r"^```sh\n(.*?)^```", readme, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("nucleus "):
                words = shlex.split(line, comments=True)
                path = tuple(words[1:3]) if tuple(words[1:3]) in known else tuple(words[1:2])
                assert path in known, line
                path = (*path, "run") if path in (("mcp",), ("observe",)) else path
                mine = words[: words.index("--")] if "--" in words else words
                assert {w for w in mine if w.startswith("--")} <= known[path], line


def test_help_loads_nothing_heavy() -> None:
    """`nucleus --help` answers at once: what is heavy is imported inside of commands."""
    script = (
        "import sys; from nucleus.cli import main; main(['--help']); "
        "sys.stderr.write(' '.join(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True,
        env=Desk(ROOT).environ(), cwd=ROOT,
    )  # fmt: skip
    loaded = set(done.stderr.split())
    assert "typer" in loaded
    assert not loaded & (HEAVY | OURS)


def test_the_version_is_the_distribution_s(template: Desk) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert nucleus.__version__ == project["version"]
    assert template.run("--version").ok().out == f"nucleus {project['version']}\n"


def test_completion_knows_every_command() -> None:
    """As a shell asks for it: by variables, with nothing named yet."""
    env = Desk(ROOT).environ(
        {
            "_NUCLEUS_COMPLETE": "complete_bash",
            "COMP_WORDS": "nucleus token ",
            "COMP_CWORD": "2",
        }
    )
    done = subprocess.run(PROGRAM, capture_output=True, text=True, env=env, check=False, timeout=60)
    assert {"issue", "revoke", "tree"} <= set(done.stdout.split()), done


def test_without_words_there_is_help_and_nothing_is_done(template: Desk) -> None:
    result = template.run("token").ok(2)
    assert "Usage: nucleus token" in result.err
    assert "Examples:" in result.err
    assert "Missing command" in template.run().ok(2).err
