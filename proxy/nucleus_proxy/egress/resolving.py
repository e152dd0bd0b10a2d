"""Law: who is asked for addresses is chosen by whoever composes the proxy; no environment says it.

A resolver gives every address of a name, as texts. It decides nothing: what may be reached is
judged afterwards, on exactly the addresses it gave.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from nucleus_tokens.errors import WorldError

MOST_ADDRESSES: Final = 16


class Resolver(Protocol):
    """Whoever knows addresses."""

    async def addresses(self, host: str) -> Sequence[str]:
        """The addresses of a name, best first. Raises WorldError `net.resolve`."""
        ...


def unknown(host: str) -> WorldError:
    """What a resolver raises for a name that it does not know."""
    return WorldError("net.resolve", f"The name {host} has no address here.")


class SystemResolver:
    """The operating system's: what its resolver configuration says."""

    async def addresses(self, host: str) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        try:
            # A trailing dot: no search domain of this machine is tried.
            found = await loop.getaddrinfo(f"{host}.", None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise unknown(host) from error
        return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))[:MOST_ADDRESSES]


class PinnedResolver:
    """Names whose addresses are fixed; the others are asked of `otherwise`, or unknown."""

    def __init__(
        self, pins: Mapping[str, Sequence[str]], otherwise: Resolver | None = None
    ) -> None:
        self._pins = {host: tuple(addresses) for host, addresses in pins.items()}
        self._otherwise = otherwise

    async def addresses(self, host: str) -> Sequence[str]:
        if host in self._pins:
            return self._pins[host]
        if self._otherwise is None:
            raise unknown(host)
        return await self._otherwise.addresses(host)
