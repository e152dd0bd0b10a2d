"""Law: no answer leans on a list of revocations older than its lease, and none spends from another
verifier's part of a budget; commit asks once more.

`Revocations` is what a sidecar knows of them: `Watch` fills it (`watching.py`), or nobody has to,
where the issuer keeps its state on this host. `Guarded` puts it in front of a local ledger.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Protocol

from nucleus_verifier.decision import Deny, Intent, Spend
from nucleus_verifier.ports import Ledger, Part, Snapshot, Wanted
from nucleus_verifier.sidecar.budgets import Parts


class Revocations(Protocol):
    """What is revoked, and whether that may still be relied on."""

    @property
    def seq(self) -> int: ...

    def fresh(self) -> bool: ...

    def revoked(self, rids: Iterable[str]) -> frozenset[str]: ...

    @property
    def lock(self) -> threading.Lock:
        """Held while commits ask; whoever applies a revocation holds it too, so that what is
        confirmed is under no commit any more."""
        ...


class Guarded:
    """A local ledger that also heeds revocations from elsewhere."""

    def __init__(
        self, ledger: Ledger, revocations: Revocations, parts: Parts | None = None
    ) -> None:
        self._ledger = ledger
        self._revocations = revocations
        self._parts = parts

    def read(self, wanted: Wanted) -> Snapshot:
        known = self._revocations
        fresh, revoked = known.fresh(), known.revoked((*wanted.rids, *wanted.ancestors))
        snapshot = self._ledger.read(wanted)
        return replace(
            snapshot,
            lease_ok=snapshot.lease_ok and fresh,
            revoked=frozenset(snapshot.revoked) | revoked,
            revocation_seq=known.seq,
        )

    def commit(self, intent: Intent, record: Mapping[str, object]) -> Deny | int:
        known = self._revocations
        done = self._spent(intent, record)
        if isinstance(done, Deny):
            return done
        # After it is durable: what came in meanwhile refuses a call that has already been paid.
        with known.lock:
            if not known.fresh():
                return Deny(6, "revocation.stale")
            if known.revoked((*intent.rids, *intent.ancestors)):
                return Deny(6, "token.revoked")
        return done

    def _spent(self, intent: Intent, record: Mapping[str, object]) -> Deny | int:
        """Commit within our own parts. The issuer is asked where they are not enough."""
        parts = self._parts
        if parts is None:
            return self._ledger.commit(intent, record)
        done = self._within(parts, intent, record)
        if not _exhausted(done) or all(
            not _shared(s) or s.limit <= parts.of(s.counter) for s in intent.spends
        ):
            return done
        if not parts.enough(intent.tid, self._wanted(intent)):
            return done
        done = self._within(parts, intent, record)
        # What was enough a moment ago another call of ours has taken: decide again.
        return Deny(14, "commit.lost_race") if _exhausted(done) else done

    def _within(self, parts: Parts, intent: Intent, record: Mapping[str, object]) -> Deny | int:
        ours = tuple(
            s._replace(limit=min(s.limit, parts.of(s.counter))) if _shared(s) else s
            for s in intent.spends
        )
        return self._ledger.commit(intent._replace(spends=ours), record)

    def _wanted(self, intent: Intent) -> list[Part]:
        shared = [each for each in intent.spends if _shared(each)]
        names = tuple(each.counter for each in shared)
        wanted = Wanted((), (), names, None, intent.tid, intent.rid, "", "")
        spent = self._ledger.read(wanted).spent
        return [Part(s.counter, s.limit, spent[s.counter], s.amount) for s in shared]

    def append(self, record: Mapping[str, object]) -> int:
        return self._ledger.append(record)

    def open_cell(self, cell_id: str, bits: int, by: tuple[int, str] | None = None) -> None:
        self._ledger.open_cell(cell_id, bits, by)


def _shared(spend: Spend) -> bool:
    """An approval is for one verifier's cell alone, and so are its uses."""
    return not spend.counter.startswith("approval:")


def _exhausted(done: Deny | int) -> bool:
    return isinstance(done, Deny) and done.code == "budget.exhausted" and done.subject != "uses"
