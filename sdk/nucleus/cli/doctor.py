"""`nucleus doctor`: what is wrong with this deployment, and what to do about it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from nucleus.cli import options
from nucleus.cli.options import Json, RemoteAt, examples

DOCTOR = examples(
    "nucleus doctor",
    "SPIFFE_ENDPOINT_SOCKET=unix:///run/nucleus/identity/verifier.sock nucleus doctor"
    " --issuer unix:/run/nucleus/issuer.sock --json",
)
_MARKS: Final = {"well": "ok", "warning": "warning", "wrong": "WRONG", "unknown": "unknown"}


def doctor(
    ctx: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="The sidecar's file; else sidecar.toml."),
    ] = None,
    issuer: RemoteAt = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Read all of the state and its trace as well.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Look at clock, keys, permissions, state, identities, sockets and staleness.

    Changes nothing. Exit code 1: something is wrong, and stands with what to do about it.
    """
    from nucleus.cli.console import DENIED, OK, document, safe, say
    from nucleus.doctoring import Asked, examine

    place = options.home(ctx)
    found = examine(
        place,
        Asked(
            sidecar=config or place.config / "sidecar.toml",
            issuer=options.remote(place, issuer),
            identity=os.environ.get("SPIFFE_ENDPOINT_SOCKET", ""),
            deep=deep,
        ),
    )
    wrong = any(each.state == "wrong" for each in found)
    if as_json:
        document({"findings": [each.fields() for each in found], "well": not wrong})
    else:
        for each in found:
            say(f"{_MARKS[each.state]:8} {each.what:12} {safe(each.says)}")
            if each.do:
                say(f"{'':21} {safe(each.do)}")
    return DENIED if wrong else OK
