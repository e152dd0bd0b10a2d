"""Law: all listeners serve, or none; health is told on a door of its own, to whoever asks.

Everything of one sidecar in one event loop. Decisions that wait for the disk wait in threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

import grpc.aio
from aiohttp import web
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from nucleus_tokens.errors import CallerError, NucleusError
from nucleus_verifier.rpc.bounds import at_once
from nucleus_verifier.rpc.mtls import Workload
from nucleus_verifier.sidecar import checking, envoy, http
from nucleus_verifier.sidecar.answers import Answer, unavailable
from nucleus_verifier.sidecar.asked import Asked
from nucleus_verifier.sidecar.doorway import (
    GRACE_SECONDS,
    closed_umask,
    free,
    in_use,
    open_http,
)
from nucleus_verifier.sidecar.gate import Check, Log, Offload
from nucleus_verifier.sidecar.settings import Listener, Settings

THREADS: Final = 16
# Judged or waiting to be; whoever comes then is refused at once, and memory stays bounded.
MOST_WAITING: Final = 512
_HEALTH_CONNECTIONS: Final = 64
_TELL_SECONDS: Final = 0.5
Ready = Callable[[], Sequence[str]]


def offload() -> tuple[ThreadPoolExecutor, Offload]:
    """Threads for what blocks."""
    pool = ThreadPoolExecutor(THREADS, "nucleus-gate")

    def run(work: Callable[[], Answer]) -> asyncio.Future[Answer]:
        return asyncio.get_running_loop().run_in_executor(pool, work)

    return pool, run


def bounded(check: Check) -> Check:
    """The same check, for so many at a time and no more."""
    waiting = 0

    async def run(asked: Asked) -> Answer:
        nonlocal waiting
        if waiting >= MOST_WAITING:
            return unavailable("sidecar.busy")
        waiting += 1
        try:
            return await check(asked)
        finally:
            waiting -= 1

    return run


async def serve(
    settings: Settings,
    check: Check,
    *,
    log: Log,
    unready: Ready,
    workload: Workload | None = None,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Serve until cancelled. `unready()` gives what keeps it from allowing anything; nothing, if
    it is ready. Raises CallerError or WorldError `sidecar.*` when a listener cannot be opened."""
    check = bounded(check)
    async with AsyncExitStack() as stack:
        if settings.health:
            app = _health(unready)
            await open_http(stack, settings.health, 0o660, app, _HEALTH_CONNECTIONS, log)
        health_of = health.aio.HealthServicer()
        telling = asyncio.ensure_future(_tell(health_of, unready))
        stack.callback(telling.cancel)
        for each in settings.listeners:
            if each.convention in ("envoy-grpc", "check"):
                await _open_grpc(stack, each, check, log, workload, health_of)
            else:
                app = http.application(each, check, log)
                await open_http(stack, each.address, each.mode, app, each.connections, log)
        ready()
        await asyncio.Event().wait()


async def _tell(health_of: health.aio.HealthServicer, unready: Ready) -> None:
    """The usual health service, on every listener that speaks gRPC."""
    states = health_pb2.HealthCheckResponse
    while True:
        try:
            missing = await asyncio.to_thread(unready)
        except NucleusError as error:
            missing = [error.code]
        for name in ("", checking.SERVICE, envoy.SERVICE):
            await health_of.set(name, states.NOT_SERVING if missing else states.SERVING)
        await asyncio.sleep(_TELL_SECONDS)


def _health(unready: Ready) -> web.Application:
    async def live(_: web.Request) -> web.Response:
        return web.json_response({"live": True})

    async def is_ready(_: web.Request) -> web.Response:
        try:
            missing = list(await asyncio.to_thread(unready))
        except NucleusError as error:
            missing = [error.code]
        status = 503 if missing else 200
        return web.json_response({"ready": not missing, "missing": missing}, status=status)

    app = web.Application()
    app.router.add_get("/livez", live)
    app.router.add_get("/readyz", is_ready)
    return app


async def _open_grpc(
    stack: AsyncExitStack,
    listener: Listener,
    check: Check,
    log: Log,
    workload: Workload | None,
    health_of: health.aio.HealthServicer,
) -> None:
    face = envoy if listener.convention == "envoy-grpc" else checking
    server = grpc.aio.server(
        options=(
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", 2 * http.BODY_BYTES),
            ("grpc.max_metadata_size", 16 * 1024),
            *at_once(MOST_WAITING),
            # Who connects and says nothing, and who is gone without a word, is not kept.
            ("grpc.server_handshake_timeout_ms", 10_000),
            ("grpc.max_connection_idle_ms", 10 * 60 * 1000),
            ("grpc.keepalive_time_ms", 60_000),
            ("grpc.keepalive_timeout_ms", 10_000),
        )
    )
    server.add_generic_rpc_handlers((face.handler(listener, check, log),))
    health_pb2_grpc.add_HealthServicer_to_server(health_of, server)
    path = free(listener.address) if listener.address.startswith("unix:") else None
    try:
        if listener.gateway:
            if workload is None:
                raise CallerError(
                    "sidecar.no_identity",
                    f"The listener {listener.name} needs mutual TLS, and this process has no "
                    "identity: set SPIFFE_ENDPOINT_SOCKET.",
                )
            server.add_secure_port(listener.address, workload.server_credentials())
        else:
            with closed_umask():
                server.add_insecure_port(listener.address)
        with closed_umask():
            await server.start()
    except RuntimeError as error:
        raise in_use(listener.address) from error
    stack.push_async_callback(server.stop, GRACE_SECONDS)
    if path is not None:
        path.chmod(listener.mode)
        stack.callback(partial(path.unlink, missing_ok=True))
