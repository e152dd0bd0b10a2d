"""Law: a release changes a label only for the content, sink, tree and time that were signed, and is
spent by the commit that used it; a refusal spends nothing.

Whether a release was spent is read from the same durable counters as approvals, and spent in the
same transaction as nonce and budgets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from nucleus_tokens import releases
from nucleus_tokens.errors import CredentialError
from nucleus_tokens.releases import UnverifiedRelease
from nucleus_verifier.clear import approval_counter
from nucleus_verifier.decision import Spend

MOST_STEPS: Final = 8  # for one value: three axes have six steps in all


class Outcome(StrEnum):
    """What came of one release, for one value on its way to one sink."""

    APPLIED = "applied"
    OTHER_CONTENT = "other_content"
    OTHER_TREE = "other_tree"
    OTHER_SINK = "other_sink"
    EXPIRED = "expired"
    UNKNOWN_KEY = "unknown_key"
    OWN_KEY = "own_key"
    BAD_SIGNATURE = "bad_signature"
    SPENT = "spent"
    PRECONDITION = "precondition"


@dataclass(frozen=True, slots=True)
class Released:
    """A label after what could be applied, what must be spent for it, and what came of each."""

    label: int
    spends: tuple[Spend, ...] = ()
    outcomes: tuple[tuple[str, Outcome], ...] = ()

    @property
    def claimed(self) -> bool:
        """Somebody released this very content, and it did not do: that is worth a reason."""
        return not self.spends and bool(self.outcomes)


def counter(release_id: str) -> str:
    """The counter of a release's one use."""
    return approval_counter(f"release-{release_id}")


def read(stored: Iterable[bytes]) -> tuple[UnverifiedRelease, ...]:
    """The well-formed ones of what is kept."""
    found = []
    for data in stored:
        try:
            found.append(releases.parse(data))
        except CredentialError:
            continue
    return tuple(found)


def release(
    label: int,
    content: bytes,
    sink: int,
    known: Iterable[UnverifiedRelease],
    *,
    tree: str,
    keys: Mapping[str, bytes],
    holders: Set[bytes],
    spent: Mapping[str, int],
    now: int,
) -> Released:
    """Apply the releases of this content. `keys` are the bundle's, by id; `holders` are the keys of
    the token's own chain, which may not release; `spent` are the counters' values, and one that is
    missing counts as spent. `now` is unix seconds."""
    mine = [each for each in known if each.content == content]
    outcomes: dict[str, Outcome] = {}
    spends: list[Spend] = []
    for _ in range(MOST_STEPS):
        for each in mine:
            if outcomes.get(each.id) is Outcome.APPLIED:
                continue
            outcome = _outcome(
                each, label, sink, tree=tree, keys=keys, holders=holders, spent=spent, now=now
            )
            outcomes[each.id] = outcome
            if outcome is Outcome.APPLIED:
                label = each.released(label)
                spends.append(Spend(counter(each.id), 1, 1))
                break
        else:
            break
    return Released(label, tuple(spends), tuple(outcomes.items()))


def _outcome(
    each: UnverifiedRelease,
    label: int,
    sink: int,
    *,
    tree: str,
    keys: Mapping[str, bytes],
    holders: Set[bytes],
    spent: Mapping[str, int],
    now: int,
) -> Outcome:
    if each.tree != tree:
        return Outcome.OTHER_TREE
    key = keys.get(each.by)
    if key is None:
        return Outcome.UNKNOWN_KEY
    if key in holders:
        return Outcome.OWN_KEY
    if not releases.signature_holds(each, key):
        return Outcome.BAD_SIGNATURE
    if sink not in each.sinks:
        return Outcome.OTHER_SINK
    if now >= each.not_after:
        return Outcome.EXPIRED
    if spent.get(counter(each.id), 1) > 0:
        return Outcome.SPENT
    return Outcome.APPLIED if each.applies(label) else Outcome.PRECONDITION
