"""Law: no effect without a permit, no permit without a durable record, no record without a token.

The loop around the kernel: authenticate, look at the world once, decide, and make the decision
durable. An Allow becomes a permit in the ledger's one transaction; a lost race is decided again
with fresh facts. An Ask waits at the desk and holds nothing meanwhile; approved, it is decided
again and goes through once. Where the ledger fails nothing runs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final

from nucleus_proxy import answers, fieldlabels, listing, waiting
from nucleus_proxy.answers import UNCLASSIFIED, Granted, Presented, Refusal, Standing, Withdrawn
from nucleus_proxy.binding import BoundCall
from nucleus_proxy.content import Content, Template
from nucleus_proxy.fieldlabels import Parts
from nucleus_proxy.flow import Flow, Kept
from nucleus_proxy.judge import Arrival, Considered, Judge, Reveals
from nucleus_proxy.methods import LABELS, REFERENCE
from nucleus_proxy.offering import Offering
from nucleus_proxy.offload import Offload, in_thread
from nucleus_proxy.pinning import Pins
from nucleus_proxy.policy import NO_WALL, PolicyFile
from nucleus_tokens import crypto, exposure, names
from nucleus_tokens.authority import Authority
from nucleus_tokens.errors import NucleusError
from nucleus_verifier import asking
from nucleus_verifier.authenticate import VerifiedCredential
from nucleus_verifier.caching import CachingVerifier
from nucleus_verifier.clear import NONCE_SECONDS, clear
from nucleus_verifier.commit import Permit, commit
from nucleus_verifier.decision import Allow, Ask, Deny, Spend
from nucleus_verifier.hints import located
from nucleus_verifier.ports import Clock, Desk, Ledger, PendingRequest
from nucleus_verifier.record import refusal_record

TRIES: Final = 16  # races lost in a row before the caller is told to come again
ROUNDS: Final = 8  # times a call may be asked about anew while it waits
RESULT_DOMAIN: Final = b"nucleus/result/v1\0"
# The first step that judges more than who came and when: below it a list is refused.
_AUTHORITY_STEP: Final = 8


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
        pins: Pins | None = None,
    ) -> None:
        """`instance` is this verifier's name for itself, `run` the name of what a person started;
        without a wall the run has the cell. `draw(n)` gives n random bytes. `ledger` and `desk`
        are called from several threads. `reveals` keeps what the trace only digests. `offload`
        keeps blocking work off the event loop; where one client is served, `inline` is faster.
        `flow` knows labels and evidence; without it only the issuer's word vouches, and every
        value is as tainted as its session. `pins` keeps the accepted definitions of servers' tools;
        without it none is withheld.
        """
        self.pins = pins
        self.contents = Content(
            tuple((Template.of(text), bound) for text, bound in policy.resources.items()),
            policy.prompts,
        )
        self._verifier = verifier
        self._desk = desk
        wall = policy.wall
        self._starts_at = NO_WALL if wall is None else wall.shows
        self._clock = clock
        self._draw = draw
        self._ask_seconds = ask_seconds
        self._poll_seconds = poll_seconds
        self.offload = offload
        self._flow = flow
        self.judge = Judge(
            keys=lambda: verifier.keys,
            ledger=ledger,
            policy=policy,
            instance=instance,
            wall=f"run:{run}" if wall is None else f"wall:{wall.id}",
            flow=flow,
            reveals=reveals,
        )
        self._raised_for: set[str] = set()
        self._waiting: set[str] = set()  # requests that a call of ours waits for
        self._desk_lock = threading.Lock()
        self._nonces: dict[tuple[str, str], int] = {}

    @property
    def audience(self) -> str:
        return self._verifier.keys.audience

    @property
    def policy(self) -> PolicyFile:
        return self.judge.policy

    @property
    def instance(self) -> str:
        return self.judge.instance

    @property
    def wall(self) -> str:
        """The id of the wall's exposure cell."""
        return self.judge.wall

    def open(self) -> None:
        """Open the wall's cell. Call once before anything is mediated; raises WorldError."""
        self.judge.ledger.open_cell(self.wall, self._starts_at)

    async def raise_wall(self, method: str) -> None:
        """Before content passes by a road that policy opened: nobody knows what it is."""
        if method in self._raised_for:
            return

        def work() -> None:
            self.judge.ledger.open_cell(
                self.wall, exposure.PRIVATE_DATA | exposure.UNTRUSTED_CONTENT
            )
            self.judge.ledger.append({"cell": self.wall, "method": method, "type": "opened"})

        await self.offload(work)
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
        return None if isinstance(found, Deny) else self.judge.authority(found)

    async def _arrive(self, presented: Presented) -> Arrival | Refusal:
        at = self._clock()
        credential = self._verifier.authenticate(presented.text)
        if isinstance(credential, Deny):
            record = refusal_record(credential, at=at, channel=presented.channel)
            await self.offload(partial(self.judge.ledger.append, record))
            return Refusal.denied(credential)
        return Arrival(credential, presented, at, self._seen(credential, at))

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
        arrival: Arrival,
        build: Callable[[], BoundCall],
        progress: waiting.Progress,
        caller: waiting.Caller,
    ) -> Granted | Refusal | Withdrawn:
        waited = False
        for _ in range(ROUNDS):
            attempt = partial(self._attempt, arrival, build, waited, caller.waits)
            done = await self.offload(attempt)
            if caller.cancelled.is_set():
                # A permit that came too late is never used; its decision counts as having run.
                if isinstance(done, PendingRequest):
                    await self.offload(partial(self._desk.withdraw, done.id))
                    self._waiting.discard(done.id)
                return Withdrawn()
            match done:
                case Granted():
                    return done
                case Refusal():
                    return done
                case PendingRequest():
                    try:
                        answer = await waiting.wait(
                            self._desk, done, progress, caller, self._poll_seconds
                        )
                    finally:
                        self._waiting.discard(done.id)
                    if answer is not None:
                        return answer
                    waited = True
        return waiting.not_approved("expired", "It was asked about too often.")

    def _attempt(
        self, arrival: Arrival, build: Callable[[], BoundCall], waited: bool, waits: bool
    ) -> Granted | Refusal | PendingRequest:
        """Look, decide, and make it durable. In a thread."""
        refused: tuple[Spend, ...] = ()
        for _ in range(TRIES):
            considered = self.judge.consider(arrival, build, waited)
            bound, authority, looked, call, facts, decision = considered
            salt = self._draw(16)
            record = self.judge.record(arrival, call, facts, decision, waited, salt)
            match decision:
                case Allow():
                    intent = decision.intent
                    if looked is not None:
                        intent = intent._replace(spends=intent.spends + looked.spends)
                    permit = commit(intent, self.judge.ledger, record)
                    if isinstance(permit, Permit):
                        standing = Standing(
                            arrival.credential, facts, partial(self.judge.look, arrival)
                        )
                        return Granted(
                            permit, call, authority, standing, salt,
                            looked, arrival.presented, bound,
                        )  # fmt: skip
                    # Another call was first: at a cell, or at an approval that has a twin.
                    spent = permit.code == "budget.exhausted" and intent.spends != refused
                    if permit.code == "commit.lost_race" or spent:
                        refused = intent.spends
                        continue
                    return self._refused_late(permit, arrival)
                case Ask():
                    self.judge.ledger.append(record)
                    if not waits:
                        return Refusal.asked(decision, arrival.credential)
                    return self._asked(arrival, considered, decision)
                case Deny():
                    self.judge.ledger.append(record)
                    if not bound.classified and decision.code == "level.never":
                        return UNCLASSIFIED
                    cells = facts.wall.bits | facts.tree.bits
                    named = located(decision, arrival.credential, call.operation, cells)
                    return Refusal.denied(named, arrival.credential)
        return self._refused_late(Deny(14, "commit.lost_race"), arrival)

    def _asked(self, arrival: Arrival, considered: Considered, ask: Ask) -> PendingRequest:
        """Put it on the desk, or take the place of a proxy that ended while it waited there."""
        bound, _, looked, call, facts, _ = considered
        preview, flow = bound.preview, self._flow
        asked = asking.request(
            self._draw(8).hex(),
            arrival.credential,
            replace(call, records=call.records | bound.later),
            facts,
            ask,
            self._ask_seconds,
            legs=self._desk.legs((facts.wall.id, facts.tree.id)),
            diff="" if preview is None else preview(bound),
            origins=() if flow is None or looked is None else flow.origins(looked, ask),
        )
        with self._desk_lock:
            waits = self._desk.ask(asked, apart=self._waiting)
            self._waiting.add(waits.id)
        return waits

    def consider(
        self, credential: VerifiedCredential, build: Callable[[], BoundCall]
    ) -> Considered:
        """What would become of a call of the holder of this credential now. Nothing is recorded,
        spent or asked. It blocks; raises NucleusError."""
        arrival = Arrival(credential, Presented("", "held"), self._clock(), False)
        return self.judge.consider(arrival, build, False)

    def _refused_late(self, deny: Deny, arrival: Arrival) -> Refusal:
        """What was allowed by facts that had changed when it was to become durable."""
        self.judge.ledger.append(
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
            return await self.offload(partial(self._list, arrival, params))
        except NucleusError as error:
            return Refusal.failed(error)

    def _list(self, arrival: Arrival, params: Any) -> frozenset[str] | Refusal:
        snapshot = self.judge.look(arrival)
        facts = self.judge.facts(arrival, snapshot)
        call = listing.as_call(params)
        decision = clear(arrival.credential, call, facts)
        if isinstance(decision, Deny) and decision.step < _AUTHORITY_STEP:
            salt = self._draw(16)
            self.judge.ledger.append(self.judge.record(arrival, call, facts, decision, False, salt))
            return Refusal.denied(decision)
        shown = listing.visible(arrival.credential, self.policy.tools, snapshot)
        self.judge.ledger.append(listing.record(arrival.credential, shown, facts.now))
        return shown

    async def offering(self, presented: Presented) -> Offering | None:
        """What a credential may be shown of what can be read; None for none. Raises WorldError."""
        credential = self._verifier.authenticate(presented.text)
        if isinstance(credential, Deny):
            return None
        arrival = Arrival(credential, presented, self._clock(), False)
        snapshot = await self.offload(partial(self.judge.look, arrival))
        return Offering(credential, snapshot, self.contents)

    async def entering(self, granted: Granted) -> None:
        """Before a piece of an answer passes that nobody will look at as a whole: the session has
        seen the worst that this call can bring. Raises WorldError: let nothing pass."""

        def work() -> None:
            self._brought(granted, fieldlabels.UNKNOWN)
            if self._flow is not None and granted.looked is not None:
                self._flow.entered(granted.looked, now=self._clock())

        await self.offload(work)

    async def saw(
        self, granted: Granted, value: Any, *, label: int | None = None, parts: Parts | None = None
    ) -> dict[str, Any]:
        """Label a result, before it is released; what its `_meta` says of it. `label` is what the
        effect knows of it, `parts` what it is made of. Raises WorldError: withhold it."""
        found = fieldlabels.UNKNOWN if parts is None else parts

        def work() -> Kept | None:
            self._brought(granted, found)
            flow, looked = self._flow, granted.looked
            if flow is None or looked is None:
                return None
            now, seq = self._clock(), granted.permit.seq
            return flow.saw(looked, value, now=now, label=label, parts=found, seq=seq)

        kept = await self.offload(work)
        if kept is None:
            return {} if label is None else answers.labelled(label)
        said = {**answers.labelled(kept.label.label), REFERENCE: kept.reference}
        if kept.fields:
            said[LABELS] = {at: answers.label(each) for at, each in kept.fields.items()}
        return said

    def _brought(self, granted: Granted, parts: Parts) -> None:
        """Raise both cells by what a result shows, where its call did not raise them yet. First the
        cells: a record in between that knew less of them would look like a lie. In a thread."""
        bound, intent = granted.bound, granted.permit.intent
        brings = parts.adds(0 if bound is None else bound.later)
        if all(brings & ~(cell.bits | intent.call.records) == 0 for cell in intent.cells):
            return
        seq, tool = granted.permit.seq, intent.call.tool
        for cell in intent.cells:
            self.judge.ledger.open_cell(cell.id, brings, (seq, tool))
        adds = list(names.exposure_names(brings))
        self.judge.ledger.append({"adds": adds, "decision": seq, "type": "seen"})

    async def outcome(self, granted: Granted, *, ok: bool, result: bytes, cut: str = "") -> None:
        """Record what came of an effect; call it before the first byte of it is released. `cut`
        is the code of what ended it before its time. The digest of `result` has the salt of the
        call's reveal: who holds that and a result can tell whether it is the one."""
        digest = crypto.sha256(RESULT_DOMAIN + granted.salt + result).hex()
        seq = granted.permit.seq
        record = {"decision": seq, "ok": ok, "result": digest, "type": "outcome"}
        if cut:
            record["cut"] = cut
        await self.offload(partial(self.judge.ledger.append, record))
