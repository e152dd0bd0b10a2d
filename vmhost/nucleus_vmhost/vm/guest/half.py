"""Law: the guest half moves bytes between the agent and the channel, and reads none.

It runs under a uid of its own that owns the channel's port. What the agent meets are its sockets;
who decides is at the other end.
"""

from __future__ import annotations

import gc
import os
import select
import socket
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from nucleus_vmhost.vm.guest.loop import Turns
from nucleus_vmhost.vm.guest.names import (
    INSIDE,
    OUTSIDE,
    PING,
    PROXY,
    PROXY_PORT,
    TOOLS,
    TOOLS_PORT,
)
from nucleus_vmhost.vm.pumps import Line, Pumps
from nucleus_vmhost.vm.streams import Side

FIRST: Final = Path("/run/first")  # the first process listens here, for us alone
AGENT: Final = Path("/run/nucleus")  # and we here, for the agent
_BACKLOG: Final = 64
_PIECE: Final = 65536
_REHEARSALS: Final = 16


def main(port: int, ready: int) -> None:
    """Serve the agent and the channel until that ends, which ends the machine. `ready` is written
    to once we listen."""
    loop = Turns()
    services = {name: FIRST / f"{name}.sock" for name in INSIDE}
    pumps = Pumps(Line(port), Side.GUEST, services, loop)
    for service in OUTSIDE:
        server = socket.socket(socket.AF_UNIX)
        server.bind(os.fspath(AGENT / f"{service}.sock"))
        (AGENT / f"{service}.sock").chmod(0o666)
        _listens(pumps, server, service)
    for service, number in ((TOOLS, TOOLS_PORT), (PROXY, PROXY_PORT)):
        server = socket.socket()
        server.bind(("127.0.0.1", number))
        _listens(pumps, server, service)
    _rehearsed(services)
    os.write(ready, b"+")
    os.close(ready)
    # Nothing is said before the host has spoken: a snapshot is taken while we wait here.
    select.select([port], [], [])
    _taken(port)
    over: list[object] = []
    pumps.begin(over.append)
    while not over:
        loop.turn()


def _listens(pumps: Pumps, server: socket.socket, service: str) -> None:
    server.listen(_BACKLOG)
    pumps.listen(server, service)


def _taken(port: int) -> None:
    """Where the port is a listening vsock, its first connection stands in its place from now on:
    only the host can be that, and there is no second."""
    if stat.S_ISSOCK(os.fstat(port).st_mode):
        with socket.socket(fileno=os.dup(port)) as taking:
            connection, _ = taking.accept()
            with connection:
                os.dup2(connection.fileno(), port)
        os.set_blocking(port, False)


def _rehearsed(services: Mapping[str, Path]) -> None:
    """Go the way of a call, between two ends in here, before the machine is kept: what is done
    for the first time is done once, and not by each copy in memory of its own."""
    loop = Turns()
    ends = [
        Pumps(Line(end.detach()), side, services, loop)
        for end, side in zip(socket.socketpair(), Side, strict=True)
    ]
    over: list[object] = []
    for end in ends:
        end.begin(over.append)
    for _ in range(_REHEARSALS):
        ours, theirs = socket.socketpair(type=socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        ends[1].joined(PING, theirs, b"{}\n")
        while not _ended(ours):
            loop.turn()
        ours.close()
    for end in ends:
        end.close()
    gc.collect()
    gc.freeze()  # a collection would write to every page that is shared


def _ended(connection: socket.socket) -> bool:
    """Whether the other end has said all."""
    try:
        while connection.recv(_PIECE):
            pass
    except BlockingIOError:
        return False
    return True
