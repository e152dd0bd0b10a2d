"""`nucleus observe`: what an agent does, and the policy that lets it do that and no more."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nucleus.cli.mcp import Shorthand
from nucleus.cli.options import Json, examples

if TYPE_CHECKING:
    from nucleus.observe.generalising import Observed
    from nucleus.observe.record import Record

RUN = examples(
    "nucleus observe -- python3 agent.py",
    "nucleus observe --mcp --record git.jsonl -- mcp-server-git",
    "nucleus observe --mcp --values -- mcp-server-git",
)
POLICY = examples(
    "nucleus observe policy observed.jsonl -o observed.json",
    "nucleus observe policy observed.jsonl --tight exact --profile observed.toml",
    "nucleus observe policy observed.jsonl --token wide.token --out-token narrow.token",
)
DIFF = examples("nucleus observe diff monday.json tuesday.json")
REPLAY = examples("nucleus observe replay observed.json observed.jsonl")

__all__ = ["DIFF", "POLICY", "REPLAY", "RUN", "Shorthand", "diff", "policy", "replay", "run"]

RecordFile = Annotated[Path, typer.Argument(metavar="RECORD", help="What `observe` wrote.")]


def run(
    command: Annotated[
        list[str], typer.Argument(metavar="-- COMMAND ARGS…", help="The agent, or the server.")
    ],
    mcp: Annotated[
        bool, typer.Option("--mcp", help="It is an MCP server; its client is on stdin and stdout.")
    ] = False,
    record: Annotated[
        Path, typer.Option("--record", metavar="FILE", help="Where the record goes.")
    ] = Path("observed.jsonl"),
    folder: Annotated[
        Path, typer.Option("--dir", metavar="DIR", help="The agent's workspace; writable.")
    ] = Path(),
    values: Annotated[
        bool,
        typer.Option("--values", help="Keep short arguments as they are, but no credentials."),
    ] = False,
) -> int:
    """Run beside an agent and record what it calls.

    Nothing is held back: a token of this run permits everything, and whatever would be asked is
    approved, on record. An agent runs behind the local wall, a server beside its client.
    """
    import asyncio
    import os

    from nucleus.audit import scrubbing
    from nucleus.cli.console import note, safe
    from nucleus.cli.mcp import command_of, until_stopped
    from nucleus.observe import record as records
    from nucleus.observe import recording
    from nucleus.observe.arguments import Keep
    from nucleus.observe.book import Book

    scrub = scrubbing.of(os.environ, command)

    def log(sentence: str) -> None:
        note(f"\rnucleus: {safe(scrub.text(sentence))}\r")

    def says(line: bytes) -> None:
        note(f"server: {safe(scrub.text(line.decode('utf-8', 'replace').rstrip()))}")

    where = Path(os.path.realpath(folder.expanduser()))
    book = Book(record, Path(command[0]).name, Keep(os.urandom(16), scrub, values))
    code = 0
    with recording.booth(book, None if mcp else where) as booth:
        note("nucleus: observing: everything is permitted, and recorded")
        try:
            if mcp:
                until_stopped(recording.server(booth, command_of(command), log=log, says=says))
            else:
                from nucleus import walled
                from nucleus_vmhost.terminal import Terminal

                order = walled.Order(argv=tuple(command), folder=where, mode="rw")
                code = asyncio.run(recording.agent(booth, order, terminal=Terminal(), log=log))
        finally:
            if book.begun:
                note(f"nucleus: {book.calls} calls stand in {record}")
                for line in records.findings(_record(record)):
                    note(f"nucleus: {safe(line)}")
    return code


def policy(
    record: RecordFile,
    tight: Annotated[
        str, typer.Option("--tight", metavar="exact|folder|root", help="How far to generalise.")
    ] = "folder",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="The policy, as JSON.")
    ] = None,
    profile: Annotated[
        Path | None, typer.Option("--profile", metavar="FILE", help="Also a profile, as TOML.")
    ] = None,
    token: Annotated[
        Path | None,
        typer.Option("--token", metavar="FILE", help="A token to narrow to the policy."),
    ] = None,
    out_token: Annotated[
        Path | None,
        typer.Option("--out-token", metavar="FILE", help="Where the narrowed token goes."),
    ] = None,
) -> int:
    """Make a policy of a record.

    Each restriction is explained by the calls behind it.
    """
    from nucleus.cli.console import OK, note, safe, say
    from nucleus.observe import generalising, profiling
    from nucleus_issuer import files
    from nucleus_tokens.errors import CallerError

    if (token is None) != (out_token is None):
        raise CallerError("observe.token", "Give both --token and --out-token.")
    seen = _record(record)
    made = generalising.policy(seen, tight)
    text = generalising.write(made)
    if out is None:
        say(text.rstrip("\n"))
    else:
        files.create(out, text.encode(), 0o644)
    for line in made.why:
        note(f"nucleus: {safe(line)}")
    if profile is not None:
        files.create(profile, profiling.profile(made, seen).encode(), 0o644)
    if token is not None and out_token is not None:
        _narrow(token, out_token, made)
    return OK


def _narrow(token: Path, out: Path, made: Observed) -> None:
    import time

    from nucleus.cli import inputs, outputs
    from nucleus_tokens import holding, writing

    outputs.check(out, force=False, as_json=False)
    expires = ["exp", int(time.time()) + made.seconds]
    asked = [["approve", list(made.obligations)]] if made.obligations else []
    narrow = holding.attenuate(
        holding.read_token(inputs.token(token, None)), *made.ceil, *asked, expires
    )
    outputs.secret(out, writing.write_credential(narrow).encode() + b"\n", force=False)


def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="A policy.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Another.")],
) -> int:
    """Say what NEW permits that OLD does not (+), and the reverse (-).

    The exit code is 1 where NEW permits more.
    """
    from nucleus.cli.console import DENIED, OK, safe, say
    from nucleus.observe import comparing

    lines = comparing.diff(_policy(old), _policy(new))
    say(*map(safe, lines or ["the same"]))
    return DENIED if any(line.startswith("+") for line in lines) else OK


def replay(
    policy_file: Annotated[Path, typer.Argument(metavar="POLICY", help="What `policy` wrote.")],
    record: RecordFile,
    as_json: Json = False,
) -> int:
    """Say what the policy would have allowed, asked and denied.

    Exit codes: 0 all allowed, 1 something denied, 3 something asked.
    """
    import os

    from nucleus.cli.console import ASK, DENIED, OK, document, safe, say, table
    from nucleus.observe import replaying

    answers = replaying.replay(_policy(policy_file), _record(record), os.urandom)
    count = {v: sum(a.verdict == v for a in answers) for v in ("allow", "ask", "deny")}
    if as_json:
        document({"count": count, "calls": [
            {"tool": a.call.tool, "operation": a.call.operation, "verdict": a.verdict,
             "why": list(a.why)} for a in answers
        ]})  # fmt: skip
    else:
        rows = [(a.call.tool, a.call.operation, a.verdict, ", ".join(a.why)) for a in answers]
        table(("tool", "operation", "", ""), [row for row in rows if row[2] != "allow"])
        say(safe(f"{count['allow']} allowed, {count['ask']} asked, {count['deny']} denied"))
    return DENIED if count["deny"] else ASK if count["ask"] else OK


def _record(path: Path) -> Record:
    from nucleus.cli.console import note
    from nucleus.observe import record
    from nucleus_issuer import files

    seen = record.read(
        files.read(path, secret=False, most=256 * 1024 * 1024).decode("utf-8", "replace")
    )
    if seen.torn:
        note(f"nucleus: the last line of {path} has no end and is left out: whoever wrote it was "
             "stopped there, before that call was answered")  # fmt: skip
    return seen


def _policy(path: Path) -> Observed:
    from nucleus.observe import generalising
    from nucleus_issuer import files

    return generalising.read(
        files.read(path, secret=False, most=1024 * 1024).decode("utf-8", "replace")
    )
