"""Law: whoever is started knows at most what its starter had seen, and may do at most what its
starter could hand on.

A sub-agent gets a token that descends from its starter's: delegated or narrowed offline, by the
holder. Before anything of the task reaches it, the exposure cell of its own wall stands at the
starter's join; the tree's cell they share anyway. How it is started, and behind which wall, is a
launcher's affair.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from nucleus_proxy.answers import Granted
from nucleus_proxy.native import NativeTool, Param, Tools, Value
from nucleus_proxy.policy import SelectorRule, ToolBinding
from nucleus_tokens import flow, labelling, lattice
from nucleus_tokens.errors import CallerError
from nucleus_verifier.authenticate import VerifiedCredential
from nucleus_verifier.decision import Deny

TASK_CHARS: Final = 256 * 1024
Authenticate = Callable[[str], VerifiedCredential | Deny]
RaiseCell = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Birth:
    """What a sub-agent starts with. Its proxy holds the token, and judges its calls under `cell`;
    the agent itself gets the task and a private socket."""

    id: str
    agent: str
    task: str
    token: str
    cell: str


class Launcher(Protocol):
    """Whoever starts agents behind a wall."""

    async def launch(self, birth: Birth) -> None:
        """Start it. Raises WorldError `spawn.failed`: then nothing of it runs."""
        ...


def tools(
    launcher: Launcher,
    *,
    agents: Collection[str],
    authenticate: Authenticate,
    raise_cell: RaiseCell,
    draw: Callable[[int], bytes],
) -> Tools:
    """The tool that starts agents. `agents` are the operator's names of what may be started;
    `raise_cell` makes or raises an exposure cell durably."""
    made = ToolBinding(
        "agent_spawn",
        lattice.SPAWN_AGENT,
        flow.default_sink(lattice.SPAWN_AGENT),
        (SelectorRule("/agent", "id"), SelectorRule("/directory", "path")),
        frozenset(("/task", "/token")),
    )
    params = {
        "agent": Param("string", "which agent, by its name in the operator's policy"),
        "directory": Param("string", "where it works; '.' is the workspace"),
        "task": Param("string", "what it is to do"),
        "token": Param("string", "a token that descends from yours, delegated or narrowed"),
    }
    run = partial(_spawn, launcher, frozenset(agents), authenticate, raise_cell, draw)
    return {"agent_spawn": NativeTool(made, "Start a sub-agent with less power.", params, run)}


async def _spawn(
    launcher: Launcher,
    agents: frozenset[str],
    authenticate: Authenticate,
    raise_cell: RaiseCell,
    draw: Callable[[int], bytes],
    granted: Granted,
    cell: str,
) -> Value:
    permit, call = granted.permit, granted.call
    permit.use(operation=call.operation, call_digest=call.digest, cell=cell)
    args = call.args
    if args["agent"] not in agents:
        raise CallerError("spawn.unknown", "The operator's policy names no such agent.")
    if len(args["task"]) > TASK_CHARS:
        raise CallerError("spawn.task", f"A task has at most {TASK_CHARS} characters.")
    _descends(authenticate(args["token"]), granted)
    born = draw(8).hex()
    own = f"wall:{args['agent']}-{born}"
    # Before delivery, and durably: what the starter had seen is in the task it wrote.
    await asyncio.to_thread(raise_cell, own, granted.exposure)
    await launcher.launch(Birth(born, args["agent"], args["task"], args["token"], own))
    structured = {"agent": args["agent"], "id": born}
    return Value(structured, f"Started {args['agent']} as {born}.", labelling.TOOL_RESPONSE)


def _descends(child: VerifiedCredential | Deny, granted: Granted) -> None:
    """Every prefix of the starter's token is one of the child's; so the child can do no more."""
    if isinstance(child, Deny):
        raise CallerError("spawn.token", "The token of a sub-agent is not one of ours.")
    ours, theirs = granted.permit.intent.rids, child.prefix.rids
    if theirs[: len(ours)] != ours:
        raise CallerError(
            "spawn.token", "The token of a sub-agent must descend from yours.",
            hint="Delegate or narrow the token that you hold.",
        )  # fmt: skip
    if child.prefix.holder.bearer:
        raise CallerError("spawn.bearer", "A bearer token is not handed to a sub-agent.")
