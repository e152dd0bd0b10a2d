"""Law: how the servers of a policy are started is put together in one place.

In a cell, beside us where the operator calls that a danger, behind HTTP, or many of these as one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from nucleus_proxy.celled import Celled, Outside, Starter
from nucleus_proxy.egress.dial import Dialer
from nucleus_proxy.http.upstream import Remote
from nucleus_proxy.many import Many
from nucleus_proxy.policy import PolicyFile
from nucleus_proxy.work import Runner
from nucleus_tokens.errors import CallerError


def starter(
    policy: PolicyFile,
    runner: Runner | None,
    *,
    draw: Callable[[int], bytes],
    log: Callable[[str], None],
    command: Sequence[str] = (),
    stderr: Callable[[bytes], None] | None = None,
    dialer: Dialer | None = None,
) -> Starter:
    """How the policy file wants its servers. Raises CallerError `server.cell` or `server.remote`
    where it wants them in cells, or over the network, and nobody here does that; `server.which` for
    one command beside many servers."""
    if policy.servers:
        if command:
            raise CallerError(
                "server.which", "One server was named, and the configuration names its own.",
                hint="Leave the command out.",
            )  # fmt: skip
        return Many(
            {
                name: starter(
                    replace(policy, server=spec, servers={}),
                    runner, draw=draw, log=log, stderr=stderr, dialer=dialer,
                )
                for name, spec in policy.servers.items()
            },
            log,
            draw,
        )  # fmt: skip
    if policy.server.url and not command:
        if dialer is None:
            raise CallerError("server.remote", "Nothing here reaches a server over the network.")
        return Remote(policy.server, dialer, log)
    if policy.server.danger_outside_cell:
        return Outside(policy, command, stderr)
    if runner is None:
        raise CallerError(
            "server.cell",
            "A server runs in a cell, and no wall is composed here.",
            hint="The policy file may say [server] danger_outside_cell = true.",
        )
    return Celled(policy, runner, draw, log, command, stderr)
