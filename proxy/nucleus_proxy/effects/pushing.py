"""Law: what is sent comes from a clean mirror: objects from the repository, everything else ours.

A cell packs the branch; another cell unpacks and checks it into an empty repository. Of that only
the objects are used, under a repository that no untrusted byte has touched. The last step reaches
the network, so it runs on the proxy's side of the wall; it runs no code but git's own.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from nucleus_proxy import starting
from nucleus_proxy.effects.gitcell import PROGRAM, SECONDS, Repository, checked, environment
from nucleus_proxy.egress.secrets import Credential
from nucleus_proxy.remotes import Remote
from nucleus_proxy.work import Done, Runner, Work
from nucleus_tokens.errors import CallerError, WorldError

PACK_BYTES: Final = 256 * 1024 * 1024
_SAID: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Mirror:
    """One commit and all it needs, under a repository of ours."""

    git_dir: str
    objects: str
    commit: str


class Transport(Protocol):
    """Whoever carries a commit to a remote."""

    async def push(self, mirror: Mirror, remote: Remote, branch: str) -> None:
        """Set the branch of the remote to the commit, if that moves it forward. Raises CallerError
        `git.failed` when the remote refuses, WorldError `git.transport`."""
        ...


@asynccontextmanager
async def mirrored(repo: Repository, runner: Runner, branch: str) -> AsyncIterator[Mirror]:
    """A clean mirror of one branch, for as long as the block runs."""
    ref = f"refs/heads/{branch}"
    packed = await repo.git("bundle", "create", "-q", "-", ref, output_bytes=PACK_BYTES)
    place = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="nucleus-push-"))
    try:
        place = await asyncio.to_thread(place.resolve)
        clean, received = place / "clean.git", place / "received"
        await asyncio.to_thread(_prepare, received, packed.stdout)
        for target in (clean, received / "r.git"):
            checked(await _git("init", "-q", "--bare", "--template=", str(target)))
        inside = {"GIT_DIR": f"{received}/r.git"}
        fetched = Work(
            argv=(PROGRAM, "fetch", "-q", "--no-tags", f"{received}/in.bundle", f"+{ref}:{ref}"),
            cwd=str(received),
            env={**environment(protocol__file__allow="always"), **inside},
            writable=(str(received),),
            seconds=SECONDS,
            output_bytes=_SAID,
        )
        checked(await runner.run(fetched))
        named = Work(
            argv=(PROGRAM, "rev-parse", "--verify", f"{ref}^{{commit}}"),
            cwd=str(received),
            env={**environment(), **inside},
            readable=(str(received),),
            seconds=SECONDS,
            output_bytes=_SAID,
        )
        commit = checked(await runner.run(named)).stdout.decode("ascii", "replace").strip()
        if len(commit) not in (40, 64) or commit.strip("0123456789abcdef"):
            raise CallerError("git.failed", "The branch does not name a commit.")
        objects = received / "r.git" / "objects"
        # Alternates would lead to objects that nobody sent here.
        await asyncio.to_thread(shutil.rmtree, objects / "info", ignore_errors=True)
        yield Mirror(str(clean), str(objects), commit)
    finally:
        await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)


def _prepare(received: Path, bundle: bytes) -> None:
    received.mkdir(mode=0o700)
    (received / "in.bundle").write_bytes(bundle)


class GitTransport:
    """git's own transport, to remotes over http, https, or in another directory of this host."""

    def __init__(
        self,
        login: Callable[[Remote], Credential | None] = lambda _: None,
        roots: Path | None = None,
    ) -> None:
        """`login` gives the credential that lets us in; the agent's side never sees it. `roots` is
        the PEM file of those whose certificates are believed, the system's where it is left out."""
        self._login = login
        self._roots = roots

    async def push(self, mirror: Mirror, remote: Remote, branch: str) -> None:
        """As `Transport.push`."""
        more = {f"protocol__{remote.scheme}__allow": "always"}
        if self._roots is not None:
            more["http__sslCAInfo"] = str(self._roots)
        login = self._login(remote)
        if login is not None:
            # In the environment of this one process, which no cell and no other user sees.
            more["http__extraHeader"] = f"{login.name}: {login.dangerously_value()}"
        env = {"GIT_DIR": mirror.git_dir, "GIT_OBJECT_DIRECTORY": mirror.objects}
        done = await _git(
            "push", "-q", "--no-verify", "--no-signed", "--recurse-submodules=no", "--no-thin",
            remote.url, f"{mirror.commit}:refs/heads/{branch}",
            env={**environment(**more), **env}, login=login,
        )  # fmt: skip
        checked(done)


async def _git(
    *words: str, env: dict[str, str] | None = None, login: Credential | None = None
) -> Done:
    """git on the proxy's side: only with arguments, configuration and repository of ours. What it
    says is a remote's word: bounded, and without the secret that let us in."""
    try:
        process = await starting.started(
            asyncio.create_subprocess_exec(
                PROGRAM, *words,
                stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE, cwd="/",
                env=environment() if env is None else env, start_new_session=True,
            )
        )  # fmt: skip
    except OSError as error:
        raise WorldError(
            "git.transport", f"git cannot be started: {error.strerror}.",
            hint="Install it with: sudo apt-get install -y git",
        ) from error  # fmt: skip
    if process.stderr is None:
        raise CallerError("git.pipes", "git needs a pipe.")
    try:
        async with asyncio.timeout(SECONDS):
            said = await _tail(process.stderr)
            code = await process.wait()
    except TimeoutError:
        return Done(-9, b"", b"", truncated=False, timed_out=True)
    finally:
        # Whoever is cancelled meanwhile leaves no git that goes on, nor the transport it started.
        if process.returncode is None:
            await starting.end(process)
    said = said if login is None else login.scrub(said)
    return Done(code, b"", said[-_SAID:], truncated=False, timed_out=False)


async def _tail(stream: asyncio.StreamReader) -> bytes:
    """The end of what is said, with enough before it that no secret is cut in two."""
    kept = b""
    while piece := await stream.read(_SAID):
        kept = (kept + piece)[-2 * _SAID :]
    return kept
