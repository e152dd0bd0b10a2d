"""Law: the console listens on this machine alone, and gives its link to the terminal alone."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable
from typing import Final

from aiohttp import web

from nucleus.approver import Answering
from nucleus.console.acting import Hands
from nucleus.console.guests import Guests
from nucleus.console.login import Login, OneTimeLink, Visits
from nucleus.console.oidc import OpenId, Provider
from nucleus.console.serve import Console, Origin
from nucleus.home import Home
from nucleus_issuer.keys import Key
from nucleus_issuer.store import Store
from nucleus_tokens.errors import CallerError, WorldError

_HERE: Final = "127.0.0.1"


async def run(
    place: Home,
    store: Store,
    key: Key,
    port: int,
    origin: str | None,
    guests: str | None,
    provider: Provider | None,
    tell: Callable[[str], None],
) -> None:
    """Serve until cancelled. `origin` is what a browser sees, `guests` the secret of
    other hosts that may ask; with a `provider` one comes in through that, else by a link that is
    shown here. Raises CallerError `console.origin`, WorldError `console.port`."""
    try:
        listening = socket.create_server((_HERE, port))
    except OSError as error:
        raise WorldError("console.port", f"Port {port} cannot be had: {error.strerror}.") from error
    with listening:
        own = f"http://{_HERE}:{listening.getsockname()[1]}"
        seen = Origin.read(origin or own)
        if seen.scheme not in ("http", "https") or not seen.host or "/" in seen.host:
            raise CallerError("console.origin", "An origin is https://HOST or https://HOST:PORT.")
        desk = Answering(place, store, key)
        hands = Hands(place, store, desk, key.id, threading.Lock())
        login: Login = OneTimeLink(key.id, place.clock, os.urandom)
        if provider is not None:
            login = OpenId(provider, f"{seen}/enter", place.clock)
        others = None if not guests else Guests(store, guests, place.clock, f"{seen}/#approvals")
        console = Console(hands, login, Visits(place.clock, os.urandom), seen, others)
        runner = web.AppRunner(console.app(), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.SockSite(runner, listening).start()

            if isinstance(login, OneTimeLink):
                _show(login, seen, tell)
            else:
                tell(f"the console: {seen}/enter")
            await asyncio.Event().wait()
        finally:
            desk.stop()
            await runner.cleanup()


def _show(login: OneTimeLink, seen: Origin, tell: Callable[[str], None]) -> None:
    """Give the link to the terminal, and another one whenever it is asked for."""

    def link() -> None:
        tell(f"the console, once within 5 minutes: {seen}/enter?once={login.link()}")

    link()
    # Only the main thread hears signals; elsewhere the signal would end the process.
    if threading.current_thread() is threading.main_thread():
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, link)
        tell(f"another link: kill -USR1 {os.getpid()}")
