"""Law: no answer leans on a list of revocations older than its lease; commit asks once more.

`Revocations` is what a sidecar knows of them: `Watch` fills it (`watching.py`), or nobody has to,
where the issuer keeps its state on this host. `Guarded` puts it in front of a local ledger.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Protocol

from nucleus_verifier.decision import Deny, Intent
from nucleus_verifier.ports import Ledger, Snapshot, Wanted


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

    def __init__(self, ledger: Ledger, revocations: Revocations) -> None:
        self._ledger = ledger
        self._revocations = revocations

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
        done = self._ledger.commit(intent, record)
        if isinstance(done, Deny):
            return done
        # After it is durable: what came in meanwhile refuses a call that has already been paid.
        with known.lock:
            if not known.fresh():
                return Deny(6, "revocation.stale")
            if known.revoked((*intent.rids, *intent.ancestors)):
                return Deny(6, "token.revoked")
        return done

    def append(self, record: Mapping[str, object]) -> int:
        return self._ledger.append(record)

    def open_cell(self, cell_id: str, bits: int) -> None:
        self._ledger.open_cell(cell_id, bits)
