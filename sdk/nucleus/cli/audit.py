"""`nucleus audit [PATH]`: what agents are configured with here, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nucleus.cli import options
from nucleus.cli.options import Json, examples

if TYPE_CHECKING:
    from nucleus.audit.findings import Report, Severity

AUDIT = examples(
    "nucleus audit",
    "nucleus audit --user",
    "nucleus audit --live --suggest",
    "nucleus audit . --sarif audit.sarif --pr-comment comment.md --fail-on critical",
    "nucleus audit --write-baseline .nucleus-baseline.json",
    "nucleus audit --fix --token agent.token",
)
_FORMATS = ("text", "json", "sarif", "markdown")


def audit(
    ctx: typer.Context,
    path: Annotated[
        Path, typer.Argument(metavar="[PATH]", help="Folder or file; this folder if left out.")
    ] = Path(),
    form: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="text, json, sarif or markdown.")
    ] = "text",
    user: Annotated[
        bool, typer.Option("--user", help="Also what your own clients are configured with.")
    ] = False,
    fail_on: Annotated[
        str,
        typer.Option("--fail-on", metavar="SEVERITY", help="low, medium, high, critical or never."),
    ] = "high",
    baseline: Annotated[
        Path | None,
        typer.Option("--baseline", metavar="FILE", help="What was there before does not fail."),
    ] = None,
    write_baseline: Annotated[
        Path | None,
        typer.Option("--write-baseline", metavar="FILE", help="Write what is there now, and pass."),
    ] = None,
    sarif: Annotated[
        Path | None, typer.Option("--sarif", metavar="FILE", help="Also write SARIF 2.1.0.")
    ] = None,
    pr_comment: Annotated[
        Path | None,
        typer.Option("--pr-comment", metavar="FILE", help="Also write a pull request's comment."),
    ] = None,
    summary: Annotated[
        Path | None,
        typer.Option("--summary", metavar="FILE", help="Append to a job's summary; annotate."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Also write one page, for people.")
    ] = None,
    live: Annotated[
        bool,
        typer.Option("--live", help="Ask the servers for their tools, in cells."),
    ] = False,
    suggest: Annotated[
        bool, typer.Option("--suggest", help="Say what would be safe: profile, lists, commands.")
    ] = False,
    fix: Annotated[
        bool, typer.Option("--fix", help="Put the servers behind nucleus mcp; needs --token.")
    ] = False,
    unfix: Annotated[bool, typer.Option("--unfix", help="Put back what --fix changed.")] = False,
    token: Annotated[
        Path | None, typer.Option("--token", metavar="FILE", help="The token that --fix names.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Find and judge what agents are configured with.

    MCP servers, permissions, instructions, credentials, workflows and containers. Nothing is ever
    sent, and without --live and --fix nothing is started. Exit codes: 0 passed, 1 something is at
    least as bad as --fail-on, 2 nothing was decided.
    """
    from nucleus import __version__
    from nucleus.audit import judging, markdown, page, suggesting, suppressing
    from nucleus.audit import sarif as sarifs
    from nucleus.cli import audit_acts
    from nucleus.cli.console import DENIED, OK, note, say
    from nucleus_issuer import files
    from nucleus_tokens.errors import CallerError

    least = _severity(fail_on)
    wanted = "json" if as_json else form
    if wanted not in _FORMATS:
        raise CallerError("audit.format", f"A format is one of {', '.join(_FORMATS)}.")
    root = path.expanduser()
    if not root.exists():
        raise CallerError("audit.nothing_there", f"There is nothing at {path}.")
    known = frozenset[str]()
    if baseline is not None:
        known = suppressing.read_baseline(files.read(baseline, secret=False, most=16 * 1024 * 1024))
    report, read = judging.audit(root, home=Path.home() if user else None, known=known)
    if unfix:
        return audit_acts.unfix(options.home(ctx), read)
    if live or fix:
        answers = audit_acts.asked(read)
        report = judging.judged(audit_acts.answered(read, answers), known=known)
        if fix:
            return audit_acts.fix(options.home(ctx), read, answers, token, _home_given(ctx))
    if suggest:
        say(suggesting.text(read.facts, report.groups).rstrip("\n"))
        return OK
    if write_baseline is not None:
        _write(write_baseline, _spelled(suppressing.baseline(report.findings)))
        note(f"nucleus: {len(report.findings)} findings stand in {write_baseline}")
        return OK
    if sarif is not None:
        _write(sarif, _spelled(sarifs.document(report, __version__)))
    if html is not None:
        _write(html, page.report(report, suggesting.text(read.facts, report.groups), least))
    if pr_comment is not None:
        _write(pr_comment, markdown.comment(report, least))
    if summary is not None:
        _append(summary, markdown.summary(report, least))
    _show(report, wanted, least, annotate=summary is not None)
    return DENIED if least is not None and report.counting(least) else OK


def _show(report: Report, form: str, least: Severity | None, *, annotate: bool) -> None:
    from nucleus import __version__
    from nucleus.audit import drawing, markdown, sarif, telling
    from nucleus.cli.console import document, draw, note, say

    if form == "json":
        document(telling.document(report, least))
        return
    if form == "sarif":
        document(sarif.document(report, __version__))
        return
    if form == "markdown":
        say(markdown.comment(report, least).rstrip("\n"))
        return
    for each in (*drawing.pictures(report), *drawing.lines(report), drawing.ending(report, least)):
        draw(each)
    for line in markdown.marked_lines(report) if annotate else ():
        say(line)
    for line in report.notes:
        note(f"nucleus: {line}")


def _home_given(ctx: typer.Context) -> str | None:
    """As it was given on the command line: a client has another environment."""
    found = ctx.find_root().params.get("home")
    return None if found is None else str(found)


def _severity(word: str) -> Severity | None:
    from nucleus.audit.findings import NAMES
    from nucleus_tokens.errors import CallerError

    if word == "never":
        return None
    if word not in NAMES:
        raise CallerError("audit.severity", f"A severity is one of {', '.join(NAMES)}, or never.")
    return NAMES[word]


def _spelled(value: object) -> str:
    import json

    return json.dumps(value, indent=2, sort_keys=True) + "\n"


def _write(path: Path, text: str) -> None:
    from nucleus_tokens.errors import WorldError

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise WorldError("file.unwritable", f"{path} cannot be written.") from error


def _append(path: Path, text: str) -> None:
    from nucleus_tokens.errors import WorldError

    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise WorldError("file.unwritable", f"{path} cannot be written.") from error
