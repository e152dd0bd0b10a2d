"""Law: one socket leads out, and behind it every request is a call that was decided.

The HTTP endpoint of the agent's side: CONNECT, plain http in absolute form, and the reverse routes
under /model/NAME and /sink/NAME. It reads, asks for a decision, runs the effect under the permit
and puts the outcome on record; it decides nothing itself.
"""

from __future__ import annotations

import asyncio
import re
from functools import partial
from typing import Any, Final

from nucleus_proxy.answers import Refusal
from nucleus_proxy.connections import Connections
from nucleus_proxy.effects import net
from nucleus_proxy.egress import reverse, tunnel, url
from nucleus_proxy.egress.fetching import METHODS
from nucleus_proxy.egress.httpd import Asked, Client
from nucleus_proxy.egress.outside import Outside
from nucleus_proxy.live import check
from nucleus_proxy.native import NativeTool
from nucleus_tokens.errors import CredentialError, NucleusError

MOST_CLIENTS: Final = 128
_OURS: Final = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\]|nucleus)(?::[0-9]{1,5})?", re.ASCII)


class Door:
    """The connections of one socket."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self._fetch: NativeTool = net.tools(outside.fetcher)[net.FETCH]
        self._connections = Connections(MOST_CLIENTS, outside.log)

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one connection; for asyncio.start_unix_server."""
        self._connections.take(writer, partial(self.serve, reader, writer))

    async def close(self) -> None:
        """End every connection."""
        await self._connections.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        client = Client(reader, writer)
        try:
            while (asked := await client.next()) is not None:
                await self._answer(client, asked)
                if asked.method == "CONNECT" or not client.again():
                    break
        except CredentialError as error:
            # Of the bytes that follow nobody knows what they are.
            try:
                await client.refuse(400, Refusal.failed(error))
            except (ConnectionError, NucleusError):
                pass
        except (ConnectionError, NucleusError) as error:
            self._outside.log(f"a connection outward ended: {error}")

    async def _answer(self, client: Client, asked: Asked) -> None:
        if asked.method == "CONNECT":
            await self._connect(client, asked)
        elif asked.target.startswith("/"):
            if _OURS.fullmatch(asked.one("host").lower()) is None:
                raise CredentialError("http.host", "The Host header names another server.")
            await reverse.serve(self._outside, client, asked)
        else:
            await self._plain(client, asked)

    # Plain HTTP -------------------------------------------------------------------------------

    async def _plain(self, client: Client, asked: Asked) -> None:
        target = url.parse(asked.target)
        if target.scheme != "http":
            raise CredentialError("http.request", "https goes through CONNECT, or net_fetch.")
        if asked.one("host").lower() not in (target.authority, f"{target.name}:{target.port}"):
            raise CredentialError("http.host", "The Host header names another server.")
        if asked.method not in METHODS:
            raise CredentialError("net.method", "There is no such method here.")
        body = await client.body(self._outside.fetcher.limits.body_bytes)
        args: dict[str, Any] = {"url": target.url, "method": asked.method}
        if body:
            args["body"] = _text(body)
            args["content_type"] = asked.one("content-type") or "application/octet-stream"
        if asked.one("accept"):
            args["accept"] = asked.one("accept")
        outside = self._outside
        done = await outside.decide(client, asked, lambda: self._fetch.bind(args, "/"))
        if isinstance(done, Refusal):
            await client.refuse(403, done)
            return
        try:
            got = await net.fetch(
                done.permit, done.call, outside.mediator.wall, outside.fetcher, done.call.args
            )
        except NucleusError as error:
            await outside.failed(client, done, error)
            return
        await outside.mediator.outcome(done, ok=True, result=got.body)
        headers = list(got.headers.items())
        if got.redirect is not None:
            headers.append(("location", got.redirect))
        await client.whole(got.status, headers, b"" if asked.method == "HEAD" else got.body)

    # Tunnels ----------------------------------------------------------------------------------

    async def _connect(self, client: Client, asked: Asked) -> None:
        outside = self._outside
        host, port = url.host_and_port(asked.target)
        if asked.one("host").lower() != asked.target.lower():
            raise CredentialError("http.host", "The Host header names another server.")
        done = await outside.decide(
            client, asked, lambda: tunnel.bound(host, port, outside.rules.connect)
        )
        if isinstance(done, Refusal):
            await client.refuse(403, done)
            return
        permit, call = done.permit, done.call
        dialer, wall = outside.fetcher.dialer, outside.mediator.wall
        try:
            far = await net.tunnel(permit, call, wall, dialer, host, port)
        except NucleusError as error:
            await outside.failed(client, done, error)
            return
        ended = tunnel.Ended(0, 0, None)
        account = outside.meter.account(done)
        pump = tunnel.Pump(client.reader, client.writer, far, account, outside.tunnels)
        try:
            with outside.live.held(check(permit, done.standing), pump.cut):
                begun = await client.switch()
                first = await tunnel.greeting(
                    client.reader, begun, host, outside.tunnels.hello_seconds
                )
                ended = await pump.run(first)
        except NucleusError as error:
            ended = tunnel.Ended(0, 0, Refusal.failed(error))
        finally:
            far.abort()
            if ended.refusal is not None:
                outside.log(f"the tunnel to {host} was cut: {ended.refusal.code}")
            await outside.mediator.outcome(
                done,
                ok=ended.refusal is None,
                result=tunnel.summary(done, ended),
                cut="" if ended.refusal is None else ended.refusal.code,
            )


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CredentialError("net.arguments", "A body that is no text does not pass.") from error
