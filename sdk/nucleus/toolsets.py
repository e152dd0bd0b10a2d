"""Law: a tool is a request to the proxy and nothing else: nothing of the world is touched here.

Each class is one family of tools. `run` decides which session they act on: one given session, or
the innermost active one (`nucleus.tools`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from nucleus import asks
from nucleus.asks import Ask, Content, PathLike
from nucleus.handles import CommandOutput, FileHandle, NetResponse, Result, Text, Written

T = TypeVar("T")


class Run(Protocol):
    """Whoever sends one request and waits for what it gives."""

    def __call__(self, asked: Ask[T], /) -> T: ...


class Fs:
    """Files of the workspace. Relative paths start at its root."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def read(
        self, path: PathLike, *, offset: int | None = None, limit: int | None = None
    ) -> FileHandle:
        """The text of a file (UTF-8), or `limit` bytes of it from `offset`."""
        return self._run(asks.read(path, offset, limit))

    def read_bytes(self, path: PathLike) -> bytes:
        """The bytes of a file."""
        return self._run(asks.read_bytes(path))

    def write(self, path: PathLike, content: Content) -> Written:
        """Replace a file, whole or not at all; missing directories are made."""
        return self._run(asks.write(path, content))

    def edit(
        self, path: PathLike, old: str | Text, new: str | Text, *, every: bool = False
    ) -> Written:
        """Put `new` where `old` stands, exactly once unless `every` is given."""
        return self._run(asks.edit(path, old, new, every))

    def glob(self, pattern: str, directory: PathLike = ".") -> tuple[str, ...]:
        """Paths below `directory`: `*` within a segment, `**` for any segments."""
        return self._run(asks.glob(pattern, directory))

    def grep(
        self,
        text: str,
        directory: PathLike = ".",
        *,
        names: str | None = None,
        ignore_case: bool = False,
    ) -> tuple[dict[str, Any], ...]:
        """Where a literal text stands: rows of `path`, `line` and `text`."""
        return self._run(asks.grep(text, directory, names, ignore_case))


class Net:
    """The network, as far as the proxy goes there."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def fetch(
        self,
        url: str,
        *,
        method: str | None = None,
        accept: str | None = None,
        body: str | Text | None = None,
        content_type: str | None = None,
    ) -> NetResponse:
        """An answer from the web; each redirect is a call of its own, judged anew."""
        asked = asks.fetch(url, method, accept, body, content_type)
        got = self._run(asked)
        for _ in range(asks.REDIRECTS):
            further = asks.follow(asked, got)
            if further is None:
                break
            asked, got = further, self._run(further)
        return got

    def search(self, query: str) -> Result:
        """What the operator's search provider finds."""
        return self._run(asks.search(query))


class Git:
    """A repository of the workspace. Git runs in a work cell, without network."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def status(self, repo: PathLike = ".") -> Result:
        """The branch, and what changed."""
        return self._run(asks.git("status", repo=str(repo)))

    def diff(self, repo: PathLike = ".", *, staged: bool = False) -> Result:
        """The changes as a text."""
        return self._run(asks.git("diff", repo=str(repo), staged=staged or None))

    def commit(self, message: str | Text, paths: Sequence[str], repo: PathLike = ".") -> Result:
        """Commit these paths."""
        return self._run(asks.git("commit", repo=str(repo), message=message, paths=[*paths]))

    def push(self, remote: str, branch: str, repo: PathLike = ".") -> Result:
        """Push a branch to a remote that the policy file names."""
        return self._run(asks.git("push", repo=str(repo), remote=remote, branch=branch))

    def create_pr(
        self,
        remote: str,
        *,
        head: str,
        base: str,
        title: str | Text,
        body: str | Text = "",
        repo: PathLike = ".",
    ) -> Result:
        """Ask for a branch to be merged, at the remote's forge."""
        return self._run(
            asks.git(
                "create_pr",
                repo=str(repo),
                remote=remote,
                head=head,
                base=base,
                title=title,
                body=body,
            )
        )


class Cmd:
    """Commands. They run in a work cell: no network, and of the files what the token covers."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: PathLike | None = None,
        stdin: str | None = None,
        seconds: int | None = None,
    ) -> CommandOutput:
        """Run a command, given as its words; no shell reads them."""
        return self._run(asks.run(argv, cwd, stdin, seconds))

    def bash(
        self,
        script: str,
        *,
        cwd: PathLike | None = None,
        stdin: str | None = None,
        seconds: int | None = None,
    ) -> CommandOutput:
        """Run a script in a shell."""
        return self._run(asks.bash(script, cwd, stdin, seconds))


class Agent:
    """Sub-agents that the operator offers."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def spawn(
        self,
        agent: str,
        task: str | Text,
        *,
        directory: PathLike | None = None,
        caveats: Sequence[list[Any]] | None = None,
    ) -> CommandOutput:
        """Run a sub-agent to its end, with a delegated token that `caveats` narrow
        (docs/spec/token.md); what it said."""
        return self._run(asks.spawn(agent, task, directory, caveats))
