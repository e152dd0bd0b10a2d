"""`nucleus mcp -- SERVER`, `mcp serve`, `mcp connect`: the proxy in front of an MCP server."""

from __future__ import annotations

import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from nucleus.cli import options
from nucleus.cli.options import SYSTEM_ROOTS, Policy, Roots, TokenFd, examples

RUN = examples(
    "nucleus mcp --token agent.token -- mcp-server-git --repository .",
    "nucleus mcp --token agent.token --policy git.toml --run monday -- mcp-server-git",
    "nucleus mcp --token agent.token --prompt task.txt -- mcp-server-git",
    "nucleus mcp run --token-fd 3 --policy git.toml 3< agent.token",
)
SERVE = examples(
    "nucleus mcp serve --socket run/git.sock --policy git.toml -- mcp-server-git",
    "nucleus mcp serve --http 8080 --policy git.toml -- mcp-server-git",
    "nucleus mcp serve --http 8080 --policy all.toml --config mcp.json",
)
CONNECT = examples(
    "nucleus mcp connect --socket run/git.sock --token agent.token --holder-key agent.key"
)


class Shorthand(TyperGroup):
    """`nucleus mcp … -- SERVER` is `nucleus mcp run … -- SERVER`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0].startswith("-") and args[0] != "--help":
            args = ["run", *args]
        return super().parse_args(ctx, args)


Server = Annotated[
    list[str] | None,
    typer.Argument(metavar="[-- SERVER ARGS…]", help="The server; the policy file's if left out."),
]
TokenFile = Annotated[
    Path | None,
    typer.Option("--token", metavar="FILE", help="File with the token; the client never sees it."),
]
Run = Annotated[
    str | None,
    typer.Option(
        "--run", metavar="NAME", help="Go on with this session: what it has seen stays seen."
    ),
]
AskFor = Annotated[
    str,
    typer.Option("--ask-for", metavar="TIME", help="How long a call waits for an approval."),
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="Many servers: a client's own mcp.json. Else one."
    ),
]
Socket = Annotated[
    Path, typer.Option("--socket", metavar="PATH", help="Unix socket, in a directory of yours.")
]


def run(
    ctx: typer.Context,
    server: Server = None,
    token: TokenFile = None,
    token_fd: TokenFd = None,
    policy: Policy = None,
    config: Config = None,
    run_name: Run = None,
    ask_for: AskFor = "10m",
    prompt: Annotated[
        Path | None,
        typer.Option(
            "--prompt", metavar="FILE", help="What the user asked for: vouches for arguments."
        ),
    ] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option(
            "--secret",
            metavar="VARIABLE=NAME",
            help="Give the server this kept secret in a variable. Repeatable.",
        ),
    ] = None,
    pass_env: Annotated[
        list[str] | None,
        typer.Option(
            "--pass-env", metavar="VARIABLE", help="Give the server this variable of ours."
        ),
    ] = None,
    roots: Roots = SYSTEM_ROOTS,
) -> int:
    """Serve one client; the proxy holds the token.

    The client is on standard input and output. Whoever can write to these streams acts with the
    token.
    """
    from nucleus.cli import inputs, mcp_servers
    from nucleus.composing import Cells
    from nucleus_proxy.held import run_held
    from nucleus_proxy.live import Live
    from nucleus_proxy.streams import stdio
    from nucleus_tokens.errors import CallerError
    from nucleus_vmhost.bubblewrap import Bubblewrap

    if token == inputs.STDIN:
        raise CallerError(
            "token.where", "Standard input is the client's: give a file, or --token-fd N."
        )
    text = inputs.token(token, token_fd)
    place = options.home(ctx)
    rules = mcp_servers.policy(policy or place.policy_path, place, config)
    rules = mcp_servers.given(rules, place, secret or (), pass_env or ())
    seconds = inputs.duration(ask_for, "--ask-for")
    command = command_of(server)
    live = Live()
    with place.store() as store, place.reveals() as reveals, place.labels() as labels:
        if prompt is not None:
            labels.give_prompt(place.tree_of(text), inputs.text_file(prompt))
        mediator = place.mediator(
            store, rules, reveals, ledger=live.watched(store), labels=labels, run=run_name,
            ask_seconds=seconds, one_client=True,
        )  # fmt: skip

        async def work() -> None:
            reader, writer = await stdio()
            await run_held(
                text,
                reader=reader,
                writer=writer,
                mediator=mediator,
                live=live,
                draw=place.random,
                log=_log,
                command=command,
                stderr=_server_says,
                runner=Cells(Bubblewrap()),
                dialer=mcp_servers.dialer(rules, roots),
            )

        try:
            until_stopped(work())
        finally:
            place.checkpoint(store)
    return 0


def serve(
    ctx: typer.Context,
    socket: Annotated[
        Path | None,
        typer.Option("--socket", metavar="PATH", help="Unix socket, in a directory of yours."),
    ] = None,
    http: Annotated[
        int | None,
        typer.Option(
            "--http",
            metavar="PORT",
            min=0,
            max=65535,
            help="Streamable HTTP on the loopback, at /mcp. 0 takes any port.",
        ),
    ] = None,
    host: Annotated[
        list[str] | None,
        typer.Option("--host", metavar="NAME[:PORT]", help="A further name that we are called."),
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option("--origin", metavar="URL", help="Whose pages in a browser may ask."),
    ] = None,
    issuer: Annotated[
        list[str] | None,
        typer.Option("--issuer", metavar="URL", help="Where clients are told to get tokens."),
    ] = None,
    server: Server = None,
    policy: Policy = None,
    config: Config = None,
    roots: Roots = SYSTEM_ROOTS,
    run_name: Run = None,
    ask_for: AskFor = "10m",
) -> int:
    """Serve on a socket or over HTTP; each call carries its credential.

    Each connection gets servers of its own, in cells. Agents come in through `nucleus mcp connect`,
    or over HTTP with a token in `Authorization: Bearer`.
    """
    from nucleus.cli import inputs, mcp_servers
    from nucleus.cli.console import note
    from nucleus.composing import Cells
    from nucleus_proxy.live import Live
    from nucleus_proxy.serve import run_serve
    from nucleus_tokens.errors import CallerError
    from nucleus_vmhost.bubblewrap import Bubblewrap

    if (socket is None) is (http is None):
        raise CallerError("serve.where", "Say where: either --socket PATH or --http PORT.")
    place = options.home(ctx)
    rules = mcp_servers.policy(policy or place.policy_path, place, config)
    seconds = inputs.duration(ask_for, "--ask-for")
    command = command_of(server)
    live = Live()
    with place.store() as store, place.reveals() as reveals, place.labels() as labels:
        mediator = place.mediator(
            store, rules, reveals, ledger=live.watched(store), labels=labels, run=run_name,
            ask_seconds=seconds,
        )  # fmt: skip
        if http is None and socket is not None:
            work = run_serve(
                socket, mediator, live=live, draw=place.random, log=_log, command=command,
                stderr=_server_says, runner=Cells(Bubblewrap()),
                dialer=mcp_servers.dialer(rules, roots),
                ready=lambda: note(f"nucleus: listening at {socket}"),
            )  # fmt: skip
        else:
            from nucleus_proxy.http.serving import run_http

            work = run_http(
                http or 0, mediator, live=live, draw=place.random, log=_log, command=command,
                stderr=_server_says, runner=Cells(Bubblewrap()),
                dialer=mcp_servers.dialer(rules, roots), hosts=host or (),
                origins=origin or (), issuers=issuer or (),
                ready=lambda port: note(f"nucleus: listening at http://127.0.0.1:{port}/mcp"),
            )  # fmt: skip
        try:
            until_stopped(work)
        finally:
            place.checkpoint(store)
    return 0


def connect(
    socket: Socket,
    holder_key: Annotated[
        Path, typer.Option("--holder-key", metavar="FILE", help="The agent's key: signs each call.")
    ],
    token: TokenFile = None,
    token_fd: TokenFd = None,
) -> int:
    """Connect a client to `nucleus mcp serve`.

    The client is on standard input and output. It runs beside the agent: it signs each call with
    the agent's key, and grants nothing.
    """
    from nucleus.cli import inputs
    from nucleus_issuer import keyring
    from nucleus_issuer.store import wall_clock
    from nucleus_proxy.connect import run_connect
    from nucleus_proxy.streams import stdio
    from nucleus_tokens import holding
    from nucleus_tokens.errors import CallerError

    if token == inputs.STDIN:
        raise CallerError(
            "token.where", "Standard input is the client's: give a file, or --token-fd N."
        )
    held = holding.read_token(inputs.token(token, token_fd))
    key = keyring.read_holder(holder_key)

    async def work() -> None:
        reader, writer = await stdio()
        await run_connect(
            socket,
            held,
            key.private,
            reader=reader,
            writer=writer,
            clock=wall_clock,
            draw=os.urandom,
        )

    until_stopped(work())
    return 0


def command_of(server: list[str] | None) -> list[str]:
    """The server's command, found where the person who typed it would find it: the server itself
    gets the environment of the policy file, and nothing of ours."""
    from shutil import which

    from nucleus_tokens.errors import CallerError

    if not server:
        return []
    found = which(server[0])
    if found is None:
        raise CallerError("server.not_found", f"There is no command {server[0]!r}.")
    return [os.path.abspath(found), *server[1:]]


def until_stopped(work: Coroutine[Any, Any, None]) -> None:
    """Run until it ends or somebody stops it: with SIGTERM or SIGINT it is cancelled, and cleans
    up behind itself."""
    import asyncio
    import signal
    from contextlib import suppress

    async def main() -> None:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
        await task

    with suppress(asyncio.CancelledError):
        asyncio.run(main())


def _log(sentence: str) -> None:
    from nucleus.cli.console import note, safe

    note(f"nucleus: {safe(sentence)}")


def _server_says(line: bytes) -> None:
    from nucleus.cli.console import note, safe

    note(f"server: {safe(line.decode('utf-8', 'replace').rstrip())}")
