"""Law: an attacker is all that can be built from what was seen, up to a depth, and nothing is
left out because it looks useless: the verifier is asked about all of it.

It has what the history showed, its own keys, and the broken audience's. It drops, reorders, repeats
and appends caveats; lifts delegations and signs its own, over this prefix and over others; seals a
key of its own into any header and signs headers itself; starts chains anew under any 32 bytes it
has; puts every signature it saw under every statement; binds and proves requests; and exchanges.
"""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from nucleus_tokens import approvals, canonical, chain, crypto, exchanges, header, holding, writing
from nucleus_tokens.chain import UnverifiedToken
from nucleus_tokens.errors import NucleusError
from nucleus_verifier.authenticate import authenticate
from nucleus_verifier.clear import clear
from nucleus_verifier.decision import Allow, Deny
from nucleus_verifier.gather import wanted
from proofs.unforgeability.history import CORRUPT, INSTANCE, NOW, WALL, History, facts
from proofs.unforgeability.judging import (
    body_of,
    forged_approval,
    forged_chain,
    forged_exchange,
    forged_request,
)

RESTRICTIONS = (["link", "00" * 16], ["path", "in", ["/"]])


@dataclass
class Search:
    """One run: what was tried, what was taken, what was forged."""

    history: History
    depth: int
    keep: int = 6  # exchanged tokens to go on from, in each round
    stop_at: str = ""  # words of a forgery that is enough
    asked: dict[str, int] = field(default_factory=dict)
    taken: dict[str, int] = field(default_factory=dict)
    forgeries: dict[str, str] = field(default_factory=dict)  # why -> an example

    # 1. What it has ---------------------------------------------------------------------------

    def __post_init__(self) -> None:
        h = self.history
        self.secrets = {name: h.symbols.secret(name) for name in CORRUPT}
        self.own_seal = h.symbols.secret("mallory's seal")
        self.own_root = h.symbols.secret("mallory's root key")
        self.signatures: list[bytes] = []
        self.statements: dict[tuple[int, bytes], bytes] = {}
        self._done: set[UnverifiedToken] = set()
        self._taken: set[UnverifiedToken] = set()
        self._taken_by_issuer: dict[UnverifiedToken, bool] = {}
        self._kept: set[tuple[bytes, tuple[str, ...]]] = set()

    def _learn(self) -> None:
        """Every signature that stands in anything that was seen, and every 32 bytes that may be a
        tag or a root key."""
        h = self.history
        signatures = {proof: None for _, proof in h.seen}
        tags = {self.own_root: None, **{token.tag: None for token in h.tokens}}
        tags |= {token.tag: None for token, _ in h.seen}
        for data in (*h.statements, *h.agreed):
            signatures[data[: crypto.SIGNATURE_BYTES]] = None
        for token in (*h.tokens, *(token for token, _ in h.seen)):
            signatures[token.identifier[: crypto.SIGNATURE_BYTES]] = None
            for raw in token.caveats:
                caveat = json.loads(raw)
                if caveat[0] == "delegate":
                    signatures[bytes.fromhex(caveat[2])] = None
            # The broken audience opens what is sealed to it.
            fields = header.parse(token.identifier)
            private = h.symbols.secret("proxy:c")
            opened = crypto.unseal(private, h.audiences["c"].public, fields.seal_audience)
            if opened is not None:
                tags[opened] = None
        self.signatures, self.tags = list(signatures), list(tags)
        self.hops = list(
            {raw: None for t in (*h.tokens, *(t for t, _ in h.seen)) for raw in t.caveats
             if raw.startswith(b'["delegate"')}
        )  # fmt: skip
        self.caveats = list(
            {raw: None for t in (*h.tokens, *(t for t, _ in h.seen)) for raw in t.caveats
             if not raw.startswith((b'["delegate"', b'["req"'))}
        )  # fmt: skip

    # 2. What it builds ------------------------------------------------------------------------

    def _headers(self) -> Iterator[bytes]:
        """Identifiers: those seen, with seals of its own, with changed bodies, with other
        signatures."""
        h = self.history
        seen = {t.identifier: None for t in (*h.tokens, *(t for t, _ in h.seen))}
        own_key = h.people["mallory"].hex()
        for identifier in list(seen):
            yield identifier
            size, seals = crypto.SIGNATURE_BYTES, 2 * crypto.SEALED_KEY_BYTES
            signature, body, end = identifier[:size], identifier[size:-seals], identifier[-seals:]
            for name in "ab":
                sealed = crypto.seal(h.audiences[name].public, self.own_root)
                yield signature + body + sealed + end[crypto.SEALED_KEY_BYTES :]
                yield signature + body + sealed + sealed
            value = body_of(identifier)
            changes: tuple[dict[str, Any], ...] = (
                {"holder": {**value["holder"], "key": own_key}},
                {"aud": "proxy:b"}, {"ceil": [["only", {"run_bash": "always"}]]},
                {"obligations": []}, {"narrowed": [], "ancestors": []},
            )  # fmt: skip
            for change in changes:
                spelled = canonical.encode({**value, **change}) + b"\0"
                yield signature + spelled + end
                yield crypto.sign(self.secrets["mallory"], header.DOMAIN + spelled + end) + (
                    spelled + end
                )
            for other in self.signatures:
                yield other + body + end

    def starts(self) -> Iterator[UnverifiedToken]:
        """Tokens to begin with: as they were seen, spoiled, or begun anew."""
        h = self.history
        for token in (*h.tokens, *(token for token, _ in h.seen)):
            yield token
            caveats = token.caveats
            shorter = [caveats[:n] + caveats[n + 1 :] for n in range(len(caveats))]
            mixed = list(itertools.permutations(caveats))[1:] if len(caveats) < 5 else []
            for changed in (*shorter, *mixed, caveats + caveats[-1:]):
                yield UnverifiedToken(token.identifier, changed, token.tag)
            for tag in self.tags:
                for n in range(len(caveats) + 1):
                    yield UnverifiedToken(token.identifier, caveats[:n], tag)
        for identifier in self._headers():
            for key in self.tags:
                yield UnverifiedToken(identifier, (), chain.first_tag(key, identifier))

    def _more(self, token: UnverifiedToken) -> Iterator[bytes]:
        """Caveats to append: restrictions, every hop that was seen, hops of its own over this
        prefix and in another's name."""
        yield from (writing.caveat(each) for each in RESTRICTIONS)
        yield from self.caveats
        yield from self.hops
        for depth, taker in ((0, "mallory"), (1, "trudy"), (3, "mallory")):
            key = self.history.people[taker].hex()
            body = {"depth": depth, "key": key, "purpose": "", "to": taker}
            unsigned = canonical.encode(["delegate", body])
            for private in self.secrets.values():
                for before in (token.caveats, ()):
                    message = chain.delegate_message(token.identifier, before, unsigned)
                    signature = crypto.sign(private, message)
                    yield canonical.encode(["delegate", body, signature.hex()])
            if depth == 1:
                for signature in self.signatures:
                    yield canonical.encode(["delegate", body, signature.hex()])

    def _longer(self, level: list[UnverifiedToken]) -> Iterator[UnverifiedToken]:
        """What nobody takes is not worth extending: its tag does not hold, nor will it."""
        for token in level:
            if self._holds(token):
                for raw in self._more(token):
                    yield writing.append(token, raw)

    def _holds(self, token: UnverifiedToken) -> bool:
        """Whether anybody takes this chain: an honest verifier, or the issuer by its own seal."""
        if token not in self._taken_by_issuer:
            try:
                self.history.opener.prefix(token)
                self._taken_by_issuer[token] = True
            except NucleusError:
                self._taken_by_issuer[token] = False
        return self._taken_by_issuer[token] or token in self._taken

    # 3. Whom it asks --------------------------------------------------------------------------

    def _count(self, table: dict[str, int], what: str) -> None:
        table[what] = table.get(what, 0) + 1

    def _note(self, why: str, token: UnverifiedToken) -> None:
        if why and why not in self.forgeries:
            kinds = [json.loads(raw)[0] for raw in token.caveats]
            self.forgeries[why] = f"{body_of(token.identifier)['sub']}'s token + {kinds}"

    @property
    def over(self) -> bool:
        return bool(self.stop_at) and any(self.stop_at in why for why in self.forgeries)

    def run(self, rounds: int = 2) -> None:
        """Everything, again with what the exchanges gave."""
        for _ in range(rounds):
            self._learn()
            fresh: list[UnverifiedToken] = []
            level = list(dict.fromkeys(self.starts()))
            for _ in range(self.depth + 1):
                for token in level:
                    if token not in self._done:
                        self._done.add(token)
                        fresh.append(token)
                        self._present(token)
                    if self.over:
                        return
                level = list(dict.fromkeys(self._longer(level)))
            # What was handed on first: an exchange of it has most to forget.
            kept = 0
            for token in reversed(fresh):
                if self._holds(token):
                    kept += self._exchange(token, kept < self.keep)
                if self.over:
                    return

    def _present(self, token: UnverifiedToken) -> None:
        h = self.history
        for name, keys in h.keys.items():
            self._count(self.asked, "chains")
            verified = authenticate(_text(token), keys)
            if isinstance(verified, Deny):
                continue
            self._count(self.taken, "chains")
            self._taken.add(token)
            prefix = verified.prefix
            self._note(forged_chain(h, token, prefix.raw), token)
            self._call(token, name)

    def _call(self, token: UnverifiedToken, name: str) -> None:
        """Calls with it: bare, with requests that were seen, with requests of its own."""
        h = self.history
        credentials: list[tuple[UnverifiedToken, bytes | None]] = [(token, None)]
        if token.caveats and token.caveats[-1].startswith(b'["req"'):
            credentials += [(token, proof) for proof in self.signatures]
        else:
            for private in self.secrets.values():
                text = holding.request(
                    token, private, tool=h.call.tool, args=h.call.args, time=NOW, nonce="0a" * 16,
                    instance=INSTANCE,
                )  # fmt: skip
                own = chain.read_credential(text)
                credentials += [(own.token, proof) for proof in (own.proof, None, *self.signatures)]
            for seen, given in h.seen:
                bound = writing.append(token, seen.caveats[-1])
                credentials.append((bound, given))
        for shown, proof in credentials:
            self._judge(shown, proof, name)

    def _judge(self, shown: UnverifiedToken, proof: bytes | None, name: str) -> None:
        h = self.history
        self._count(self.asked, "calls")
        verified = authenticate(_text(shown, proof), h.keys[name])
        if isinstance(verified, Deny):
            return
        counters = wanted(verified, WALL).counters
        decision = clear(verified, h.call, facts(h, name, counters))
        if isinstance(decision, Deny):
            return
        self._count(self.taken, "calls")
        self._note(forged_chain(h, shown, verified.prefix.raw), shown)
        self._note(forged_request(h, shown), shown)
        if isinstance(decision, Allow):
            return
        owed = sorted(o.id for o in decision.obligations)
        for agreed in self._approvals(decision.tid, decision.rid, owed):
            self._count(self.asked, "approvals")
            uses = [f"approval:{approvals.parse(agreed).id}/uses"]
            again = clear(verified, h.call, facts(h, name, [*counters, *uses], approvals=(agreed,)))
            if isinstance(again, Allow):
                self._count(self.taken, "approvals")
                self._note(forged_approval(h, shown, again.intent.discharged), shown)

    def _approvals(self, tid: str, rid: str, owed: list[str]) -> Iterator[bytes]:
        """Those that were seen, as they are, and with each signature under what is needed."""
        yield from self.history.agreed
        digest = self.history.call.digest.hex()
        for approver in ("person", "alice", "mallory"):
            body = {
                "approver": approver, "cell": WALL, "count": 1, "digest": digest,
                "id": "0b" * 16, "not_after": NOW + 600, "obligations": owed, "pattern": None,
                "rid": rid, "tid": tid, "v": 1,
            }  # fmt: skip
            spelled = canonical.encode(body)
            for signature in self.signatures:
                yield signature + spelled
            for private in self.secrets.values():
                yield writing.approval(body, private)

    def _exchange(self, token: UnverifiedToken, keep: bool) -> bool:
        """Statements: those seen, with each signature under what is needed, and its own. Whether
        one of the answers was kept, to go on from."""
        h = self.history
        kinds = (token.identifier, tuple(json.loads(raw)[0] for raw in token.caveats))
        keep, kept = keep and kinds not in self._kept, False
        for audience in ("b", "a"):
            name = h.audiences[audience].name
            offers = list(h.statements)
            body = {
                "aud": name, "nonce": h.symbols.draw(16).hex(), "v": 1,
                "prefix": chain.prefix_digest(token.identifier, token.caveats).hex(),
            }  # fmt: skip
            spelled = canonical.encode(body)
            offers += [signature + spelled for signature in self.signatures]
            offers += [
                exchanges.write(token, private, audience=name, nonce=h.symbols.draw(16).hex())
                for private in self.secrets.values()
            ]
            for statement in offers:
                self._count(self.asked, "exchanges")
                try:
                    minted = h.exchanger.exchange(token, statement)
                except NucleusError:
                    continue
                self._count(self.taken, "exchanges")
                made = holding.read_token(minted.text)
                said = exchanges.parse(statement).audience
                self._note(forged_exchange(h, token, made, said), token)
                h.issued[made.identifier] = []
                h.give(made, to_attacker=keep)
                if keep:
                    self._kept.add(kinds)
                    keep, kept = False, True
        return kept


def _text(token: UnverifiedToken, proof: bytes | None = None) -> str:
    return writing.write_credential(token, proof)
