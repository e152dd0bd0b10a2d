"""Law: the road outward is put together in one place, of parts that are all named.

For whoever composes a proxy: from the policy's `egress` section, a resolver and trust roots to a
fetcher for the network's tools, and to a socket for the agent's HTTP clients.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from nucleus_proxy.egress import secrets as sources
from nucleus_proxy.egress.dial import Dialer, Private, client_tls
from nucleus_proxy.egress.door import Door
from nucleus_proxy.egress.fetching import Fetcher
from nucleus_proxy.egress.httpd import HEAD_BYTES
from nucleus_proxy.egress.meter import Meter
from nucleus_proxy.egress.outside import Outside
from nucleus_proxy.egress.resolving import PinnedResolver, Resolver
from nucleus_proxy.egress.rules import Egress
from nucleus_proxy.egress.secrets import Secret
from nucleus_proxy.live import Live
from nucleus_proxy.mediator import Mediator
from nucleus_proxy.serve import listening
from nucleus_tokens.errors import CallerError
from nucleus_verifier.ports import Ledger


def fetcher(
    rules: Egress, *, resolver: Resolver, roots: Path | str, private: Sequence[Private] = ()
) -> Fetcher:
    """The way outward that the section describes. `roots` is a PEM file, or PEM text; `private`
    are exceptions beside the section's own. Raises WorldError `net.roots`."""
    dialer = Dialer(
        resolver=PinnedResolver(rules.pins, otherwise=resolver),
        tls=client_tls(roots),
        private=(*rules.private, *private),
    )
    return Fetcher(dialer, rules.limits, rules.methods, rules.hosts)


def secrets(rules: Egress, only: Collection[str] | None = None) -> Mapping[str, Secret]:
    """The secrets of the section, or `only` these, each read once. Raises CallerError and
    WorldError `secret.*`."""
    found = {}
    for name, source in rules.secrets.items():
        if only is not None and name not in only:
            continue
        if source.file is not None:
            found[name] = sources.from_file(name, source.file)
        elif source.fd is not None:
            found[name] = sources.from_fd(name, source.fd)
        else:
            raise CallerError("secret.source", f"The secret {name} comes from nowhere.")
    return found


@asynccontextmanager
async def outward(
    path: Path,
    *,
    mediator: Mediator,
    live: Live,
    ledger: Ledger,
    fetching: Fetcher,
    secrets: Mapping[str, Secret],
    held: str | None = None,
    log: Callable[[str], None] = lambda _: None,
) -> AsyncIterator[Outside]:
    """A socket for HTTP at `path` while the block runs. The composition keeps `live.run()` going:
    without it nothing that goes on would be cut.

    `ledger` is the one the mediator has, as `live.watched` gave it. `held` is the token of
    whoever reaches the socket; without it each request carries its credential. Raises as
    `serve.listening`.
    """
    outside = Outside(
        mediator=mediator,
        live=live,
        meter=Meter(ledger),
        fetcher=fetching,
        rules=mediator.policy.egress,
        secrets=secrets,
        held=held,
        log=log,
    )
    async with listening(path, Door(outside), limit=HEAD_BYTES):
        yield outside
