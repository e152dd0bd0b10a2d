"""Law: a server in a cell sees what its token's scopes admit, from its start to its end.

For `[server] cell = true` in the policy file. One server stands behind one held token, so every
call that reaches it has the path authority that its mounts were computed from; a road on which a
call could bring a narrower token does not start a server in a cell at all.
"""

from __future__ import annotations

import asyncio
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from nucleus_proxy.effects import cells
from nucleus_proxy.effects.opening import Root
from nucleus_proxy.policy import PolicyFile
from nucleus_proxy.wire import FRAME_BYTES
from nucleus_proxy.work import Runner, Work
from nucleus_tokens.authority import Authority
from nucleus_tokens.errors import CallerError
from nucleus_tokens.patterns import under


@asynccontextmanager
async def running(
    policy: PolicyFile,
    authority: Authority,
    runner: Runner | None,
    command: Sequence[str],
    draw: Callable[[int], bytes],
    log: Callable[[str], None],
) -> AsyncIterator[Process]:
    """The server's process, in a cell. Raises CallerError `server.cell`, `cell.*` or what the
    runner raises: then nothing runs."""
    spec, workspace = policy.server, policy.workspace
    argv = tuple(command) or spec.command
    if runner is None or workspace is None or not argv:
        raise CallerError(
            "server.cell",
            "A server in a cell needs a [workspace], a command, and a wall that is installed.",
        )
    with Root(workspace.root) as root:
        tops = cells.subtrees(root.path, authority)
        view = await asyncio.to_thread(cells.view, root, tops, authority)
        cwd = spec.cwd if any(under(top, spec.cwd) for top in tops) else tops[0]
        work = Work(
            argv=argv,
            cwd=cwd,
            env=spec.env,
            readable=(*view.readable, *spec.readable),
            writable=view.writable,
            masked=view.masked,
            output_bytes=FRAME_BYTES + 1,  # the longest line
        )
        try:
            yield await runner.start(work)
        finally:
            tag = draw(4).hex()
            for path in await asyncio.to_thread(cells.set_aside, root, view, authority, tag):
                log(f"set aside, because a server may not write it: {path}")
