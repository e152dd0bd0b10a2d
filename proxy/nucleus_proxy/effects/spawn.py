"""Law: whoever is started knows at most what its starter had seen, and may do at most what its
starter could hand on; and its starter then knows what it saw.

A sub-agent gets a token that descends from its starter's: one that the starter delegated or
narrowed offline, or, where the proxy holds the starter's, that one with further caveats, delegated
to a key of its own. Before anything of the task reaches it, the exposure cell of its own wall
stands at the starter's join; before anything it says comes back, the starter's wall stands at its.
The tree's cell they share anyway. The call lasts as long as the sub-agent does: it is a live
effect. How it is started, and behind which wall, is a launcher's affair.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, Protocol

from nucleus_proxy import resolve
from nucleus_proxy.agents import AgentSpec
from nucleus_proxy.answers import Granted
from nucleus_proxy.binding import BoundCall
from nucleus_proxy.native import NativeTool, Param, Tools, Value
from nucleus_proxy.toolrules import ToolBinding
from nucleus_tokens import crypto, flow, holding, labels, lattice, writing
from nucleus_tokens.errors import CallerError, NucleusError
from nucleus_tokens.patterns import under
from nucleus_verifier import gather
from nucleus_verifier.authenticate import VerifiedCredential
from nucleus_verifier.choosing import SelectorRule, payload_label
from nucleus_verifier.decision import Deny
from nucleus_verifier.ports import Ledger

TASK_CHARS: Final = 256 * 1024
OUTPUT_BYTES: Final = 1024 * 1024  # of what a sub-agent says, that comes back
NAME: Final = "agent_spawn"
BINDING: Final = ToolBinding(
    NAME,
    lattice.SPAWN_AGENT,
    flow.default_sink(lattice.SPAWN_AGENT),
    (SelectorRule("/agent", "id"), SelectorRule("/directory", "path", optional=True)),
    frozenset(("/task", "/token", "/caveats")),
)
Authenticate = Callable[[str], VerifiedCredential | Deny]
# The packed label of all that a cell has observed.
Observed = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class Birth:
    """What a sub-agent starts with. Its proxy holds the token, and its key if there is one, and
    judges its calls under `cell`; the agent itself gets the task and a private socket."""

    id: str
    agent: str
    spec: AgentSpec
    task: str
    folder: str
    cell: str
    child: VerifiedCredential = field(repr=False)
    token: str = field(repr=False)
    private: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a sub-agent ended, and what it said. `wrote` are the files that were written for it, by
    it and by who it started; `changes` is what became of what it changed in a copy."""

    code: int
    output: str
    truncated: bool = False
    timed_out: bool = False
    set_aside: tuple[str, ...] = ()
    wrote: tuple[str, ...] = ()
    changes: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Launcher(Protocol):
    """Whoever runs agents behind a wall."""

    async def run(self, birth: Birth) -> Ended:
        """Run it to its end; cancelled, nothing of it is left. Raises WorldError `spawn.failed`:
        then nothing of it ran."""
        ...

    def holder(self, agent: str, born: str) -> str:
        """Whom the token of such a sub-agent is handed to: the SPIFFE ID of its wall, or a name."""
        ...


def tools(
    launcher: Launcher,
    root: str,
    *,
    agents: Mapping[str, AgentSpec],
    authenticate: Authenticate,
    ledger: Ledger,
    draw: Callable[[int], bytes],
    observed: Observed = lambda _: labels.BOTTOM,
) -> Tools:
    """The tool that starts agents, in the workspace at `root`. `agents` are the operator's names
    of what may be started; `ledger` keeps the cells, `observed` knows the labels of what came in
    by them."""
    params = {
        "agent": Param("string", f"which agent: {', '.join(agents)}"),
        "directory": Param("string", "where it works; its whole folder if left out", optional=True),
        "task": Param("string", "what it is to do; its standard input"),
        "token": Param("string", "a token that descends from yours", optional=True),
        "caveats": Param("lists", "or what to take from the one that is held", optional=True),
    }
    says = "Start a sub-agent with less power; the answer is what it said when it ended."
    run = _Spawner(launcher, agents, authenticate, ledger, draw, observed).run
    return {NAME: NativeTool(BINDING, says, params, run, partial(_somewhere, root, agents))}


def _somewhere(root: str, agents: Mapping[str, AgentSpec], call: BoundCall) -> BoundCall:
    """Where nothing is said it works in its whole folder, and never outside of it."""
    spec = agents.get(call.args["agent"])
    if spec is None:
        raise CallerError("spawn.unknown", "The operator's policy names no such agent.")
    folder = resolve.path(spec.workspace, root)
    paths = call.resources.get("path")
    if folder is None or paths is None or any("*" in path for path in (folder, *paths)):
        return replace(call, resources={**call.resources, "path": None})
    if not all(under(folder, path) for path in paths):
        raise CallerError("spawn.directory", f"This agent works in {spec.workspace} or below it.")
    return call if paths else call.touching("path", (folder,))


class _Spawner:
    """Starts them, and counts those that live."""

    def __init__(
        self,
        launcher: Launcher,
        agents: Mapping[str, AgentSpec],
        authenticate: Authenticate,
        ledger: Ledger,
        draw: Callable[[int], bytes],
        observed: Observed,
    ) -> None:
        self._launcher = launcher
        self._agents = agents
        self._authenticate = authenticate
        self._ledger = ledger
        self._draw = draw
        self._observed = observed
        self._live: Counter[str] = Counter()

    async def run(self, granted: Granted, cell: str) -> Value:
        permit, call = granted.permit, granted.call
        permit.use(operation=call.operation, call_digest=call.digest, cell=cell)
        name, task = call.args["agent"], call.args["task"]
        if len(task) > TASK_CHARS:
            raise CallerError("spawn.task", f"A task has at most {TASK_CHARS} characters.")
        (folder,) = call.resources["path"] or ("",)
        spec, born = self._agents[name], self._draw(8).hex()
        with self._room(name, spec):
            if "token" in call.args:
                _descending(self._authenticate(call.args["token"]), granted, given=True)
            to = self._launcher.holder(name, born)
            token, private = _token(granted, to, spec, folder, self._draw)
            child = _descending(self._authenticate(token), granted, given=False)
            own = f"wall:{name}-{born}"
            # Before delivery, and durably: what the starter had seen is in the task it wrote.
            await asyncio.to_thread(self._ledger.open_cell, own, granted.exposure)
            birth = Birth(born, name, spec, task, folder, own, child, token, private)
            ended = await self._launcher.run(birth)
            # And back: what it saw is in what it says.
            seen, label = await asyncio.to_thread(self._seen, child, own, cell)
        structured = {
            "agent": name,
            "id": born,
            "code": ended.code,
            "output": ended.output,
            "truncated": ended.truncated,
            "timed_out": ended.timed_out,
            "set_aside": list(ended.set_aside),
            "wrote": list(ended.wrote),
            "changes": dict(ended.changes),
        }
        text = f"{ended.output}\n{name} {born} ended with exit code {ended.code}.".lstrip()
        if ended.changes.get("code", "ok") != "ok":
            text += f" What it changed is not written: {ended.changes['sentence']}"
        return Value(structured, text, label, saw=seen)

    @contextmanager
    def _room(self, name: str, spec: AgentSpec) -> Iterator[None]:
        if self._live[name] >= spec.live:
            raise CallerError(
                "spawn.full", f"{spec.live} sub-agents of this name run already.",
                hint="Wait until one has ended.",
            )  # fmt: skip
        self._live[name] += 1
        try:
            yield
        finally:
            self._live[name] -= 1

    def _seen(self, child: VerifiedCredential, own: str, cell: str) -> tuple[int, int]:
        """What the sub-agent had seen at its end, and now its starter's wall as well; and the
        label of what it says: a model's words, as tainted as all that came in to it."""
        found = self._ledger.read(gather.wanted(child, own))
        seen = found.wall.bits | found.tree.bits
        self._ledger.open_cell(cell, seen)
        came = labels.join(self._observed(own), self._observed(gather.tree_cell(child)))
        return seen, labels.join(payload_label(seen), came)


def _token(
    granted: Granted, to: str, spec: AgentSpec, folder: str, draw: Callable[[int], bytes]
) -> tuple[str, bytes]:
    """The sub-agent's token, and the key that holds it if it is made here: what the starter gave,
    or the held one with its caveats, and always with the operator's. Each is a token of its own,
    which can be revoked alone."""
    args, presented = granted.call.args, granted.presented
    given, asked = args.get("token"), args.get("caveats", [])
    if given is not None and "caveats" in args:
        raise CallerError("spawn.token", "A sub-agent gets either a token or caveats.")
    if given is None and (presented is None or presented.channel != "held"):
        raise CallerError(
            "spawn.token", "Only a token that the proxy holds is narrowed here.",
            hint="Delegate or narrow yours, and give it as `token`.",
        )  # fmt: skip
    private = b"" if given is not None or presented is None else presented.private
    caveats: list[list[Any]] = [["path", "in", [folder]], *spec.caveats, *asked]
    if not private:
        caveats.append(["link", draw(16).hex()])
    if not private and (given is None or not spec.depth):
        # Without a key nobody counts the hops.
        caveats.append(["cap", {"spawn_agent": "never"}])
    text = given if given is not None or presented is None else presented.text
    try:
        made = holding.attenuate(holding.read_token(text or ""), *caveats)
    except NucleusError as error:
        raise CallerError("spawn.caveats", f"The caveats cannot be appended: {error}") from error
    if not private:
        return writing.write_credential(made), b""
    own, depth = draw(crypto.KEY_BYTES), _depth(granted, spec)
    key = crypto.public_of(own)
    made = holding.delegate(made, private, to=to, key=key, purpose="sub-agent", depth=depth)
    return writing.write_credential(made), own


def _depth(granted: Granted, spec: AgentSpec) -> int:
    """How often the sub-agent may hand on: as the operator says, and less than its starter."""
    left = granted.standing.credential.prefix.depth - 1
    if left < 0:
        raise CallerError("spawn.depth", "This token may not be handed on any further.")
    return min(spec.depth, left)


def _descending(
    child: VerifiedCredential | Deny, granted: Granted, *, given: bool
) -> VerifiedCredential:
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
    return child
