"""Law: the world is looked at once per decision, and everything a decision was made from is kept.

Between what arrived and what is to become durable: read the ledger, ask the flow what it knows,
and let the kernel decide. It blocks, in a thread, and changes nothing but the reveals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from nucleus_proxy.answers import Presented
from nucleus_proxy.binding import BoundCall
from nucleus_proxy.flow import Flow, Looked
from nucleus_proxy.policy import PolicyFile
from nucleus_tokens.authority import Authority
from nucleus_verifier import gather
from nucleus_verifier.authenticate import VerifiedCredential
from nucleus_verifier.clear import clear, reconsider
from nucleus_verifier.decision import Allow, Ask, Deny
from nucleus_verifier.facts import Call, Facts, Keys
from nucleus_verifier.ports import Ledger, Snapshot
from nucleus_verifier.record import decision_record

Reveals = Callable[[Mapping[str, object]], None]


class Considered(NamedTuple):
    """A decision, and what it was made from."""

    bound: BoundCall
    authority: Authority
    looked: Looked | None
    call: Call
    facts: Facts
    decision: Allow | Ask | Deny


@dataclass(frozen=True, slots=True)
class Arrival:
    """A credential that was authenticated, and when and how it came."""

    credential: VerifiedCredential
    presented: Presented
    at: int
    replayed: bool


class Judge:
    """Makes the decisions of one verifier instance, `instance`, behind one wall, whose cell is
    `wall`; `ledger` and `policy` are the only ones it and its mediator go by."""

    def __init__(
        self,
        *,
        keys: Callable[[], Keys],
        ledger: Ledger,
        policy: PolicyFile,
        instance: str,
        wall: str,
        flow: Flow | None,
        reveals: Reveals,
    ) -> None:
        self._keys = keys
        self.ledger = ledger
        self.policy = policy
        self.instance = instance
        self.wall = wall
        self._flow = flow
        self._reveals = reveals

    def consider(
        self, arrival: Arrival, build: Callable[[], BoundCall], waited: bool
    ) -> Considered:
        """Look at the world once, and decide."""
        bound = build()
        authority = self.authority(arrival.credential)
        if bound.within is not None:
            bound = bound.within(bound, authority)
        snapshot = self.look(arrival)
        looked = self._looked(arrival, snapshot, bound)
        call = bound.at(snapshot.wall.bits | snapshot.tree.bits, looked)
        facts = self.facts(arrival, snapshot, bound, looked)
        decision = (reconsider if waited else clear)(arrival.credential, call, facts)
        return Considered(bound, authority, looked, call, facts, decision)

    def authority(self, credential: VerifiedCredential) -> Authority:
        """What the credential still permits, with everything that is owed under it here."""
        prefix = credential.prefix
        owed = prefix.opened.obligations | self.policy.verifier.obligations
        return prefix.authority._replace(obligations=prefix.authority.obligations | owed)

    def look(self, arrival: Arrival) -> Snapshot:
        wanted = gather.wanted(arrival.credential, self.wall)
        if self._flow is not None:
            more = self._flow.counters(arrival.credential)
            wanted = replace(wanted, counters=wanted.counters + more)
        snapshot = self.ledger.read(wanted)
        return replace(snapshot, nonce_seen=True) if arrival.replayed else snapshot

    def _looked(self, arrival: Arrival, snapshot: Snapshot, bound: BoundCall) -> Looked | None:
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

    def facts(
        self,
        arrival: Arrival,
        snapshot: Snapshot,
        bound: BoundCall | None = None,
        looked: Looked | None = None,
    ) -> Facts:
        policy = self.policy.verifier
        if bound is not None and bound.obliged:
            policy = replace(policy, tool_obligations=policy.tool_obligations | {bound.tool})
        return gather.facts(
            self._keys(),
            snapshot,
            arrived=arrival.at,
            instance=self.instance,
            channel=arrival.presented.channel,
            peer=arrival.presented.peer,
            policy=policy,
            evidence=frozenset() if looked is None else looked.evidence,
        )

    def record(
        self,
        arrival: Arrival,
        call: Call,
        facts: Facts,
        decision: Allow | Ask | Deny,
        waited: bool,
        salt: bytes,
    ) -> Mapping[str, object]:
        """The record of a decision, once its reveal is kept; `salt` is 16 random bytes."""
        record, reveal = decision_record(
            arrival.credential, call, facts, decision, salt=salt, waited=waited
        )
        self._reveals(reveal)
        return record
