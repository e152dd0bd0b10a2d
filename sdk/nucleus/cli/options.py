"""Law: an option that several commands have is written once, and means the same in all of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from nucleus.home import Home
    from nucleus.remote import Where


def home(ctx: typer.Context) -> Home:
    """The home that this run was pointed to. Raises CallerError `home.nowhere`."""
    from nucleus.home import Home

    return Home.find(ctx.find_root().params.get("home"), os.environ)


def remote(place: Home, given: str | None) -> Where | None:
    """The issuer to ask, where it is not the home's own."""
    if given is None and not (place.config / "issuer.toml").exists():
        return None
    from nucleus.remote import find

    return find(place.config, given)


def examples(*lines: str) -> str:
    """The end of a help page. The marker keeps the lines as they are."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def group(summary: str, *lines: str, **more: Any) -> typer.Typer:
    """A group of commands."""
    return typer.Typer(
        help=summary,
        epilog=examples(*lines),
        no_args_is_help=True,
        rich_markup_mode=None,
        add_completion=False,
        **more,
    )


Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite the file if there is one.")]
Token = Annotated[
    Path | None,
    typer.Argument(metavar="TOKEN", help="File with the token; - for standard input."),
]
TokenFd = Annotated[
    int | None,
    typer.Option("--token-fd", metavar="N", help="Read the token from this open descriptor."),
]
Out = Annotated[
    Path,
    typer.Option("--out", "-o", metavar="FILE", help="New file (0600) for the result; - to pipe."),
]
Policy = Annotated[
    Path | None,
    typer.Option("--policy", metavar="FILE", help="Policy file; the home's if left out."),
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help="File (0600) with the passphrase; asked for on the terminal if left out.",
    ),
]
PassphraseFd = Annotated[
    int | None,
    typer.Option("--passphrase-fd", metavar="N", help="Read the passphrase from this descriptor."),
]
ApproverPassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--approver-passphrase-file", metavar="FILE", help="The approver's, if it is another."
    ),
]
Approver = Annotated[str | None, typer.Option("--approver", metavar="NAME", help="Who approves.")]
Ahead = Annotated[
    list[str] | None,
    typer.Option(
        "--ahead",
        metavar="'TOOL host=H path=P ref=R cmd=C count=N for=TIME'",
        help="Approve such calls ahead. Repeatable.",
    ),
]
Prompt = Annotated[
    Path | None,
    typer.Option(
        "--prompt", metavar="FILE", help="The user's words: what they name is vouched for."
    ),
]
Roots = Annotated[
    Path, typer.Option("--roots", metavar="FILE", help="PEM file: whose certificates hold.")
]
SYSTEM_ROOTS = Path("/etc/ssl/certs/ca-certificates.crt")
Pkcs11 = Annotated[
    str | None,
    typer.Option(
        "--pkcs11", metavar="MODULE,TOKEN,KEY", help="A hardware module opens the issuer's keys."
    ),
]
PinFile = Annotated[
    Path | None,
    typer.Option("--pin-file", metavar="FILE", help="File (0600) with the module's PIN."),
]
RemoteAt = Annotated[
    str | None,
    typer.Option(
        "--issuer",
        metavar="ADDRESS",
        help="Ask the issuer at host:port or unix:/path, not this home's own.",
    ),
]
Driver = Annotated[
    str | None,
    typer.Option("--driver", metavar="qemu|firecracker", help="What runs the microVM; qemu."),
]
Memory = Annotated[
    int | None,
    typer.Option("--memory", metavar="MIB", help="The microVM's; as much as its image needs."),
]
CpuSeconds = Annotated[
    int | None,
    typer.Option("--cpu-seconds", metavar="N", help="The microVM's CPU time; a day's seconds."),
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is kept.")]

# Restrictions, the same for issue, attenuate and delegate.
Caveats = Annotated[
    list[str] | None,
    typer.Option("--caveat", metavar="JSON", help="Any caveat, as a JSON array. Repeatable."),
]
Tools = Annotated[
    list[str] | None,
    typer.Option("--tool", metavar="NAME", help="Only this tool; repeat for several."),
]
Paths = Annotated[
    list[str] | None,
    typer.Option("--path", metavar="DIR", help="Only below this path; repeat for several."),
]
NotPaths = Annotated[
    list[str] | None,
    typer.Option("--not-path", metavar="PATTERN", help="Never this path. Repeatable."),
]
Hosts = Annotated[
    list[str] | None,
    typer.Option("--host", metavar="HOST", help="Only this host, or *.suffix. Repeatable."),
]
Refs = Annotated[
    list[str] | None,
    typer.Option("--ref", metavar="REF", help="Only this git ref. Repeatable."),
]
Commands = Annotated[
    list[str] | None,
    typer.Option("--cmd", metavar="WORDS", help='Only commands that start so: "git status".'),
]
Caps = Annotated[
    list[str] | None,
    typer.Option(
        "--cap", metavar="OP=LEVEL", help="At most this level: never, low_risk, always. Repeatable."
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="OP=LEVEL", help="As --cap, and never for all others."),
]
Approve = Annotated[
    list[str] | None,
    typer.Option("--approve", metavar="OP", help="This operation needs a person. Repeatable."),
]
Exposure = Annotated[
    list[str] | None,
    typer.Option(
        "--exposure",
        metavar="LABEL",
        help="Valid only while the session has seen nothing else (none: nothing at all).",
    ),
]
Calls = Annotated[
    int | None, typer.Option("--calls", metavar="N", min=0, help="At most so many calls in all.")
]
Budgets = Annotated[
    list[str] | None,
    typer.Option(
        "--budget", metavar="UNIT=N", help="At most so many micro_usd, tokens or bytes_out."
    ),
]
Expires = Annotated[
    str | None,
    typer.Option("--expires", metavar="TIME", help="Valid for so long from now: 90s, 15m, 8h."),
]
