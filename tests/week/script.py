"""A week of a coding agent, written down before anything was measured: ten sessions of ten kinds of
calls, the same in every run."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

KINDS: Final = (
    "read", "search", "edit", "write", "test", "lint", "look", "commit", "fetch", "publish",
)  # fmt: skip
SESSIONS: Final = 10  # a morning and an afternoon of each day
_MODULES: Final = ("parser", "printer", "store", "http", "cli", "config", "cache", "errors")
_PAGES: Final = ("library/asyncio", "library/json", "library/pathlib", "howto/logging")


class Step(NamedTuple):
    """One call."""

    kind: str
    tool: str
    args: dict[str, Any]


def sessions() -> list[list[Step]]:
    """The week."""
    return [_session(number) for number in range(SESSIONS)]


def _session(number: int) -> list[Step]:
    """A task: look around, change something, try it until it holds, and hand it in."""
    module = _MODULES[number % len(_MODULES)]
    other = _MODULES[(number * 3 + 1) % len(_MODULES)]
    made = [
        Step("look", "git_status", {"repo": "."}),
        Step("search", "fs_glob", {"directory": "src", "pattern": "**/*.py"}),
        Step("search", "fs_grep", {"directory": "src", "text": f"def {module}"}),
        Step("read", "fs_read", {"path": f"src/{module}.py"}),
        Step("read", "fs_read", {"path": f"src/{other}.py"}),
        Step("read", "fs_read", {"path": f"tests/test_{module}.py"}),
        Step("read", "fs_read", {"path": "README.md"}),
        Step("fetch", "net_fetch", {"url": _page(number)}),
        Step("test", "exec_run", {"argv": ["python", "-m", "pytest", "-q", "tests"]}),
    ]
    for turn in range(4):
        made += [
            Step("search", "fs_grep", {"directory": "src", "text": f"{module}_{turn}"}),
            Step("read", "fs_read", {"path": f"src/{module}.py", "offset": turn * 100}),
            Step("edit", "fs_edit", {"path": f"src/{module}.py", "old": "pass", "new": f"t{turn}"}),
            Step("edit", "fs_edit", {"path": f"tests/test_{module}.py", "old": "a", "new": "b"}),
            Step("test", "exec_run",
                 {"argv": ["python", "-m", "pytest", "-q", f"tests/test_{module}.py"]}),
            Step("look", "git_diff", {"repo": "."}),
        ]  # fmt: skip
    made += [
        Step("write", "fs_write", {"path": f"docs/{module}.md", "content": f"# {module}\n"}),
        Step("fetch", "net_fetch", {"url": _page(number + 1)}),
        Step("lint", "exec_run", {"argv": ["ruff", "check", f"src/{module}.py"]}),
        Step("lint", "exec_run", {"argv": ["ruff", "check", f"tests/test_{module}.py"]}),
        Step("test", "exec_run", {"argv": ["python", "-m", "pytest", "-q", "tests"]}),
        Step("commit", "git_commit",
             {"repo": ".", "message": f"{module}: step {number}", "paths": [f"src/{module}.py"]}),
    ]  # fmt: skip
    if number % 2:  # what took a day is handed in
        branch = f"work/{module}"
        made.append(
            Step("publish", "git_push", {"repo": ".", "remote": "origin", "branch": branch})
        )
    return made


def _page(number: int) -> str:
    return f"https://docs.example.org/3/{_PAGES[number % len(_PAGES)]}.html"
