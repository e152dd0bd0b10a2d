"""Law: the tools of `toolsets`, word for word, for programs that await them.

`tests/sdk/test_async.py` compares the two: a tool that exists in one exists in the other, with the
same arguments.
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

    async def __call__(self, asked: Ask[T], /) -> T: ...


class Fs:
    """Files of the workspace. Relative paths start at its root."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def read(
        self, path: PathLike, *, offset: int | None = None, limit: int | None = None
    ) -> FileHandle:
        """The text of a file (UTF-8), or `limit` bytes of it from `offset`."""
        return await self._run(asks.read(path, offset, limit))

    async def read_bytes(self, path: PathLike) -> bytes:
        """The bytes of a file."""
        return await self._run(asks.read_bytes(path))

    async def write(self, path: PathLike, content: Content) -> Written:
        """Replace a file, whole or not at all; missing directories are made."""
        return await self._run(asks.write(path, content))

    async def edit(
        self, path: PathLike, old: str | Text, new: str | Text, *, every: bool = False
    ) -> Written:
        """Put `new` where `old` stands, exactly once unless `every` is given."""
        return await self._run(asks.edit(path, old, new, every))

    async def glob(self, pattern: str, directory: PathLike = ".") -> tuple[str, ...]:
        """Paths below `directory`: `*` within a segment, `**` for any segments."""
        return await self._run(asks.glob(pattern, directory))

    async def grep(
        self,
        text: str,
        directory: PathLike = ".",
        *,
        names: str | None = None,
        ignore_case: bool = False,
    ) -> tuple[dict[str, Any], ...]:
        """Where a literal text stands: rows of `path`, `line` and `text`."""
        return await self._run(asks.grep(text, directory, names, ignore_case))


class Net:
    """The network, as far as the proxy goes there."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def fetch(
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
        got = await self._run(asked)
        for _ in range(asks.REDIRECTS):
            further = asks.follow(asked, got)
            if further is None:
                break
            asked, got = further, await self._run(further)
        return got

    async def search(self, query: str) -> Result:
        """What the operator's search provider finds."""
        return await self._run(asks.search(query))


class Git:
    """A repository of the workspace. Git runs in a work cell, without network."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def status(self, repo: PathLike = ".") -> Result:
        """The branch, and what changed."""
        return await self._run(asks.git("status", repo=str(repo)))

    async def diff(self, repo: PathLike = ".", *, staged: bool = False) -> Result:
        """The changes as a text."""
        return await self._run(asks.git("diff", repo=str(repo), staged=staged or None))

    async def commit(
        self, message: str | Text, paths: Sequence[str], repo: PathLike = "."
    ) -> Result:
        """Commit these paths."""
        return await self._run(asks.git("commit", repo=str(repo), message=message, paths=[*paths]))

    async def push(self, remote: str, branch: str, repo: PathLike = ".") -> Result:
        """Push a branch to a remote that the policy file names."""
        return await self._run(asks.git("push", repo=str(repo), remote=remote, branch=branch))

    async def create_pr(
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
        return await self._run(
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

    async def run(
        self,
        argv: Sequence[str],
        *,
        cwd: PathLike | None = None,
        stdin: str | None = None,
        seconds: int | None = None,
    ) -> CommandOutput:
        """Run a command, given as its words; no shell reads them."""
        return await self._run(asks.run(argv, cwd, stdin, seconds))

    async def bash(
        self,
        script: str,
        *,
        cwd: PathLike | None = None,
        stdin: str | None = None,
        seconds: int | None = None,
    ) -> CommandOutput:
        """Run a script in a shell."""
        return await self._run(asks.bash(script, cwd, stdin, seconds))


class Agent:
    """Sub-agents that the operator offers."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def spawn(
        self,
        agent: str,
        task: str | Text,
        *,
        directory: PathLike | None = None,
        caveats: Sequence[list[Any]] | None = None,
    ) -> CommandOutput:
        """Run a sub-agent to its end, with a delegated token that `caveats` narrow
        (docs/spec/token.md); what it said."""
        return await self._run(asks.spawn(agent, task, directory, caveats))
