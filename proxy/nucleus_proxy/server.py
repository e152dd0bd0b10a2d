"""Law: a server gets exactly the environment it was given, and does not outlive its relay.

It runs as a process group of its own with pipes to us and nothing else of ours. (Where it runs in a
cell, `celled` has it started by whoever builds cells; this file knows nothing of walls.)
"""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Sequence
from typing import Final

from nucleus_proxy.running import GRACE_SECONDS
from nucleus_proxy.servers import ServerSpec
from nucleus_proxy.starting import started
from nucleus_proxy.streams import reads_little
from nucleus_proxy.wire import FRAME_BYTES
from nucleus_tokens.errors import CallerError, WorldError

_LOG_LINE: Final = 64 * 1024
_SYSTEM: Final = ("/usr/", "/bin/", "/sbin/", "/lib/", "/lib32/", "/lib64/", "/libx32/")


class ServerProcess:
    """One running server."""

    def __init__(self, process: Process, log: asyncio.Task[None] | None) -> None:
        if process.stdin is None or process.stdout is None:
            raise CallerError("server.pipes", "A server needs pipes.")
        self._process = process
        self._log = log
        self.writer = process.stdin
        self.reader = process.stdout
        # A process gives its pipe's transport by no other name.
        reads_little(getattr(process.stdout, "_transport", None))

    @classmethod
    async def start(
        cls,
        spec: ServerSpec,
        command: Sequence[str] = (),
        *,
        stderr: Callable[[bytes], None] | None = None,
    ) -> ServerProcess:
        """Start `command`, or the policy file's. `stderr` gets each line the server complains
        with; without it they are discarded. Raises WorldError `server.start`."""
        argv = tuple(command) or spec.command
        if not argv:
            raise CallerError("server.command", "No server command was given.")
        try:
            process = await started(
                asyncio.create_subprocess_exec(
                    *argv,
                    stdin=PIPE,
                    stdout=PIPE,
                    stderr=DEVNULL if stderr is None else PIPE,
                    env=dict(spec.env),
                    cwd=spec.cwd,
                    start_new_session=True,
                    limit=FRAME_BYTES + 1,
                )
            )
        except (OSError, ValueError) as error:
            raise WorldError(
                "server.start",
                f"The server {argv[0]!r} could not be started: {error}.",
                hint="Its environment is only what the policy file gives it; name the full path.",
            ) from error
        return cls.of(process, stderr)

    @classmethod
    def of(cls, process: Process, stderr: Callable[[bytes], None] | None) -> ServerProcess:
        """A process that was started elsewhere, with pipes."""
        if process.stderr is None:
            return cls(process, None)
        return cls(process, asyncio.create_task(_pass_on(process.stderr, stderr or _nothing)))

    async def stop(self, grace: float = GRACE_SECONDS) -> None:
        """Close its input, wait, then end its whole group. Safe to call again."""
        self.writer.close()
        try:
            await asyncio.wait_for(self._process.wait(), grace)
        except TimeoutError:
            self._signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self._process.wait(), grace)
            except TimeoutError:
                pass
        # Also when the leader is gone: what it started must not stay behind.
        self._signal(signal.SIGKILL)
        await self._process.wait()
        if self._log is not None:
            self._log.cancel()
            await asyncio.gather(self._log, return_exceptions=True)

    def kill(self) -> None:
        """End its whole group at once; `stop` waits for that."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):
            pass


def installation(program: str) -> tuple[str, tuple[str, ...]]:
    """A program by the path it has without links to its folder, and what a cell must show besides
    the system's own folders so that it starts: its file, or the Python environment it lies in with
    the interpreter of that. Whatever else it needs, the operator names."""
    real = os.path.realpath(program)
    home = os.path.dirname(os.path.dirname(real))
    if not os.path.isfile(f"{home}/pyvenv.cfg"):
        # An interpreter that is a link knows its environment by the link's own place.
        linked = os.path.join(os.path.realpath(os.path.dirname(program)), os.path.basename(program))
        home = os.path.dirname(os.path.dirname(linked))
        if not os.path.isfile(f"{home}/pyvenv.cfg"):
            return real, _beside_the_system(real)
        real = linked
    base = os.path.dirname(os.path.dirname(os.path.realpath(f"{home}/bin/python")))
    return real, _beside_the_system(home, base)


def _beside_the_system(*paths: str) -> tuple[str, ...]:
    return tuple(p for p in paths if not p.startswith(_SYSTEM) and p != "/usr")


def _nothing(_: bytes) -> None:
    return None


async def _pass_on(stream: asyncio.StreamReader, sink: Callable[[bytes], None]) -> None:
    """Bytes by bytes, so that a server that never ends a line cannot fill our memory."""
    rest = b""
    while chunk := await stream.read(_LOG_LINE):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            sink(line)
        if len(rest) > _LOG_LINE:
            sink(rest)
            rest = b""
    if rest:
        sink(rest)
