"""Law: whatever the order in which processes and threads run, nothing is spent twice, no cell
falls, nothing is decided on a state that has passed, and nothing is allowed after it was revoked.

Each scenario is a few workers over one state file, and what must be true when they are done. The
BROKEN ones have one guard taken out; exploring them must find a schedule that breaks the law.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from nucleus_issuer.ports import Link
from nucleus_issuer.store import Store
from nucleus_verifier.decision import Deny, Intent, Spend
from nucleus_verifier.facts import Call, Cell
from nucleus_verifier.ports import Wanted
from proofs.schedules.scheduler import Baton
from proofs.schedules.stepped import NOW, Shared, Stage, SteppedDatabase, Unlocked
from proofs.schedules.stepped_postgres import SteppedPostgres

TID, RID0, RID = "aa" * 16, "00" * 16, "11" * 16
WALL, TREE = Cell("wall:1", 1, 0), Cell("tree:1", 1, 0)
Work = Callable[[Store], object]
Results = Mapping[str, object]
# Runs the workers over stores and says what is wrong, or nothing.
Judge = Callable[[Store, Results, Sequence[str]], str]


def intent(raised: int = 0, **changes: Any) -> Intent:
    """A decision to make durable."""
    call = Call(
        tool="t", operation=0, args={}, sink=0, resources={}, selectors=(), records=raised,
        projects=raised, label=0,
    )  # fmt: skip
    base = Intent(
        call=call, tid=TID, rid=RID, rids=(RID0, RID), ancestors=(), nonce=None, spends=(),
        cells=(WALL, TREE), expires=NOW + 3600, discharged=(),
    )  # fmt: skip
    return base._replace(**changes)


def record(who: str) -> dict[str, object]:
    return {"type": "decision", "who": who}


def wanted(nonce: str | None = None) -> Wanted:
    return Wanted(
        rids=(RID0, RID), ancestors=(), counters=(f"{RID0}/calls",), nonce=nonce, tid=TID, rid=RID,
        wall=WALL.id, tree=TREE.id,
    )  # fmt: skip


@dataclass(frozen=True)
class Scenario:
    """Workers by name; `together` puts them all into one process; `every` is as in `stepped`."""

    name: str
    law: str
    work: Mapping[str, Work]
    judge: Judge
    every: bool = True
    together: bool = False
    kind: type[Store] = Store
    database: type[SteppedDatabase | SteppedPostgres] = SteppedDatabase
    broken: str = ""
    cells: tuple[str, ...] = (WALL.id, TREE.id)
    links: tuple[Link, ...] = (Link(RID0, TID, None, "agent"), Link(RID, TID, RID0, ""))
    most: int = 20_000
    small: int = 1_000
    drawn: bool = False  # where there are more than `most`

    def run(self, stage: Stage, baton: Baton) -> str:
        """One schedule over a fresh state; what it broke."""
        shared = Shared(baton, self.every)
        with stage() as door, ExitStack() as stack:
            begin = stack.enter_context(door(shared, Store))
            for cell in self.cells:
                begin.open_cell(cell, 0)
            begin.note_links(list(self.links))

            def fresh() -> Store:
                return stack.enter_context(door(shared, self.kind))

            one = fresh() if self.together else None
            stores = {name: one or fresh() for name in self.work}
            results = baton.run(
                {name: partial(work, stores[name]) for name, work in self.work.items()}
            )
            failed = {n: r for n, r in results.items() if isinstance(r, Exception)}
            if failed:
                return f"a worker failed: {failed}"
            return self.judge(begin, results, baton.log)


def allowed(results: Results) -> list[str]:
    """Whose commits went through."""
    return [name for name, result in results.items() if type(result) is int]


# 1. Spending --------------------------------------------------------------------------------------


def spends(amount: int, limit: int, counter: str = f"{RID0}/calls", **more: Any) -> Work:
    def work(store: Store) -> object:
        change = intent(spends=(Spend(counter, amount, limit),), **more)
        return store.commit(change, record("x"))

    return work


def never_overspent(amounts: Mapping[str, int], limit: int) -> Judge:
    def judge(store: Store, results: Results, log: Sequence[str]) -> str:
        sum_ = sum(amounts[name] for name in allowed(results))
        stands = store.read(wanted()).spent[f"{RID0}/calls"]
        if sum_ > limit or stands != sum_:
            return f"{sum_} was let through of {limit}, and {stands} recorded: {dict(results)}"
        refused = [n for n in results if n not in allowed(results)]
        if any(sum_ + amounts[n] <= limit for n in refused):
            return f"refused although it fits: {dict(results)}"
        return ""

    return judge


def once(what: str) -> Judge:
    def judge(store: Store, results: Results, log: Sequence[str]) -> str:
        winners = allowed(results)
        return "" if len(winners) == 1 else f"{what} served {winners}"

    return judge


def nonce(store: Store) -> object:
    return store.commit(intent(nonce=("n", NOW + 120)), record("x"))


APPROVAL: Final = "approval:77/uses"


# 2. Exposure --------------------------------------------------------------------------------------


def sees(bits: int) -> Work:
    """A call that reads the cells, decides on them, and leaves these bits behind."""

    def work(store: Store) -> object:
        seen = store.read(wanted())
        change = intent(raised=bits, cells=(seen.wall, seen.tree))
        done = store.commit(change, {"type": "decision", "saw": seen.wall.bits, "adds": bits})
        return done

    return work


def cells_only_rise(store: Store, results: Results, log: Sequence[str]) -> str:
    """Every decision saw what all decisions before it left behind, and nothing is forgotten."""
    bits = 0
    for _, line in store.trace_lines():
        entry = json.loads(line)["record"]
        if entry["saw"] != bits:
            return f"a decision saw {entry['saw']} when {bits} was seen already"
        bits |= entry["adds"]
    after = store.read(wanted())
    if (after.wall.bits, after.tree.bits) != (bits, bits):
        return f"the cells stand at {after.wall.bits} and {after.tree.bits}, not at {bits}"
    return "" if allowed(results) else "nobody went through"


# 3. Revocation ------------------------------------------------------------------------------------


def revokes(store: Store) -> object:
    return store.revoke(RID0, by="person", reason="")


def reads_and_commits(store: Store) -> object:
    seen = store.read(wanted())
    if seen.revoked:
        return Deny(6, "token.revoked")
    return store.commit(intent(cells=(seen.wall, seen.tree)), record("agent"))


def nothing_after_revocation(store: Store, results: Results, log: Sequence[str]) -> str:
    """No decision was made durable after the revocation was."""
    ends = [line for line in log if line.endswith(": COMMIT")]
    who = [line.partition(":")[0] for line in ends]
    if not allowed(results):
        return ""
    last = max(i for i, name in enumerate(who) if name in allowed(results))
    return "allowed after the revocation was durable" if "revoker" in who[:last] else ""


# 4. Broken on purpose -----------------------------------------------------------------------------


class CheckedOutside(Store):
    """BROKEN on purpose: budgets are compared with what a transaction before this one saw."""

    def commit(self, intent: Intent, record: Mapping[str, object]) -> Deny | int:
        before = self.read(wanted()).spent
        for s in intent.spends:
            if before[s.counter] + s.amount > s.limit:
                return Deny(11, "budget.exhausted")
        free = tuple(s._replace(limit=10**9) for s in intent.spends)
        return super().commit(intent._replace(spends=free), record)


class AskedOnce(Store):
    """BROKEN on purpose: commit does not ask again whether the token was revoked."""

    def commit(self, intent: Intent, record: Mapping[str, object]) -> Deny | int:
        return super().commit(intent._replace(rids=("ff" * 16,), ancestors=()), record)


class NoVersions(Store):
    """BROKEN on purpose: commit takes the cells as they stand, whatever was decided on."""

    def commit(self, intent: Intent, record: Mapping[str, object]) -> Deny | int:
        seen = self.read(wanted())
        return super().commit(intent._replace(cells=(seen.wall, seen.tree)), record)


class NonceOutside(Store):
    """BROKEN on purpose: a nonce is looked up before the transaction and kept after it."""

    def commit(self, intent: Intent, record: Mapping[str, object]) -> Deny | int:
        if intent.nonce is not None and self.read(wanted(intent.nonce[0])).nonce_seen:
            return Deny(5, "request.replayed")
        done = super().commit(intent._replace(nonce=None), record)
        values = (intent.rid, *(intent.nonce or ("", 0)))
        sql = "INSERT INTO nonces (rid, nonce, until) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
        self._database.write(lambda c: c.execute(sql, values))
        return done


TWO: Final = {"first": 2, "second": 2}
THREE: Final = {"first": 1, "second": 1, "third": 1}
BUDGET: Final = Scenario(
    "budget, two processes",
    "no double spend",
    {name: spends(n, 3) for name, n in TWO.items()},
    never_overspent(TWO, 3),
)
NONCE: Final = Scenario(
    "nonce, two processes", "no nonce twice", {"first": nonce, "second": nonce}, once("the nonce")
)
CELLS: Final = Scenario(
    "cells, two processes", "no cell falls, no decision on a state that has passed",
    {"first": sees(1), "second": sees(2)}, cells_only_rise, every=False,
)  # fmt: skip
REVOCATION: Final = Scenario(
    "revocation, two processes", "no allow after a revocation is effective",
    {"agent": reads_and_commits, "revoker": revokes}, nothing_after_revocation,
    most=8_000, small=500, drawn=True,
)  # fmt: skip
THREE_BUDGETS: Final = Scenario(
    "budget, three processes", "no double spend",
    {name: spends(n, 2) for name, n in THREE.items()}, never_overspent(THREE, 2),
    most=8_000, small=500, drawn=True,
)  # fmt: skip
APPROVED: Final = Scenario(
    "approval, two processes", "no approval used more often than its count",
    {name: spends(1, 1, APPROVAL) for name in ("first", "second")}, once("the approval"),
)  # fmt: skip
SOUND: Final = (
    BUDGET,
    THREE_BUDGETS,
    replace(
        THREE_BUDGETS, name="budget, three threads of one process", every=False, together=True,
        most=20_000, small=1_000, drawn=False,
    ),
    NONCE,
    APPROVED,
    CELLS,
    Scenario(
        "cells, three processes", "no cell falls, no decision on a state that has passed",
        {"first": sees(1), "second": sees(2), "third": sees(4)}, cells_only_rise, every=False,
        most=8_000, small=500, drawn=True,
    ),
    REVOCATION,
)  # fmt: skip


def but(of: Scenario, broken: str, **changes: Any) -> Scenario:
    return replace(of, name=f"{of.name}, {broken}", broken=broken, **changes)


BROKEN: Final = (
    but(BUDGET, "without a transaction", database=Unlocked),
    but(BUDGET, "checked outside the transaction", kind=CheckedOutside, every=False),
    but(NONCE, "looked up outside the transaction", kind=NonceOutside, every=False),
    but(CELLS, "without versions", kind=NoVersions),
    but(REVOCATION, "asked only when the facts are read", kind=AskedOnce, every=False),
)
