"""Law: where the mediator holds the token, the private pipe to it is the proof.

`nucleus mcp -- SERVER`: one client on our stdin and stdout, one server behind us, one token that
the client never sees. Whoever can write to that pipe acts with the token: that is what held means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nucleus_proxy.egress.dial import Dialer
from nucleus_proxy.live import Live
from nucleus_proxy.mediator import Mediator
from nucleus_proxy.relay import Log, Relay
from nucleus_proxy.starters import starter
from nucleus_proxy.wire import Reader, Writer
from nucleus_proxy.work import Runner
from nucleus_tokens import holding
from nucleus_tokens.errors import CredentialError


async def run_held(
    token: str,
    *,
    reader: Reader,
    writer: Writer,
    mediator: Mediator,
    live: Live,
    draw: Callable[[int], bytes],
    log: Log,
    command: Sequence[str] = (),
    stderr: Callable[[bytes], None] | None = None,
    runner: Runner | None = None,
    dialer: Dialer | None = None,
) -> None:
    """Serve one client until it or the server ends. `live` watches the mediator's ledger.
    `command` overrides the policy file's; `runner` builds the cell of the server, unless the policy
    file has it run outside of one; `dialer` reaches those that others run.

    Raises CredentialError or CallerError for a token that cannot be read (its text is read once,
    here), WorldError when the server does not start or the state cannot be written.
    """
    holding.read_token(token)
    mediator.open()
    made = starter(
        mediator.policy, runner, draw=draw, log=log, command=command, stderr=stderr, dialer=dialer
    )
    authority = mediator.admits(token.strip())
    if authority is None and made.needs_authority:
        raise CredentialError("token.refused", "The token is not one of this audience.")
    relay = Relay(
        reader=reader,
        writer=writer,
        starter=made,
        live=live,
        mediator=mediator,
        held=token.strip(),
        draw=draw,
        log=log,
    )
    async with live.watching():
        await relay.run(authority)
