"""`nucleus trace replay`: every decision computed again, and where it came from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nucleus.cli.options import Json, examples, home
from nucleus.cli.trace import TraceFile, file_lines, trace_lines

if TYPE_CHECKING:
    from nucleus.replay import Step, Unread

EXAMPLES = examples(
    "nucleus trace replay",
    "nucleus trace replay --record 12",
    "nucleus trace replay trace.jsonl --reveals reveals.jsonl --json",
)


def replay(
    ctx: typer.Context,
    file: TraceFile = None,
    record: Annotated[
        int | None, typer.Option("--record", metavar="SEQ", help="Only this decision.")
    ] = None,
    reveals: Annotated[
        Path | None,
        typer.Option("--reveals", metavar="FILE", help="What the trace only digests."),
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", metavar="FILE", help="Whom to believe; this host's if left out."),
    ] = None,
    as_json: Json = False,
) -> int:
    """Compute authority, exposure and labels again, step by step.

    Says of each decision which step and which restriction it came from, and who added that. Exit
    code 1 if a record says something else than what was computed.
    """
    from nucleus import tracecheck
    from nucleus.cli.console import DENIED, OK, document, say
    from nucleus.replay import replay as steps
    from nucleus_issuer import bundle as bundles

    place = home(ctx)
    trusted = bundles.load(bundle) if bundle is not None else place.keyring().bundle()
    found = steps(
        trace_lines(place, file),
        tracecheck.index_reveals(
            file_lines(reveals or place.reveals_path, missing=reveals is None)
        ),
        trusted.keys({}),
    )
    shown = [step for step in found if record in (None, step.seq)]
    if as_json:
        document([step.as_json() for step in shown])
    elif not shown:
        say("The trace has no such decision.")
    else:
        for step in shown:
            say(*_lines(step))
    return DENIED if any(_problem(step) for step in shown) else OK


def _problem(step: Step | Unread) -> str:
    from nucleus.replay import Step

    return step.problem if isinstance(step, Step) else step.why


def _lines(step: Step | Unread) -> list[str]:
    from nucleus.cli.console import safe, when
    from nucleus.replay import Step

    if not isinstance(step, Step):
        return [f"{step.seq}  not computed: {safe(step.why)}"]
    said, authority, seen = step.came_from, step.authority, step.exposure
    who = " → ".join(map(safe, step.who))
    lines = [f"{step.seq}  {step.verdict}  {step.operation} by {safe(step.tool)} for {who}"]
    lines.append(f"    step      {said.step} ({said.step_name}) {safe(said.detail)}")
    if said.caveat:
        lines.append(f"    because   {safe(said.caveat)} of {safe(said.added_by)}")
    if said.enough:
        lines.append(f"    enough    {safe(said.enough)}")
    lines.append(
        f"    authority level {authority['level']} until {when(authority['not_after'])}"
        + "".join(f"; {safe(scope)}" for scope in authority["scopes"])
    )
    lines.append(f"    exposure  {_set(seen.before)} + {_set(seen.adds)} = {_set(seen.after)}")
    lines.append(
        "    label     " + ", ".join(f"{axis} {_word(at)}" for axis, at in step.label.items())
    )
    if step.problem:
        lines.append(f"    WRONG     {safe(step.problem)}")
    return lines


def _set(names: tuple[str, ...]) -> str:
    return "{" + ", ".join(names) + "}"


def _word(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else "+".join(value)
