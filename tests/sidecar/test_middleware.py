"""The middleware in a tool's own process, with real servers, asking a real sidecar."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
import uvicorn
from aiohttp import web

from nucleus_verifier.middleware.aiohttp import ADMITTED, nucleus
from nucleus_verifier.middleware.asgi import NucleusMiddleware
from nucleus_verifier.middleware.grpc import NucleusInterceptor
from nucleus_verifier.sidecar.answers import Answer, Refused
from nucleus_verifier.sidecar.asked import Asked
from nucleus_verifier.sidecar.checking import Remote
from tests.sidecar.gateways import ask
from tests.sidecar.stage import HOST, Sidecar, sidecar
from tests.support import world
from tests.support.ports import free_port

JSON = "Content-Type: application/json"
GOOD = b'{"name":"one","text":"hello"}'
LIMITS = ["arg", "notes.write", {"/body/name": ["equals", "one"], "/body/text": ["any"]}]


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with sidecar(tmp_path_factory.mktemp("middleware"), "") as made:
        yield made


@asynccontextmanager
async def remote(tool: Sidecar) -> AsyncIterator[Remote]:
    async with grpc.aio.insecure_channel(f"unix:{tool.folder}/own.sock") as channel:
        yield Remote(lambda: channel)


@contextmanager
def uvicorn_of(tool: Sidecar) -> Iterator[int]:
    port, started = free_port(), threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        said = {
            "headers": [[k.decode(), v.decode()] for k, v in scope["headers"]],
            "path": scope["path"],
            "body": body.decode(),
            "tool": scope["nucleus"].tool,
        }
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(said).encode()})

    async def main() -> None:
        async with remote(tool) as check:
            config = uvicorn.Config(
                NucleusMiddleware(app, check), port=port, log_level="error", lifespan="off",
                ws="none",
            )  # fmt: skip
            servers.append(uvicorn.Server(config))
            serving = asyncio.ensure_future(servers[0].serve())
            while not servers[0].started:
                await asyncio.sleep(0.01)
            started.set()
            await serving

    servers: list[uvicorn.Server] = []
    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert started.wait(20)
    try:
        yield port
    finally:
        servers[0].should_exit = True
        thread.join(20)


@contextmanager
def aiohttp_of(tool: Sidecar) -> Iterator[int]:
    port, started, stop = free_port(), threading.Event(), threading.Event()

    async def handle(request: web.Request) -> web.Response:
        headers = [[k.lower(), v] for k, v in request.headers.items()]
        body = (await request.read()).decode()
        said = {"headers": headers, "path": request.path, "body": body}
        assert request.match_info["any"] == request.path[1:]
        return web.json_response({**said, "tool": request[ADMITTED].tool})

    async def main() -> None:
        async with remote(tool) as check:
            app = web.Application(middlewares=[nucleus(check)])
            app.router.add_route("*", "/{any:.*}", handle)
            runner = web.AppRunner(app, auto_decompress=False, access_log=None)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", port).start()
            started.set()
            await asyncio.to_thread(stop.wait)
            await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert started.wait(20)
    try:
        yield port
    finally:
        stop.set()
        thread.join(20)


@pytest.fixture(scope="module", params=[uvicorn_of, aiohttp_of], ids=["asgi", "aiohttp"])
def port(request: pytest.FixtureRequest, tool: Sidecar) -> Iterator[int]:
    with request.param(tool) as made:
        yield made


def test_what_is_admitted_arrives_whole_and_without_the_token(port: int, tool: Sidecar) -> None:
    token = tool.bearer(world.all_levels(), LIMITS, name="middle")
    answer = ask(port, "/notes", token, JSON, method="POST", body=GOOD)
    assert answer.status == 200, answer
    assert answer.json["body"].encode() == GOOD
    assert answer.json["tool"] == "notes.write"
    assert "authorization" not in answer.upstream
    signed = tool.signed("notes.read", {"path": {"name": "one"}})
    assert ask(port, "/notes/one", signed).status == 200
    assert ask(port, "/notes/one", signed).status == 403, "once"


def test_everything_else_is_refused(port: int, tool: Sidecar) -> None:
    token = tool.bearer(world.all_levels(), LIMITS, name="middle")
    again = f"Authorization: Bearer {token}"
    for target, given, more, method, body in (
        ("/notes", token, [JSON], "POST", b'{"name":"two","text":"x"}'),
        ("/notes", token, [], "POST", GOOD),
        ("/notes", token, [JSON, "Content-Encoding: identity"], "POST", GOOD),
        ("/notes", token, [JSON, again], "POST", GOOD),
        ("/notes", None, [JSON], "POST", GOOD),
        ("/notes/", token, [], "GET", b""),
        ("//notes/one", token, [], "GET", b""),
        ("/notes/%6fne", token, [], "GET", b""),
        ("/notes/one?", token, ["X-Original-URI: /notes/one"], "DELETE", b""),
        ("/notes/one", token, [], "GET", b"body"),
    ):
        answer = ask(port, target, given, *more, method=method, body=body)
        assert answer.status == 403, (target, more, answer)
    assert ask(port, "/notes/one", token, host="other.example.org").status == 403


async def test_a_method_runs_only_for_an_admitted_call(tool: Sidecar) -> None:
    seen: list[tuple[bytes, Any]] = []

    async def call(message: bytes, context: Any) -> bytes:
        seen.append((message, context.invocation_metadata()))
        return message[::-1]

    async def flow(messages: Any, context: Any) -> AsyncIterator[bytes]:
        async for each in messages:
            yield each

    handlers = {
        "Call": grpc.unary_unary_rpc_method_handler(call),
        "Flow": grpc.stream_stream_rpc_method_handler(flow),
    }
    async with remote(tool) as check:
        server = grpc.aio.server(interceptors=[NucleusInterceptor(check, HOST)])
        made = grpc.method_handlers_generic_handler("example.Echo", handlers)
        server.add_generic_rpc_handlers((made,))
        at = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{at}") as channel:
                ask_: Any = channel.unary_unary("/example.Echo/Call")
                token = tool.bearer(world.levels(read_files="always"), name="echo")
                given = (("authorization", f"Bearer {token}"),)
                assert await ask_(b"abc", metadata=given) == b"cba"
                assert all(key != "authorization" for key, _ in seen[-1][1])
                for bad in (None, (("authorization", "Bearer x"),), given + given):
                    with pytest.raises(grpc.aio.AioRpcError) as said:
                        await ask_(b"abc", metadata=bad)
                    assert said.value.code() is grpc.StatusCode.PERMISSION_DENIED
                flow_: Any = channel.stream_stream("/example.Echo/Flow")
                with pytest.raises(grpc.aio.AioRpcError) as said:
                    async for _ in flow_(iter([b"a"]), metadata=given):
                        pass
                assert said.value.code() is grpc.StatusCode.PERMISSION_DENIED, "no route"
                assert len(seen) == 1
        finally:
            await server.stop(None)


async def test_a_sidecar_that_is_gone_is_a_refusal(tmp_path: Path) -> None:
    async with grpc.aio.insecure_channel(f"unix:{tmp_path}/none.sock") as channel:
        answer: Answer = await Remote(lambda: channel)(Asked("x", "GET", HOST, "/notes/one"))
    assert isinstance(answer, Refused)
    assert answer.code == "verifier.unavailable"
