"""Law: what a policy would have said is what the kernel says, asked again for every call.

A token with the policy's ceiling is minted by keys that live as long as the question, and `decide`
judges each call of the record by it, with the exposure that had come together by then. For the
arguments stand others that satisfy the rules that they do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from nucleus.observe import arguments
from nucleus.observe.generalising import Observed
from nucleus.observe.record import Record, Seen
from nucleus_issuer.mint import Audience, Signer, mint
from nucleus_tokens import crypto, names, writing
from nucleus_tokens.header import Holder
from nucleus_verifier import gather
from nucleus_verifier.authenticate import VerifiedCredential, authenticate
from nucleus_verifier.clear import clear
from nucleus_verifier.decision import Allow, Ask, Deny
from nucleus_verifier.facts import Call, Cell, Facts, Keys, Selector

_WALL: Final = "wall:replay"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one call would have met."""

    call: Seen
    verdict: str  # allow, ask, deny
    why: tuple[str, ...] = ()  # obligations, or the code of a refusal


def replay(made: Observed, record: Record, draw: Callable[[int], bytes]) -> list[Answer]:
    """An answer for each call that ran. What is asked about counts as approved, and as having
    run; what is denied leaves nothing behind."""
    issuer, opener, exchange, root = (draw(crypto.KEY_BYTES) for _ in range(4))
    audience = Audience("replay", "k", crypto.exchange_public_of(opener))
    keys = Keys("replay", {"k": opener}, {("replay", "k"): crypto.public_of(issuer)}, {})
    calls = [call for call in record.ran if call.operation]
    began = min((call.at for call in calls), default=1)
    token = mint(
        Signer("replay", "k", issuer, crypto.exchange_public_of(exchange)),
        audience,
        tid=draw(16).hex(),
        root_key=root,
        sub="replay",
        holder=Holder(None, None),
        ceil=made.ceil,
        iat=began,
        exp=began + made.seconds,
        obligations=made.obligations,
    )
    credential = authenticate(writing.write_credential(token), keys)
    if isinstance(credential, Deny):
        return [Answer(call, "deny", (credential.code,)) for call in calls]
    wanted = gather.wanted(credential, _WALL)
    spent = dict.fromkeys(wanted.counters, 0)
    units = {counter.id: counter.unit for counter in credential.prefix.authority.counters}
    bits = told = record.start
    answers: list[Answer] = []
    for call in calls:
        # What the session had seen by then and no decision says was brought by results.
        bits |= call.before & ~told
        told |= call.before | (call.records if call.verdict == "allow" else 0)
        answer = _answer(credential, call, _facts(keys, call, wanted.tree, bits, spent))
        answers.append(answer)
        if answer.verdict != "deny":
            bits |= call.records
            for counter, unit in units.items():
                spent[counter] += 1 if unit == "calls" else call.costs.get(unit, 0)
    return answers


def _answer(credential: VerifiedCredential, call: Seen, facts: Facts) -> Answer:
    label, observed, ttl = call.label
    args, resolved = arguments.stand_in(call.arguments)
    found = clear(
        credential,
        Call(
            tool=call.tool,
            operation=names.operation(call.operation),
            args=args,
            sink=call.sink,
            resources=call.resources,
            selectors=tuple(Selector(p, "path", path) for p, path in resolved.items()),
            records=call.records,
            projects=call.projects,
            label=label,
            observed=observed,
            ttl=ttl,
            costs=call.costs,
        ),
        facts,
    )
    match found:
        case Allow():
            return Answer(call, "allow")
        case Ask():
            return Answer(call, "ask", tuple(each.id for each in found.obligations))
        case Deny():
            return Answer(call, "deny", (found.code,))


def _facts(keys: Keys, call: Seen, tree: str, bits: int, spent: dict[str, int]) -> Facts:
    return Facts(
        keys=keys,
        now=call.at,
        arrived=call.at,
        instance="replay",
        channel="held",
        peer=None,
        clock_ok=True,
        lease_ok=True,
        nonce_seen=False,
        revoked=frozenset(),
        spent=dict(spent),
        wall=Cell(_WALL, 0, bits),
        tree=Cell(tree, 0, bits),
    )
