"""Law: what runs is promised its worst case before, and pays what it used, durably, as it goes.

What is spent only rises, so nothing is paid in advance that could be less: a promise is kept here,
in memory, and counts against everybody else's decisions until it is paid or given back. Payments
go through the ledger in increments. A payment that does not fit takes what is left, so that the
budget ends, and says so: whoever pays then stops.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from nucleus_proxy.answers import Granted, Refusal
from nucleus_proxy.live import again
from nucleus_tokens.errors import WorldError
from nucleus_verifier.decision import Deny, Spend
from nucleus_verifier.ports import Ledger

UNITS: Final = ("tokens", "micro_usd", "bytes_out")
_TRIES: Final = 16
EXHAUSTED: Final = Refusal(
    "budget.exhausted", 11, "The budget is used up.", "Ask for a token with a larger budget."
)


class Account:
    """What one running effect promised and paid. Amounts are whole numbers by unit."""

    def __init__(self, meter: Meter, granted: Granted) -> None:
        self._meter = meter
        self._granted = granted
        self._promised: dict[str, int] = {}
        self._limits = limits(granted)
        self.paid: dict[str, int] = dict.fromkeys(UNITS, 0)

    @property
    def metered(self) -> frozenset[str]:
        """The units that any budget above this call counts."""
        return frozenset(unit for unit, _, _ in self._limits)

    async def promise(self, worst: Mapping[str, int]) -> Refusal | None:
        """Hold what this effect may use at most; a refusal where the budgets do not have it."""
        promised = {counter: worst.get(unit, 0) for unit, counter, _ in self._limits}
        held = self._meter.held
        wanted = {c: held.get(c, 0) + amount for c, amount in promised.items()}
        self._meter.hold(promised)
        self._promised = promised
        # Nothing is awaited between looking and holding: two cannot be promised the same.
        refusal = await asyncio.to_thread(
            again, self._granted.permit, self._granted.standing, wanted
        )
        if refusal is not None:
            self.release()
        return refusal

    async def pay(self, amounts: Mapping[str, int]) -> Refusal | None:
        """Spend, durably. A refusal means: stop now. Raises WorldError."""
        spends = [(c, amounts.get(unit, 0), limit) for unit, c, limit in self._limits]
        spends = [each for each in spends if each[1] > 0]
        refusal = await asyncio.to_thread(self._pay, spends, dict(amounts)) if spends else None
        for unit, amount in amounts.items():
            self.paid[unit] += amount
        for counter, amount, _ in spends:
            back = min(self._promised.get(counter, 0), amount)
            if back:
                self._promised[counter] -= back
                self._meter.hold({counter: -back})
        return refusal

    def _pay(
        self, spends: list[tuple[str, int, int]], amounts: Mapping[str, int]
    ) -> Refusal | None:
        standing = self._granted.standing
        permit = self._granted.permit
        record = {"charge": dict(amounts), "decision": permit.seq, "type": "charge"}
        for _ in range(_TRIES):
            now = standing.look()
            short = False
            fitting = []
            for counter, amount, limit in spends:
                left = max(0, limit - now.spent.get(counter, limit))
                short = short or amount > left
                fitting.append(Spend(counter, min(amount, left), limit))
            intent = permit.intent._replace(
                nonce=None, spends=tuple(fitting), cells=(now.wall, now.tree)
            )
            done = self._meter.ledger.commit(intent, record)
            if isinstance(done, int):
                return EXHAUSTED if short else None
            if done.code not in ("commit.lost_race", "budget.exhausted"):
                return Refusal.denied(done)
        return Refusal.denied(Deny(14, "commit.lost_race"))

    def release(self) -> None:
        """Give back what was promised and not paid."""
        self._meter.hold({c: -amount for c, amount in self._promised.items()})
        self._promised = {}


class Meter:
    """The promises of one proxy."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.held: dict[str, int] = {}

    def account(self, granted: Granted) -> Account:
        return Account(self, granted)

    def hold(self, amounts: Mapping[str, int]) -> None:
        """Add to what is held, by counter."""
        for counter, amount in amounts.items():
            left = self.held.get(counter, 0) + amount
            if left < 0:
                raise WorldError("meter.negative", "More was given back than was held.")
            if left:
                self.held[counter] = left
            else:
                self.held.pop(counter, None)


def limits(granted: Granted) -> list[tuple[str, str, int]]:
    """(unit, counter, limit) of every budget above this call that a running effect can use."""
    prefix = granted.standing.credential.prefix
    found = [(c.unit, c.id, c.limit) for c in prefix.authority.counters if c.unit in UNITS]
    # Two limits of one counter: the smaller one counts, once.
    lowest: dict[str, tuple[str, str, int]] = {}
    for unit, counter, limit in found:
        if counter not in lowest or limit < lowest[counter][2]:
            lowest[counter] = (unit, counter, limit)
    return list(lowest.values())
