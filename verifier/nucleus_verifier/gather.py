"""Law: the world is looked at once per decision, and what was seen becomes a value.

What to look up follows from the authenticated credential alone; what it means is not known here.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Literal

from nucleus_verifier.authenticate import VerifiedCredential
from nucleus_verifier.facts import Facts, Keys, Policy
from nucleus_verifier.ports import Snapshot, Wanted


def tree_cell(credential: VerifiedCredential) -> str:
    """The exposure cell of the whole delegation tree, which an exchanged token inherits."""
    prefix = credential.prefix
    ancestors = prefix.opened.header.ancestors
    return f"tree:{ancestors[0] if ancestors else prefix.opened.rid}"


def wanted(credential: VerifiedCredential, wall: str) -> Wanted:
    """What must be read before this credential can be judged behind the wall `wall`."""
    prefix = credential.prefix
    fields = prefix.opened.header
    return Wanted(
        rids=prefix.rids,
        ancestors=fields.ancestors,
        counters=tuple(c.id for c in prefix.authority.counters),
        nonce=None if credential.req is None else credential.req.nonce,
        tid=fields.tid,
        rid=prefix.rids[-1],
        wall=wall,
        tree=tree_cell(credential),
    )


def facts(
    keys: Keys,
    snapshot: Snapshot,
    *,
    arrived: int,
    instance: str,
    channel: Literal["held", "carried"],
    peer: str | None,
    policy: Policy,
    evidence: Set[str] = frozenset(),
) -> Facts:
    """The facts of one decision, from one snapshot. `arrived` is unix seconds."""
    return Facts(
        keys=keys,
        now=snapshot.now,
        arrived=arrived,
        instance=instance,
        channel=channel,
        peer=peer,
        clock_ok=snapshot.clock_ok,
        lease_ok=snapshot.lease_ok,
        nonce_seen=snapshot.nonce_seen,
        revoked=snapshot.revoked,
        spent=snapshot.spent,
        wall=snapshot.wall,
        tree=snapshot.tree,
        approvals=snapshot.approvals,
        evidence=evidence,
        policy=policy,
    )
