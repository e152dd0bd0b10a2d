"""`nucleus verifier serve`: decisions for gateways and tools, from this host's keys and state."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from nucleus.cli import options
from nucleus.cli.options import Json, RemoteAt, examples

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nucleus.home import Home
    from nucleus_verifier.facts import Keys
    from nucleus_verifier.ports import Ledger, Part
    from nucleus_verifier.sidecar.budgets import Allot
    from nucleus_verifier.sidecar.gate import Log

SERVE = examples(
    "nucleus verifier serve --config sidecar.toml",
    "nucleus verifier serve --issuer unix:/run/issuer.sock --issuer-id spiffe://example.org/issuer",
)
JOIN = examples(
    "nucleus verifier join git.example --issuer issuer.example.org:8443",
)
_NAME: Final = "sidecar.toml"
_ISSUER_SECONDS: Final = 5.0
_REREAD_SECONDS: Final = 2.0


def serve(
    ctx: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help=f"Listeners and routes; else {_NAME}."),
    ] = None,
    issuer: Annotated[
        str | None,
        typer.Option("--issuer", metavar="ADDRESS", help="Whose revocations are watched."),
    ] = None,
    issuer_id: Annotated[
        str | None, typer.Option("--issuer-id", metavar="SPIFFE_ID", help="Who must answer there.")
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option("--metrics", metavar="HOST:PORT", help="For Prometheus, without TLS."),
    ] = None,
) -> int:
    """Serve decisions to Envoy, nginx, Caddy, Traefik, and tools.

    Without --issuer the revocations are those of this host's own state. With it nothing is allowed
    but under the issuer's lease. Reasons go to this log alone, one line of JSON each.
    """
    import asyncio
    from contextlib import AsyncExitStack

    from nucleus.cli.console import note
    from nucleus.cli.mcp import until_stopped
    from nucleus.cli.notify import ready
    from nucleus_tokens.errors import CallerError, WorldError
    from nucleus_verifier.caching import CachingVerifier
    from nucleus_verifier.rpc import prometheus
    from nucleus_verifier.rpc.client import IssuerClient
    from nucleus_verifier.rpc.mtls import Dialled, Workload, parse_id
    from nucleus_verifier.sidecar import serve as sidecar
    from nucleus_verifier.sidecar.believing import believed
    from nucleus_verifier.sidecar.budgets import Parts
    from nucleus_verifier.sidecar.forwarding import forward
    from nucleus_verifier.sidecar.gate import Gate, World
    from nucleus_verifier.sidecar.metrics import Metrics
    from nucleus_verifier.sidecar.revocations import Guarded
    from nucleus_verifier.sidecar.settings import load
    from nucleus_verifier.sidecar.spanning import spanning
    from nucleus_verifier.sidecar.watching import Watched

    if (issuer is None) != (issuer_id is None):
        raise CallerError("sidecar.issuer", "Give both --issuer and --issuer-id, or neither.")
    place = options.home(ctx)
    path = config or place.config / _NAME
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WorldError("sidecar.unreadable", f"{path} cannot be read.") from error
    settings = load(path, data)
    needs = issuer is not None or any(each.gateway for each in settings.listeners)

    def log(event: str, about: Mapping[str, object]) -> None:
        note(json.dumps({"event": event, **about}))

    def serves() -> None:
        note(f"nucleus: the verifier {settings.instance} serves")
        ready()

    with ExitStack() as stack:
        store = stack.enter_context(place.store())
        reveals = stack.enter_context(place.reveals())
        workload = stack.enter_context(Workload.open()) if needs else None
        counts = Metrics()
        if metrics is not None:
            port = stack.enter_context(prometheus.served(counts.registry, metrics))
            note(f"nucleus: metrics at port {port}")
        pool, offload = sidecar.offload()
        stack.callback(pool.shutdown)

        def asking(client: IssuerClient, instance: str) -> Allot:
            loop = asyncio.get_running_loop()
            state = f"{instance}#{store.state_id(int.from_bytes(place.random(8)))}"

            def allot(tid: str, parts: Sequence[Part]) -> Sequence[int]:
                asked = client.allot(tid, state, parts)
                return asyncio.run_coroutine_threadsafe(asked, loop).result()

            return allot

        async def work() -> None:
            async with AsyncExitStack() as inner:
                own = place.verifier_keys()
                ledger: Ledger = store
                watched = client = None

                async def believe() -> None:
                    if client is not None:
                        told = await client.trust_bundle(own.audience)
                        gate.use_keys(believed(own, told))
                        log("bundle", {"issuers": len(told.issuers)})

                if issuer is not None and issuer_id is not None and workload is not None:
                    dialled = Dialled(workload, issuer, parse_id(issuer_id))
                    inner.push_async_callback(dialled.close)
                    client = IssuerClient(dialled.channel, seconds=_ISSUER_SECONDS)
                    watched = Watched(client, believe)
                    ledger = Guarded(store, watched, Parts(asking(client, settings.instance)))
                    counts.observe(watched)
                world = World(
                    ledger=ledger,
                    desk=store,
                    clock=place.clock,
                    draw=place.random,
                    reveals=reveals,
                    offload=offload,
                    log=log,
                )
                gate = Gate(
                    CachingVerifier(own), settings.routes, settings.policy, settings.instance, world
                )
                tasks = (
                    [_reread(place, gate.use_keys, log)]
                    if watched is None or client is None
                    else [watched.run(), forward(store, client, settings.instance, log)]
                )
                for each in map(asyncio.ensure_future, tasks):
                    inner.callback(each.cancel)

                def unready() -> Sequence[str]:
                    store.trace_head()  # raises where the state cannot be read
                    stale = watched is not None and not watched.fresh()
                    return ["revocation.stale"] if stale else []

                await sidecar.serve(
                    settings,
                    spanning(counts.counting(gate)),
                    log=log,
                    unready=unready,
                    workload=workload,
                    ready=serves,
                )

        until_stopped(work())
    return 0


async def _reread(place: Home, use: Callable[[Keys], None], log: Log) -> None:
    """The bundle of this home again whenever it is another one: keys rotate, and are retired."""
    import asyncio

    from nucleus_tokens.errors import NucleusError

    seen = place.verifier_keys().epoch
    while True:
        await asyncio.sleep(_REREAD_SECONDS)
        try:
            keys = await asyncio.to_thread(place.verifier_keys)
        except NucleusError as error:
            log("bundle", {"why": error.code})
            continue
        if keys.epoch != seen:
            seen = keys.epoch
            use(keys)
            log("bundle", {"issuers": len(keys.issuers)})


def join(
    ctx: typer.Context,
    audience: Annotated[
        str, typer.Argument(metavar="AUDIENCE", help="Ours, as the issuance policy names it.")
    ],
    issuer: RemoteAt = None,
    as_json: Json = False,
) -> int:
    """Make a verifier's home on this host: its key, its state, and whom it believes.

    The issuer's policy names this workload for the audience. For another replica of one that is
    there, copy its data directory here first: the keys are kept, and only the state is new.
    """
    from datetime import UTC, datetime

    from nucleus.cli.console import OK, answer
    from nucleus.joining import join as joined
    from nucleus.remote import connected
    from nucleus_tokens.errors import CallerError

    place = options.home(ctx)
    where = options.remote(place, issuer)
    if where is None:
        raise CallerError("join.issuer", "Say which issuer it joins: give --issuer ADDRESS.")
    akid = datetime.fromtimestamp(place.clock(), UTC).strftime("%Y%m%d-%H%M%S")
    with connected(where) as there:
        bundle = joined(place, there, audience, akid)
    answer(
        as_json,
        {"audience": bundle.audience, "keys": str(place.keys_directory)},
        f"A verifier of {bundle.audience}: its keys are in {place.keys_directory}.",
        "Next: write sidecar.toml, and start it with nucleus verifier serve --issuer ADDRESS.",
    )
    return OK
