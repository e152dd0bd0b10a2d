"""Law: no effect without a permit, no permit without a durable record, no record without a token.

The loop around the kernel: authenticate, look at the world once, decide, and make the decision
durable. An Allow becomes a permit in the ledger's one transaction; a lost race is decided again
with fresh facts. An Ask waits at the desk and holds nothing meanwhile; approved, it is decided
again and goes through once. Where the ledger fails nothing runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, NamedTuple

from nucleus_proxy import answers, listing, waiting
from nucleus_proxy.answers import UNCLASSIFIED, Granted, Presented, Refusal, Standing, Withdrawn
from nucleus_proxy.binding import BoundCall
from nucleus_proxy.flow import Flow, Looked
from nucleus_proxy.offload import Offload, in_thread
from nucleus_proxy.policy import NO_WALL, PolicyFile
from nucleus_tokens import crypto, exposure
from nucleus_tokens.authority import Authority
from nucleus_tokens.errors import NucleusError
from nucleus_verifier import asking, gather
from nucleus_verifier.authenticate import VerifiedCredential
from nucleus_verifier.caching import CachingVerifier
from nucleus_verifier.clear import NONCE_SECONDS, clear, reconsider
from nucleus_verifier.commit import Permit, commit
from nucleus_verifier.decision import Allow, Ask, Deny
from nucleus_verifier.facts import Call, Facts
from nucleus_verifier.hints import located
from nucleus_verifier.ports import Clock, Desk, Ledger, PendingRequest, Snapshot
from nucleus_verifier.record import decision_record, refusal_record

Reveals = Callable[[Mapping[str, object]], None]

TRIES: Final = 16  # races lost in a row before the caller is told to come again
ROUNDS: Final = 8  # times a call may be asked about anew while it waits
RESULT_DOMAIN: Final = b"nucleus/result/v1\0"
# The first step that judges more than who came and when: below it a list is refused.
_AUTHORITY_STEP: Final = 8


class Considered(NamedTuple):
    """A decision, and what it was made from."""

    bound: BoundCall
    authority: Authority
    looked: Looked | None
    call: Call
    facts: Facts
    decision: Allow | Ask | Deny


@dataclass(frozen=True, slots=True)
class _Arrival:
    credential: VerifiedCredential
    presented: Presented
    at: int
    replayed: bool


class Mediator:
    """The decisions of one verifier instance. Used from one event loop; it blocks in threads."""

    def __init__(
        self,
        *,
        verifier: CachingVerifier,
        ledger: Ledger,
        desk: Desk,
        policy: PolicyFile,
        instance: str,
        run: str,
        clock: Clock,
        draw: Callable[[int], bytes],
        reveals: Reveals,
        ask_seconds: int = waiting.ASK_SECONDS,
        poll_seconds: float = waiting.POLL_SECONDS,
        offload: Offload = in_thread,
        flow: Flow | None = None,
    ) -> None:
        """`instance` is this verifier's name for itself, `run` the name of what a person started;
        without a wall the run has the cell. `draw(n)` gives n random bytes. `ledger` and `desk`
        are called from several threads. `reveals` keeps what the trace only digests. `offload`
        keeps blocking work off the event loop; where one client is served, `inline` is faster.
        `flow` knows labels and evidence; without it only the issuer's word vouches, and every
        value is as tainted as its session.
        """
        self._verifier = verifier
        self._ledger = ledger
        self._desk = desk
        self.policy = policy
        self.instance = instance
        wall = policy.wall
        self.wall = f"run:{run}" if wall is None else f"wall:{wall.id}"
        self._starts_at = NO_WALL if wall is None else wall.shows
        self._clock = clock
        self._draw = draw
        self._reveals = reveals
        self._ask_seconds = ask_seconds
        self._poll_seconds = poll_seconds
        self._offload = offload
        self._flow = flow
        self._raised_for: set[str] = set()
        self._nonces: dict[tuple[str, str], int] = {}

    @property
    def audience(self) -> str:
        return self._verifier.keys.audience

    def open(self) -> None:
        """Open the wall's cell. Call once before anything is mediated; raises WorldError."""
        self._ledger.open_cell(self.wall, self._starts_at)

    async def raise_wall(self, method: str) -> None:
        """Before content passes by a road that policy opened: nobody knows what it is."""
        if method in self._raised_for:
            return

        def work() -> None:
            self._ledger.open_cell(self.wall, exposure.PRIVATE_DATA | exposure.UNTRUSTED_CONTENT)
            self._ledger.append({"cell": self.wall, "method": method, "type": "opened"})

        await self._offload(work)
        self._raised_for.add(method)  # a cell never falls

    # One call ---------------------------------------------------------------------------------

    async def call(
        self,
        presented: Presented,
        build: Callable[[], BoundCall],
        *,
        progress: waiting.Progress,
        caller: waiting.Caller,
    ) -> Granted | Refusal | Withdrawn:
        """Mediate one call. `build` resolves its arguments; it is called for every decision, in
        a thread, because what a path leads to may change while a call waits."""
        try:
            arrival = await self._arrive(presented)
            if isinstance(arrival, Refusal):
                return arrival
            return await self._mediate(arrival, build, progress, caller)
        except NucleusError as error:
            return Refusal.failed(error)

    def admits(self, text: str) -> Authority | None:
        """What a credential permits at most, if it is one at all. It decides nothing."""
        found = self._verifier.authenticate(text)
        return None if isinstance(found, Deny) else self._authority(found)

    async def _arrive(self, presented: Presented) -> _Arrival | Refusal:
        at = self._clock()
        credential = self._verifier.authenticate(presented.text)
        if isinstance(credential, Deny):
            record = refusal_record(credential, at=at, channel=presented.channel)
            await self._offload(partial(self._ledger.append, record))
            return Refusal.denied(credential)
        return _Arrival(credential, presented, at, self._seen(credential, at))

    def _seen(self, credential: VerifiedCredential, at: int) -> bool:
        """Whether this request came before. The ledger knows those that were committed; we know
        those that wait, and those of lists, which commit nothing."""
        if credential.req is None:
            return False
        while self._nonces and next(iter(self._nonces.values())) < at:
            del self._nonces[next(iter(self._nonces))]
        key = (credential.prefix.rids[-1], credential.req.nonce)
        if key in self._nonces:
            return True
        self._nonces[key] = at + NONCE_SECONDS
        return False

    async def _mediate(
        self,
        arrival: _Arrival,
        build: Callable[[], BoundCall],
        progress: waiting.Progress,
        caller: waiting.Caller,
    ) -> Granted | Refusal | Withdrawn:
        waited = False
        for _ in range(ROUNDS):
            attempt = partial(self._attempt, arrival, build, waited, caller.waits)
            done = await self._offload(attempt)
            if caller.cancelled.is_set():
                # A permit that came too late is never used; its decision counts as having run.
                if isinstance(done, PendingRequest):
                    await self._offload(partial(self._desk.withdraw, done.id))
                return Withdrawn()
            match done:
                case Granted():
                    return done
                case Refusal():
                    return done
                case PendingRequest():
                    answer = await waiting.wait(
                        self._desk, done, progress, caller, self._poll_seconds
                    )
                    if answer is not None:
                        return answer
                    waited = True
        return waiting.not_approved("expired", "It was asked about too often.")

    def _attempt(
        self, arrival: _Arrival, build: Callable[[], BoundCall], waited: bool, waits: bool
    ) -> Granted | Refusal | PendingRequest:
        """Look, decide, and make it durable. In a thread."""
        for _ in range(TRIES):
            considered = self._consider(arrival, build, waited)
            bound, authority, looked, call, facts, decision = considered
            record = self._record(arrival, call, facts, decision, waited)
            match decision:
                case Allow():
                    intent = decision.intent
                    if looked is not None:
                        intent = intent._replace(spends=intent.spends + looked.spends)
                    permit = commit(intent, self._ledger, record)
                    if isinstance(permit, Permit):
                        standing = Standing(arrival.credential, facts, partial(self._look, arrival))
                        return Granted(permit, call, authority, standing, looked, arrival.presented)
                    if permit.code == "commit.lost_race":
                        continue
                    return self._refused_late(permit, arrival)
                case Ask():
                    self._ledger.append(record)
                    if not waits:
                        return Refusal.asked(decision)
                    asked = asking.request(
                        self._draw(8).hex(),
                        arrival.credential,
                        call,
                        facts,
                        decision,
                        self._ask_seconds,
                    )
                    self._desk.ask(asked)
                    return asked
                case Deny():
                    self._ledger.append(record)
                    if not bound.classified and decision.code == "level.never":
                        return UNCLASSIFIED
                    cells = facts.wall.bits | facts.tree.bits
                    named = located(decision, arrival.credential, call.operation, cells)
                    return Refusal.denied(named, arrival.credential)
        return self._refused_late(Deny(14, "commit.lost_race"), arrival)

    def _consider(
        self, arrival: _Arrival, build: Callable[[], BoundCall], waited: bool
    ) -> Considered:
        """Look at the world once, and decide."""
        bound = build()
        authority = self._authority(arrival.credential)
        if bound.within is not None:
            bound = bound.within(bound, authority)
        snapshot = self._look(arrival)
        looked = self._looked(arrival, snapshot, bound)
        call = bound.at(snapshot.wall.bits | snapshot.tree.bits, looked)
        facts = self._facts(arrival, snapshot, bound, looked)
        decision = (reconsider if waited else clear)(arrival.credential, call, facts)
        return Considered(bound, authority, looked, call, facts, decision)

    def consider(
        self, credential: VerifiedCredential, build: Callable[[], BoundCall]
    ) -> Considered:
        """What would become of a call of the holder of this credential now. Nothing is recorded,
        spent or asked. It blocks; raises NucleusError."""
        arrival = _Arrival(credential, Presented("", "held"), self._clock(), False)
        return self._consider(arrival, build, False)

    def _authority(self, credential: VerifiedCredential) -> Authority:
        """What the credential still permits, with everything that is owed under it here."""
        prefix = credential.prefix
        owed = prefix.opened.obligations | self.policy.verifier.obligations
        return prefix.authority._replace(obligations=prefix.authority.obligations | owed)

    def _look(self, arrival: _Arrival) -> Snapshot:
        wanted = gather.wanted(arrival.credential, self.wall)
        if self._flow is not None:
            more = self._flow.counters(arrival.credential)
            wanted = replace(wanted, counters=wanted.counters + more)
        snapshot = self._ledger.read(wanted)
        return replace(snapshot, nonce_seen=True) if arrival.replayed else snapshot

    def _looked(self, arrival: _Arrival, snapshot: Snapshot, bound: BoundCall) -> Looked | None:
        if self._flow is None:
            return None
        return self._flow.look(
            arrival.credential,
            bound,
            self.policy.tools.get(bound.tool),
            wall=self.wall,
            cells=snapshot.wall.bits | snapshot.tree.bits,
            spent=snapshot.spent,
            now=snapshot.now,
        )

    def _facts(
        self,
        arrival: _Arrival,
        snapshot: Snapshot,
        bound: BoundCall | None = None,
        looked: Looked | None = None,
    ) -> Facts:
        policy = self.policy.verifier
        if bound is not None and bound.obliged:
            policy = replace(policy, tool_obligations=policy.tool_obligations | {bound.tool})
        return gather.facts(
            self._verifier.keys,
            snapshot,
            arrived=arrival.at,
            instance=self.instance,
            channel=arrival.presented.channel,
            peer=arrival.presented.peer,
            policy=policy,
            evidence=frozenset() if looked is None else looked.evidence,
        )

    def _record(
        self,
        arrival: _Arrival,
        call: Call,
        facts: Facts,
        decision: Allow | Ask | Deny,
        waited: bool,
    ) -> Mapping[str, object]:
        record, reveal = decision_record(
            arrival.credential, call, facts, decision, salt=self._draw(16), waited=waited
        )
        self._reveals(reveal)
        return record

    def _refused_late(self, deny: Deny, arrival: _Arrival) -> Refusal:
        """What was allowed by facts that had changed when it was to become durable."""
        self._ledger.append(
            refusal_record(
                deny,
                at=arrival.at,
                channel=arrival.presented.channel,
                credential=arrival.credential,
            )
        )
        return Refusal.denied(deny)

    # Lists and outcomes -----------------------------------------------------------------------

    async def list_tools(self, presented: Presented, params: Any) -> frozenset[str] | Refusal:
        """The tools this credential may see; `params` are those of tools/list, without `_meta`."""
        try:
            arrival = await self._arrive(presented)
            if isinstance(arrival, Refusal):
                return arrival
            return await self._offload(partial(self._list, arrival, params))
        except NucleusError as error:
            return Refusal.failed(error)

    def _list(self, arrival: _Arrival, params: Any) -> frozenset[str] | Refusal:
        snapshot = self._look(arrival)
        facts = self._facts(arrival, snapshot)
        call = listing.as_call(params)
        decision = clear(arrival.credential, call, facts)
        if isinstance(decision, Deny) and decision.step < _AUTHORITY_STEP:
            self._ledger.append(self._record(arrival, call, facts, decision, False))
            return Refusal.denied(decision)
        shown = listing.visible(arrival.credential, self.policy.tools, snapshot)
        self._ledger.append(listing.record(arrival.credential, shown, facts.now))
        return shown

    async def entering(self, granted: Granted) -> None:
        """Before an effect whose answer passes piece by piece. Raises WorldError: do not run it."""
        flow, looked = self._flow, granted.looked
        if flow is not None and looked is not None:
            await self._offload(lambda: flow.entered(looked, now=self._clock()))

    async def saw(
        self, granted: Granted, value: Any, *, label: int | None = None
    ) -> dict[str, Any]:
        """Label a result, before it is released; what its `_meta` says of it. `label` is what the
        effect knows of it. Raises WorldError: withhold it."""
        flow, looked = self._flow, granted.looked
        if flow is None or looked is None:
            return {} if label is None else answers.labelled(label)
        now = self._clock()
        kept = await self._offload(lambda: flow.saw(looked, value, now=now, label=label))
        return {**answers.labelled(kept.label.label), answers.REFERENCE: kept.reference}

    async def outcome(self, permit: Permit, *, ok: bool, result: bytes) -> None:
        """Record what came of an effect; call it before the first byte of it is released."""
        salt = self._draw(16)
        digest = crypto.sha256(RESULT_DOMAIN + salt + result).hex()

        def work() -> None:
            self._ledger.append(
                {"decision": permit.seq, "ok": ok, "result": digest, "type": "outcome"}
            )
            self._reveals({"decision": permit.seq, "result": digest, "salt": salt.hex()})

        await self._offload(work)
