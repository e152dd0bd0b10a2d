"""Law: what a verifier remembers of a token never outlives the token's revocation.

The agent's side is the shipped one from text to commit: the verifier knows the token already, so
that nothing is authenticated again, then reads the facts, decides and commits. Between any two of
its steps somebody else may revoke what stands above the token.
"""

from collections.abc import Callable
from typing import Final

from nucleus_issuer.ports import Link
from nucleus_issuer.store import Store
from nucleus_tokens.writing import write_credential
from nucleus_verifier import gather
from nucleus_verifier.authenticate import VerifiedCredential
from nucleus_verifier.caching import CachingVerifier
from nucleus_verifier.clear import clear
from nucleus_verifier.decision import Allow, Deny
from nucleus_verifier.facts import Policy
from proofs.schedules.scenarios import (
    WALL,
    AskedOnce,
    Scenario,
    Work,
    but,
    nothing_after_revocation,
    record,
)
from proofs.schedules.stepped import NOW
from tests.support import world

TEXT: Final = write_credential(world.narrow(world.mint(), ["link", world.hex16("link")]))
CALL: Final = world.call("fs.read", "read_files", {})


def _opened() -> VerifiedCredential:
    found = CachingVerifier(world.KEYS).authenticate(TEXT)
    assert isinstance(found, VerifiedCredential)
    return found


ROOT, LEAF = _opened().prefix.rids
TREE: Final = gather.tree_cell(_opened())


class Headless(CachingVerifier):
    """BROKEN on purpose: of what it remembers it gives the token's own revocation id alone."""

    def authenticate(self, text: str) -> VerifiedCredential | Deny:
        found = super().authenticate(text)
        if isinstance(found, Deny):
            return found
        return found._replace(prefix=found.prefix._replace(rids=found.prefix.rids[-1:]))


def serves(made: Callable[[], CachingVerifier]) -> Work:
    """One call of an agent whose token the verifier has seen before."""

    def work(store: Store) -> object:
        verifier = made()
        first = verifier.authenticate(TEXT)
        credential = verifier.authenticate(TEXT)
        if isinstance(credential, Deny) or isinstance(first, Deny):
            return credential
        seen = store.read(gather.wanted(credential, WALL.id))
        facts = gather.facts(
            world.KEYS, seen, arrived=NOW, instance=world.INSTANCE, channel="held", peer=None,
            policy=Policy(),
        )  # fmt: skip
        decision = clear(credential, CALL, facts)
        if isinstance(decision, Allow):
            return store.commit(decision.intent, record("agent"))
        return decision

    return work


def revokes(store: Store) -> object:
    return store.revoke(ROOT, by="person", reason="")


TID: Final = _opened().prefix.opened.header.tid
REMEMBERED: Final = Scenario(
    "revocation, the token remembered", "no allow after a revocation is effective",
    {"agent": serves(lambda: CachingVerifier(world.KEYS)), "revoker": revokes},
    nothing_after_revocation, every=False, cells=(WALL.id, TREE),
    links=(Link(ROOT, TID, None, "agent"), Link(LEAF, TID, ROOT, "")),
)  # fmt: skip
TWICE: Final = Scenario(
    "revocation, two verifiers that remember", "no allow after a revocation is effective",
    {**REMEMBERED.work, "other": REMEMBERED.work["agent"]}, nothing_after_revocation,
    every=False, cells=REMEMBERED.cells, links=REMEMBERED.links, most=4_000, small=200, drawn=True,
)  # fmt: skip
SOUND: Final = (REMEMBERED, TWICE)
BROKEN: Final = (
    but(
        REMEMBERED, "without what stands above it", every=False,
        work={"agent": serves(lambda: Headless(world.KEYS)), "revoker": revokes},
    ),
    but(REMEMBERED, "asked only when the facts are read", kind=AskedOnce, every=False),
)  # fmt: skip
