"""Each of the ten profiles does what it says: what runs, what is asked about, what is denied."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nucleus import Session
from nucleus_issuer.profiles import CANONICAL, named
from nucleus_tokens.names import unpack_levels
from tests.cli.command import Desk
from tests.sdk.stage import Served, serving

URL = "https://example.com/"


def _calls(folder: Path) -> dict[str, Callable[[Session], str]]:
    """operation -> what a session says of one call of it."""
    file = folder / "file"
    return {
        "read_files": lambda s: s.explain(s.fs.read, file).verdict,
        "write_files": lambda s: s.explain(s.fs.write, file, "text").verdict,
        "edit_files": lambda s: s.explain(s.fs.edit, file, "text", "more").verdict,
        "glob_search": lambda s: s.explain(s.fs.glob, "*", folder).verdict,
        "grep_search": lambda s: s.explain(s.fs.grep, "text", folder).verdict,
        "run_bash": lambda s: s.explain(s.cmd.run, ["true"]).verdict,
        "web_fetch": lambda s: s.explain(s.net.fetch, URL).verdict,
        "web_search": lambda s: s.explain(s.net.search, "words").verdict,
        "git_commit": lambda s: s.explain(s.git.commit, "message", ["file"]).verdict,
        "git_push": lambda s: s.explain(s.git.push, "origin", "main").verdict,
        "create_pr": lambda s: (
            s.explain(s.git.create_pr, "origin", head="a", base="main", title="t").verdict
        ),
        "spawn_agent": lambda s: s.explain(s.agent.spawn, "helper", "task").verdict,
    }


# What each profile allows and asks about; everything else is denied. A path inside the workspace
# is evidence by the ceiling, for a commit too; a command, a URL and a remote have none.
READS = {"read_files", "glob_search", "grep_search"}
WRITES = {"write_files", "edit_files"}
EXPECTED: dict[str, tuple[set[str], set[str]]] = {
    "code-review": (READS, {"web_search"}),
    "codegen": (READS | WRITES | {"git_commit"}, {"run_bash"}),
    "doc-editor": (READS | WRITES | {"git_commit"}, set()),
    "local-dev": (READS | WRITES | {"git_commit"}, {"run_bash"}),
    "read-only": (READS, set()),
    "release": (
        READS | WRITES | {"git_commit"},
        {"run_bash", "web_search", "web_fetch", "git_push", "create_pr"},
    ),
    "research-web": (READS, {"web_search", "web_fetch"}),
    "safe-pr-fixer": (READS | WRITES | {"git_commit"}, {"run_bash", "web_fetch"}),
    "test-runner": (READS, {"run_bash"}),
    "triage-bot": (READS, {"web_search", "web_fetch"}),
}


# A host that has a tool for every operation of the table.
POLICY = """
version = 1
[egress.secrets]
search = { file = "search.key" }
[search]
url = "https://search.example/v1"
secret = "search"
[agents.helper]
argv = ["/usr/bin/true"]
shows = []
"""


@pytest.fixture(scope="module")
def whole(host: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    host.file("search.key", "the-key-of-the-provider")
    words = [word for name in CANONICAL for word in ("--profile", name)]
    folder = tmp_path_factory.mktemp("profiles")
    with serving(host, folder, *words, "--policy", host.file("whole.toml", POLICY)) as made:
        yield made


def test_every_profile_is_here() -> None:
    assert sorted(EXPECTED) == sorted(CANONICAL)


@pytest.mark.parametrize("profile", CANONICAL)
def test_what_a_profile_allows_asks_and_denies(whole: Served, profile: str) -> None:
    allowed, asked = EXPECTED[profile]
    levels = unpack_levels(named(profile).levels)
    with whole.session(profile) as s:
        found = {operation: ask(s) for operation, ask in _calls(whole.workspace).items()}
        assert found.keys() == levels.keys() - {"manage_pods"}  # no tool of ours does that
        for operation, verdict in found.items():
            assert (verdict == "deny") is (levels[operation] == "never"), operation
        assert {op for op, verdict in found.items() if verdict == "allow"} == allowed
        assert {op for op, verdict in found.items() if verdict == "ask"} == asked
