"""Law: who reads gRPC for an agent is started when somebody first connects, and holds nothing.

The process with the token only looks whether somebody waits at the socket. What reads their bytes
(`nucleus_proxy.rpc.serving`) runs in a cell: it sees the programs it consists of, has the listening
socket, and one road: the tools of the same agent, by MCP.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from nucleus_proxy import serve
from nucleus_proxy.serve import Service
from nucleus_proxy.work import Work
from nucleus_tokens.errors import NucleusError, WorldError
from nucleus_vmhost import arguments, bubblewrap, cell
from nucleus_vmhost.cell import Extras
from nucleus_vmhost.work import Limits

# Whoever can break it can have it started again so often.
MOST_STARTS: Final = 8
_MODULE: Final = "nucleus_proxy.rpc.serving"
_NEEDS: Final = ("grpc", "nucleus_proxy", "nucleus_tokens", "nucleus_verifier")
_LIMITS: Final = Limits(
    data_bytes=1 << 30, memory_bytes=1 << 30, file_bytes=0, tmp_bytes=1 << 20, disk_bytes=1 << 20
)

Log = Callable[[str], None]


@asynccontextmanager
async def listening(path: Path, service: Callable[[], Service], log: Log) -> AsyncGenerator[None]:
    """A socket at `path` that takes gRPC while the block runs; its name may be removed once the
    block has begun. `service` makes who speaks MCP with whoever reads it.

    Raises what `serve.prepare` does, WorldError `serve.socket`.
    """
    serve.prepare(path)
    before = os.umask(0o177)
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(str(path))
        listener.listen(16)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise WorldError("serve.socket", f"The socket {path} cannot be made: {error}.") from error
    finally:
        os.umask(before)
    watching = asyncio.ensure_future(_watch(listener, service, log))
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        listener.close()
        path.unlink(missing_ok=True)


async def _watch(listener: socket.socket, service: Callable[[], Service], log: Log) -> None:
    """Start it for whoever waits. After its last start nobody is taken any more."""
    try:
        for _ in range(MOST_STARTS):
            await _somebody(listener)
            code = await _run(listener, service(), _shown())
            log(f"what reads gRPC for the agent has ended ({code})")
        log("it is not started again")
    except (NucleusError, OSError) as error:
        log(f"gRPC is not read for the agent: {error}")
    finally:
        listener.close()


async def _somebody(listener: socket.socket) -> None:
    """Until somebody waits to be taken."""
    loop = asyncio.get_running_loop()
    waits = asyncio.Event()
    loop.add_reader(listener, waits.set)
    try:
        await waits.wait()
    finally:
        loop.remove_reader(listener)


async def _run(listener: socket.socket, service: Service, shown: tuple[str, ...]) -> int:
    """Until it has ended; cancelled, nothing of it is left."""
    work = Work(
        # -P: no folder that it starts in says what it imports.
        argv=(arguments.python(), "-P", "-m", _MODULE),
        cwd="/tmp",  # noqa: S108  the cell's own
        env={"PYTHONPATH": os.pathsep.join(shown)},
        readable=shown,
    )
    folder, null = Path(tempfile.mkdtemp(prefix="nucleus-")), os.open(os.devnull, os.O_RDWR)
    try:
        async with serve.listening(folder / "tools.sock", service):
            extras = Extras(
                routes={arguments.TOOLS_PORT: f"{folder}/tools.sock"},
                streams=(listener.fileno(), null, null),
            )
            async with cell.opened(work, _LIMITS, extras) as process:
                shutil.rmtree(folder, ignore_errors=True)
                await process.wait()
                return bubblewrap.exit_code(process)
    finally:
        os.close(null)
        shutil.rmtree(folder, ignore_errors=True)


def _shown() -> tuple[str, ...]:
    """The folders of the packages that it consists of. Raises WorldError `serve.grpc`."""
    found = {name: importlib.util.find_spec(name) for name in _NEEDS}
    origins = {name: spec.origin for name, spec in found.items() if spec is not None}
    if origins.get("grpc") is None:
        raise WorldError(
            "serve.grpc",
            "gRPC is not installed here.",
            hint="pip install 'nucleus-runtime[services]'; MCP needs nothing of it.",
        )
    folders = (Path(origin).resolve().parents[1] for origin in origins.values() if origin)
    return tuple(sorted(set(map(str, folders))))
