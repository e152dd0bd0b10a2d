"""`nucleus trace show`, `verify`, `export`, `checkpoint`: what happened, and whether it is true."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nucleus.cli.options import Force, Json, examples, home

if TYPE_CHECKING:
    from nucleus.home import Home
    from nucleus.tracecheck import Report

SHOW = examples(
    "nucleus trace show --last 20",
    "nucleus trace show --verdict deny --tool git_commit",
    "nucleus trace show trace.jsonl --json",
)
VERIFY = examples(
    "nucleus trace verify",
    "nucleus trace verify trace.jsonl --reveals reveals.jsonl --checkpoint monday.json",
)
EXPORT = examples("nucleus trace export --out trace.jsonl")
ROTATE = examples(
    "nucleus trace rotate --into traces", "nucleus trace rotate --into traces --most-mib 8"
)
CHECKPOINT = examples("nucleus trace checkpoint --out monday.json")
_BATCH = 500

TraceFile = Annotated[
    Path | None,
    typer.Argument(metavar="FILE", help="Exported trace (or directory); this host's if left out."),
]


def show(
    ctx: typer.Context,
    file: TraceFile = None,
    verdict: Annotated[
        str | None, typer.Option("--verdict", metavar="V", help="allow, ask, deny or refused.")
    ] = None,
    tool: Annotated[
        str | None, typer.Option("--tool", metavar="NAME", help="Calls of this tool.")
    ] = None,
    tid: Annotated[
        str | None, typer.Option("--tid", metavar="HEX", help="One token's tree (start of its id).")
    ] = None,
    since: Annotated[int, typer.Option("--since", metavar="SEQ", help="From this record on.")] = 1,
    last: Annotated[
        int | None, typer.Option("--last", metavar="N", min=1, help="The last N of what is left.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Show what happened: decisions, refusals, outcomes.

    Nothing is checked; see `nucleus trace verify`.
    """
    from nucleus.cli.console import OK, document, say, table
    from nucleus_tokens import arguments
    from nucleus_tokens.errors import CredentialError

    found: list[dict[str, Any]] = []
    for number, line in enumerate(trace_lines(home(ctx), file), 1):
        try:
            entry = arguments.parse(line)
            record = entry["record"]
            row = {"seq": entry["seq"], **_row(record), "record": record}
        except (KeyError, TypeError, AttributeError) as error:
            raise CredentialError(
                "trace.unreadable",
                f"Line {number} is not a line of a trace.",
                hint="See: nucleus trace verify",
            ) from error
        if (
            row["seq"] >= since
            and verdict in (None, row["verdict"])
            and tool in (None, row["tool"])
            and (tid is None or row["tid"].startswith(tid.lower()))
        ):
            found.append(row)
    found = found[-last:] if last else found
    if as_json:
        document([{"record": r["record"], "seq": r["seq"]} for r in found])
    elif not found:
        say("The trace has no such record.")
    else:
        titles = ("seq", "at", "who", "tool", "what", "verdict", "why")
        table(titles, [[str(row[name]) for name in titles] for row in found])
    return OK


def _row(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a person wants to see of a record."""
    columns = ("at", "who", "tool", "what", "verdict", "why", "tid")
    row: dict[str, Any] = dict.fromkeys(columns, "")
    kind = row["what"] = str(record["type"])
    decision = record.get("decision")
    if kind == "decision":
        row |= _decision_row(record)
    elif kind == "refused":
        late = "tid" in record  # authenticated, and refused when it was to become durable
        row |= {"at": _when(record["at"]), "what": "too late" if late else "no credential"}
        row |= {"tid": str(record.get("tid", "")), "verdict": "refused"}
        row["why"] = f"{decision['code']} (step {decision['step']})" if decision else ""
    elif kind == "outcome":
        row["why"] = f"of record {decision}: " + ("done" if record["ok"] else "failed")
        if "cut" in record:
            row["why"] = f"of record {decision}: cut, {record['cut']}"
    elif kind == "seen":
        row["why"] = f"of record {decision}: it brought {', '.join(record['adds'])}"
    elif kind == "charge":
        paid = ", ".join(f"{n} {unit}" for unit, n in sorted(record["charge"].items()))
        row["why"] = f"of record {decision}: {paid}"
    elif kind == "list":
        row |= {"at": _when(record["at"]), "tid": str(record["tid"])}
        row["why"] = "shown: " + (", ".join(record["shown"]) or "nothing")
    elif kind == "checkpoint":
        row["why"] = f"up to record {record['seq']}"
    elif kind == "session":
        row |= {"at": _when(record["at"]), "tid": str(record["tid"])}
        row["why"] = f"profile {record['profile']} in {record['workspace']}"
    elif kind == "opened":
        row["why"] = str(record["method"])
    elif kind == "revocation":
        row |= {"at": _when(record["at"]), "tid": str(record["tid"]), "who": str(record["by"])}
        row["why"] = f"{record['rid']} {record['reason']}".rstrip()
    elif kind == "taken_back":
        row |= {"at": _when(record["at"]), "tid": str(record["tid"]), "who": str(record["by"])}
        row |= {
            "what": "taken back",
            "why": f"approval {record['approval']}, {record['left']} left",
        }
    return row


def _decision_row(record: Mapping[str, Any]) -> dict[str, str]:
    from nucleus_tokens.names import OPERATIONS

    token, call, decision = record["token"], record["call"], record["decision"]
    number = call["operation"]
    known = type(number) is int and 0 <= number < len(OPERATIONS)
    hops = [c[1]["to"] for c in token["caveats"] if c[0] == "delegate"]
    match decision["verdict"]:
        case "allow":
            why = f"approved: {', '.join(decision['discharged'])}" if decision["discharged"] else ""
        case "ask":
            why = ", ".join(decision["obligations"])
        case _:
            why = f"{decision['code']} (step {decision['step']})"
    return {
        "at": _when(record["facts"]["now"]),
        "tid": str(token["tid"]),
        "tool": str(call["tool"]),
        "verdict": str(decision["verdict"]),
        "what": OPERATIONS[number] if known else "unclassified",
        "who": " → ".join(map(str, (token["sub"], *hops))),
        "why": why,
    }


def _when(at: int) -> str:
    from nucleus.cli.console import when

    return when(at)


def verify(
    ctx: typer.Context,
    file: TraceFile = None,
    reveals: Annotated[
        Path | None,
        typer.Option("--reveals", metavar="FILE", help="What the trace only digests."),
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", metavar="FILE", help="Whom to believe; this host's if left out."),
    ] = None,
    trace_key: Annotated[
        str | None,
        typer.Option("--trace-key", metavar="HEX", help="Public key of checkpoints."),
    ] = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option("--checkpoint", metavar="FILE", help="One that was kept elsewhere."),
    ] = None,
    allow_missing: Annotated[
        bool,
        typer.Option("--allow-missing-reveals", help="Let decisions stand that lack their reveal."),
    ] = False,
    as_json: Json = False,
) -> int:
    """Check the chain, checkpoints and every decision.

    Exit code 1 if anything differs. A decision is computed again from its record and its reveal, by
    the same kernel. One without a reveal cannot be, and counts as a failure unless you say
    otherwise.
    """
    from nucleus import tracecheck
    from nucleus.cli import inputs
    from nucleus.cli.console import DENIED, OK, answer
    from nucleus_issuer import bundle as bundles

    place = home(ctx)
    trusted = bundles.load(bundle) if bundle is not None else place.keyring().bundle()
    if trace_key is not None:
        key: bytes | None = inputs.hexed(trace_key, 32, "--trace-key")
    else:
        key = place.trace_public() if place.exists else None
    report = tracecheck.check(
        trace_lines(place, file),
        tracecheck.index_reveals(
            file_lines(reveals or place.reveals_path, missing=reveals is None)
        ),
        trusted.keys({}),
        trace_key=key,
        kept=[inputs.json_file(each) for each in checkpoint or ()],
    )
    good = report.holds and (allow_missing or not report.missing_reveals)
    answer(as_json, {**report.as_json(), "verified": good}, *_reported(report, allow_missing, good))
    return OK if good else DENIED


def _reported(report: Report, allow_missing: bool, good: bool) -> list[str]:
    lines = [
        f"{report.records} records, {report.decisions} decisions, {report.recomputed} of them "
        f"computed again, {report.outcomes} outcomes, {report.checkpoints} checkpoints."
    ]
    if report.unchecked_checkpoints:
        lines.append(f"{report.unchecked_checkpoints} checkpoints were not checked: no key here.")
    for problem in report.problems[:10]:
        where = "Beside the trace" if problem.seq is None else f"Record {problem.seq}"
        lines.append(f"{where}: {problem.why} [{problem.code}]")
    if len(report.problems) > 10:
        lines.append(f"… and {len(report.problems) - 10} more.")
    missing = report.missing_reveals
    if missing:
        lines.append(
            f"{len(missing)} decisions could not be computed again for want of a reveal, "
            f"the first in record {missing[0]}"
            + (" (allowed)." if allow_missing else "; --allow-missing-reveals lets them stand.")
        )
    lines.append("Verified." if good else "NOT verified.")
    return lines


def export(
    ctx: typer.Context,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="A copy; brought up to date if old.")
    ],
    as_json: Json = False,
) -> int:
    """Copy the trace to a file, or update an older copy."""
    from nucleus.cli.console import OK, answer
    from nucleus_proxy import tracefile

    with home(ctx).store() as store:
        last = tracefile.export(store, out)
    answer(as_json, {"file": str(out), "last": last}, f"{out} holds records 1 to {last}.")
    return OK


def rotate(
    ctx: typer.Context,
    into: Annotated[
        Path, typer.Option("--into", metavar="DIR", help="A directory for the files of the copy.")
    ],
    most_mib: Annotated[
        int, typer.Option("--most-mib", metavar="N", min=1, help="Begin a new file at this size.")
    ] = 64,
    as_json: Json = False,
) -> int:
    """Copy the trace to a directory of files.

    The chain goes on from file to file: `nucleus trace verify DIR` checks all of them. Files that
    are complete are never written again, so they can be moved to a place that only appends.
    """
    from nucleus.cli.console import OK, answer
    from nucleus_proxy import tracefile

    with home(ctx).store() as store:
        last = tracefile.rotate(store, into, most_mib << 20)
    count = len(tracefile.segments(into))
    answer(
        as_json,
        {"directory": str(into), "files": count, "last": last},
        f"{into} holds records 1 to {last} in {count} files.",
    )
    return OK


def checkpoint(
    ctx: typer.Context,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="The checkpoint: keep it elsewhere.")
    ],
    force: Force = False,
    as_json: Json = False,
) -> int:
    """Sign the end of the trace.

    Kept on another machine, it shows if the tail is cut off later.
    """
    from nucleus.cli import outputs
    from nucleus.cli.console import OK, answer
    from nucleus_tokens import arguments
    from nucleus_tokens.errors import CallerError

    outputs.check(out, force=force, as_json=as_json)
    place = home(ctx)
    with place.store() as store:
        made = place.checkpoint(store)
    if made is None:
        raise CallerError("trace.empty", "The trace is empty: there is nothing to sign.")
    outputs.secret(out, arguments.encode(made) + b"\n", force=force)
    answer(as_json, {"file": str(out), **made}, f"{out} says what record {made['seq']} is.")
    return OK


def trace_lines(place: Home, file: Path | None) -> Iterator[bytes]:
    """The lines of this host's trace, of a file, or of a directory that `rotate` filled."""
    if file is not None and file.is_dir():
        from nucleus_proxy import tracefile

        for part in tracefile.segments(file):
            yield from file_lines(part, missing=False)
        return
    if file is not None:
        yield from file_lines(file, missing=False)
        return
    with place.store() as store:
        seq = 0
        while batch := store.trace_lines(seq, _BATCH):
            yield from (line for _, line in batch)
            seq = batch[-1][0]


def file_lines(path: Path, *, missing: bool) -> Iterator[bytes]:
    """The lines of a file; none if it may be `missing` and is."""
    from nucleus_tokens.errors import WorldError

    try:
        with path.open("rb") as file:
            for line in file:
                yield line.rstrip(b"\n")
    except FileNotFoundError as error:
        if not missing:
            raise WorldError("file.missing", f"{path} does not exist.") from error
    except OSError as error:
        raise WorldError("file.unreadable", f"{path} cannot be read.") from error
