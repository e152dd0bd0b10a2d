"""`nucleus identity init | serve | show | rotate`: who a workload is, where no SPIRE runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from nucleus.cli import options
from nucleus.cli.options import Json, examples

if TYPE_CHECKING:
    from nucleus.home import Home

INIT = examples("nucleus identity init example.org")
SERVE = examples(
    "nucleus identity serve",
    "nucleus identity serve --folder /run/nucleus/identity --registry workloads.toml",
)
SHOW = examples(
    "SPIFFE_ENDPOINT_SOCKET=unix:///run/nucleus/identity/workload.sock nucleus identity show",
    "nucleus identity show --socket /run/nucleus/identity/workload.sock --json",
)
ROTATE = examples("nucleus identity rotate")

_VARIABLE: Final = "SPIFFE_ENDPOINT_SOCKET"
_WATCH_SECONDS: Final = 2.0
_FETCH_SECONDS: Final = 5.0
_START: Final = """# Who may be whom on this host; docs/identity.md explains it. Nobody by default.
trust_domain = "{domain}"

# [[workload]]
# id = "spiffe://{domain}/agent/one"
# uid = {uid}

# Each microVM that this user starts with `nucleus run --vm`; its agent is …/vm/NAME/agent.
# [[workload]]
# id = "spiffe://{domain}/vm"
# uid = {uid}
# each = "vm"
"""


def init(
    ctx: typer.Context,
    trust_domain: Annotated[
        str, typer.Argument(metavar="TRUST_DOMAIN", help="Such as example.org.")
    ],
) -> int:
    """Make the keys of a trust domain, and an empty registry.

    The keys lie in a plain file (0600): a service must start without a person. Whoever reads it
    can be anybody of this trust domain.
    """
    from nucleus.cli.console import OK, say
    from nucleus_issuer import files
    from nucleus_issuer.identity.authority import TrustAuthority

    place = options.home(ctx)
    made = TrustAuthority.create(_keys(place), trust_domain, place.clock)
    registry = _registry(place)
    files.private_directory(registry.parent)
    if not registry.exists():
        text = _START.format(domain=made.trust_domain, uid=os.getuid())
        files.create(registry, text.encode("utf-8"))
    say(f"Made the trust domain {made.trust_domain}.", f"Name its workloads in {registry}")
    return OK


def serve(
    ctx: typer.Context,
    folder: Annotated[
        Path | None, typer.Option("--folder", metavar="DIR", help="Where the sockets are made.")
    ] = None,
    registry: Annotated[
        Path | None, typer.Option("--registry", metavar="FILE", help="Who may be whom.")
    ] = None,
    lives: Annotated[
        str, typer.Option("--lives", metavar="TIME", help="How long a certificate is valid.")
    ] = "1h",
    announce: Annotated[
        str,
        typer.Option(
            "--announce", metavar="TIME", help="How long a new key is known before it signs."
        ),
    ] = "1m",
) -> int:
    """Serve the SPIFFE Workload API on this host.

    A process is told by its user (and, where the registry says so, group and program) who it is.
    """
    import asyncio
    from contextlib import suppress

    from nucleus.cli import inputs
    from nucleus.cli.console import note
    from nucleus.cli.mcp import until_stopped
    from nucleus.cli.notify import ready
    from nucleus_issuer.identity import registry as registries
    from nucleus_issuer.identity.authority import TrustAuthority
    from nucleus_issuer.identity.serve import SOCKET, IdentityService

    place = options.home(ctx)
    where = folder or place.state / "identity"
    known = registries.load(registry or _registry(place))
    known_for = inputs.duration(announce, "--announce")
    authority = TrustAuthority.open(_keys(place), place.clock, announce=known_for)
    seconds = inputs.duration(lives, "--lives")

    def serves() -> None:
        note(f"nucleus: serving at {where / SOCKET}")
        ready()

    async def work() -> None:
        nonlocal authority
        service = IdentityService(lambda: authority, known, seconds=seconds)

        async def watch() -> None:
            nonlocal authority
            seen = _generations(place)
            while True:
                await asyncio.sleep(_WATCH_SECONDS)
                if _generations(place) != seen:
                    seen = _generations(place)
                    authority = authority.again(_keys(place))
                    service.keys_changed()
                    note("nucleus: the authority has new keys")

        watching = asyncio.ensure_future(watch())
        try:
            await service.run(where, serves)
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    until_stopped(work())
    return 0


def show(
    socket: Annotated[
        Path | None,
        typer.Option("--socket", metavar="PATH", help=f"Else {_VARIABLE} says where."),
    ] = None,
    as_json: Json = False,
) -> int:
    """Who this process is, as the Workload API (ours or SPIRE's) says. Keys are not shown."""
    from nucleus.cli.console import OK, document, safe, say
    from nucleus_tokens.errors import CallerError

    address = f"unix://{socket.absolute()}" if socket is not None else os.environ.get(_VARIABLE)
    if not address:
        raise CallerError(
            "identity.no_socket", f"Give --socket PATH, or set {_VARIABLE}=unix:///PATH."
        )
    found = _fetch(address)
    if as_json:
        document(found)
        return OK
    for each in found:
        say(
            f"{safe(str(each['id']))}",
            f"  DNS names  {', '.join(each['dns_names']) or 'none'}",
            f"  valid to   {each['expires']}",
        )
    return OK


def rotate(ctx: typer.Context) -> int:
    """Give the trust domain a new key; what the old one signed stays valid until it expires.

    A running `nucleus identity serve` notices and tells every workload; once all of them know the
    new key (`--announce`), it signs.
    """
    from nucleus.cli.console import OK, say
    from nucleus_issuer.identity.authority import TrustAuthority

    place = options.home(ctx)
    made = TrustAuthority.rotate(_keys(place), place.clock)
    say(f"{made.trust_domain} has a new key.")
    return OK


def _fetch(address: str) -> list[dict[str, Any]]:
    from cryptography import x509
    from spiffe import WorkloadApiClient

    from nucleus_tokens.errors import WorldError

    try:
        with WorkloadApiClient(address, default_timeout=_FETCH_SECONDS) as client:
            svids = client.fetch_x509_svids()
    except Exception as error:  # the client's family of errors has no common base
        raise WorldError(
            "identity.unavailable",
            f"The Workload API at {address} gave no identity: {error}.",
            hint="Is it running, and is this process in its registry?",
        ) from error
    found: list[dict[str, Any]] = []
    for svid in svids:
        names = svid.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        found.append(
            {
                "dns_names": names.value.get_values_for_type(x509.DNSName),
                "expires": svid.leaf.not_valid_after_utc.isoformat(),
                "id": str(svid.spiffe_id),
            }
        )
    return found


def _keys(place: Home) -> Path:
    return place.data / "identity"


def _registry(place: Home) -> Path:
    return place.config / "workloads.toml"


def _generations(place: Home) -> list[str]:
    return sorted(path.name for path in _keys(place).glob("authority-*.json"))
