"""Law: what the road outward needs is given to it, once, as one value; it finds nothing itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from nucleus_proxy.answers import Granted, Presented, Refusal
from nucleus_proxy.binding import BoundCall
from nucleus_proxy.egress.fetching import Fetcher
from nucleus_proxy.egress.httpd import CREDENTIAL, Asked, Client
from nucleus_proxy.egress.meter import Meter
from nucleus_proxy.egress.rules import Egress
from nucleus_proxy.egress.secrets import Secret
from nucleus_proxy.egress.tunnel import TunnelLimits
from nucleus_proxy.live import Live, WasCut
from nucleus_proxy.mediator import Mediator
from nucleus_tokens.errors import NucleusError

GONE: Final = Refusal("http.gone", 0, "The client is gone.", "")


async def silent(_: str) -> None:
    """Progress that nobody hears: HTTP has no place for it."""


@dataclass(frozen=True, slots=True)
class Outside:
    """All that the road outward is composed of. `held` is the token of whoever reaches the
    socket; without it each request carries its credential in the header `Nucleus-Credential`."""

    mediator: Mediator
    live: Live
    meter: Meter
    fetcher: Fetcher
    rules: Egress
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    held: str | None = None
    tunnels: TunnelLimits = field(default_factory=TunnelLimits)
    log: Callable[[str], None] = lambda _: None

    def presented(self, asked: Asked) -> Presented:
        """The credential of a request."""
        if self.held is not None:
            return Presented(self.held, "held")
        return Presented(asked.one(CREDENTIAL), "carried")

    async def decide(
        self, client: Client, asked: Asked, build: Callable[[], BoundCall]
    ) -> Granted | Refusal:
        """The decision on a request; a client that goes away withdraws it."""
        async with client.waiting() as caller:
            done = await self.mediator.call(
                self.presented(asked), build, progress=silent, caller=caller
            )
        return done if isinstance(done, Granted | Refusal) else GONE

    async def failed(self, client: Client, granted: Granted, error: NucleusError) -> None:
        """An effect that ran and failed: on record, then told."""
        failed = Refusal.failed(error)
        cut = error.code if isinstance(error, WasCut) else ""
        await self.mediator.outcome(granted, ok=False, result=failed.text().encode(), cut=cut)
        await client.refuse(502, failed)
