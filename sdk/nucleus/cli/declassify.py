"""`nucleus declassify value` and `list`: a person lets one value out, once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nucleus.cli.options import (
    Json,
    PassphraseFd,
    PassphraseFile,
    Token,
    TokenFd,
    examples,
    home,
)

if TYPE_CHECKING:
    from nucleus.home import Home
    from nucleus_tokens.releases import UnverifiedRelease

VALUE = examples(
    'nucleus declassify value 41 /body --reason "the draft holds no key"',
    'nucleus declassify value 41 /body --axis integrity --reason "read" --for 1h --approver alice',
)
LIST = examples("nucleus declassify list agent.token", "nucleus declassify list agent.token --json")
_LONGEST = 24 * 3600
_SHOWN = 4000


def value(
    ctx: typer.Context,
    record: Annotated[
        int, typer.Argument(metavar="RECORD", help="The denied or asked call in the trace.")
    ],
    pointer: Annotated[
        str, typer.Argument(metavar="POINTER", help="Which argument: /body, /content.")
    ],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is signed.")],
    axis: Annotated[
        str,
        typer.Option("--axis", metavar="A", help="confidentiality, integrity or authority."),
    ] = "confidentiality",
    start: Annotated[
        str, typer.Option("--from", metavar="LEVEL", help="Exactly this level; the call's own.")
    ] = "",
    to: Annotated[
        str, typer.Option("--to", metavar="LEVEL", help="This level; one step if left out.")
    ] = "",
    basis: Annotated[
        str,
        typer.Option(
            "--basis",
            metavar="B",
            help="human_review, deterministic_verification or sanitization.",
        ),
    ] = "human_review",
    lasts: Annotated[
        str, typer.Option("--for", metavar="TIME", help="It lasts so long, at most a day.")
    ] = "10m",
    approver: Annotated[
        str | None, typer.Option("--approver", metavar="NAME", help="Who releases.")
    ] = None,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    as_json: Json = False,
) -> int:
    """Release exactly this value, to where this call would send it, once.

    It changes one level of this value's label by what is said, and nothing else: the same call
    must still be allowed. Read what is shown; it is what you sign.
    """
    from nucleus.cli import inputs
    from nucleus.cli.console import OK, answer, safe, say
    from nucleus_tokens import label_names, releases
    from nucleus_tokens.errors import CallerError

    place = home(ctx)
    ttl = inputs.duration(lasts, "--for")
    if ttl > _LONGEST:
        raise CallerError("release.ttl", "A release lives at most one day.")
    found = _call(place, record, pointer)
    levels = {
        "confidentiality": label_names.CONFIDENTIALITY[::-1],
        "integrity": label_names.INTEGRITY,
        "authority": label_names.AUTHORITY,
    }.get(axis)
    if levels is None:
        raise CallerError("release.axis", f"--axis is one of {', '.join(releases.AXES)}.")
    words: dict[str, Any] = dict(label_names.describe_label(found.label))
    begins = start or str(words[axis])
    if begins not in levels or (to and to not in levels):
        raise CallerError("release.level", f"A level of {axis} is one of {', '.join(levels)}.")
    ends = to or levels[min(levels.index(begins) + 1, len(levels) - 1)]
    sink = label_names.SINKS[found.sink]
    if not as_json:
        text = found.value if isinstance(found.value, str) else str(found.value)
        cut = " … (cut; --json shows all)" if len(text) > _SHOWN else ""
        say(f"  call    {safe(found.tool)}, record {record}, to {sink}")
        say(f"  value   {safe(text[:_SHOWN])}{cut}")
        say(f"  step    {axis}: {safe(begins)} to {safe(ends)}", "")
    key = place.approver(approver, inputs.passphrase(passphrase_file, passphrase_fd))
    if key.id not in place.keyring().bundle().releasers():
        raise CallerError(
            "release.not_listed",
            f"{key.id} may approve calls, and may not release values.",
            hint="The bundle lists who may.",
        )
    body: dict[str, Any] = {
        "axis": axis,
        "basis": basis,
        "by": key.id,
        "content": releases.commitment(found.value).hex(),
        "from": begins,
        "id": place.random(16).hex(),
        "not_after": place.clock() + ttl,
        "reason": reason,
        "sinks": [sink],
        "to": ends,
        "tree": found.tree,
        "v": 1,
    }
    signed = releases.sign(body, key.private)
    with place.labels() as labels:
        labels.add_release(found.tree, body["id"], signed)
    answer(
        as_json,
        {**body, "value": found.value},
        f"Released by {key.id}: this value, once, for {lasts}. The agent may try again.",
    )
    return OK


class _Found:
    """The value that was meant, and the call it belongs to."""

    def __init__(self, tool: str, sink: int, label: int, tree: str, value: Any) -> None:
        self.tool, self.sink, self.label, self.tree, self.value = tool, sink, label, tree, value


def _call(place: Home, number: int, pointer: str) -> _Found:
    from nucleus import tracecheck
    from nucleus_tokens import arguments, label_names
    from nucleus_tokens.authority import MISSING, lookup
    from nucleus_tokens.errors import CallerError, WorldError

    try:
        with place.store() as store:
            lines = store.trace_lines(number - 1, 1)
        entry: Any = arguments.parse(lines[0][1]) if lines else {}
        record = entry["record"]
        if entry["seq"] != number or record["type"] != "decision":
            raise KeyError(number)
        with place.reveals_path.open("rb") as file:
            reveal: Any = tracecheck.index_reveals(file)[record["call"]["digest"]]
        sink, label = int(record["call"]["sink"]), int(reveal["label"][0])
        label_names.SINKS[sink]
        label_names.describe_label(label)
        tool, tree = str(record["call"]["tool"]), str(record["facts"]["tree"][0])
        found = lookup(reveal["args"], pointer)
    except OSError as error:
        raise WorldError("file.unreadable", "The reveals of the trace cannot be read.") from error
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise CallerError(
            "release.no_call",
            f"Record {number} of the trace is no call that can be looked up.",
            hint="See: nucleus trace show --verdict deny",
        ) from error
    if found is MISSING or not pointer.startswith("/"):
        raise CallerError("release.no_value", f"The call has no argument {pointer!r}.")
    return _Found(tool, sink, label, tree, found)


def kept(
    ctx: typer.Context, token: Token = None, token_fd: TokenFd = None, as_json: Json = False
) -> int:
    """List the releases of a token's tree."""
    from nucleus.cli import inputs
    from nucleus.cli.console import OK, document, safe, say, when
    from nucleus_proxy import declassify

    place = home(ctx)
    tree = place.tree_of(inputs.token(token, token_fd))
    with place.labels() as labels:
        found = declassify.read(labels.releases(tree))
    if as_json:
        document([_fields(each) for each in found])
    elif not found:
        say("Nothing was released.")
    else:
        for each in found:
            fields = _fields(each)
            say(
                f"{each.id}  {each.axis}: {fields['from']} to {fields['to']}, "
                f"to {', '.join(fields['sinks'])}, until {when(each.not_after)}",
                f"  by {safe(each.by)}: {safe(each.reason)}",
            )
    return OK


def _fields(each: UnverifiedRelease) -> dict[str, Any]:
    from nucleus_tokens import canonical

    return dict(canonical.decode(each.signed))
