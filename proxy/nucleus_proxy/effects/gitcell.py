"""Law: git runs with a configuration of ours and nobody else's, in a cell that has no network.

A repository that an agent can write is a program: its configuration names commands for hooks,
filters, monitors, pagers and transports. So the repository's own configuration and hooks are
hidden from the git that we run, and what is left of them is overruled. Filters and drivers that
`.gitattributes` names are then defined nowhere, and git leaves them alone.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Final

from nucleus_proxy.answers import Granted
from nucleus_proxy.effects import cells, opening
from nucleus_proxy.effects.opening import Root
from nucleus_proxy.later import GIT_PLACES
from nucleus_proxy.work import Done, Runner, Work
from nucleus_tokens.authority import Authority
from nucleus_tokens.errors import CallerError, NucleusError
from nucleus_tokens.patterns import under
from nucleus_verifier import resources

SECONDS: Final = 120.0
OUTPUT_BYTES: Final = 64 * 1024 * 1024
PROGRAM: Final = "/usr/bin/git"
_OVERRULED: Final[Mapping[str, str]] = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.untrackedCache": "false",
    "core.sshCommand": "false",
    "core.gitProxy": "false",
    "core.askPass": "false",
    "core.pager": "cat",
    "core.editor": "false",
    "core.attributesFile": "/dev/null",
    "core.excludesFile": "/dev/null",
    "core.alternateRefsCommand": "false",
    "sequence.editor": "false",
    "commit.gpgSign": "false",
    "gpg.program": "false",
    "credential.helper": "",
    "diff.external": "",
    "diff.ignoreSubmodules": "all",
    "submodule.recurse": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "receive.autogc": "false",
    "uploadpack.packObjectsHook": "",
    "protocol.allow": "never",
    "safe.directory": "*",
    "fetch.fsckObjects": "true",
    "http.followRedirects": "false",
}


def environment(**more: str) -> dict[str, str]:
    """The whole environment of a git of ours; `more` are further configuration values, with `__`
    for the dot of a name."""
    made = {
        "GIT_ASKPASS": "/bin/false",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_SYSTEM": "/dev/null",
        "GIT_EDITOR": "/bin/false",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_PAGER": "cat",
        "GIT_TERMINAL_PROMPT": "0",
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "PATH": "/usr/bin:/bin",
    }
    values = {**_OVERRULED, **{name.replace("__", "."): value for name, value in more.items()}}
    made["GIT_CONFIG_COUNT"] = str(len(values))
    for number, (name, value) in enumerate(values.items()):
        made |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return made


def branch_of(root: Root, repo: object) -> str | None:
    """The branch that HEAD names, as a resolved ref; None for a detached one, or none at all."""
    try:
        with (
            root.parent(f"{repo}/.git/HEAD") as (directory, name),
            opening.opened(directory, name) as (fd, _),
        ):
            line = os.read(fd, 4096)
    except (NucleusError, OSError):
        return None
    text = line.decode("utf-8", "replace").removesuffix("\n")
    if not text.startswith("ref: refs/heads/"):
        return None
    return resources.ref(text.removeprefix("ref: "))


class Repository:
    """One repository of the workspace, for the time of one call."""

    def __init__(self, root: Root, runner: Runner, granted: Granted) -> None:
        self._runner = runner
        self._root = root
        self.authority: Authority = granted.authority
        self.path = str(granted.call.resolved["/repo"])

    def _view(self) -> tuple[cells.View, tuple[str, ...]]:
        """What may be seen of it. Raises CallerError `git.shape` for what is no plain repository:
        one whose `.git` is a file or a link leads somewhere that was not judged."""
        tops = cells.subtrees(self._root.path, self.authority)
        if not any(under(top, self.path) for top in tops):
            raise CallerError("cell.nothing", "The repository is not admitted whole.")
        hidden = []
        try:
            with self._root.directory(f"{self.path}/.git") as directory:
                for name in GIT_PLACES:
                    if _exists(directory, name):
                        hidden.append(f"{self.path}/.git/{name}")
        except NucleusError as error:
            raise CallerError(
                "git.shape", "There is no repository whose .git is a directory of its own."
            ) from error
        return cells.view(self._root, (self.path,), self.authority), tuple(hidden)

    async def git(
        self,
        *words: str,
        writes: bool = False,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        codes: Sequence[int] = (0,),
        output_bytes: int = OUTPUT_BYTES,
    ) -> Done:
        """Run one git in a cell; `writes` lets it write into `.git`. Raises CallerError
        `git.failed` for an exit code that is not in `codes`, `git.too_large`, `git.timeout`."""
        view, hidden = await asyncio.to_thread(self._view)
        place = {"GIT_DIR": f"{self.path}/.git", "GIT_WORK_TREE": self.path}
        masked = {*view.masked, *hidden}
        done = await self._runner.run(
            Work(
                argv=(PROGRAM, *words),
                cwd=self.path,
                env={**environment(), **place, **(env or {})},
                readable=(self.path,),
                writable=(f"{self.path}/.git",) if writes else (),
                masked=tuple(sorted(masked)),
                stdin=stdin,
                seconds=SECONDS,
                output_bytes=output_bytes,
            )
        )
        return checked(done, codes)

    def admits(self, name: str) -> bool:
        """Whether a path of the repository may be shown."""
        whole = f"{self.path}/{name}"
        return not cells.blocked(whole, self.authority) and resources.spellable(name)

    def admitted(self, listed: bytes) -> list[str]:
        """The paths of a NUL-separated list that may be shown."""
        names = [part.decode("utf-8", "replace") for part in listed.split(b"\0") if part]
        return [name for name in names if self.admits(name)]


def checked(done: Done, codes: Sequence[int] = (0,)) -> Done:
    """The end of a git, if it is one of those expected."""
    if done.timed_out:
        raise CallerError("git.timeout", "git did not end in time.")
    if done.truncated:
        raise CallerError("git.too_large", "git had more to say than we take.")
    if done.code not in codes:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise CallerError("git.failed", f"git refused: {said[-1] if said else done.code}")
    return done


def _exists(directory: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except OSError:
        return False
    return True
