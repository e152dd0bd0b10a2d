"""Law: an explanation follows from the decision; it decides nothing and is outside the kernel.

`hint` says in one sentence what would be enough. `explain` says which step decided, which caveat,
and who added it: a caveat is attributed to a holder only where that holder's next delegate
signature or request proof covers it; otherwise it is unattributed, since anybody who saw the token
may have appended it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from nucleus_tokens import canonical, caveats, exposure
from nucleus_tokens.authority import Source
from nucleus_tokens.caveats import Approve, Caveat, Exp, ExposureLimit, Levels, Nbf
from nucleus_tokens.lattice import known, level_of, obliged
from nucleus_verifier.authenticate import VerifiedCredential, VerifiedPrefix
from nucleus_verifier.decision import LAST_SILENT_STEP, Allow, Ask, Decision, Deny

UNATTRIBUTED: Final = "unattributed"
# The fourteen steps of docs/spec/decide.md.
STEPS: Final = (
    "",
    "parse",
    "audience and keys",
    "authenticate",
    "holder and delegations",
    "request binding and replay",
    "revocation",
    "time",
    "fold",
    "level",
    "scopes",
    "budget",
    "hard flow denials",
    "obligations, inputs and gate",
    "intent",
)

# code -> one sentence that says what is the case.
_DETAIL: Final = {
    "audience.unknown": "The token is for another audience or audience key.",
    "body.unseen": "The gateway does not show the body, and something here speaks about it.",
    "budget.exhausted": "The budget of {subject} is used up.",
    "budget.too_many": "The token tree has more live budgets than are kept.",
    "budget.unknown": "What was spent is not known.",
    "caveat.malformed": "A caveat is not well formed.",
    "caveat.too_many_patterns": "The chain holds too many patterns.",
    "caveat.unknown": "A caveat has a type this verifier does not know.",
    "clock.stepped_back": "The clock stepped back; nothing is allowed by it.",
    "commit.lost_race": "Other calls of this session came first.",
    "delegate.depth": "A delegation does not lower the depth.",
    "delegate.no_key": "A token without an Ed25519 holder is not delegated.",
    "delegate.signature": "A delegation is not signed by its holder.",
    "exposure.exceeded": "The session has seen more than the token allows.",
    "flow.bad_declassification": "The declassification is not valid.",
    "flow.secret": "A secret would leave.",
    "flow.unknown_sink": "Where the call writes to is not known.",
    "header.malformed": "The signed header is not well formed.",
    "header.seal": "The seal does not open with this audience's key.",
    "header.signature": "The issuer's signature does not hold.",
    "holder.peer": "The connection is not the holder's.",
    "issuer.unknown": "The issuer's key is not in the pinned bundle.",
    "json.canonical": "A caveat is not canonical JSON.",
    "level.never": "The token does not permit this operation.",
    "proof.missing": "The holder did not sign this request.",
    "proof.signature": "The proof is not the current holder's.",
    "proof.without_request": "A proof needs a request to be bound to.",
    "request.missing": "A carried token needs a request and a proof.",
    "request.other_call": "The request is bound to another call.",
    "request.other_verifier": "The request is bound to another verifier.",
    "request.replayed": "The request was seen before.",
    "request.stale": "The request is too old, or from the future.",
    "revocation.stale": "The list of revocations is too old to allow anything.",
    "scope.arguments": "The arguments are outside the scope.",
    "scope.outside": "The {subject} is outside the scope.",
    "scope.unknown": "Which {subject} the call touches is not known.",
    "token.encoding": "The credential is not in its one spelling.",
    "token.expired": "The token has expired.",
    "token.forged": "The chain's tag does not hold.",
    "token.malformed": "The token is not well formed.",
    "token.not_yet_valid": "The token is not valid yet.",
    "token.revoked": "The token, or one it was made from, was revoked.",
    "token.too_large": "The credential is too large.",
    "token.two_requests": "A request stands before the end.",
    "verifier.unavailable": "The verifier cannot decide now.",
}
# code -> the smallest token, approval or deed that would let the call pass.
_ENOUGH: Final = {
    "audience.unknown": "Ask the issuer for a token for this audience.",
    "body.unseen": "Put Envoy with the body, or the middleware, before this tool.",
    "budget.exhausted": "Ask the issuer for a new budget; every descendant shares this one.",
    "budget.unknown": "The verifier's state could not be read; try again once it can.",
    "clock.stepped_back": "Set the host's clock right; an operator may confirm a lower time.",
    "commit.lost_race": "Another call came first; try again.",
    "exposure.exceeded": "Start a new session, or use a token without this exposure limit.",
    "flow.bad_declassification": "Have the release signed for exactly this content and sink.",
    "flow.secret": "Declassify the value, or send something that holds no secret.",
    "flow.unknown_sink": "Name the sink in the tool's binding.",
    "issuer.unknown": "Pin the issuer's key in the verifier's bundle.",
    "level.never": "Ask the issuer for a token whose ceiling permits this operation.",
    "request.missing": "Present the token through `nucleus mcp connect`, which signs each call.",
    "request.replayed": "Sign a new request; each one is good for one call.",
    "request.stale": "Sign a new request; check the clocks if it happens again.",
    "revocation.stale": "The verifier must reach the issuer before it allows anything.",
    "scope.arguments": "Use arguments inside the caveat, or a token without it.",
    "scope.outside": "Stay inside the scope, or ask whoever added it for a wider token.",
    "scope.unknown": "Bind the tool's argument that names this resource in the policy file.",
    "token.expired": "Ask for a new token.",
    "token.not_yet_valid": "Wait until the token is valid.",
    "token.revoked": "Ask for a new token; a revoked one does not come back.",
    "verifier.unavailable": "Try again.",
}
_STRANGER: Final = "Present a valid credential for this verifier."


def detail(deny: Deny) -> str:
    """What is the case, in one sentence, for whoever holds the keys."""
    text = _DETAIL.get(deny.code, "The credential was refused.")
    return text.replace("{subject}", deny.subject or "resource")


def public_detail(deny: Deny) -> str:
    """What is the case, in one sentence, for the caller: a constant while it may be a stranger."""
    return detail(deny) if deny.step > LAST_SILENT_STEP else "The credential was refused."


def hint(decision: Decision) -> str:
    """What would be enough, in one sentence; empty for an Allow. Tells a stranger nothing."""
    match decision:
        case Allow():
            return ""
        case Ask():
            ids = ", ".join(o.id for o in decision.obligations)
            return f"An approval of {ids} for this token would be enough."
        case Deny():
            if decision.step <= LAST_SILENT_STEP:
                return _STRANGER
            return _ENOUGH.get(decision.code, "Nothing a caller can do; tell the operator.")


def operator_hint(decision: Decision) -> str:
    """`hint` for somebody who holds the keys, so that even the silent steps may be spoken of."""
    if isinstance(decision, Deny):
        return _ENOUGH.get(decision.code, "The token itself is defective; ask for a new one.")
    return hint(decision)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where a decision came from. `caveat` is its JSON text, or empty where none decided."""

    verdict: str
    step: int
    step_name: str
    code: str
    detail: str
    caveat: str
    added_by: str
    enough: str


def explain(decision: Decision, credential: VerifiedCredential | None) -> Explanation:
    """For the operator: names every step and code, also those a stranger is not told."""
    enough = operator_hint(decision)
    match decision:
        case Allow():
            return Explanation("allow", 14, STEPS[14], "", "Every step let it pass.", "", "", "")
        case Ask():
            why = "; ".join(f"{o.id}: {o.why}" for o in decision.obligations)
            source = demanding(decision, credential)
            return Explanation(
                "ask",
                13,
                STEPS[13],
                "approval.required",
                why,
                caveat_text(credential, source),
                "" if source is None else added_by(credential, source),
                enough,
            )
        case Deny():
            source = decision.source
            return Explanation(
                "deny",
                decision.step,
                STEPS[decision.step],
                decision.code,
                detail(decision),
                caveat_text(credential, source),
                "" if source is None else added_by(credential, source),
                enough,
            )


def caveat_text(credential: VerifiedCredential | None, source: Source | None) -> str:
    """The caveat a source names, as canonical JSON."""
    if credential is None or source is None:
        return ""
    if source.where == "caveat":
        return credential.prefix.raw[source.place - 1].decode()
    body = canonical.decode(credential.prefix.opened.header.signed.split(b"\0", 1)[0])
    if source.where == "ceil":
        return canonical.encode(body["ceil"][source.place]).decode()
    if source.where == "narrowed":
        return canonical.encode(body["narrowed"][source.place][1]).decode()
    said = "account" if source.place else "exp"
    return canonical.encode([said, body[said]]).decode()


def added_by(credential: VerifiedCredential | None, source: Source) -> str:
    """The name of whoever put a restriction there, if a signature says so."""
    if credential is None:
        return UNATTRIBUTED
    fields = credential.prefix.opened.header
    if source.where == "narrowed":
        return "whoever held the token this one was exchanged for"
    if source.where != "caveat":
        return f"issuer {fields.iss}"
    holder = fields.sub
    for hop in credential.prefix.hops:
        # A delegation covers all before it, and is itself its holder's word.
        if source.place <= hop.number:
            return holder
        holder = hop.to
    return holder if credential.proven else UNATTRIBUTED


# Whose restriction it was ---------------------------------------------------------------------


def located(deny: Deny, credential: VerifiedCredential, operation: int, session: int) -> Deny:
    """A denial with the restriction that was enough for it, where the kernel folded that away:
    it meets levels, times and exposures, and does not keep whose they were. `session` is what
    both cells have seen."""
    if deny.source is not None or not known(operation):
        return deny
    return replace(deny, source=deciding(deny.code, credential.prefix, operation, session))


def deciding(code: str, prefix: VerifiedPrefix, operation: int, session: int) -> Source | None:
    """The first restriction that is enough for a denial that the fold alone decided."""
    fields = prefix.opened.header
    parts = [(Source("header", 0), Exp(fields.exp)), *restrictions(prefix)]
    authority = prefix.authority
    for source, caveat in parts:
        match code, caveat:
            case "level.never", Levels(packed):
                if level_of(packed, operation) == 0:
                    return source
            case "exposure.exceeded", ExposureLimit(bits):
                if not exposure.leq(session, bits):
                    return source
            case "token.expired", Exp(at):
                if at == authority.exp:
                    return source
            case "token.not_yet_valid", Nbf(at):
                if at == authority.nbf:
                    return source
            case _:
                continue
    return None


def demanding(ask: Ask, credential: VerifiedCredential | None) -> Source | None:
    """The first `approve` caveat that demands a person for a call like this, if one does."""
    if credential is None or not any(o.id.startswith("op:") for o in ask.obligations):
        return None
    for source, caveat in restrictions(credential.prefix):
        if isinstance(caveat, Approve) and obliged(caveat.operations, ask.operation):
            return source
    return None


def restrictions(prefix: VerifiedPrefix) -> list[tuple[Source, Caveat]]:
    """Every restriction of a chain and where it stands, the issuer's first."""
    fields = prefix.opened.header
    made = [(Source("ceil", i), caveat) for i, caveat in enumerate(fields.ceil)]
    made += [(Source("narrowed", i), caveat) for i, (_, caveat) in enumerate(fields.narrowed)]
    read = map(caveats.parse, prefix.raw)
    return made + [(Source("caveat", number), caveat) for number, caveat in enumerate(read, 1)]
