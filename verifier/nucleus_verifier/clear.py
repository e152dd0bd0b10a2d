"""Law: whoever was authenticated is judged here, against facts, in ten steps that only refuse.

    5 request binding, replay · 6 revocation · 7 time · 8 fold · 9 level · 10 scopes ·
    11 budget · 12 hard flow denials · 13 obligations, inputs, gate · 14 intent

Any Deny beats any Ask. Ask comes only at step 13 and lists every obligation at once. Step 8, the
fold, is a value the credential already carries: it depends on nothing but the chain.
"""

from __future__ import annotations

from nucleus_tokens import approvals
from nucleus_tokens.authority import admits, args_admit, fixed_by_ceil, ready, scope_admits
from nucleus_tokens.caveats import Arg, Scope
from nucleus_tokens.errors import CredentialError
from nucleus_tokens.exposure import leq
from nucleus_tokens.lattice import ALWAYS, READS, level_of, obliged, with_level
from nucleus_tokens.limits import APPROVALS_PER_CALL, INTEGER, SKEW
from nucleus_tokens.names import FLOW_RULES, OPERATIONS
from nucleus_tokens.sinks import flow_failures, reversible
from nucleus_verifier import verdict as table
from nucleus_verifier.authenticate import VerifiedCredential, VerifiedPrefix
from nucleus_verifier.decision import Allow, Ask, Decision, Deny, Intent, Obligation, Spend
from nucleus_verifier.facts import RESOURCE_KINDS, Call, Facts
from nucleus_verifier.verdict import asked_for, budget_suffices, denied_for, time_valid

# How long a nonce is remembered: a request older than this is refused for its age.
NONCE_SECONDS = 2 * SKEW


def clear(credential: VerifiedCredential, call: Call, facts: Facts) -> Decision:
    """Steps 5 to 14 for an authenticated credential."""
    refusal = _bound(credential, call, facts)
    return reconsider(credential, call, facts) if refusal is None else refusal


def reconsider(credential: VerifiedCredential, call: Call, facts: Facts) -> Decision:
    """Steps 6 to 14 again, for a call that waited or an effect that still runs.

    Freshness, nonce and peer were judged at arrival and stay judged; everything else is asked
    anew with the facts of now.
    """
    refusal = _revoked(credential.prefix, facts)
    if refusal is None:
        refusal = _time(credential.prefix, facts)
    if refusal is None:
        refusal = _permitted(credential.prefix, call, facts)
    return _decided(credential, call, facts) if refusal is None else refusal


# 5. Request binding and replay ------------------------------------------------------------------


def _bound(credential: VerifiedCredential, call: Call, facts: Facts) -> Deny | None:
    holder, req = credential.prefix.holder, credential.req
    if req is None:
        # Without a request there must be another reason to believe that the holder is there: the
        # private pipe of a mediator that holds the token, the holder's own mTLS connection, or
        # the issuer's word that whoever bears this token may use it.
        if facts.channel == "held" or holder.bearer:
            return None
        if holder.spiffe is not None and holder.key is None and holder.spiffe == facts.peer:
            return None
        return Deny(5, "request.missing")
    if holder.spiffe is not None and holder.spiffe != facts.peer:
        return Deny(5, "holder.peer")
    if holder.key is not None and not credential.proven:
        return Deny(5, "proof.missing")
    if req.tool != call.tool or req.args != call.args_digest.hex():
        return Deny(5, "request.other_call")
    if req.instance != facts.instance:
        return Deny(5, "request.other_verifier")
    if not -SKEW <= req.time - facts.arrived <= SKEW:
        return Deny(5, "request.stale")
    if facts.nonce_seen:
        return Deny(5, "request.replayed")
    return None


# 6. Revocation ----------------------------------------------------------------------------------


def _revoked(prefix: VerifiedPrefix, facts: Facts) -> Deny | None:
    if not facts.lease_ok:
        return Deny(6, "revocation.stale")
    revoked = facts.revoked
    if revoked.isdisjoint(prefix.rids) and revoked.isdisjoint(prefix.opened.header.ancestors):
        return None
    return Deny(6, "token.revoked")


# 7. Time ----------------------------------------------------------------------------------------


def _time(prefix: VerifiedPrefix, facts: Facts) -> Deny | None:
    if not facts.clock_ok:
        return Deny(7, "clock.stepped_back")
    authority = prefix.authority
    start = max(authority.nbf, prefix.opened.header.iat) - SKEW
    if time_valid(start, authority.exp, facts.now):
        return None
    return Deny(7, "token.expired" if facts.now >= authority.exp else "token.not_yet_valid")


# 9 to 12. What no approval can cure -------------------------------------------------------------


def _permitted(prefix: VerifiedPrefix, call: Call, facts: Facts) -> Deny | None:
    authority, operation, resources = prefix.authority, call.operation, call.resources
    released = call.bad_declassification
    denied = denied_for(authority.levels, operation, call.label, call.sink, released)
    # 9. The level of the one operation this call is.
    if denied & table.DENY_LEVEL:
        return Deny(9, "level.never")
    if not leq(facts.wall.bits | facts.tree.bits, authority.exposure):
        return Deny(9, "exposure.exceeded")
    # 10. Every scope of a kind the operation may touch, and every rule on the arguments.
    kinds = RESOURCE_KINDS[operation]
    touched: dict[str, list[object] | None] = {}
    for source, scope in authority.scopes:
        kind = scope.kind
        if kind not in touched:
            if kind == "tool":
                values: tuple[object, ...] | None = (call.tool,)
            elif kind in kinds or kind in resources:
                values = resources.get(kind)
            else:
                continue
            if values is None:
                return Deny(10, "scope.unknown", source, kind)
            touched[kind] = ready(kind, values)
        if not admits(scope, touched[kind]):
            return Deny(10, "scope.outside", source, kind)
    resolved = call.resolved if authority.args else {}
    for source, arg in authority.args:
        if not args_admit(arg, call.tool, call.args, resolved):
            return Deny(10, "scope.arguments", source)
    # 11. Every counter above this call, by what the proxy says it costs.
    for counter in authority.counters:
        spent = facts.spent.get(counter.id)
        if spent is None:
            return Deny(11, "budget.unknown", counter.source)
        if not budget_suffices(spent, _cost(call, counter.unit), counter.limit):
            return Deny(11, "budget.exhausted", counter.source, counter.unit)
    # 12. A secret on its way out, a release that is not valid, a sink nobody knows.
    if denied & table.DENY_SINK:
        return Deny(12, "flow.unknown_sink")
    if denied & table.DENY_DECLASSIFY:
        return Deny(12, "flow.bad_declassification")
    return Deny(12, "flow.secret") if denied else None


def _cost(call: Call, unit: str) -> int:
    return 1 if unit == "calls" else call.costs.get(unit, 0)


def approval_counter(approval_id: str) -> str:
    """The counter of one approval's uses."""
    return f"approval:{approval_id}/uses"


# 13. Obligations, inputs and the gate -------------------------------------------------------------


def evidence(prefix: VerifiedPrefix, call: Call, facts: Facts) -> tuple[str, ...]:
    """The selectors without positive evidence; empty means every one has it.

    A call that is not a read and names nothing it acts on has no evidence at all: it gets the
    pointer of the whole arguments.
    """
    ceil = prefix.opened.header.ceil
    missing: tuple[str, ...] = ()
    for pointer, kind, value in call.selectors:
        if pointer not in facts.evidence and not fixed_by_ceil(
            ceil, call.tool, call.args, pointer, kind, value
        ):
            missing += (pointer,)
    if not call.selectors and not with_level(call.operation, 2) & READS:
        return ("",)
    return missing


def _decided(credential: VerifiedCredential, call: Call, facts: Facts) -> Decision:
    prefix = credential.prefix
    authority, operation, policy = prefix.authority, call.operation, facts.policy
    obligations = prefix.opened.obligations | authority.obligations | policy.obligations
    if call.tool in policy.tool_obligations:
        obligations |= 1 << operation
    # Evidence answers for a level below always, and for the rest where policy says so.
    heard = policy.gate == "evidence"
    missing: tuple[str, ...] = ()
    if heard or level_of(authority.levels, operation) < ALWAYS:
        missing = evidence(prefix, call, facts)
    # Where the sink is reversible and no way out, the payload is nobody's question.
    failures = 0
    if not reversible(call.sink):
        failures = flow_failures(call.label, call.sink, call.observed, call.ttl, facts.now)
    seen, fits = facts.wall.bits | facts.tree.bits, failures == 0
    asked = asked_for(
        authority.levels, obligations, operation, seen, call.projects, fits, call.sink,
        not missing, heard,
    )  # fmt: skip
    if asked == 0:
        return Allow(_intent(credential, call, facts, (), ()))
    owed = _owed(asked, operation, missing, failures)
    spends, discharged = _discharge(prefix, call, facts, owed)
    left = tuple(o for o in owed if o.id not in discharged)
    # What nobody could name, nobody can have answered.
    answered = asked if owed and not left else 0
    if table.verdict(0, asked, answered) == table.ALLOW:
        return Allow(_intent(credential, call, facts, spends, tuple(o.id for o in owed)))
    return Ask(
        left, prefix.opened.header.tid, prefix.rids[-1], facts.wall.id, operation, call.digest
    )


def _owed(
    asked: int, operation: int, missing: tuple[str, ...], failures: int
) -> tuple[Obligation, ...]:
    """Every obligation by name. An id says what is answered for, and no two mean the same."""
    name = OPERATIONS[operation]
    owed = []
    if asked & table.ASK_STATIC:
        owed.append((f"op:{name}", f"{name} needs an approval under this token"))
    if asked & table.ASK_INPUTS:
        owed += [(f"input:{p}", f"nothing vouches for the argument {p or 'list'}") for p in missing]
    if asked & table.ASK_PAYLOAD:
        rules = [rule for i, rule in enumerate(FLOW_RULES[1:]) if failures >> i & 1]
        owed += [(f"flow:{r}", f"what would be written fails the sink's {r} rule") for r in rules]
    if asked & table.ASK_GATE:
        why = "private data, untrusted content and a way out would meet in this session"
        owed.append(("gate:exposure", why))
    return tuple(Obligation(*each) for each in owed)


def _discharge(
    prefix: VerifiedPrefix, call: Call, facts: Facts, owed: tuple[Obligation, ...]
) -> tuple[tuple[Spend, ...], frozenset[str]]:
    """Which obligations valid approvals answer for, and the uses to spend for it."""
    # Policy can only add: there is no quorum of nobody.
    needed = max(1, facts.policy.quorum.get(call.operation, 1))
    voices: dict[str, set[bytes]] = {o.id: set() for o in owed}
    spends: dict[str, Spend] = {}
    for data in facts.approvals[:APPROVALS_PER_CALL]:
        try:
            approval = approvals.parse(data)
        except CredentialError:
            continue
        counter = approval_counter(approval.id)
        if counter in spends:
            continue  # an id is one approval, or the uses of one would be counted for another
        # Only an approval that still adds a voice is used, and spent.
        wanted = [o for o in approval.obligations if o in voices and len(voices[o]) < needed]
        key = _approver_key(approval, prefix, call, facts) if wanted else None
        new = [o for o in wanted if key is not None and key not in voices[o]]
        if key is not None and new:
            for obligation in new:
                voices[obligation].add(key)
            spends[counter] = Spend(counter, 1, approval.count)
    return tuple(spends.values()), frozenset(o for o, keys in voices.items() if len(keys) >= needed)


def _approver_key(
    approval: approvals.UnverifiedApproval, prefix: VerifiedPrefix, call: Call, facts: Facts
) -> bytes | None:
    """The key of an approver who may say this, said it of this very prefix and call, in time."""
    approver = facts.keys.approvers.get(approval.approver)
    if approver is None or not obliged(approver.operations, call.operation):
        return None
    fields = prefix.opened.header
    if approver.key in (fields.holder.key, *fields.earlier, *(hop.key for hop in prefix.hops)):
        return None
    if (
        approval.tid != fields.tid
        or approval.rid != prefix.rids[-1]
        or approval.cell != facts.wall.id
        or facts.now >= approval.not_after
    ):
        return None
    used = facts.spent.get(approval_counter(approval.id))
    if used is None or not budget_suffices(used, 1, approval.count):
        return None
    # The signature before the meaning: an unsigned pattern is not worth matching.
    if not approvals.signature_holds(approval, approver.key):
        return None
    if approval.digest is not None:
        said = approval.digest == call.digest.hex()
    else:
        said = all(_matches(c, call) for c in approval.pattern or (None,))
    return approver.key if said else None


def _matches(caveat: object, call: Call) -> bool:
    if type(caveat) is Scope:
        values = (call.tool,) if caveat.kind == "tool" else call.resources.get(caveat.kind)
        # An approval is for what it names: a call that touches none of it is another call.
        return bool(values) and scope_admits(caveat, values or ())
    # An `arg` pattern of another tool would hold vacuously.
    return (
        type(caveat) is Arg
        and caveat.tool == call.tool
        and args_admit(caveat, call.tool, call.args, call.resolved)
    )


# 14. Intent -------------------------------------------------------------------------------------


def _intent(
    credential: VerifiedCredential,
    call: Call,
    facts: Facts,
    approval_spends: tuple[Spend, ...],
    discharged: tuple[str, ...],
) -> Intent:
    prefix = credential.prefix
    fields = prefix.opened.header
    req = credential.req
    # Two caveats may set one counter, an issuer's two limits for one unit: it is spent once.
    spends: dict[str, Spend] = {s.counter: s for s in approval_spends}
    for counter in prefix.authority.counters:
        limit = min(counter.limit, spends[counter.id].limit if counter.id in spends else INTEGER)
        spends[counter.id] = Spend(counter.id, _cost(call, counter.unit), limit)
    nonce = None if req is None else (req.nonce, facts.arrived + NONCE_SECONDS)
    return Intent(
        call, fields.tid, prefix.rids[-1], prefix.rids, fields.ancestors, nonce,
        tuple(spends.values()), (facts.wall, facts.tree), prefix.authority.exp, discharged,
    )  # fmt: skip
