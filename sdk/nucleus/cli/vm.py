"""`nucleus vm …`: images for microVMs, and the machines that run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nucleus.cli import options
from nucleus.cli.options import Json, examples

if TYPE_CHECKING:
    from nucleus_vmhost.vm.image import Image

IMAGE = examples(
    "nucleus vm image build",
    "nucleus vm image build --package git --add ./agent:/opt/agent --name coder",
    "nucleus vm image show coder",
)
DOCTOR = examples("nucleus vm doctor", "nucleus vm doctor --boot")
LIST = examples("nucleus vm list", "nucleus vm list --json")
LOGS = examples("nucleus vm logs 3f2a")
KILL = examples("nucleus vm kill 3f2a")

Which = Annotated[str, typer.Argument(metavar="ID", help="How its id starts.")]


def image(
    action: Annotated[str, typer.Argument(metavar="build|show", help="What to do.")],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Its name.")] = "default",
    add: Annotated[
        list[str] | None,
        typer.Option(
            "--add", metavar="PATH[:WHERE]", help="Put a file or folder into it. Repeatable."
        ),
    ] = None,
    package: Annotated[
        list[str] | None,
        typer.Option("--package", metavar="NAME", help="A Debian package, too. Repeatable."),
    ] = None,
    as_json: Json = False,
) -> int:
    """Build or show an image: kernel and files of a microVM, from Debian's packages.

    The same packages and files give the same image, byte for byte; one that is there already is
    not built again.
    """
    from nucleus_tokens.errors import CallerError
    from nucleus_vmhost.vm import image as images
    from nucleus_vmhost.vm.session import cache

    if action == "build":
        adds = tuple(images.added(each) for each in add or ())
        made = images.build(cache(), images.Recipe(tuple(package or ()), adds))
        images.name(cache(), made, name)
    elif action == "show" and not add and not package:
        made = images.named(cache(), name)
    else:
        raise CallerError("vm.image", "An image is built, or shown.", hint="See --help.")
    return _say(name, made, as_json)


def _say(name: str, made: Image, as_json: bool) -> int:
    from nucleus.cli.console import answer

    value = {
        "digest": made.digest,
        "folder": str(made.folder),
        "key": made.key,
        "memory_mib": made.memory_mib,
        "name": name,
    }
    line = f"{name}: {made.key}, {made.memory_mib} MiB of memory, in {made.folder}"
    answer(as_json, value, line)
    return 0


def doctor(
    name: Annotated[str, typer.Option("--image", metavar="NAME", help="Its image.")] = "default",
    boot: Annotated[
        bool, typer.Option("--boot", help="Really boot one, and try KVM. Takes half a minute.")
    ] = False,
) -> int:
    """Say what this machine can do, and why.

    The exit code is 0 where a microVM can run.
    """
    import asyncio

    from nucleus import vmdoctor
    from nucleus.cli.console import say
    from nucleus_vmhost.vm.session import cache

    findings = vmdoctor.looked(cache(), name)
    if boot and all(each.well for each in findings if each.needed):
        findings = [each for each in findings if each.what != "KVM"]
        findings += asyncio.run(vmdoctor.booted(cache(), name))
    for each in findings:
        say(f"{'ok  ' if each.well else 'no  ' if each.needed else 'none'} {each.what}: {each.why}")
    return 0 if all(each.well for each in findings if each.needed) else 1


def running(ctx: typer.Context, as_json: Json = False) -> int:
    """List the microVMs that run."""
    from dataclasses import asdict

    from nucleus import vms
    from nucleus.cli.console import answer, safe

    found = vms.machines(options.home(ctx))
    lines = [f"{e.id}  {e.image}  {safe(e.agent)}  {safe(e.workspace)}" for e in found]
    answer(as_json, [asdict(each) for each in found], *lines)
    return 0


def logs(ctx: typer.Context, which: Which) -> int:
    """Show what a microVM printed on its console, one that has ended as well."""
    from nucleus import vms
    from nucleus.cli.console import safe, say

    for line in vms.printed(options.home(ctx), which).decode(errors="replace").splitlines():
        say(safe(line))
    return 0


def kill(ctx: typer.Context, which: Which) -> int:
    """End a microVM and the agent in it."""
    from nucleus import vms
    from nucleus.cli.console import say

    found = vms.one(options.home(ctx), which)
    vms.end(found)
    say(f"ended {found.id}")
    return 0
