"""Law: one issuer, one audience, one kind of token: what every row of `tokens.py` is measured on.

The same bytes go to Nucleus and to pymacaroons, and both judge them by the same typed caveats:
pymacaroons' one satisfier reads a caveat with the kernel's own reader and asks the kernel's own
predicates. What Nucleus does beyond that (signed header, revocation, levels, flow, gate, intent)
is in its rows and not in pymacaroons'.
"""

from __future__ import annotations

import json
import os
from typing import Any, Final

from pymacaroons import Macaroon, Verifier

from nucleus_issuer.mint import Audience, Signer, mint
from nucleus_tokens import (
    arguments,
    caveats,
    chain,
    crypto,
    flow,
    holding,
    names,
    projection,
    writing,
)
from nucleus_tokens.authority import scope_admits
from nucleus_tokens.caveats import Exp, Req, Scope
from nucleus_tokens.chain import UnverifiedToken
from nucleus_tokens.header import Holder
from nucleus_tokens.limits import CACHED_PREFIXES_PER_TREE, SKEW
from nucleus_verifier.authenticate import VerifiedCredential
from nucleus_verifier.caching import CachingVerifier
from nucleus_verifier.clear import clear
from nucleus_verifier.decide import decide
from nucleus_verifier.decision import Allow, Decision
from nucleus_verifier.facts import Call, Cell, Facts, Keys, Selector

NOW: Final = 1_800_000_000
TOOL: Final = "fs.read"
PATH: Final = "/data/team/x/report.txt"
ARGS: Final = {"n": 3, "path": PATH}
INSTANCE: Final = "verifier:bench"
PEER: Final = "spiffe://bench.example/agent"
# Tokens of one tree that differ in their first caveat. More than a cache keeps of one tree, so
# that, taken in turn, none of them is ever remembered.
VARIANTS: Final = 4 * CACHED_PREFIXES_PER_TREE

# A credential and a call that nobody has seen before.
Shown = tuple[str, Call]


def five(variant: int) -> list[list[Any]]:
    """An expiry, and two tools and two folders of which the second is the tighter."""
    return [
        ["exp", NOW + 1800 + variant],
        ["path", "in", ["/data"]],
        ["tool", "in", ["fs.list", "fs.read"]],
        ["path", "in", ["/data/team"]],
        ["tool", "in", ["fs.read"]],
    ]


def twenty(variant: int) -> list[list[Any]]:
    """The five, four times."""
    return [caveat for i in range(4) for caveat in five(variant + i)]


def call() -> Call:
    """A file is read; new each time, because a call computes its digest once."""
    read = names.operation("read_files")
    return Call(
        tool=TOOL,
        operation=read,
        args=ARGS,
        sink=flow.default_sink(read),
        resources={"path": (PATH,)},
        selectors=(Selector("/path", "path", PATH),),
        records=projection.records(read),
        projects=projection.projects(read, False, False, 0),
        label=0,
    )


class World:
    """Keys, facts, and the tokens of one holder."""

    def __init__(self, holder: Holder) -> None:
        issuer, exchange, audience = os.urandom(32), os.urandom(32), os.urandom(32)
        self.root_key = os.urandom(32)
        signer = Signer("issuer:bench", "k1", issuer, crypto.exchange_public_of(exchange))
        self.keys = Keys(
            "proxy:bench", {"a1": audience}, {("issuer:bench", "k1"): crypto.public_of(issuer)}, {}
        )
        self.minted = mint(
            signer,
            Audience("proxy:bench", "a1", crypto.exchange_public_of(audience)),
            tid=os.urandom(16).hex(),
            root_key=self.root_key,
            sub="agent",
            holder=holder,
            ceil=[
                ["only", {"read_files": "always", "write_files": "low_risk"}],
                ["path", "in", ["/data"]],
            ],
            iat=NOW - 60,
            exp=NOW + 3600,
            depth=3,
        )
        self.held = self._facts("held", None)
        self.carried = self._facts("carried", holder.spiffe)

    def _facts(self, channel: Any, peer: str | None) -> Facts:
        return Facts(
            keys=self.keys,
            now=NOW,
            arrived=NOW,
            instance=INSTANCE,
            channel=channel,
            peer=peer,
            clock_ok=True,
            lease_ok=True,
            nonce_seen=False,
            revoked=frozenset(),
            spent={},
            wall=Cell("wall:bench", 0, 0),
            tree=Cell("tree:bench", 0, 0),
        )

    def tokens(self, restrict: Any = five) -> list[UnverifiedToken]:
        """As many as it takes that no cache helps."""
        return [holding.attenuate(self.minted, *restrict(i)) for i in range(VARIANTS)]

    def warm(self) -> CachingVerifier:
        """A verifier that has seen the header, and of its chains only the bare one."""
        verifier = CachingVerifier(self.keys)
        found = verifier.authenticate(writing.write_credential(self.minted))
        assert type(found) is VerifiedCredential
        return verifier

    def judge(self, verifier: CachingVerifier, facts: Facts) -> Any:
        """Text to decision through a verifier's memory, as a proxy does it."""

        def run(shown: Shown) -> Decision:
            text, this = shown
            verified = verifier.authenticate(text)
            if type(verified) is not VerifiedCredential:
                raise AssertionError(verified)
            return clear(verified, this, facts)

        return run

    def judge_cold(self, shown: Shown) -> Decision:
        """Text to decision with no memory at all."""
        return decide(shown[0], shown[1], self.held)


def requests(token: UnverifiedToken, private: bytes | None) -> list[str]:
    """The same token for many calls; with a key, each is proven by the holder."""
    made = []
    for _ in range(VARIANTS):
        nonce = os.urandom(16).hex()
        if private is not None:
            made.append(
                holding.request(
                    token, private, tool=TOOL, args=ARGS, time=NOW, nonce=nonce, instance=INSTANCE
                )
            )
            continue
        body = {
            "args": arguments.args_digest(ARGS).hex(),
            "instance": INSTANCE,
            "nonce": nonce,
            "time": NOW,
            "tool": TOOL,
        }
        bound = writing.append(token, writing.caveat(["req", body]))
        made.append(writing.write_credential(bound))
    return made


def allowed(decision: Decision) -> bool:
    """What every measured decision must be."""
    return isinstance(decision, Allow)


# pymacaroons on the same bytes ------------------------------------------------------------------


def satisfier(this: Call) -> Any:
    """One satisfier for every caveat of the benchmark, with the meaning the kernel gives them."""

    def satisfied(predicate: str) -> bool:
        caveat = caveats.from_value(json.loads(predicate))
        if type(caveat) is Exp:
            return caveat.at > NOW
        if type(caveat) is Scope:
            values = (this.tool,) if caveat.kind == "tool" else this.resources.get(caveat.kind)
            return values is not None and scope_admits(caveat, values)
        if type(caveat) is Req:
            return (
                caveat.tool == this.tool
                and caveat.args == this.args_digest.hex()
                and caveat.instance == INSTANCE
                and -SKEW <= caveat.time - NOW <= SKEW
            )
        return False

    return satisfied


def pymacaroons_judges(root_key: bytes) -> Any:
    """Text to decision by pymacaroons."""

    def run(shown: Shown) -> bool:
        text, this = shown
        verifier = Verifier()
        verifier.satisfy_general(satisfier(this))
        return bool(verifier.verify(Macaroon.deserialize(text[len(chain.PREFIX) :]), root_key))

    return run


def pymacaroons_attenuates(text: str) -> str:
    """Text to text by pymacaroons."""
    token = Macaroon.deserialize(text[len(chain.PREFIX) :])
    token.add_first_party_caveat('["path","in",["/data/team/x"]]')
    return str(token.serialize())


def nucleus_attenuates(text: str) -> str:
    """Text to text by Nucleus."""
    return holding.narrow(text, ["path", "in", ["/data/team/x"]])
