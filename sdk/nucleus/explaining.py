"""Law: a question is judged exactly as a call would be: the same binding, the same kernel, the same
state; and asking changes nothing.

Who wants a person to be asked is looked for here, afterwards: the kernel folds that away.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Final, NamedTuple

from nucleus import questions
from nucleus_proxy.binding import BoundCall
from nucleus_proxy.policy import NO_WALL, PolicyFile
from nucleus_tokens import names
from nucleus_verifier import gather
from nucleus_verifier.asking import demanded_by
from nucleus_verifier.authenticate import VerifiedCredential, authenticate
from nucleus_verifier.clear import clear
from nucleus_verifier.decision import Allow, Ask, Decision, Deny
from nucleus_verifier.facts import Cell, Facts, Keys, Policy
from nucleus_verifier.hints import Explanation, explain, located
from nucleus_verifier.ports import Ledger, Snapshot

# A name that no run has: a session that nobody started has its own cell.
_NOBODY: Final = "explain"


class Owed(NamedTuple):
    """What a person must answer for, and who wants that."""

    id: str
    why: str
    demanded_by: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What would become of a call, and why."""

    decision: Decision
    explanation: Explanation
    obligations: tuple[Owed, ...]
    rids: tuple[str, ...]
    session: tuple[str, ...]  # the exposure under which it was judged

    def as_json(self) -> dict[str, Any]:
        made = asdict(self.explanation)
        made["obligations"] = [each._asdict() for each in self.obligations]
        made["rid"] = self.rids[-1] if self.rids else None
        made["session_has_seen"] = list(self.session)
        return made


def judge(
    text: str,
    question: Any,
    *,
    keys: Keys,
    ledger: Ledger,
    policy: PolicyFile | None,
    now: int,
    run: str | None = None,
    seen: int | None = None,
) -> Answer:
    """Decide a call without committing it. `seen` is the exposure to judge it under; without it,
    that of the token's tree and of the wall or, without a wall, of this `run` or of a new one.
    Raises CallerError `call.*` or WorldError."""
    bound = questions.bind(question, policy)
    credential = authenticate(text, keys)
    if isinstance(credential, Deny):
        return Answer(credential, explain(credential, None), (), (), ())
    wall = policy.wall if policy is not None else None
    cell = f"run:{run or _NOBODY}" if wall is None else f"wall:{wall.id}"
    snapshot = ledger.read(gather.wanted(credential, cell))
    bits = _session(snapshot, NO_WALL if wall is None else wall.shows, seen)
    facts = gather.facts(
        keys,
        _under(snapshot, bits),
        arrived=now,
        instance="explain",
        channel="held",
        peer=None,
        policy=Policy() if policy is None else policy.verifier,
    )
    return answer(clear(credential, bound.at(bits), facts), credential, bound, facts)


def answer(
    decision: Decision, credential: VerifiedCredential, bound: BoundCall, facts: Facts
) -> Answer:
    """A decision in words."""
    bits = facts.wall.bits | facts.tree.bits
    if isinstance(decision, Deny):
        decision = located(decision, credential, bound.operation, bits)
    said = explain(decision, credential)
    if isinstance(decision, Deny) and not bound.classified:
        said = _unclassified(said)
    owed: tuple[Owed, ...] = ()
    if isinstance(decision, Ask):
        owed = tuple(
            Owed(o.id, o.why, demanded_by(o.id, credential, bound.operation, facts.policy))
            for o in decision.obligations
        )
    return Answer(decision, said, owed, credential.prefix.rids, names.exposure_names(bits))


def verdict(decision: Decision) -> str:
    """`allow`, `ask` or `deny`."""
    match decision:
        case Allow():
            return "allow"
        case Ask():
            return "ask"
        case Deny():
            return "deny"


def _session(snapshot: Snapshot, shows: int, seen: int | None) -> int:
    if seen is not None:
        return seen
    # A cell that nobody opened is as its wall will open it.
    wall = snapshot.wall.bits | shows if snapshot.wall.version else shows
    return wall | snapshot.tree.bits


def _under(snapshot: Snapshot, bits: int) -> Snapshot:
    wall, tree = snapshot.wall, snapshot.tree
    return replace(
        snapshot,
        wall=Cell(wall.id, wall.version, bits),
        tree=Cell(tree.id, tree.version, bits),
    )


def _unclassified(said: Explanation) -> Explanation:
    return replace(
        said,
        code="tool.unclassified",
        detail="The policy file does not say what this tool is.",
        enough="Name the tool in the policy file.",
    )
