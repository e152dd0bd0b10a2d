"""`nucleus vm pool serve|status`: microVMs that wait, warm, for whoever runs an agent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nucleus.cli.options import CpuSeconds, Driver, Json, Memory, examples, home

if TYPE_CHECKING:
    from nucleus_vmhost.vm.wanted import Wanted

POOL = examples(
    "nucleus vm pool serve --size 4",
    "nucleus vm pool status --json",
)


def pool(
    ctx: typer.Context,
    action: Annotated[str, typer.Argument(metavar="serve|status", help="What to do.")],
    size: Annotated[int, typer.Option("--size", metavar="N", help="Keep N warm.", min=1)] = 2,
    most: Annotated[
        int, typer.Option("--most", metavar="N", help="Give away N at a time, no more.", min=1)
    ] = 16,
    name: Annotated[
        str, typer.Option("--image", metavar="NAME", help="Of this image.")
    ] = "default",
    driver: Driver = None,
    memory: Memory = None,
    cpu_seconds: CpuSeconds = None,
    as_json: Json = False,
) -> int:
    """Keep microVMs warm, or say what is kept.

    `serve` stays in the foreground until it is stopped. While it runs, `nucleus run --vm` of this
    user and home that asks for such a machine claims one; each serves one run, and another is made
    in its place.
    """
    from nucleus_tokens.errors import CallerError

    if action == "status":
        return _status(home(ctx).state, as_json)
    if action != "serve":
        raise CallerError("vm.pool", "A pool is served, or its status shown.", hint="See --help.")
    from nucleus.cli import vm_wanted

    wanted = vm_wanted.wanted(name, driver, memory, cpu_seconds)
    return _serve(home(ctx).state, wanted, size, most)


def _serve(whose: Path, wanted: Wanted, count: int, most: int) -> int:
    import asyncio

    from nucleus import vmpool
    from nucleus.cli.console import note
    from nucleus.cli.stopping import until_stopped
    from nucleus_vmhost import secluded
    from nucleus_vmhost.vm.session import cache

    secluded.alone()
    return asyncio.run(until_stopped(vmpool.serve(cache(), whose, wanted, count, most, note)))


def _status(whose: Path, as_json: bool) -> int:
    import asyncio

    from nucleus.cli.console import answer
    from nucleus_vmhost.vm import claims

    found = asyncio.run(claims.pools(whose))
    lines = [
        f"{each['image']}: {each['warm']} of {each['size']} warm, {each['claimed']} of "
        f"{each['most']} claimed, {each['served']} served, process {each['pid']}"
        for each in found
    ]
    answer(as_json, found, *(lines or ["No pool is kept here. See: nucleus vm pool serve"]))
    return 0
