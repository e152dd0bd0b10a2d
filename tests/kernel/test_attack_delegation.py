"""Somebody hands on what he may not, or makes a hand-over say something else."""

from __future__ import annotations

import itertools

import pytest

from nucleus_tokens import canonical, chain, crypto, holding
from nucleus_tokens.chain import UnverifiedToken
from nucleus_tokens.header import Holder
from nucleus_tokens.limits import DEPTH
from tests.support import world
from tests.support.judging import allowed, asked, denied, judge

READ = world.read()
DOMAIN = b"nucleus/delegate/v1\0"


def delegate_caveat(
    prefix: UnverifiedToken,
    signer: str,
    taker: str = "sub",
    depth: int = 1,
    *,
    covers: UnverifiedToken | None = None,
    domain: bytes = DOMAIN,
) -> bytes:
    """A delegate caveat signed by anybody, over any prefix, below any domain."""
    body = {"depth": depth, "key": world.public(taker).hex(), "purpose": "p", "to": taker}
    over = prefix if covers is None else covers
    message = (
        domain
        + chain.prefix_digest(over.identifier, over.caveats)
        + canonical.encode(["delegate", body])
    )
    return canonical.encode(["delegate", body, crypto.sign(world.secret(signer), message).hex()])


def test_the_honest_way_works() -> None:
    token = world.mint()
    made = world.forge(token, delegate_caveat(token, "agent"))
    allowed(judge(world.request(made, READ, "sub"), READ, channel="carried"))


def test_the_giver_no_longer_holds_it() -> None:
    handed = world.hand(world.mint())
    credential = world.request(handed, READ, "agent")
    denied(judge(credential, READ, like=handed, channel="carried"), 5, "proof.signature")


@pytest.mark.parametrize("thief", ["mallory", "sub", "person", "issuer"])
def test_added_by_somebody_who_does_not_hold_it(thief: str) -> None:
    token = world.mint()
    made = world.forge(token, delegate_caveat(token, thief, thief))
    denied(judge(made, READ, like=token), 4, "delegate.signature")


def test_lifted_from_another_token() -> None:
    """The same holder delegated a tight token to us; the caveat is moved onto his wide one."""
    wide = world.mint(tid=world.hex16("wide"))
    tight = world.hand(world.mint(world.levels(read_files="low_risk"), tid=world.hex16("tight")))
    denied(judge(world.forge(wide, tight.caveats[-1]), READ, like=wide), 4, "delegate.signature")


def test_lifted_over_the_narrowing_before_it() -> None:
    """The hand-over was meant for what was narrowed first."""
    token = world.mint()
    handed = world.hand(world.narrow(token, ["path", "in", ["/srv/public"]]))
    lifted = world.forge(token, handed.caveats[-1])
    denied(judge(lifted, READ, like=token), 4, "delegate.signature")


def test_narrowing_slipped_in_before_it() -> None:
    """Even a restriction: what was signed is exactly what was before."""
    token = world.mint()
    handed = world.hand(token)
    pushed = world.forge(token, canonical.encode(["exp", world.NOW + 9]), handed.caveats[-1])
    denied(judge(pushed, READ, like=token), 4, "delegate.signature")


def test_reordered_hops() -> None:
    token = world.hand(world.hand(world.mint(depth=4), depth=3), "sub", "third", depth=2)
    root = world.mint(depth=4)
    swapped = world.forge(
        UnverifiedToken(
            token.identifier, (), chain.first_tag(world.secret("root"), token.identifier)
        ),
        *reversed(token.caveats),
    )
    denied(judge(swapped, READ, like=root), 4, "delegate.signature")
    for order in itertools.permutations(token.caveats):
        if order != token.caveats:
            stale = UnverifiedToken(token.identifier, order, token.tag)
            denied(judge(stale, READ, like=root), 3, "token.forged")


def test_a_hop_left_out() -> None:
    """The first of two hand-overs removed: the second is not signed by the holder before it."""
    root = world.mint(depth=4)
    token = world.hand(world.hand(root, depth=3), "sub", "third", depth=2)
    without = world.forge(root, token.caveats[-1])
    denied(judge(without, READ, like=root), 4, "delegate.signature")


@pytest.mark.parametrize(("held", "given"), [(2, 2), (2, 3), (0, 0), (1, 1), (0, 8)])
def test_depth_does_not_fall(held: int, given: int) -> None:
    token = world.mint(depth=held)
    made = world.forge(token, delegate_caveat(token, "agent", depth=given))
    denied(judge(made, READ, like=token), 4, "delegate.depth")


def test_depth_below_zero_cannot_be_said() -> None:
    token = world.mint(depth=1)
    made = world.forge(token, delegate_caveat(token, "agent", depth=-1))
    denied(judge(made, READ, like=token), 3, "caveat.malformed")


def test_too_deep() -> None:
    """Eight hops fit; a ninth cannot be written, and depth 9 cannot be said."""
    token = world.mint(depth=DEPTH)
    giver = "agent"
    for depth in range(DEPTH - 1, -1, -1):
        token = world.hand(token, giver, f"hop{depth}", depth=depth)
        giver = f"hop{depth}"
    allowed(judge(world.request(token, READ, giver), READ, channel="carried"))
    again = world.forge(token, delegate_caveat(token, giver, depth=0))
    denied(judge(again, READ, like=token), 4, "delegate.depth")
    nine = world.forge(token, delegate_caveat(token, giver, depth=DEPTH + 1))
    denied(judge(nine, READ, like=token), 3, "caveat.malformed")


def test_a_giver_cannot_raise_the_depth_he_was_given() -> None:
    token = world.hand(world.mint(depth=4), depth=1)
    made = world.forge(token, delegate_caveat(token, "sub", "third", depth=3))
    denied(judge(made, READ, like=token), 4, "delegate.depth")


@pytest.mark.parametrize(
    "holder", [world.BEARER, Holder("spiffe://test/agent", None)], ids=["bearer", "spiffe"]
)
def test_without_an_ed25519_holder_nothing_is_delegated(holder: Holder) -> None:
    token = world.mint(holder=holder)
    made = world.forge(token, delegate_caveat(token, "agent"))
    denied(judge(made, READ, like=token), 4, "delegate.no_key")


def test_a_signature_of_the_holder_for_another_purpose() -> None:
    """A request proof or an approval by the same key is no delegation: the domains differ."""
    token = world.mint()
    for domain in (b"nucleus/proof/v1\0", b"", b"nucleus/approval/v1\0"):
        made = world.forge(token, delegate_caveat(token, "agent", domain=domain))
        denied(judge(made, READ, like=token), 4, "delegate.signature")


def test_who_is_named_is_signed_too() -> None:
    """Receiver, purpose and depth of a signed hand-over changed afterwards."""
    token = world.mint()
    caveat = canonical.decode(world.hand(token).caveats[-1])
    for change in (
        {"key": world.public("mallory").hex()},
        {"to": "mallory"},
        {"purpose": "anything"},
        {"depth": 3},
    ):
        changed = ["delegate", {**caveat[1], **change}, caveat[2]]
        forged = world.forge(token, canonical.encode(changed))
        denied(judge(forged, READ, like=token), 4, "delegate.signature")


def test_a_receiver_named_by_spiffe_id_needs_both() -> None:
    """A SPIFFE ID in `to` binds the connection as well as the key."""
    token = holding.delegate(
        world.mint(),
        world.secret("agent"),
        to="spiffe://test/sub",
        key=world.public("sub"),
        purpose="",
        depth=0,
    )
    credential = world.request(token, READ, "sub")
    allowed(judge(credential, READ, channel="carried", peer="spiffe://test/sub"))
    for peer in (None, "spiffe://test/agent", "spiffe://test/sub/x"):
        denied(judge(credential, READ, channel="carried", peer=peer), 5, "holder.peer")


def test_what_follows_a_hand_over_still_only_narrows() -> None:
    token = world.hand(world.mint(world.levels(read_files="low_risk")))
    wider = world.narrow(token, world.all_levels(), ["path", "in", ["/"]])
    assert asked(judge(wider, READ)) == {"input:/path"}
    denied(judge(wider, world.bash("ls")), 9, "level.never")


def test_any_defect_refuses_the_whole_token() -> None:
    """Not only what follows the defect: a chain is not read up to its first bad caveat."""
    token = world.mint()
    made = world.forge(token, delegate_caveat(token, "mallory"))
    for later in (["exp", world.NOW + 9], ["link", "00" * 16]):
        denied(judge(world.narrow(made, later), READ, like=token), 4, "delegate.signature")
