"""Law: request facts in, one answer out; nothing passes without a durable decision.

The one core behind every face: the gateway's filters, the sidecar's own `Check`, and middleware in
a tool's process. It authenticates before it reads what is asked for, so a stranger makes it do
little and learns nothing. Where the ledger fails nothing passes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from nucleus_tokens import crypto
from nucleus_tokens.errors import NucleusError
from nucleus_verifier import asking, gather
from nucleus_verifier.authenticate import VerifiedCredential
from nucleus_verifier.caching import CachingVerifier
from nucleus_verifier.clear import clear
from nucleus_verifier.commit import Permit, commit
from nucleus_verifier.decision import LAST_SILENT_STEP, Allow, Ask, Deny
from nucleus_verifier.facts import Call, Facts, Keys, Policy
from nucleus_verifier.hints import hint
from nucleus_verifier.ports import Clock, Desk, Ledger
from nucleus_verifier.record import decision_record
from nucleus_verifier.sidecar.answers import (
    Admitted,
    Answer,
    Refused,
    Waiting,
    denied,
    unavailable,
)
from nucleus_verifier.sidecar.asked import (
    Asked,
    Unreadable,
    claims,
    read_host,
    read_method,
    read_target,
)
from nucleus_verifier.sidecar.mapping import Matched, Routes, match

TRIES: Final = 16  # races lost in a row before the caller is told to come again
ASK_SECONDS: Final = 600
Log = Callable[[str, Mapping[str, object]], None]


# How work that blocks, on the ledger's disk above all, is run from the event loop.
Offload = Callable[[Callable[[], Answer]], Awaitable[Answer]]
Check = Callable[[Asked], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class World:
    """What a gate needs, put together by whoever starts it. `draw(n)` gives n random bytes."""

    ledger: Ledger
    desk: Desk
    clock: Clock
    draw: Callable[[int], bytes]
    reveals: Callable[[Mapping[str, object]], None]
    offload: Offload
    log: Log


class Gate:
    """The decisions of one verifier instance. Use it from one event loop."""

    def __init__(
        self, verifier: CachingVerifier, routes: Routes, policy: Policy, instance: str, world: World
    ) -> None:
        self._verifier = verifier
        self._routes = routes
        self._policy = policy
        self._world = world
        self.instance = instance

    def use_keys(self, keys: Keys) -> None:
        """Believe these from now on; whatever others had verified is forgotten."""
        self._verifier.use_keys(keys)

    async def __call__(self, asked: Asked) -> Answer:
        """Judge one request. Total: whatever fails is a refusal."""
        try:
            answer = await self._judged(asked)
        except NucleusError as error:
            answer = unavailable(error.code)
        self._world.log(*_line(asked, answer))
        return answer

    async def _judged(self, asked: Asked) -> Answer:
        at = self._world.clock()
        credential = self._verifier.authenticate(asked.credential)
        if isinstance(credential, Deny):
            return Refused(credential.code)
        try:
            method, host = read_method(asked.method), read_host(asked.host)
            target = read_target(asked.target)
            route, captures = self._routes.find(method, host, target)
            spoken = credential.req or credential.prefix.authority.args or route.body == "none"
            if asked.body is None and spoken:
                return denied(Deny(10, "body.unseen"))
            matched = match(route, captures, target, asked)
        except Unreadable as error:
            return Refused(str(error))
        return await self._world.offload(partial(self._attempt, credential, matched, asked, at))

    def _attempt(
        self, credential: VerifiedCredential, matched: Matched, asked: Asked, at: int
    ) -> Answer:
        """Look, decide, and make it durable. In a thread."""
        world = self._world
        # Nobody's wall: each token tree has a cell here, and nobody knows what it saw before.
        wall = f"gate:{self.instance}:{credential.prefix.opened.header.tid}"
        for _ in range(TRIES):
            snapshot = world.ledger.read(gather.wanted(credential, wall))
            call = matched.at(snapshot.wall.bits | snapshot.tree.bits)
            facts = gather.facts(
                self._verifier.keys,
                snapshot,
                arrived=at,
                instance=self.instance,
                channel="carried",
                peer=asked.peer,
                policy=self._policy,
            )
            decision = clear(credential, call, facts)
            if isinstance(decision, Deny) and decision.step <= LAST_SILENT_STEP:
                return Refused(decision.code)  # perhaps a stranger: no place in the trace
            record, reveal = decision_record(credential, call, facts, decision, salt=world.draw(16))
            world.reveals(reveal)
            match decision:
                case Allow():
                    permit = commit(decision.intent, world.ledger, record)
                    if isinstance(permit, Permit):
                        permit.use(
                            operation=call.operation, call_digest=call.digest, cell=facts.wall.id
                        )
                        sub = credential.prefix.opened.header.sub
                        return Admitted(permit.seq, call.tool, sub, credential.prefix.rids[-1])
                    if permit.code != "commit.lost_race":
                        return denied(permit)
                case Ask():
                    world.ledger.append(record)
                    return self._asked(credential, call, facts, decision)
                case Deny():
                    world.ledger.append(record)
                    return denied(decision)
        return denied(Deny(14, "commit.lost_race"))

    def _asked(self, credential: VerifiedCredential, call: Call, facts: Facts, ask: Ask) -> Waiting:
        # One name for one question: whoever asks again meanwhile does not ask a second time.
        owed = tuple(o.id for o in ask.obligations)
        what = "\0".join((ask.tid, ask.rid, ask.cell, call.digest.hex(), *owed))
        name = crypto.sha256(f"{facts.now // ASK_SECONDS}\0{what}".encode()).hex()[:32]
        legs = self._world.desk.legs((facts.wall.id, facts.tree.id))
        request = asking.request(name, credential, call, facts, ask, ASK_SECONDS, legs=legs)
        try:
            self._world.desk.ask(request)
        except NucleusError as error:
            if error.code != "desk.duplicate":
                raise
        return Waiting(name, owed, hint(ask))


def _line(asked: Asked, answer: Answer) -> tuple[str, dict[str, object]]:
    """One line for the log: never a credential, never a query or body."""
    path = asked.target.partition("?")[0]
    about: dict[str, object] = {
        "host": claims(asked.host), "method": claims(asked.method), "path": claims(path)
    }  # fmt: skip
    match answer:
        case Admitted():
            return "admitted", about | {"tool": answer.tool, "seq": answer.seq, "rid": answer.rid}
        case Waiting():
            return "waiting", about | {"request": answer.request}
        case Refused():
            return "refused", about | {"why": answer.why}
