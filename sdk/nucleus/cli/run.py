"""`nucleus run --local|--vm -- AGENT …`: any agent, unmodified, behind the local wall."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nucleus.cli import options
from nucleus.cli.options import (
    SYSTEM_ROOTS,
    Ahead,
    Approver,
    ApproverPassphraseFile,
    CpuSeconds,
    Driver,
    Memory,
    PassphraseFd,
    PassphraseFile,
    Policy,
    Prompt,
    Roots,
    TokenFd,
    examples,
)

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from nucleus_issuer.store import Store
    from nucleus_proxy.agents import Mode

RUN = examples(
    "nucleus run --local --profile read-only -- ./agent.sh",
    "nucleus run --local --profile codegen --dir ~/project -- python3 agent.py",
    "nucleus run --local --token agent.token --workspace rw -- node agent.mjs",
    "nucleus run --vm --profile read-only -- python3 agent.py",
    "nucleus run --local --token agent.token --workspace none -- my-agent --mcp /run/nucleus/mcp",
)
# What a program may know of the terminal it stands at.
_PASSED = ("TERM", "COLORTERM", "COLUMNS", "LINES", "NO_COLOR", "LANG", "LC_ALL")


def run(
    ctx: typer.Context,
    agent: Annotated[
        list[str], typer.Argument(metavar="-- AGENT ARGS…", help="The agent's command.")
    ],
    local: Annotated[
        bool, typer.Option("--local", help="Behind the local wall: bubblewrap on this machine.")
    ] = False,
    vm: Annotated[
        bool,
        typer.Option("--vm", help="Behind the hard wall: a microVM, with a copy of the files."),
    ] = False,
    image: Annotated[
        str, typer.Option("--image", metavar="NAME", help="The microVM's image.")
    ] = "default",
    driver: Driver = None,
    memory: Memory = None,
    cpu_seconds: CpuSeconds = None,
    life: Annotated[
        str | None,
        typer.Option("--life", metavar="TIME", help="How long the microVM may live; 24h."),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option("--profile", metavar="NAME", help="Make a token of this one (or a .toml)."),
    ] = None,
    token: Annotated[
        Path | None,
        typer.Option("--token", metavar="FILE", help="Or the file of one; it stays out here."),
    ] = None,
    token_fd: TokenFd = None,
    holder_key: Annotated[
        Path | None,
        typer.Option(
            "--holder-key", metavar="FILE", help="The key of that token's holder; stays out here."
        ),
    ] = None,
    policy: Policy = None,
    folder: Annotated[
        Path, typer.Option("--dir", metavar="DIR", help="The workspace; this folder if left out.")
    ] = Path(),
    mode: Annotated[
        str,
        typer.Option(
            "--workspace",
            metavar="none|ro|rw",
            help="How the agent sees it: not at all, read-only, or writable. What it can read "
            "counts as read.",
        ),
    ] = "ro",
    show: Annotated[
        list[Path] | None,
        typer.Option("--show", metavar="DIR", help="Show this too, read-only. Repeatable."),
    ] = None,
    mask: Annotated[
        list[Path] | None,
        typer.Option("--mask", metavar="PATH", help="Hide this as well. Repeatable."),
    ] = None,
    unmask: Annotated[
        list[Path] | None,
        typer.Option(
            "--dangerously-show-secret",
            metavar="PATH",
            help="Show this although it has the name of a secret. Repeatable.",
        ),
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option(
            "--env",
            metavar="NAME=VALUE",
            help="For the agent; nothing secret. Repeatable.",
        ),
    ] = None,
    ask_for: Annotated[
        str,
        typer.Option("--ask-for", metavar="TIME", help="How long a call waits to be approved."),
    ] = "10m",
    prompt: Prompt = None,
    ahead: Ahead = None,
    approver: Approver = None,
    roots: Roots = SYSTEM_ROOTS,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    approver_passphrase_file: ApproverPassphraseFile = None,
) -> int:
    """Run an agent behind the wall.

    It has no network, sees the workspace read-only, and its one road out is the proxy: inside,
    `/run/nucleus/mcp` is an MCP server with the proxy's tools, and HTTP_PROXY leads to it. What
    needs a person's word is asked on this terminal. The exit code is the agent's.
    """
    import asyncio

    from nucleus import walled
    from nucleus.approver import Answering
    from nucleus.cli import giving, inputs
    from nucleus.cli.prompting import AtTerminal
    from nucleus.cli.stopping import until_stopped
    from nucleus_proxy import policy as policies
    from nucleus_tokens.errors import CallerError
    from nucleus_vmhost.terminal import Terminal

    if local == vm:
        raise CallerError(
            "run.where", "Say where it runs.", hint="With --local or --vm, on this machine."
        )
    if token == inputs.STDIN:
        raise CallerError(
            "token.where", "Standard input is the agent's: give a file, or --token-fd N."
        )
    limits = (driver, memory, cpu_seconds, life)
    if local and limits != (None, None, None, None):
        raise CallerError(
            "run.where",
            "--driver, --memory, --cpu-seconds and --life bound a microVM, and --local has none.",
            hint="Say --vm, or leave them out.",
        )
    place = options.home(ctx)
    where = None
    if vm:
        from nucleus import microvm
        from nucleus.cli import vm_wanted
        from nucleus_vmhost import secluded
        from nucleus_vmhost.vm.session import cache

        wanted = vm_wanted.wanted(image, *limits)
        where = microvm.where(place, cache(), wanted, _say)
        secluded.alone()  # before it has anything, and threads
    rules = policies.load(policy or place.policy_path)
    workspace = _folder(folder)
    issuers, approvers = inputs.passphrases(
        passphrase_file, passphrase_fd, approver_passphrase_file
    )
    if profile is not None and (token, token_fd, holder_key) != (None, None, None):
        raise CallerError("run.which", "Give a profile or a token, not both.")
    if passphrase_fd is not None:
        issuers("")  # a descriptor is read once, and two processes need what is in it
    held = giving.held(
        place,
        giving.Given(
            profile=profile,
            token="" if profile is not None else inputs.token(token, token_fd),
            holder_key=holder_key,
            prompt="" if prompt is None else inputs.text_file(prompt),
            ahead=giving.ahead(rules, workspace, ahead or ()),
            approver=approver,
            wall="vm" if vm else "local",
            log=_say,
        ),
        workspace,
        issuers,
        approvers,
    )
    order = walled.Order(
        argv=tuple(agent),
        folder=workspace,
        mode=_mode(mode),
        shows=tuple(_folder(path) for path in show or ()),
        mask=tuple(Path(os.path.realpath(path)) for path in mask or ()),
        unmask=tuple(Path(os.path.realpath(path)) for path in unmask or ()),
        env=_passed() | inputs.pairs(env or (), "--env"),
        ask_seconds=inputs.duration(ask_for, "--ask-for"),
        roots=Path(os.path.abspath(roots)),
        profile=profile or "",
    )
    terminal = Terminal()
    person = AtTerminal(tell=_say, held=terminal.held, clock=place.clock)

    def answering(store: Store, tid: str) -> AbstractAsyncContextManager[None]:
        desk = Answering(
            place, store, lambda: place.approver(approver, approvers), tid=tid, told=person.said
        )
        return desk.beside(person)

    with place.store() as store, place.reveals() as reveals:
        try:
            return asyncio.run(
                until_stopped(
                    walled.run(
                        place, store, reveals, held, rules, order,
                        terminal=terminal, log=_say, answering=answering, where=where,
                    )
                )
            )  # fmt: skip
        finally:
            place.checkpoint(store)


def _folder(path: Path) -> Path:
    from nucleus_tokens.errors import CallerError

    found = Path(os.path.realpath(path.expanduser()))
    if not found.is_dir():
        raise CallerError("run.folder", f"{path} is no folder.")
    return found


def _mode(text: str) -> Mode:
    from nucleus_tokens.errors import CallerError

    match text:
        case "none" | "ro" | "rw":
            return text
        case _:
            raise CallerError("run.mode", "--workspace is none, ro or rw.")


def _passed() -> dict[str, str]:
    return {name: os.environ[name] for name in _PASSED if name in os.environ}


def _say(sentence: str) -> None:
    from nucleus.cli.console import note, safe

    # The terminal may be in raw mode: go back to its edge as well.
    note(f"\rnucleus: {safe(sentence)}\r")
