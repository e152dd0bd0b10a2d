"""One host for tests: store, issuer, revoker and desk, with the keys of `support.world`."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nucleus_issuer.desk import ApprovalDesk
from nucleus_issuer.exchanging import Exchanger
from nucleus_issuer.issuing import Issuer, Minted, Order
from nucleus_issuer.keys import Key
from nucleus_issuer.opening import IssuerOpener
from nucleus_issuer.revoking import Revoker
from nucleus_issuer.store import Store
from nucleus_tokens import exchanges, holding
from nucleus_tokens.chain import UnverifiedToken
from nucleus_verifier import gather
from nucleus_verifier.clear import clear
from nucleus_verifier.decision import Decision
from nucleus_verifier.facts import Call, Facts, Keys, Policy
from nucleus_verifier.ports import PendingRequest
from tests.issuer.making import Clock
from tests.support import world

PERSON = Key("approver", "person", world.public("person"), world.secret("person"))


class Drawing:
    """Random bytes that follow from a count."""

    def __init__(self) -> None:
        self._count = itertools.count()

    def __call__(self, size: int) -> bytes:
        return hashlib.shake_256(b"draw %d" % next(self._count)).digest(size)


@dataclass
class Host:
    """Everything that stands around one state file."""

    store: Store
    clock: Clock
    random: Callable[[int], bytes] = field(default_factory=Drawing)

    @property
    def issuer(self) -> Issuer:
        return Issuer(world.SIGNER, self.store, clock=self.clock, random=self.random)

    @property
    def opener(self) -> IssuerOpener:
        who = (world.SIGNER.iss, world.SIGNER.kid)
        return IssuerOpener({who: world.public("issuer")}, {who: world.secret("exchange")})

    @property
    def exchanger(self) -> Exchanger:
        audiences = {each.name: each for each in (world.AUDIENCE, world.ELSEWHERE)}
        return Exchanger(
            world.SIGNER, self.opener, self.store, audiences.__getitem__,
            clock=self.clock, random=self.random,
        )  # fmt: skip

    @property
    def revoker(self) -> Revoker:
        return Revoker(self.store, self.opener)

    @property
    def desk(self) -> ApprovalDesk:
        return ApprovalDesk(self.store, clock=self.clock, random=self.random)

    def order(self, **changes: Any) -> Order:
        base: dict[str, Any] = {
            "sub": "agent",
            "holder": world.AGENT,
            "audience": world.AUDIENCE,
            "ceil": (world.all_levels(),),
            "ttl": 3600,
            "depth": 4,
        }
        return Order(**{**base, **changes})

    def issue(self, **changes: Any) -> tuple[Minted, UnverifiedToken]:
        """A token, as it was handed out and as its holder reads it."""
        minted = self.issuer.issue(self.order(**changes))
        return minted, holding.read_token(minted.text)

    def exchange(
        self, token: UnverifiedToken, holder: str = "agent", *, nonce: str = "nonce"
    ) -> tuple[Minted, UnverifiedToken]:
        """The token exchanged for ELSEWHERE, at its named holder's request."""
        statement = exchanges.write(
            token, world.secret(holder), audience=world.ELSEWHERE.name, nonce=world.hex16(nonce)
        )
        minted = self.exchanger.exchange(token, statement)
        return minted, holding.read_token(minted.text)

    def look(self, token: str | UnverifiedToken, keys: Keys = world.KEYS) -> Facts:
        """The facts of now for a held token."""
        credential = world.opened(token, keys)
        self.store.open_cell(world.WALL, 0)
        return gather.facts(
            keys,
            self.store.read(gather.wanted(credential, world.WALL)),
            arrived=self.clock(),
            instance=world.INSTANCE,
            channel="held",
            peer=None,
            policy=Policy(),
        )

    def judge(self, token: str | UnverifiedToken, call: Call, keys: Keys = world.KEYS) -> Decision:
        return clear(world.opened(token, keys), call, self.look(token, keys))

    def ask(self, token: str | UnverifiedToken, call: Call, name: str = "r1") -> PendingRequest:
        """Put on the desk what a call would owe."""
        credential = world.opened(token)
        decision = self.judge(token, call)
        request = PendingRequest(
            id=name,
            created=self.clock(),
            expires=self.clock() + 600,
            tid=credential.prefix.opened.header.tid,
            rid=credential.prefix.rids[-1],
            cell=world.WALL,
            operation=call.operation,
            tool=call.tool,
            call_digest=call.digest.hex(),
            obligations=tuple((o.id, o.why) for o in getattr(decision, "obligations", ())),
            shown="{}",
        )
        self.store.ask(request)
        return request


@contextmanager
def running(path: Path) -> Iterator[Host]:
    """A host on a fresh state file."""
    clock = Clock(world.NOW)
    with Store.open(path / "state" / "state.sqlite", create=True, clock=clock) as store:
        yield Host(store, clock)
