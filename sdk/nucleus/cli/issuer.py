"""`nucleus issuer serve`: the issuer as a service, for many agents and tools."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

import typer

from nucleus.cli import options
from nucleus.cli.options import PassphraseFd, PassphraseFile, PinFile, Pkcs11, examples

SERVE = examples(
    "nucleus issuer serve --listen 0.0.0.0:8443 --passphrase-file issuer.pass",
    "nucleus issuer serve --listen unix:/run/nucleus/issuer.sock --passphrase-fd 3",
    "nucleus issuer serve --listen 0.0.0.0:8443 --postgres postgresql://nucleus@db/state",
)
POLICY: Final = "issuance.toml"


def serve(
    ctx: typer.Context,
    listen: Annotated[
        str, typer.Option("--listen", metavar="ADDRESS", help="host:port, or unix:/path.")
    ],
    policy: Annotated[
        Path | None,
        typer.Option("--policy", metavar="FILE", help=f"Who may what; else {POLICY}."),
    ] = None,
    postgres: Annotated[
        str | None,
        typer.Option(
            "--postgres",
            metavar="URI",
            help="State for several nodes; no password in it: libpq's passfile has it.",
        ),
    ] = None,
    create: Annotated[
        bool,
        typer.Option("--create", help="Make the tables in an empty database."),
    ] = False,
    lease: Annotated[
        str,
        typer.Option("--lease", metavar="TIME", help="Verifiers close after so long."),
    ] = "10s",
    metrics: Annotated[
        str | None,
        typer.Option("--metrics", metavar="HOST:PORT", help="For Prometheus, without TLS."),
    ] = None,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    pkcs11: Pkcs11 = None,
    pin_file: PinFile = None,
) -> int:
    """Serve the issuer to agents, verifiers and people, under mutual TLS.

    Who this process is comes from SPIFFE_ENDPOINT_SOCKET (`nucleus identity serve`, or SPIRE); who
    may do what stands in the issuance policy: nobody, by default.
    """
    from nucleus.cli import inputs
    from nucleus.cli.console import note
    from nucleus.cli.mcp import until_stopped
    from nucleus.cli.notify import ready
    from nucleus_issuer.service import policy as policies
    from nucleus_issuer.service.alone import only_one
    from nucleus_issuer.service.metrics import Metrics
    from nucleus_issuer.service.serve import Parts
    from nucleus_issuer.service.serve import serve as run
    from nucleus_issuer.store import Store
    from nucleus_verifier.rpc.mtls import Workload

    place = options.home(ctx)
    ring = place.keyring()
    seconds = inputs.duration(lease, "--lease")
    signers = ring.issuers(
        inputs.passphrase_or_module(passphrase_file, passphrase_fd, pkcs11, pin_file)
    )
    with ExitStack() as stack:
        workload = stack.enter_context(Workload.open())
        known = policies.load(policy or place.config / POLICY, workload.id.trust_domain)
        if postgres is None:
            stack.enter_context(only_one(place.state))
            store = place.store()
        else:
            anchor = place.state / "postgres.anchor"
            store = Store.open_postgres(postgres, anchor, create=create, clock=place.clock)
        stack.enter_context(store)
        counts = Metrics()
        parts = Parts(
            store=store,
            alone=postgres is None,
            signers=signers,
            bundle=ring.bundle,
            policy=known,
            workload=workload,
            clock=place.clock,
            random=place.random,
            log=lambda line: note(f"nucleus: {line}"),
            metrics=counts,
            lease_seconds=seconds,
        )
        if metrics is not None:
            port = stack.enter_context(counts.served(metrics))
            note(f"nucleus: metrics at port {port}")

        def serves(port: int) -> None:
            note(f"nucleus: {workload.id} serves at {listen}, port {port}")
            ready()

        until_stopped(run(parts, listen, serves))
    return 0
