"""Values for the tests of state: intents, wants, requests and approvals with sensible fields."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import Any

from nucleus_issuer.ports import Issued
from nucleus_tokens import writing
from nucleus_verifier.decision import Intent, Spend
from nucleus_verifier.facts import Call, Cell
from nucleus_verifier.ports import PendingRequest, Wanted

# What `./dev soak` multiplies the number of random or repeated cases by.
SCALE = int(os.environ.get("NUCLEUS_SCALE", "1"))

NOW = 1_790_000_000
TID = "aa" * 16
RID0 = "00" * 16
RID = "11" * 16
WALL = Cell("wall:1", 1, 0)
TREE = Cell("tree:1", 1, 0)
APPROVER = b"\x05" * 32
RECORD: dict[str, object] = {"type": "decision", "verdict": "allow"}


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self, now: int = NOW) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def intent(*, raised: int = 0, **changes: Any) -> Intent:
    call = Call(
        tool="read_file",
        operation=0,
        args={},
        sink=0,
        resources={},
        selectors=(),
        records=raised,
        projects=raised,
        label=0,
    )
    base = Intent(
        call=call,
        tid=TID,
        rid=RID,
        rids=(RID0, RID),
        ancestors=(),
        nonce=None,
        spends=(),
        cells=(WALL, TREE),
        expires=NOW + 3600,
        discharged=(),
    )
    return base._replace(**changes)


def spend(amount: int, limit: int, unit: str = "calls", rid: str = RID0) -> Spend:
    return Spend(f"{rid}/{unit}", amount, limit)


def wanted(**changes: Any) -> Wanted:
    base = Wanted(
        rids=(RID0, RID),
        ancestors=(),
        counters=(f"{RID0}/calls",),
        nonce=None,
        tid=TID,
        rid=RID,
        wall=WALL.id,
        tree=TREE.id,
    )
    return replace(base, **changes)


def request(request_id: str = "r1", **changes: Any) -> PendingRequest:
    base = PendingRequest(
        id=request_id,
        created=NOW,
        expires=NOW + 600,
        tid=TID,
        rid=RID,
        cell=WALL.id,
        operation=9,
        tool="git_push",
        call_digest="cd" * 32,
        obligations=(("gate:exposure", "the three legs meet"), ("op:git_push", "asked for")),
        shown='{"args":{}}',
    )
    return replace(base, **changes)


def approval(n: int = 1, **changes: Any) -> bytes:
    body: dict[str, Any] = {
        "approver": "alice",
        "cell": WALL.id,
        "count": 1,
        "digest": "cd" * 32,
        "id": f"{n:032x}",
        "not_after": NOW + 300,
        "obligations": ["gate:exposure", "op:git_push"],
        "pattern": None,
        "rid": RID,
        "tid": TID,
        "v": 1,
    }
    return writing.approval({**body, **changes}, APPROVER)


def issued(tid: str = TID, rid0: str = RID0, **changes: Any) -> Issued:
    base = Issued(
        tid=tid,
        rid0=rid0,
        sub="agent",
        aud="proxy",
        iat=NOW,
        exp=NOW + 3600,
        holder=json.dumps({"bearer": True, "key": None, "spiffe": None}),
        header="{}",
    )
    return replace(base, **changes)
