"""`nucleus profiles list` and `show`: the ready-made ceilings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nucleus.cli.options import Json, examples

if TYPE_CHECKING:
    from nucleus_issuer.profiles import Profile

LIST = examples("nucleus profiles list", "nucleus profiles list --json")
SHOW = examples("nucleus profiles show safe-pr-fixer", "nucleus profiles show --file mine.toml")
_MARKS = {"never": "·", "low_risk": "low", "always": "yes"}


def names(as_json: Json = False) -> int:
    """List the profiles, with the level of every operation.

    A dot is never; low asks for evidence; a question mark asks a person.
    """
    from nucleus.cli.console import OK, document, say, span, table
    from nucleus_issuer import profiles
    from nucleus_tokens.names import OPERATIONS, unpack_levels

    found = profiles.canonical_profiles()
    if as_json:
        document([_profile(each) for each in found])
        return OK
    short = [name.replace("_", " ") for name in OPERATIONS]
    rows: list[list[str]] = []
    for each in found:
        levels = unpack_levels(each.levels)
        asks = set(each.asked_for())
        marks = [_MARKS[levels[op]] + ("?" if op in asks else "") for op in OPERATIONS]
        rows.append([each.name, span(each.ttl), *marks])
    table(("profile", "lives", *short), rows)
    say("? a person is asked. See: nucleus profiles show NAME")
    return OK


def show(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="A profile's name.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="A profile of your own.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Show one profile in full.

    Levels, what a person is asked about, what is blocked, budgets and lifetime.
    """
    from nucleus.cli.console import OK, document, safe, say, span, table
    from nucleus_issuer import profiles
    from nucleus_tokens.errors import CallerError
    from nucleus_tokens.names import unpack_levels

    if (name is None) == (file is None):
        raise CallerError("profile.which", "Name one profile, or give --file FILE.")
    chosen = profiles.named(name) if name is not None else profiles.read(file or Path())
    if as_json:
        document(_profile(chosen))
        return OK
    asks = set(chosen.asked_for())
    say(f"{chosen.name}: {safe(chosen.description)}")
    table(
        ("operation", "level", ""),
        [
            (operation, level, "a person is asked" if operation in asks else "")
            for operation, level in unpack_levels(chosen.levels).items()
        ],
    )
    say(
        f"lives    {span(chosen.ttl)} at most",
        f"money    {chosen.micro_usd / 1_000_000:g} USD, {chosen.tokens} tokens",
        f"blocked  {', '.join(map(safe, chosen.blocked_paths)) or 'no path'}",
    )
    return OK


def _profile(profile: Profile) -> dict[str, Any]:
    from nucleus_tokens.names import unpack_levels

    return {
        "asks_for": list(profile.asked_for()),
        "blocked_paths": list(profile.blocked_paths),
        "ceiling": profile.ceil(),
        "description": profile.description,
        "levels": unpack_levels(profile.levels),
        "micro_usd": profile.micro_usd,
        "name": profile.name,
        "tokens": profile.tokens,
        "ttl": profile.ttl,
    }
