"""What a chain means, once more, slowly and obviously: dictionaries, words, one caveat at a time.

Nothing is folded here. Each caveat is asked on its own what it has against the call; a chain
permits what every caveat in it permits. Patterns are regular expressions, levels are numbers in a
dictionary, exposures are sets of words, and no function of the kernel is called.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Final

from nucleus_verifier.facts import Call, Facts
from tests.algebra import reference as algebra
from tests.support.reference_caveats import (
    LEGS,
    LEVEL,
    SKEW,
    Objections,
    against,
    arguments_hold,
    at,
    exposure,
    matches,
    one_holds,
    operation_of,
    overspent,
    path_of,
    resolved,
    rule_holds,
    words,
)

RULES: Final = {
    1: "secret_to_exfil",
    2: "authority",
    3: "integrity",
    4: "web_to_exfil",
    5: "freshness",
    6: "derivation",
}


@dataclass(frozen=True)
class Approval:
    """An approval as it was said, and whose key really signed it."""

    body: dict[str, Any]
    signed_by: bytes


@dataclass(frozen=True)
class Said:
    """A token as it was said: the header in words, the appended caveats, and every rid."""

    header: dict[str, Any]  # tid, iat, exp, ceil, narrowed, obligations, account, ancestors
    holders: tuple[bytes, ...]  # the keys of everybody who held it, before an exchange too
    caveats: tuple[list[Any], ...]
    rids: tuple[str, ...]  # the header's first

    @property
    def root(self) -> str:
        """The rid of the first header: what the issuer's own budgets are counted under."""
        return self.header["ancestors"][0][0] if self.header["ancestors"] else self.rids[0]

    @cached_property
    def nu(self) -> set[str]:
        """What the nucleus operator demands of the ceiling; nothing appended changes it."""
        return issuers_nu(self.header["ceil"])


@dataclass(frozen=True)
class Verdict:
    """allow, ask (with what is owed) or deny (with the step)."""

    word: str
    step: int = 0
    owed: frozenset[str] = frozenset()


def judge(said: Said, call: Call, facts: Facts, approvals: Iterable[Approval] = ()) -> Verdict:
    """The verdict from step 6 on, for a credential that was authenticated."""
    header = said.header
    heard = [against(["exp", header["exp"]], said.rids[0], call, facts)]
    heard += [against(c, said.root, call, facts) for c in header["ceil"]]
    heard += [against(c, rid, call, facts) for rid, c in header["narrowed"]]
    heard += [
        against(c, rid, call, facts) for c, rid in zip(said.caveats, said.rids[1:], strict=True)
    ]
    return conclude(said, heard, call, facts, approvals)


def conclude(
    said: Said,
    heard: list[Objections],
    call: Call,
    facts: Facts,
    approvals: Iterable[Approval] = (),
) -> Verdict:
    """The verdict of a chain from what each of its parts has against the call."""
    header = said.header
    level = min(o.level for o in heard)
    steps = set().union(*(o.steps for o in heard))
    above = [rid for rid, _ in header["ancestors"]]
    if not facts.lease_ok or any(rid in facts.revoked for rid in (*said.rids, *above)):
        steps.add(6)
    if not facts.clock_ok or facts.now < header["iat"] - SKEW:
        steps.add(7)
    if level == 0 or call.operation not in range(len(algebra.OPS)):
        steps.add(9)
    if header["account"] is not None:
        name, limits = header["account"]
        for unit, limit in limits.items():
            if overspent(f"account:{name}/{unit}", unit, limit, call, facts):
                steps.add(11)
    unknown_sink = call.sink not in range(len(algebra.SINKS))
    if unknown_sink or call.bad_declassification or 1 in broken_rules(call, facts):
        steps.add(12)
    if steps:
        return Verdict("deny", step=min(steps))

    owed = owes(said, any(o.asks for o in heard), level, call, facts)
    if not owed:
        return Verdict("allow")
    left = owed - discharged(said, call, facts, list(approvals)[:8], owed)
    return Verdict("ask", 13, frozenset(left)) if left else Verdict("allow")


# Step 13 ----------------------------------------------------------------------------------------


@cache
def _label_words() -> dict[int, algebra.Label]:
    return {label.pack(): label for label in algebra.labels(algebra.PROVS)}


def broken_rules(call: Call, facts: Facts) -> list[int]:
    stale = call.ttl != 0 and facts.now > call.observed + call.ttl
    return _broken(call.label, call.sink, stale)


@cache
def _broken(label: int, sink: int, stale: bool) -> list[int]:
    return algebra.failing_rules(_label_words()[label], algebra.SINKS[sink], stale)


def owes(said: Said, asks: bool, level: int, call: Call, facts: Facts) -> set[str]:
    """Every obligation of this call under this header."""
    header, operation = said.header, operation_of(call)
    without = unvouched(header["ceil"], call, facts)
    trusted = facts.policy.gate == "evidence" and not without
    owed = set()
    if (
        asks
        or operation in header["obligations"]
        or operation in said.nu
        or any(c[0] == "approve" and operation in c[1] for _, c in header["narrowed"])
        or facts.policy.obligations >> call.operation & 1
        or call.tool in facts.policy.tool_obligations
    ):
        owed.add(f"op:{operation}")
    if level == 1:
        owed |= {f"input:{p}" for p in without}
    if algebra.SINKS[call.sink].name not in algebra.REVERSIBLE and not trusted:
        owed |= {f"flow:{RULES[r]}" for r in broken_rules(call, facts)}
    seen, could = exposure(facts), words(call.projects)
    if seen | could == set(LEGS) and "exfil_vector" in could and not trusted:
        owed.add("gate:exposure")
    return owed


def issuers_nu(ceil: list[list[Any]]) -> set[str]:
    caps = algebra.all_at(algebra.Level.ALWAYS)
    for kind, *said in ceil:
        if kind in ("cap", "only"):
            rest = "always" if kind == "cap" else "never"
            caps = {
                op: min(v, algebra.Level(LEVEL[said[0].get(op, rest)])) for op, v in caps.items()
            }
    return algebra.nu(caps, set())


def unvouched(ceil: list[list[Any]], call: Call, facts: Facts) -> list[str]:
    if not call.selectors:
        reads = operation_of(call) in algebra.GROUPS["reads"]
        return [] if reads else [""]
    return [
        s.pointer
        for s in call.selectors
        if s.pointer not in facts.evidence
        and not any(vouches(c, s.pointer, s.kind, s.value, call) for c in ceil)
    ]


def vouches(caveat: list[Any], pointer: str, kind: str, value: Any, call: Call) -> bool:
    if caveat[0] == "arg":
        rule = caveat[2].get(pointer)
        return (
            caveat[1] in ("*", call.tool)
            and rule is not None
            and rule[0] in ("equals", "one-of", "subpath", "range")
            and rule_holds(rule, [value] if kind == "path" else at(call.args, path_of(pointer)))
        )
    if caveat[0] != kind or caveat[1] != "in" or kind not in ("path", "host", "ref"):
        return False
    exact = [p for p in caveat[2] if "*" not in p]
    if kind == "path":
        return resolved("path", value) and any(matches("path", p, value) for p in exact)
    return value in exact


def discharged(
    said: Said, call: Call, facts: Facts, approvals: list[Approval], owed: set[str]
) -> set[str]:
    """The obligations for which enough people spoke, each under an id of his own."""
    needed = max(1, facts.policy.quorum.get(call.operation, 1))
    voices: dict[str, set[bytes]] = {o: set() for o in owed}
    ids: set[str] = set()
    for approval in approvals:
        body = approval.body
        person = facts.keys.approvers.get(body["approver"])
        if (
            person is None
            or person.key != approval.signed_by
            or not person.operations >> call.operation & 1
            or person.key in said.holders
            or body["tid"] != said.header["tid"]
            or body["rid"] != said.rids[-1]
            or body["cell"] != facts.wall.id
            or body["not_after"] <= facts.now
            or not 0 <= facts.spent.get(f"approval:{body['id']}/uses", -1) < body["count"]
            or not covers(body, call)
            or body["id"] in ids
        ):
            continue
        for obligation in owed & set(body["obligations"]):
            if len(voices[obligation]) < needed and person.key not in voices[obligation]:
                voices[obligation].add(person.key)
                ids.add(body["id"])
    return {o for o, keys in voices.items() if len(keys) >= needed}


def covers(body: dict[str, Any], call: Call) -> bool:
    if body["pattern"] is None:
        return bool(body["digest"] == call.digest.hex())
    for caveat in body["pattern"]:
        if caveat[0] == "arg":
            if caveat[1] != call.tool or not arguments_hold(caveat, call):
                return False
        else:
            values = (call.tool,) if caveat[0] == "tool" else call.resources.get(caveat[0])
            if not values or not all(one_holds(caveat[0], caveat[1], caveat[2], v) for v in values):
                return False
    return True
