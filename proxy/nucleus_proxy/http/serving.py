"""Law: an MCP server is served over HTTP as on a socket: the same relay, and a token that came in a
header in place of a credential in each call.

`nucleus mcp serve --http PORT`. A header carries a token that its bearer may use; where a token has
a holder, each call still needs the holder's proof.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from nucleus_proxy.egress.dial import Dialer
from nucleus_proxy.http.front import Front, Names, listening
from nucleus_proxy.http.sessions import Sessions
from nucleus_proxy.live import Live
from nucleus_proxy.mediator import Mediator
from nucleus_proxy.relay import Log
from nucleus_proxy.serve import Service
from nucleus_proxy.work import Runner

_LOOPBACK = ("127.0.0.1", "localhost")


def names(
    port: int,
    *,
    hosts: Sequence[str] = (),
    origins: Sequence[str] = (),
    issuers: Sequence[str] = (),
) -> Names:
    """How this machine's own clients call a port here, and whatever the operator adds."""
    own = [f"{host}:{port}" for host in _LOOPBACK]
    return Names(
        frozenset(name.lower() for name in (*own, *hosts)),
        frozenset(name.lower() for name in origins),
        tuple(issuers),
    )


async def run_http(
    port: int,
    mediator: Mediator,
    *,
    live: Live,
    draw: Callable[[int], bytes],
    log: Log,
    command: Sequence[str] = (),
    stderr: Callable[[bytes], None] | None = None,
    runner: Runner | None = None,
    dialer: Dialer | None = None,
    hosts: Sequence[str] = (),
    origins: Sequence[str] = (),
    issuers: Sequence[str] = (),
    ready: Callable[[int], None] = lambda _: None,
) -> None:
    """Serve on the loopback until cancelled. `ready` hears which port it became."""
    mediator.open()
    service = Service(
        mediator, draw=draw, log=log, command=command, stderr=stderr, runner=runner, live=live,
        dialer=dialer,
    )  # fmt: skip
    sessions = Sessions(service.relay, draw=draw, log=log)
    front = Front(mediator, sessions, log=log)
    async with live.watching(), listening(front, port) as became:
        front.names = names(became, hosts=hosts, origins=origins, issuers=issuers)
        ready(became)
        await asyncio.get_running_loop().create_future()
