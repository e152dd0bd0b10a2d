"""Law: whoever is started knows at most what its starter had seen, and may do at most what its
starter could hand on.

A sub-agent gets a token that descends from its starter's: one that the starter delegated or
narrowed offline, or, where the proxy holds the starter's, that one with further caveats. Before
anything of the task reaches it, the exposure cell of its own wall stands at the starter's join; the
tree's cell they share anyway. How it is started, and behind which wall, is a launcher's affair.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Protocol

from nucleus_proxy.answers import Granted
from nucleus_proxy.binding import BoundCall
from nucleus_proxy.native import NativeTool, Param, Tools, Value
from nucleus_proxy.policy import ToolBinding
from nucleus_tokens import flow, holding, labelling, lattice, writing
from nucleus_tokens.errors import CallerError, NucleusError
from nucleus_verifier.authenticate import VerifiedCredential
from nucleus_verifier.choosing import SelectorRule
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
    root: str,
    *,
    agents: Collection[str],
    authenticate: Authenticate,
    raise_cell: RaiseCell,
    draw: Callable[[int], bytes],
) -> Tools:
    """The tool that starts agents, in the workspace at `root`. `agents` are the operator's names
    of what may be started; `raise_cell` makes or raises an exposure cell durably."""
    made = ToolBinding(
        "agent_spawn",
        lattice.SPAWN_AGENT,
        flow.default_sink(lattice.SPAWN_AGENT),
        (SelectorRule("/agent", "id"), SelectorRule("/directory", "path", optional=True)),
        frozenset(("/task", "/token", "/caveats")),
    )
    params = {
        "agent": Param("string", "which agent, by its name in the operator's policy"),
        "directory": Param("string", "where it works; the workspace if left out", optional=True),
        "task": Param("string", "what it is to do"),
        "token": Param("string", "a token that descends from yours", optional=True),
        "caveats": Param("lists", "or what to take from the one that is held", optional=True),
    }
    refine = partial(_somewhere, root)
    run = partial(_spawn, launcher, frozenset(agents), authenticate, raise_cell, draw)
    return {
        "agent_spawn": NativeTool(made, "Start a sub-agent with less power.", params, run, refine)
    }


def _somewhere(root: str, call: BoundCall) -> BoundCall:
    """Where nothing is said it works in the whole workspace."""
    paths = call.resources.get("path")
    return replace(call, resources={**call.resources, "path": (root,)}) if paths == () else call


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
    token = _token(granted, draw)
    _descends(authenticate(token), granted, given="token" in args)
    born = draw(8).hex()
    own = f"wall:{args['agent']}-{born}"
    # Before delivery, and durably: what the starter had seen is in the task it wrote.
    await asyncio.to_thread(raise_cell, own, granted.exposure)
    await launcher.launch(Birth(born, args["agent"], args["task"], token, own))
    structured = {"agent": args["agent"], "id": born}
    return Value(structured, f"Started {args['agent']} as {born}.", labelling.TOOL_RESPONSE)


def _token(granted: Granted, draw: Callable[[int], bytes]) -> str:
    """The sub-agent's token: what the starter gave, or the held one with its caveats. A link makes
    it a token of its own, which can be revoked alone."""
    args, presented = granted.call.args, granted.presented
    if ("token" in args) == ("caveats" in args):
        raise CallerError("spawn.token", "A sub-agent gets either a token or caveats.")
    if "token" in args:
        text: str = args["token"]
        return text
    if presented is None or presented.channel != "held":
        raise CallerError(
            "spawn.token", "Only a token that the proxy holds is narrowed here.",
            hint="Delegate or narrow yours, and give it as `token`.",
        )  # fmt: skip
    try:
        held = holding.read_token(presented.text)
        narrow = holding.attenuate(held, *args["caveats"], ["link", draw(16).hex()])
    except NucleusError as error:
        raise CallerError("spawn.caveats", f"The caveats cannot be appended: {error}") from error
    return writing.write_credential(narrow)


def _descends(child: VerifiedCredential | Deny, granted: Granted, *, given: bool) -> None:
    """Every prefix of the starter's token is one of the child's; so the child can do no more."""
    if isinstance(child, Deny):
        raise CallerError("spawn.token", "The token of a sub-agent is not one of ours.")
    ours, theirs = granted.permit.intent.rids, child.prefix.rids
    if theirs[: len(ours)] != ours:
        raise CallerError(
            "spawn.token", "The token of a sub-agent must descend from yours.",
            hint="Delegate or narrow the token that you hold.",
        )  # fmt: skip
    if given and child.prefix.holder.bearer:
        raise CallerError("spawn.bearer", "A bearer token is not handed to a sub-agent.")
