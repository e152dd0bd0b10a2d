"""`nucleus up`: issuer, identity and one sidecar on this machine, sockets in one folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from nucleus.cli import options
from nucleus.cli.options import PassphraseFd, PassphraseFile, examples

if TYPE_CHECKING:
    from nucleus.home import Home
    from nucleus_issuer.identity.registry import Registry

UP = examples(
    "nucleus up",
    "nucleus --home ./trial up --folder /run/user/1000/trial --passphrase-file issuer.pass",
)
_SOCKET_CHARS: Final = 107  # sun_path, without its end
_FILES: Final = ("issuance.toml", "sidecar.toml")
_LONGEST: Final = "identity/operator.sock"


def up(
    ctx: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", metavar="DIR", help="Where the sockets are; else in the home."),
    ] = None,
    trust_domain: Annotated[
        str, typer.Option("--trust-domain", metavar="NAME", help="Of a new identity authority.")
    ] = "local",
    lease: Annotated[
        str,
        typer.Option("--lease", metavar="TIME", help="The sidecar closes after so long."),
    ] = "10s",
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
) -> int:
    """Run the issuer, the identities and one sidecar of this home, until stopped.

    What is missing is made: a trust domain, and the files that say who may be whom, who may have
    which tokens, and what the sidecar serves. Nothing that exists is changed. Whoever can open
    this folder can be any of the workloads in it: it is yours alone.
    """
    from nucleus.cli import inputs
    from nucleus.cli.console import note, safe
    from nucleus.cli.mcp import until_stopped
    from nucleus.supervising import Service, supervise
    from nucleus_issuer import files

    place = options.home(ctx)
    ring = place.keyring()
    where = Path(os.path.abspath(folder or place.state / "run"))
    _short(where)
    files.private_directory(where)
    inputs.duration(lease, "--lease")
    known = _made(place, where, trust_domain)
    issuer_id = _named(known, "issuer.sock")
    _named(known, "verifier.sock")
    secret = inputs.passphrase(passphrase_file, passphrase_fd)("issuer's keys")
    ring.issuers(lambda _: secret)  # wrong: said at once, and not by a service that ended

    def service(name: str, socket: str, *words: str, secret: bytes | None = None) -> Service:
        return Service(name, [*_program(place), *words], _environment(where, socket), secret)

    address = f"unix:{where}/issuer.sock"
    services = (
        service("identity", "", "identity", "serve", "--folder", f"{where}/identity"),
        service(
            "issuer", "issuer.sock", "issuer", "serve", "--listen", address, "--lease", lease,
            "--passphrase-fd", secret=secret,
        ),
        service(
            "verifier", "verifier.sock", "verifier", "serve", "--issuer", address,
            "--issuer-id", issuer_id,
        ),
    )  # fmt: skip

    def ready() -> None:
        note(f"nucleus: all serve in {safe(str(where))}; an agent's words:")
        note(f"  export SPIFFE_ENDPOINT_SOCKET=unix://{where}/identity/agent.sock")
        note(
            f"  nucleus token issue --issuer {address} --profile read-only"
            f" --audience {safe(ring.bundle().audience)}"
            f" --sub spiffe://{known.trust_domain}/agent -o agent.token"
        )

    until_stopped(supervise(services, where, lambda line: note(f"nucleus: {line}"), ready))
    return 0


def _made(place: Home, where: Path, trust_domain: str) -> Registry:
    """The registry, after everything that was missing is there."""
    from importlib import resources

    from nucleus_issuer import files
    from nucleus_issuer.identity import registry
    from nucleus_issuer.identity.authority import TrustAuthority

    keys, listed = place.data / "identity", place.config / "workloads.toml"
    if not any(keys.glob("authority-*.json")):
        TrustAuthority.create(keys, trust_domain, place.clock)
    domain = TrustAuthority.open(keys, place.clock).trust_domain
    words = {
        "domain": domain,
        "audience": place.keyring().bundle().audience_named(None).name,
        "folder": str(where),
    }
    for path in (listed, *(place.config / name for name in _FILES)):
        if not path.exists():
            text = resources.files("nucleus").joinpath("policies", "up", path.name).read_text()
            files.create(path, text.format(**words).encode("utf-8"))
    return registry.load(listed)


def _named(known: Registry, socket: str) -> str:
    from nucleus_tokens.errors import CallerError

    found = known.of_socket(socket)
    if len(found) != 1:
        raise CallerError(
            "up.registry",
            f"workloads.toml must name one workload with the socket {socket!r}.",
            hint="docs/identity.md shows how.",
        )
    return str(found[0])


def _short(where: Path) -> None:
    from nucleus_tokens.errors import CallerError

    # In a configuration file and in URIs it must be what it is here.
    plain = all(c.isascii() and (c.isalnum() or c in "/._-") for c in str(where))
    if not plain or len(str(where / _LONGEST)) > _SOCKET_CHARS:
        raise CallerError(
            "up.folder",
            f"{where} cannot hold sockets: it is too long, or has letters that URIs escape.",
            hint="Give another one with --folder.",
        )


def _program(place: Home) -> list[str]:
    run = [sys.executable, "-m", "nucleus.cli"]
    # A home of one root is named so; else XDG says where, to our services as well.
    root = place.state.parent
    same = (root / "config", root / "data") == (place.config, place.data)
    return [*run, "--home", str(root)] if same else run


def _environment(where: Path, socket: str) -> dict[str, str]:
    names = (
        "PATH", "LANG", "HOME", "PYTHONPATH", "TZ", "NO_COLOR",
        "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "NUCLEUS_HOME",
    )  # fmt: skip
    kept = {name: os.environ[name] for name in names if name in os.environ}
    if socket:
        kept["SPIFFE_ENDPOINT_SOCKET"] = f"unix://{where}/identity/{socket}"
    return kept
