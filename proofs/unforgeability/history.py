"""Law: what honest people did is written down here as it happens, in words of its own, judged by
nothing but these words: no function of the kernel says what is justified.

One small world: two honest audiences and a broken one, two honest holders and two corrupt ones, one
approver, and a token of each kind that an attacker could want to make more of.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from nucleus_issuer.exchanging import Exchanger
from nucleus_issuer.issuing import Issuer, Order
from nucleus_issuer.mint import Audience, Signer
from nucleus_issuer.opening import IssuerOpener
from nucleus_issuer.ports import Issued, Link
from nucleus_tokens import chain, crypto, exchanges, header, holding, names, writing
from nucleus_tokens.chain import UnverifiedToken
from nucleus_tokens.errors import CallerError
from nucleus_tokens.header import Holder
from nucleus_verifier.facts import Approver, Call, Cell, Facts, Keys, Selector
from proofs.unforgeability.symbols import Symbols

NOW = 1_800_000_000
HONEST = ("alice", "bob", "person")
CORRUPT = ("mallory", "trudy")
INSTANCE, WALL = "verifier:a", "wall:a"
EVERY = (1 << len(names.OPERATIONS)) - 1
Chain = tuple[bytes, tuple[bytes, ...]]


class Inventory:
    """What the issuer remembers, for one run: a fake in memory."""

    def __init__(self) -> None:
        self.known: dict[str, Issued] = {}

    def record(self, issued: Issued, links: Iterable[Link] = ()) -> None:
        once = issued.idempotency
        if once is not None and any(each.idempotency == once for each in self.known.values()):
            raise CallerError("token.already_issued", "This order was carried out.")
        self.known[issued.tid] = issued

    def issued(self, tid: str) -> Issued | None:
        return self.known.get(tid)

    def __getattr__(self, name: str) -> Any:
        # What an exchange should come to need of an inventory ends the run, never passes unseen.
        raise NotImplementedError(name)


def reading() -> Call:
    """A file is read. Made anew for each run: a call remembers its digest, and that is a term."""
    return Call(
        tool="fs.read", operation=names.operation("read_files"), args={"path": "/srv/data/a"},
        sink=11, resources={"path": ("/srv/data/a",)},
        selectors=(Selector("/path", "path", "/srv/data/a"),), records=1, projects=1, label=0,
    )  # fmt: skip


@dataclass
class History:
    """Everything that happened, and what of it an attacker saw."""

    symbols: Symbols
    issued: dict[bytes, list[list[Any]]] = field(default_factory=dict)  # and what was appended
    given: set[Chain] = field(default_factory=set)  # tokens somebody was meant to have
    hands: set[tuple[bytes, bytes, tuple[bytes, ...], str]] = field(default_factory=set)
    proofs: set[tuple[bytes, bytes, tuple[bytes, ...]]] = field(default_factory=set)
    approvals: set[tuple[bytes, bytes, tuple[bytes, ...], str]] = field(default_factory=set)
    exchanges: set[tuple[bytes, bytes, tuple[bytes, ...], str]] = field(default_factory=set)
    # What the attacker has: tokens with their tags, credentials, statements and approvals.
    tokens: list[UnverifiedToken] = field(default_factory=list)
    seen: list[tuple[UnverifiedToken, bytes]] = field(default_factory=list)
    statements: list[bytes] = field(default_factory=list)
    agreed: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        secret, public = self.symbols.secret, crypto.public_of
        self.call = reading()
        self.inventory = Inventory()
        self.signer = Signer(
            "issuer", "k1", secret("issuer"), crypto.exchange_public_of(secret("exchange"))
        )
        self.audiences = {
            name: Audience(f"proxy:{name}", "k", crypto.exchange_public_of(secret(f"proxy:{name}")))
            for name in "abc"
        }
        self.people = {name: public(secret(name)) for name in (*HONEST, *CORRUPT)}
        self.corrupt = {self.people[name] for name in CORRUPT}
        approvers = {n: Approver(self.people[n], EVERY) for n in ("person", "alice", "mallory")}
        who = (self.signer.iss, self.signer.kid)
        self.keys = {
            name: Keys(
                audience=f"proxy:{name}",
                audience_keys={"k": secret(f"proxy:{name}")},
                issuers={who: public(secret("issuer"))},
                approvers=approvers,
            )
            for name in "ab"
        }
        self.opener = IssuerOpener({who: public(secret("issuer"))}, {who: secret("exchange")})
        named = {each.name: each for each in self.audiences.values()}
        self.issuer = Issuer(
            self.signer, self.inventory, clock=lambda: NOW, random=self.symbols.draw
        )
        self.exchanger = Exchanger(
            self.signer, self.opener, self.inventory, named.__getitem__,
            clock=lambda: NOW, random=self.symbols.draw,
        )  # fmt: skip

    # What honest people do ------------------------------------------------------------------------

    def issue(self, holder: str, audience: str, *ceil: list[Any], **rest: Any) -> UnverifiedToken:
        """The issuer carries out an order; the token goes to its holder and nobody else."""
        appended = rest.pop("extra", ())
        minted = self.issuer.issue(
            Order(
                sub=holder, holder=Holder(None, self.people[holder]), ttl=3600, extra=appended,
                audience=self.audiences[audience], ceil=ceil, **{"depth": 3, **rest},
            )
        )  # fmt: skip
        token = holding.read_token(minted.text)
        self.issued[token.identifier] = list(appended)
        self.give(token)
        return token

    def give(self, token: UnverifiedToken, *, to_attacker: bool = False) -> UnverifiedToken:
        self.given.add((token.identifier, token.caveats))
        if to_attacker:
            self.tokens.append(token)
        return token

    def hand(self, token: UnverifiedToken, giver: str, taker: str, depth: int) -> UnverifiedToken:
        made = holding.delegate(
            token, self.symbols.secret(giver), to=taker, key=self.people[taker],
            purpose="", depth=depth,
        )  # fmt: skip
        body = json.dumps(json.loads(made.caveats[-1])[1], sort_keys=True)
        self.hands.add((self.people[giver], token.identifier, token.caveats, body))
        return self.give(made, to_attacker=taker in CORRUPT)

    def request(self, token: UnverifiedToken, holder: str, call: Call, nonce: str) -> None:
        """A call over a wire that the attacker reads."""
        text = holding.request(
            token, self.symbols.secret(holder), tool=call.tool, args=call.args, time=NOW,
            nonce=nonce, instance=INSTANCE,
        )  # fmt: skip
        shown = chain.read_credential(text)
        self.proofs.add((self.people[holder], shown.token.identifier, shown.token.caveats))
        self.given.add((shown.token.identifier, shown.token.caveats))
        assert shown.proof is not None
        self.seen.append((shown.token, shown.proof))

    def approve(self, token: UnverifiedToken, approver: str, call: Call, *owed: str) -> bytes:
        """An approver answers for one call of exactly this token."""
        body = {
            "approver": approver, "cell": WALL, "count": 1, "digest": call.digest.hex(),
            "id": self.symbols.draw(16).hex(), "not_after": NOW + 600, "obligations": sorted(owed),
            "pattern": None, "rid": chain.rid(token.tag),
            "tid": header.parse(token.identifier).tid, "v": 1,
        }  # fmt: skip
        signed = writing.approval(body, self.symbols.secret(approver))
        for each in owed:
            self.approvals.add((self.people[approver], token.identifier, token.caveats, each))
        self.agreed.append(signed)
        return signed

    def exchange(self, token: UnverifiedToken, holder: str, audience: str) -> UnverifiedToken:
        """An honest holder exchanges; the attacker sees the statement, not the answer."""
        name = self.audiences[audience].name
        statement = exchanges.write(
            token, self.symbols.secret(holder), audience=name, nonce=self.symbols.draw(16).hex()
        )
        self.statements.append(statement)
        self.exchanges.add((self.people[holder], token.identifier, token.caveats, name))
        made = holding.read_token(self.exchanger.exchange(token, statement).text)
        self.issued[made.identifier] = []
        return self.give(made)


def facts(history: History, audience: str, counters: Iterable[str], **rest: Any) -> Facts:
    """A good day at an honest audience, where everything comes over a wire."""
    given: dict[str, Any] = {
        "keys": history.keys[audience], "now": NOW, "arrived": NOW, "instance": INSTANCE,
        "channel": "carried", "peer": None, "clock_ok": True, "lease_ok": True,
        "nonce_seen": False, "revoked": frozenset(), "spent": dict.fromkeys(counters, 0),
        "wall": Cell(WALL, 0, 0), "tree": Cell("tree:a", 0, 0), **rest,
    }  # fmt: skip
    return Facts(**given)


def told(symbols: Symbols) -> History:
    """The history of every run."""
    h = History(symbols)
    all_of_it = ["only", dict.fromkeys(names.OPERATIONS, "always")]
    reading = ["only", {"read_files": "always"}]
    # Alice's token: narrowed and handed to Mallory, and otherwise to Bob.
    first = h.issue("alice", "a", all_of_it, ["budget", "calls", 9], extra=[["nbf", NOW]])
    below = h.give(holding.attenuate(first, ["path", "in", ["/srv/data"]]))
    h.hand(below, "alice", "mallory", 1)
    bobs = h.hand(h.give(holding.attenuate(first, ["tool", "in", ["fs.read"]])), "alice", "bob", 2)
    h.request(bobs, "bob", h.call, "01" * 16)
    h.request(first, "alice", h.call, "02" * 16)
    # Stolen from Alice, without her key.
    h.tokens.append(h.issue("alice", "a", reading))
    # Mallory's own, which needs approvals; one was given, for a narrower one.
    hers = h.issue("mallory", "a", reading, obligations=["read_files"])
    h.give(hers, to_attacker=True)
    narrower = holding.attenuate(hers, ["exp", NOW + 60])
    h.give(narrower)
    h.approve(narrower, "person", h.call, "op:read_files")
    # Bob's, which Alice may not approve once she had it; she answers for another token of Bob's.
    other = h.hand(h.issue("bob", "a", reading, obligations=["read_files"]), "bob", "trudy", 1)
    h.approve(other, "person", h.call, "op:read_files")
    h.approve(other, "alice", h.call, "op:read_files")
    # At the broken audience: what the issuer appended must not come off by an exchange.
    broken = h.issue("mallory", "c", all_of_it, extra=[["approve", ["read_files"]]])
    h.give(broken, to_attacker=True)
    at_broken = h.issue("alice", "c", all_of_it, extra=[["approve", ["read_files"]]])
    h.request(at_broken, "alice", h.call, "03" * 16)
    h.hand(h.give(holding.attenuate(at_broken, ["path", "in", ["/srv"]])), "alice", "trudy", 1)
    # Alice exchanges what she narrowed, and hands it to Trudy there.
    there = h.exchange(below, "alice", "b")
    h.hand(there, "alice", "trudy", 1)
    # Mallory once held what Bob has now, and is an approver by an operator's mistake.
    lent = h.issue("mallory", "a", reading, obligations=["read_files"], depth=2)
    h.give(lent, to_attacker=True)
    return h
