"""Authentic credentials: every caveat type with a call inside it and a call outside it."""

from __future__ import annotations

from typing import Any

from tests.vectors import cases_scopes
from tests.vectors.cases_scopes import OUT, SUBPATH, fetch, levels, push, write
from tests.vectors.frozen import (
    CARRIED,
    READS,
    allow,
    ask,
    case,
    deny,
    holder,
    parts,
    patterns,
    token,
)
from tests.vectors.writer import NOW, Chain, key, name16, public


def _spent(chain: Chain, prefix: int, unit: str, amount: int) -> dict[str, Any]:
    """Facts: the counter of the budget set by caveat `prefix` (0: the header's own)."""
    return {"spent": {f"{chain.rids()[prefix]}/{unit}": amount}}


def cases() -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []

    def add(
        name: str,
        chain: Chain,
        expect: dict[str, Any],
        note: str,
        proof: str | None = None,
        **k: Any,
    ) -> None:
        shown = chain.text(None if proof is None else chain.proof(proof))
        made.append({**case(name, shown, expect, note, **k), "parts": parts(chain)})

    bare = token()
    add("bare", bare, allow(), "The smallest token: a signed header, no caveat, a held pipe.")
    add(
        "bare-level-never", bare, deny(9, "level.never"),
        "A dimension the ceiling does not name is never, not inherited from anywhere.",
        call=write("/srv/data/a.txt"),
    )  # fmt: skip

    _times(add)
    cases_scopes.scopes(add)
    cases_scopes.arguments(add)
    _counting(add)
    _asking(add)
    _holders(add)
    _exchanged(add)
    _at_the_limits(add)
    return made


def _times(add: Any) -> None:
    exp = token(["exp", NOW + 1])
    add("exp-inside", exp, allow(), "One second is left.")
    add(
        "exp-exclusive", exp, deny(7, "token.expired"),
        "exp is exclusive and no skew extends it: at exp itself the token is dead.",
        facts={"now": NOW + 1},
    )  # fmt: skip
    add(
        "exp-header", token(), deny(7, "token.expired"), "The header's own expiry counts.",
        facts={"now": NOW + 3600},
    )  # fmt: skip
    add(
        "exp-wider-is-harmless", token(["exp", NOW + 10], ["exp", NOW + 3000]),
        deny(7, "token.expired"),
        "A later caveat that says a later time widens nothing: times meet. Taking the last one "
        "would let any holder extend his token.",
        facts={"now": NOW + 10},
    )  # fmt: skip
    nbf = token(["nbf", NOW + 60])
    add("nbf-skew", nbf, allow(), "Sixty seconds of skew are given to nbf, and only to it.")
    add(
        "nbf-future", token(["nbf", NOW + 61]), deny(7, "token.not_yet_valid"),
        "One second beyond the skew.",
    )  # fmt: skip


def _counting(add: Any) -> None:
    ten = token(["budget", "calls", 10])
    add("budget-left", ten, allow(), "The tenth call.", facts=_spent(ten, 1, "calls", 9))
    add(
        "budget-exhausted", ten, deny(11, "budget.exhausted", ("caveat", 1)), "The eleventh.",
        facts=_spent(ten, 1, "calls", 10),
    )  # fmt: skip
    add(
        "budget-unknown", ten, deny(11, "budget.unknown", ("caveat", 1)),
        "A counter nobody could read is not zero.",
    )  # fmt: skip
    child = ten.add(["link", name16("child")])
    add(
        "budget-shared", child, deny(11, "budget.exhausted", ("caveat", 1)),
        "The counter is that of the prefix which set it, so siblings share it: made anew per "
        "child, a token could multiply its budget by handing itself on.",
        facts=_spent(child, 1, "calls", 10),
    )  # fmt: skip
    dollars = token(["budget", "micro_usd", 500])
    add(
        "budget-cost", dollars, deny(11, "budget.exhausted", ("caveat", 1)),
        "What it costs counts.",
        call={"costs": {"micro_usd": 101}}, facts=_spent(dollars, 1, "micro_usd", 400),
    )  # fmt: skip
    ceil = token(ceil=[["only", {"read_files": "always"}], ["budget", "tokens", 5]])
    add(
        "budget-ceil", ceil, deny(11, "budget.exhausted", ("ceil", 1)),
        "A budget in the ceiling is counted under the header's own rid.",
        call={"costs": {"tokens": 6}}, facts=_spent(ceil, 0, "tokens", 0),
    )  # fmt: skip
    account = token(account=["team", {"calls": 3}])
    add(
        "account", account, allow(), "An account is counted by its name, so it outlives tokens.",
        facts={"spent": {"account:team/calls": 2}},
    )  # fmt: skip
    add(
        "account-exhausted", account, deny(11, "budget.exhausted", ("header", 1)),
        "And is used up by all of them.",
        facts={"spent": {"account:team/calls": 3}},
    )  # fmt: skip


def _asking(add: Any) -> None:
    limit = token(["exposure", ["untrusted_content"]])
    add("exposure-inside", limit, allow(), "The session has seen nothing else.",
        facts={"wall": ["wall:vectors", 0, ["untrusted_content"]]})  # fmt: skip
    add(
        "exposure-exceeded", limit, deny(9, "exposure.exceeded"),
        "The tree's cell counts as the wall's does.",
        facts={"tree": ["tree:vectors", 0, ["private_data"]]},
    )  # fmt: skip
    add(
        "approve", token(["approve", ["read_files"]]), ask("op:read_files"),
        "An approval is needed from here on, whatever is appended later.",
    )  # fmt: skip
    add(
        "obligations", token(obligations=["read_files"]), ask("op:read_files"),
        "The header's own obligations.",
    )  # fmt: skip
    low = [levels(write_files="low_risk")]
    add(
        "low-risk", token(ceil=low), ask("input:/path"), "Nothing vouches for the path.",
        call=write("/srv/data/a.txt"),
    )  # fmt: skip
    add(
        "low-risk-ceil", token(ceil=[*low, SUBPATH]), allow(),
        "The issuer's own ceiling vouches for a path inside it.", call=write("/srv/data/a.txt"),
    )  # fmt: skip
    add(
        "low-risk-caveat", token(SUBPATH, ceil=low), ask("input:/path"),
        "An appended caveat is no evidence: a compromised agent appends what it likes.",
        call=write("/srv/data/a.txt"),
    )  # fmt: skip
    add(
        "low-risk-evidence", token(ceil=low), allow(), "Evidence the proxy holds.",
        call=write("/srv/data/a.txt"), facts={"evidence": ["/path"]},
    )  # fmt: skip
    legs = [levels(read_files="always", web_fetch="always", git_push="always")]
    add(
        "nu", token(ceil=legs), ask("op:git_push"),
        "The ceiling holds all three legs, so the way out needs a person.",
        call=push("refs/heads/main"),
    )  # fmt: skip
    add(
        "nu-once", token(["cap", {"web_fetch": "never"}], ceil=legs), ask("op:git_push"),
        "Giving up a leg does not give up the obligation: recomputed from what is left, a child "
        "could do unasked what its parent could not.",
        call=push("refs/heads/main"),
    )  # fmt: skip
    gate = {"wall": ["wall:vectors", 0, ["private_data"]]}
    add(
        "gate", token(ceil=[levels(web_fetch="always")]), ask("gate:exposure"),
        "Private data was seen; a fetch brings untrusted content and is a way out.",
        call=fetch("example.org"), facts=gate,
    )  # fmt: skip


def _holders(add: Any) -> None:
    args = {"path": "/srv/data/a.txt"}
    bound = token().bind("fs.read", args)
    add("req", bound, allow(), "Carried: a request and the holder's proof.", "agent", facts=CARRIED)
    add(
        "req-old", token().bind("fs.read", args, time=NOW - 60), allow(), "Exactly at the skew.",
        "agent", facts=CARRIED,
    )  # fmt: skip
    once = token().hand("agent", "sub", 3)
    add(
        "delegated", once.bind("fs.read", args), allow(), "One hop; the new holder proves.", "sub",
        facts=CARRIED,
    )  # fmt: skip
    thrice = (
        token()
        .add(SUBPATH).hand("agent", "sub", 3)
        .add(["tool", "in", ["fs.read"]]).hand("sub", "subsub", 1)
        .add(["exp", NOW + 100]).hand("subsub", "third", 0)
    )  # fmt: skip
    add(
        "delegated-3", thrice.bind("fs.read", args), allow(),
        "Three hops, each narrowed before it; the depth falls 4, 3, 1, 0.", "third", facts=CARRIED,
    )  # fmt: skip
    add(
        "delegated-3-narrowed", thrice.bind("fs.read", {"path": "/srv/x"}),
        deny(10, "scope.outside", ("caveat", 1)), "What the first holder narrowed holds for all.",
        "third", facts=CARRIED, call={"args": {"path": "/srv/x"}, **OUT},
    )  # fmt: skip
    bearer = token(holder=holder(None))
    add("bearer", bearer, allow(), "The issuer said bearer.", facts=CARRIED)
    spiffe = "spiffe://example.org/agent"
    mtls = token(holder=holder(None, spiffe))
    add("spiffe", mtls, allow(), "The connection is the proof.", facts={**CARRIED, "peer": spiffe})
    both = token(holder=holder("agent", spiffe)).bind("fs.read", args)
    add(
        "spiffe-and-key", both, allow(), "Both named, both match.", "agent",
        facts={**CARRIED, "peer": spiffe},
    )  # fmt: skip
    add(
        "delegated-to-spiffe",
        token().hand("agent", "sub", 0, to=spiffe).bind("fs.read", args), allow(),
        "A hop may name a SPIFFE id beside its key; then both are needed.", "sub",
        facts={**CARRIED, "peer": spiffe},
    )  # fmt: skip


def _exchanged(add: Any) -> None:
    origin, held = token().rids()[0], public(key("sub")).hex()
    before = [[origin, held]]
    carried = token(
        narrowed=[[origin, SUBPATH], [origin, ["budget", "calls", 2]],
                  [origin, ["approve", ["git_push"]]], [origin, ["link", name16("x")]]],
        ancestors=before, tid=name16("exchanged"),
    )  # fmt: skip
    budget = {f"{origin}/calls": 1}
    add(
        "exchange", carried, allow(), "What was narrowed before an exchange still holds, and its "
        "budget keeps the counter it had.", facts={"spent": budget},
    )  # fmt: skip
    add(
        "exchange-narrowed", carried, deny(10, "scope.outside", ("narrowed", 0)),
        "An exchange does not shed scopes.", call=OUT, facts={"spent": budget},
    )  # fmt: skip
    add(
        "exchange-budget", carried, deny(11, "budget.exhausted", ("narrowed", 1)),
        "Nor refill a budget.", facts={"spent": {f"{origin}/calls": 2}},
    )  # fmt: skip
    add(
        "exchange-revoked", carried, deny(6, "token.revoked"),
        "Revoking an ancestor kills what was exchanged for it.",
        facts={"revoked": [origin], "spent": budget},
    )  # fmt: skip
    add(
        "exchange-low-risk",
        token(
            ceil=[levels(write_files="low_risk")], narrowed=[[origin, SUBPATH]],
            ancestors=before, tid=name16("exchanged"),
        ),
        ask("input:/path"), "`narrowed` is no evidence: a holder wrote it.",
        call=write("/srv/data/a.txt"),
    )  # fmt: skip
    priced = token(
        ceil=[*READS, ["budget", "calls", 2]], ancestors=before, tid=name16("exchanged")
    )  # fmt: skip
    add(
        "exchange-ceil-budget", priced, deny(11, "budget.exhausted", ("ceil", 1)),
        "The issuer's own budget is counted where it was: an exchange must not refill it.",
        facts={"spent": {f"{origin}/calls": 2, f"{priced.rids()[0]}/calls": 0}},
    )  # fmt: skip


def _at_the_limits(add: Any) -> None:
    add(
        "caveats-64", token(*(["link", name16(f"{i}")] for i in range(64))), allow(),
        "Exactly as many caveats as fit.",
    )  # fmt: skip
    add(
        "patterns-64", token(*patterns(32, 32)), allow(), "Exactly as many patterns as fit.",
    )  # fmt: skip
    add(
        "path-floating", token(["path", "in", ["/**/srv/data/*/*/**"]]), allow(),
        "Segments between two `**`, the last of them the file.",
        call={"resources": {"path": ["/x/srv/data/y/a.txt"]}},
    )  # fmt: skip
    add(
        "path-32-floating",
        token(["path", "in", ["/srv/**/a.txt"]], *[["path", "in", ["/**/srv/*/a.txt"]]] * 7,
              ["path", "not", ["/**/x"]]),
        allow(), "Exactly as many segments behind a `**` as fit.",
    )  # fmt: skip
    deep = "/" + "/".join("a" * 65)
    add(
        "path-65-segments", token(["path", "in", ["/"]]), deny(10, "scope.outside", ("caveat", 1)),
        "A path deeper than 64 segments is refused, not matched.",
        call={"resources": {"path": [deep]}},
    )  # fmt: skip
    add(
        "longest", longest(7168), allow(), "A credential of exactly 7,168 characters.",
    )  # fmt: skip
    add(
        "caveat-2048", token(["tool", "in", ["fs.read", "z" * 2020]]), allow(),
        "A caveat of exactly 2,048 bytes, with a two-byte varint before it.",
    )  # fmt: skip
    chain, names = token(depth=8), ["agent", *(f"hop {i}" for i in range(8))]
    for i in range(8):
        chain = chain.hand(names[i], names[i + 1], 7 - i)
    add(
        "hops-8", chain, allow(), "Eight delegations, held: the deepest tree there is.",
    )  # fmt: skip


def longest(chars: int) -> Chain:
    """A token whose text has exactly so many characters (not 1 modulo 4 after the prefix)."""
    chain = token()
    while chars - len(chain.text()) > 2700:
        chain = chain.add(["tool", "in", ["fs.read", "y" * 1900]])
    for size in range(2024):
        tried = chain.add(["tool", "in", ["fs.read", "z" * (1 + size)]])
        if len(tried.text()) == chars:
            return tried
    raise AssertionError(chars)
