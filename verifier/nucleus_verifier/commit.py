"""Law: only a permit can run an effect, only `commit` makes a permit, and a permit runs one effect.

A Python seal is a lint: it stops a colleague's mistake, not hostile code in our own interpreter.
The wall is the process boundary (docs/guarantees.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

from nucleus_tokens import crypto
from nucleus_tokens.errors import CallerError
from nucleus_verifier.decision import Deny, Intent
from nucleus_verifier.ports import Ledger

_SEAL = object()


@final
class Permit:
    """The right to run one call, once: bound to operation, tool, arguments and cell."""

    __slots__ = ("_used", "cell", "intent", "seq")

    def __init__(self, seal: object, intent: Intent, seq: int) -> None:
        if seal is not _SEAL:
            raise CallerError("permit.forged", "A permit is made by commit and nowhere else.")
        self.intent = intent
        self.cell = intent.cells[0].id
        self.seq = seq
        self._used = False

    def use(self, *, operation: int, call_digest: bytes, cell: str) -> None:
        """Take the permit for exactly this effect. Raises CallerError `permit.used` the second
        time and `permit.other_call` for anything but what was decided."""
        if self._used:
            raise CallerError("permit.used", "This permit already ran its effect.")
        self._used = True
        if (
            operation != self.intent.call.operation
            or cell != self.cell
            or not crypto.same(call_digest, self.intent.call.digest)
        ):
            raise CallerError("permit.other_call", "This permit is for another call.")

    def __copy__(self) -> Permit:
        raise CallerError("permit.forged", "A permit is not copied.")

    def __deepcopy__(self, _: object) -> Permit:
        raise CallerError("permit.forged", "A permit is not copied.")

    def __reduce__(self) -> str:
        raise CallerError("permit.forged", "A permit does not leave its process.")


def commit(intent: Intent, ledger: Ledger, record: Mapping[str, object]) -> Permit | Deny:
    """Spend nonce, budgets and approvals, raise the cells, record the decision: all or nothing.

    A lost race is a Deny with code `commit.lost_race`: decide again with fresh facts. Raises
    WorldError when the ledger could not make it durable; then there is no permit.
    """
    done = ledger.commit(intent, record)
    return done if isinstance(done, Deny) else Permit(_SEAL, intent, done)
