"""Random ladders of tokens: each rung is the one before it with one restriction more.

The first rungs differ in the header (what an Exchange carries over, obligations, an account), the
rest by appended caveats. Every rung is authenticated once, and comes with its meaning in words.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final

from nucleus_tokens import canonical
from nucleus_tokens.chain import UnverifiedToken
from nucleus_verifier.authenticate import VerifiedCredential
from nucleus_verifier.facts import Call, Cell, Facts, Policy
from tests.support import world
from tests.support.calls import KINDS, UNITS, random_call, random_caveat, varied
from tests.support.reference import Approval, Said, Verdict, conclude
from tests.support.reference_caveats import Objections, against
from tests.support.world import NOW

ROOT: Final = world.secret("root")
TID: Final = world.hex16("tid")
HOPS: Final = ("first", "second hop", "third", "person")


@dataclass(frozen=True)
class Rung:
    """One token of a ladder. `added` is the kind of what the rung above does not have."""

    added: str
    token: UnverifiedToken
    verified: VerifiedCredential
    said: Said
    holder: str
    parts: tuple[tuple[str, str, list[Any]], ...]  # all of it: (a key, its rid, the caveat)


@dataclass(frozen=True)
class Ladder:
    """From the widest token to the narrowest, and the calls it was made for."""

    rungs: tuple[Rung, ...]
    homes: tuple[Call, ...]


def rids(token: UnverifiedToken, root_key: bytes = ROOT) -> tuple[str, ...]:
    """Every revocation id of a token, from its root key, with the standard library alone."""

    def mac(key: bytes, message: bytes) -> bytes:
        return hmac.digest(key, message, "sha256")

    tags = [mac(mac(b"macaroons-key-generator".ljust(32, b"\0"), root_key), token.identifier)]
    for caveat in token.caveats:
        tags.append(mac(tags[-1], caveat))
    return tuple(
        hashlib.sha256(b"rid" + mac(tag, b"nucleus/revoke/v1")).digest()[:16].hex() for tag in tags
    )


def random_ladder(r: Random, steps: int | None = None) -> Ladder:
    """A ladder of up to 13 rungs: at most 3 header steps and `steps` caveats."""
    homes = tuple(random_call(r) for _ in range(2))
    home = homes[0]
    ceil = [random_caveat(r, "only", home)]
    if r.random() < 0.7:
        ceil = [world.all_levels(r.choice(("low_risk", "always", "always")))]
    ceil += [
        random_caveat(r, r.choice(("path", "host", "ref", "arg", "budget", "cap")), home)
        for _ in range(r.choice((0, 0, 1, 2)))
    ]
    header: dict[str, Any] = {
        "iat": NOW - r.choice((60, 60, 60, 60, 600, 600, -60, -60, -61)),
        "exp": NOW + r.choice((3600, 3600, 3600, 650)),
        "ceil": ceil,
        "narrowed": [],
        "obligations": [],
        "account": None,
        "ancestors": [],
    }
    rungs = [_mint(header, "ceil")]
    for added in ("narrowed", "obligations", "account"):
        if r.random() < 0.3:
            header = {**header, added: _header_part(r, added, home)}
            header["ancestors"] = [(rung.said.rids[0], world.public("agent")) for rung in rungs]
            rungs.append(_mint(header, added))
    depth = 4
    # Few kinds per ladder, so that caveats of one kind meet each other.
    kinds = r.sample(KINDS, r.randint(1, 5))
    for _ in range(r.choice((1, 2, 3, 4, 6, 9)) if steps is None else steps):
        kind = r.choice(kinds)
        last = rungs[-1]
        holder = last.holder
        if kind == "delegate":
            if depth == 0:
                continue
            depth, holder = depth - 1, r.choice(HOPS)
            token = world.hand(last.token, last.holder, holder, depth=depth)
        else:
            token = world.narrow(last.token, random_caveat(r, kind, r.choice(homes)))
        rungs.append(_rung(kind, token, last.said.header, holder, last.said.holders))
    return Ladder(tuple(rungs), homes)


def _header_part(r: Random, name: str, home: Call) -> Any:
    if name == "narrowed":
        kinds = [k for k in KINDS if k != "delegate"]
        return [(r.randbytes(16).hex(), random_caveat(r, r.choice(kinds), home)) for _ in range(2)]
    if name == "obligations":
        return random_caveat(r, "approve", home)[1]
    return ("team", {r.choice(UNITS): r.choice((0, 5, 100, 100))})


def _mint(header: dict[str, Any], added: str) -> Rung:
    rest = {k: header[k] for k in ("narrowed", "obligations", "account", "ancestors")}
    token = world.mint(*header["ceil"], iat=header["iat"], exp=header["exp"], **rest)
    return _rung(added, token, {**header, "tid": TID}, "agent", ())


def _rung(
    added: str,
    token: UnverifiedToken,
    header: dict[str, Any],
    holder: str,
    before: tuple[bytes, ...],
) -> Rung:
    said = Said(
        header,
        (*before, world.public(holder)),
        tuple(canonical.decode(raw) for raw in token.caveats),
        rids(token),
    )
    parts = [(said.rids[0], ["exp", header["exp"]]), *((said.root, c) for c in header["ceil"])]
    parts += [*header["narrowed"], *zip(said.rids[1:], said.caveats, strict=True)]
    keyed = tuple((f"{own} {caveat}", own, caveat) for own, caveat in parts)
    return Rung(added, token, world.opened(token), said, holder, keyed)


# Facts ----------------------------------------------------------------------------------------


def random_facts(r: Random, ladder: Ladder, call: Call) -> Facts:
    """Facts for one call that hold for every rung: the law compares rungs under the same facts."""
    bits = [r.choice((0, 0, 0, 1, 1, 2, 3, 4, 7)) for _ in range(2)]
    every_rid = [rid for rung in ladder.rungs for rid in rung.said.rids]
    return Facts(
        keys=world.KEYS,
        now=NOW + (r.choice((-60, 1, 700)) if r.random() < 0.1 else 0),
        arrived=NOW,
        instance=world.INSTANCE,
        channel="held",
        peer=None,
        clock_ok=r.random() > 0.005,
        lease_ok=r.random() > 0.005,
        nonce_seen=False,
        revoked=frozenset((r.choice(every_rid),)) if r.random() < 0.03 else frozenset(),
        spent=random_spent(r, ladder),
        wall=Cell(world.WALL, 0, bits[0]),
        tree=Cell("tree:test", 0, bits[1]),
        evidence=frozenset(s.pointer for s in call.selectors if r.random() < 0.7),
        policy=random_policy(r, call),
    )


def random_spent(r: Random, ladder: Ladder) -> dict[str, int]:
    """What was spent, the same on every rung for the same budget."""
    spent: dict[str, int] = {}
    used = [r.choice((0, 0, 0, 0, 0, 0, 1, 1, 4, 49, -1)) for _ in range(16)]
    for rung in ladder.rungs:
        header = rung.said.header
        parts = [(rung.said.root, c) for c in header["ceil"]] + list(header["narrowed"])
        parts += zip(rung.said.rids[1:], rung.said.caveats, strict=True)
        for number, (rid, caveat) in enumerate(parts):
            if caveat[0] == "budget":
                spent.setdefault(f"{rid}/{caveat[1]}", used[number % 16])
        if header["account"] is not None:
            spent |= dict.fromkeys((f"account:team/{u}" for u in header["account"][1]), used[-1])
    if spent and r.random() < 0.02:
        del spent[r.choice(list(spent))]  # not sorted: names follow from seals
    return spent


def random_policy(r: Random, call: Call) -> Policy:
    return Policy(
        gate=r.choice(("ask", "ask", "evidence")),
        obligations=r.choice((0, 0, 0, 1 << r.randrange(13))),
        tool_obligations=frozenset((call.tool,)) if r.random() < 0.04 else frozenset(),
        quorum={call.operation: 2} if r.random() < 0.1 else {},
    )


# Approvals ------------------------------------------------------------------------------------


def approve_each(
    r: Random, ladder: Ladder, call: Call, obligations: list[str], voices: int
) -> dict[int, tuple[list[bytes], list[Approval]]]:
    """For every rung the same obligations, by as many people, bound to that rung's own rid."""
    pattern: list[list[Any]] | None = r.choice((None, [["tool", "in", [call.tool]]]))
    flaw: dict[str, Any] = {}
    if r.random() < 0.15:
        flaw = r.choice(({"cell": "wall:other"}, {"not_after": NOW}, {"tid": "00" * 16}))
    signer = "stranger" if r.random() < 0.05 else None
    people = r.sample(("person", "second"), 2)[:voices]
    one_id = r.random() < 0.1
    made: dict[int, tuple[list[bytes], list[Approval]]] = {}
    for index, rung in enumerate(ladder.rungs):
        data, said = [], []
        for person in people:
            body = {
                "approver": person,
                "cell": world.WALL,
                "count": 1,
                "digest": call.digest.hex() if pattern is None else None,
                "id": world.hex16(f"{'both' if one_id else person} {index}"),
                "not_after": NOW + 900,
                "obligations": sorted(obligations),
                "pattern": pattern,
                "rid": rung.said.rids[-1],
                "tid": TID,
                "v": 1,
                **flaw,
            }
            data.append(world.signed(body, signer or person))
            said.append(Approval(body, world.public(signer or person)))
        made[index] = data, said
    return made


def with_approvals(facts: Facts, data: list[bytes], said: list[Approval]) -> Facts:
    uses = {f"approval:{a.body['id']}/uses": 0 for a in said}
    return replace(facts, approvals=tuple(data), spent={**facts.spent, **uses})


# Meaning --------------------------------------------------------------------------------------


class Meaning:
    """The reference's verdicts on one call for every rung; each caveat is asked once."""

    def __init__(self, call: Call, facts: Facts) -> None:
        self.call, self.facts = call, facts
        self._heard: dict[str, Objections] = {}

    def of(self, rung: Rung, facts: Facts, approvals: list[Approval]) -> Verdict:
        """As `reference.judge`, with what was already heard."""
        heard = []
        for key, rid, caveat in rung.parts:
            if key not in self._heard:
                self._heard[key] = against(caveat, rid, self.call, self.facts)
            heard.append(self._heard[key])
        return conclude(rung.said, heard, self.call, facts, approvals)


__all__ = ["Ladder", "Meaning", "Rung", "random_ladder", "varied"]
