"""`nucleus demo`: the main job from end to end, in a minute, and nothing of it stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nucleus.cli.options import Json, examples

if TYPE_CHECKING:
    from rich.console import Console

    from nucleus.demo.story import Told

EXAMPLES = examples("nucleus demo", "nucleus demo --keep", "nucleus demo --json")


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the directory, to look around in it afterwards.")
    ] = False,
    as_json: Json = False,
) -> int:
    """A token, two sub-agents and a real MCP server behind the proxy: watch what holds.

    Everything is real and happens while you watch, in a temporary directory: the git repository,
    the processes, the attacks. Exits with 1 if any step differs from what it promises.
    """
    import time

    from nucleus.cli.console import USAGE, document, problem
    from nucleus.demo import needs
    from nucleus.demo.differs import Missing

    try:
        needs.check()
    except Missing as error:
        problem("demo.missing", str(error), "", as_json)
        return USAGE
    began = time.monotonic()
    console = _console(quiet=as_json)
    told = _played(console, keep)
    seconds = time.monotonic() - began
    if as_json:
        document({"ok": all(step.ok for step in told), "steps": [_fields(step) for step in told]})
    else:
        _summary(console, told, seconds)
    return 0 if all(step.ok for step in told) else 1


def _console(*, quiet: bool) -> Console:
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False, quiet=quiet)
    if not console.is_terminal:
        console.width = 100
    return console


def _played(console: Console, keep: bool) -> list[Told]:
    import asyncio
    import signal

    from nucleus.demo.telling import Teller

    teller = Teller(console)
    teller.title("Nucleus: an agent, two sub-agents, and a real MCP server behind the proxy")

    async def run() -> list[Told]:
        from nucleus.demo import story

        task = asyncio.ensure_future(story.play(teller, keep=keep))
        # Whoever ends us by a signal must not leave our processes behind.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await task

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _summary(console: Console, told: list[Told], seconds: float) -> None:
    from nucleus.demo.telling import Teller

    teller = Teller(console)
    rows = [(str(t.number), t.name, t.outcome, t.detail if t.ok else "") for t in told if t.number]
    teller.table(("", "step", "outcome", "what was shown"), rows)
    wrong = [step for step in told if step.outcome == "differs"]
    if wrong:
        teller.failed(f"Step {wrong[0].number} ({wrong[0].name}) differs.")
    else:
        teller.holds(
            f"All {len(rows)} steps went as told, in {seconds:.0f} s. Nothing was left behind."
        )


def _fields(step: Told) -> dict[str, object]:
    return {
        "detail": step.detail,
        "name": step.name,
        "number": step.number,
        "outcome": step.outcome,
        "seconds": step.seconds,
    }
