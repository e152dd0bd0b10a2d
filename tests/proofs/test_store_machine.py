"""Two open stores on one file against a few lines that keep the same books: whatever is done, by
whichever of the two, they agree on what is spent, used, seen and revoked."""

import os
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from nucleus_issuer.ports import Link
from nucleus_issuer.store import Store
from nucleus_verifier.decision import Deny, Spend
from proofs.schedules.scenarios import RID, RID0, TID, TREE, WALL, intent, wanted
from proofs.schedules.stepped import NOW, clock

LIMIT = 9
WHO = st.integers(0, 1)


class Books(RuleBasedStateMachine):
    """The store's two doors, and what must be true behind them."""

    def __init__(self) -> None:
        super().__init__()
        self.home = tempfile.TemporaryDirectory()
        path = Path(self.home.name) / "state.sqlite"
        self.stores = [Store.open(path, create=True, clock=clock), Store.open(path, clock=clock)]
        first = self.stores[0]
        first.open_cell(WALL.id, 0)
        first.open_cell(TREE.id, 0)
        first.note_links([Link(RID0, TID, None, "agent"), Link(RID, TID, RID0, "")])
        self.spent, self.bits, self.revoked = 0, 0, False
        self.nonces: set[str] = set()

    @rule(
        who=WHO,
        amount=st.integers(0, 4),
        nonce=st.none() | st.sampled_from("abc"),
        bits=st.integers(0, 7),
        stale=st.booleans(),
    )
    def call(self, who: int, amount: int, nonce: str | None, bits: int, stale: bool) -> None:
        seen = self.stores[1 - who].read(wanted(nonce))
        cells = (seen.wall, seen.tree)
        if stale:
            cells = (seen.wall._replace(version=seen.wall.version + 1), seen.tree)
        done = self.stores[who].commit(
            intent(
                raised=bits,
                cells=cells,
                nonce=None if nonce is None else (nonce, NOW + 120),
                spends=(Spend(f"{RID0}/calls", amount, LIMIT),),
            ),
            {"type": "decision"},
        )
        fits = self.spent + amount <= LIMIT and nonce not in self.nonces and not self.revoked
        assert isinstance(done, Deny) == (stale or not fits)
        if not isinstance(done, Deny):
            self.spent += amount
            self.bits |= bits
            self.nonces |= {nonce} if nonce is not None else set()

    @rule(who=WHO)
    def revoke(self, who: int) -> None:
        self.stores[who].revoke(RID0, by="person", reason="")
        self.revoked = True

    @invariant()
    def both_doors_tell_the_same(self) -> None:
        for store in self.stores:
            seen = store.read(wanted("a"))
            assert seen.spent[f"{RID0}/calls"] == self.spent <= LIMIT
            assert seen.wall.bits == seen.tree.bits == self.bits
            assert bool(seen.revoked) == self.revoked
            assert seen.nonce_seen == ("a" in self.nonces)

    def teardown(self) -> None:
        for store in self.stores:
            store.close()
        self.home.cleanup()


TestBooks = Books.TestCase
TestBooks.settings = settings(
    max_examples=20 * int(os.environ.get("NUCLEUS_SCALE", "1")),
    stateful_step_count=25,
)
