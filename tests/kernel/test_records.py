"""A record gives the same decision again, holds nothing one could act with, and shows a change."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleus_issuer.mint import Signer
from nucleus_tokens.chain import to_text
from nucleus_tokens.errors import CredentialError
from nucleus_tokens.names import OPERATIONS
from nucleus_verifier import record, trace
from nucleus_verifier.clear import clear, reconsider
from nucleus_verifier.facts import Policy, Selector
from tests.algebra.reference import SCALE
from tests.support import world
from tests.support.calls import varied
from tests.support.chains import approve_each, random_facts, random_ladder, with_approvals

LAW = settings(max_examples=80 * SCALE)
SALT = bytes(range(16))
RANDOM = st.randoms(use_true_random=False)
Pair = tuple[dict[str, Any], dict[str, Any]]


def recorded(r: Random) -> tuple[Pair, dict[str, object], bytes]:
    """A record and its reveal, the decision in words, and the last tag of its chain."""
    ladder = random_ladder(r, r.choice((0, 1, 3)))
    call = varied(r, ladder.homes[0])
    facts = random_facts(r, ladder, call)
    rung = ladder.rungs[-1]
    if r.random() < 0.5:
        owed = [f"op:{OPERATIONS[call.operation % 13]}", "gate:exposure"]
        data, said = approve_each(r, ladder, call, owed, 2)[len(ladder.rungs) - 1]
        facts = with_approvals(facts, data, said)
    verified, waited = rung.verified, False
    if r.random() < 0.4:
        verified = world.opened(world.request(rung.token, call, rung.holder))
        facts = world.carried(facts)
        waited = r.random() < 0.5
    decision = (reconsider if waited else clear)(verified, call, facts)
    pair = record.decision_record(verified, call, facts, decision, salt=SALT, waited=waited)
    return pair, record.spell_decision(decision), verified.prefix.tag


def through_files(pair: Pair) -> Pair:
    """As they come back: the record from a trace line, the reveal from JSON."""
    line, _ = trace.line(1, trace.GENESIS, pair[0])
    entries, broken = trace.read([line])
    assert broken is None
    return dict(entries[0].record), json.loads(json.dumps(pair[1]))


@LAW
@given(RANDOM)
def test_a_record_gives_the_same_decision(r: Random) -> None:
    pair, wanted, _ = recorded(r)
    assert record.recompute(*pair, world.KEYS) == wanted
    back = through_files(pair)
    assert record.recompute(*back, world.KEYS) == wanted == back[0]["decision"]


@pytest.mark.parametrize(
    "text", ["e\u0301", "日本", "a\u0308\u0323", "\u212b", "\U0001f600", "\x00", "\x7f", "a" * 3000]
)
def test_any_text_can_be_recorded(text: str) -> None:
    """File names and contents come from other systems, in every normal form."""
    call = world.call(
        f"tool {text}",
        "write_files",
        {"content": text, text: 1.5},
        resources={"path": (f"/srv/{text}",)},
        selectors=[Selector(f"/{text}", "path", f"/srv/{text}")],
    )
    token = world.mint()
    verified = world.opened(token)
    facts = world.facts(
        token, evidence=frozenset((f"/{text}",)), policy=Policy(tool_obligations=frozenset((text,)))
    )
    decision = clear(verified, call, facts)
    pair = record.decision_record(verified, call, facts, decision, salt=SALT)
    assert record.recompute(*through_files(pair), world.KEYS) == record.spell_decision(decision)


# Nothing to act with --------------------------------------------------------------------------


@LAW
@given(RANDOM)
def test_a_record_holds_no_tag_and_no_secret(r: Random) -> None:
    """With the tag a record would be a token."""
    pair, _, tag = recorded(r)
    text = json.dumps(pair)
    for secret in (tag, world.secret("root"), world.secret("agent"), world.secret("audience")):
        assert secret.hex() not in text
        for encoded in (to_text(secret)[:-1], repr(secret)):
            assert encoded not in text


def test_arguments_stand_in_the_record_only_as_a_salted_digest() -> None:
    token = world.mint()
    call = world.write(content="the treasure lies under the oak")
    verified, facts = world.opened(token), world.facts(token)
    decision = clear(verified, call, facts)
    made = [
        record.decision_record(verified, call, facts, decision, salt=bytes([n]) * 16)
        for n in (1, 2)
    ]
    for entry, reveal in made:
        assert "treasure" not in json.dumps(entry)
        assert "/srv/data/a.txt" not in json.dumps(entry)
        assert "treasure" in json.dumps(reveal)
    assert made[0][0]["call"] != made[1][0]["call"], "the same call twice must not look the same"


# A change shows -------------------------------------------------------------------------------


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to every scalar."""
    if isinstance(value, dict | list | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from places(item, (*path, key))
    else:
        yield path


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    made = copy.deepcopy(value)
    at = made
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = new
    return made


def another(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return value[:-1] + ("0" if value[-1:] != "0" else "1") if value else "x"
    return "x"


def small() -> Pair:
    made = world.small_world()
    verified = world.opened(made.credential)
    decision = clear(verified, made.call, made.facts)
    return record.decision_record(verified, made.call, made.facts, decision, salt=SALT)


def test_every_changed_value_of_a_reveal_is_noticed() -> None:
    entry, reveal = small()
    seen = 0
    for path in places(reveal):
        value = reveal
        for key in path:
            value = value[key]
        with pytest.raises(CredentialError, match=r"trace\.(reveal|unreadable)"):
            record.recompute(entry, changed(reveal, path, another(value)), world.KEYS)
        seen += 1
    assert seen > 12
    for key in reveal:
        without = {k: v for k, v in reveal.items() if k != key}
        with pytest.raises(CredentialError, match=r"trace\.(reveal|unreadable)"):
            record.recompute(entry, without, world.KEYS)
    with pytest.raises(CredentialError, match=r"trace\.(reveal|unreadable)"):
        record.recompute(entry, {**reveal, "more": 1}, world.KEYS)


def test_every_changed_byte_of_a_record_is_noticed() -> None:
    line, _ = trace.line(1, trace.GENESIS, small()[0])
    for at in range(len(line)):
        data = bytearray(line)
        data[at] ^= 1
        entries, broken = trace.read([bytes(data)])
        assert broken is not None, at
        assert broken.line == 1
        assert entries == []


@pytest.mark.parametrize(
    "number",
    [
        b"1.0",
        b"1e0",
        b"01",
        b'"1"',
        b" 1",
        b"true",
    ],
)
def test_a_line_has_one_spelling(number: bytes) -> None:
    line, _ = trace.line(1, trace.GENESIS, {"type": "outcome"})
    assert trace.read([line])[1] is None
    assert trace.read([line.replace(b'"seq":1}', b'"seq":' + number + b"}")])[1] is not None


def test_a_record_out_of_its_place_is_noticed() -> None:
    lines, prev = [], trace.GENESIS
    for seq in range(1, 6):
        line, prev = trace.line(seq, prev, {"n": seq, "type": "outcome"})
        lines.append(line)
    assert trace.read(lines)[1] is None
    for wrong, where in (
        (lines[1:], 1),
        (lines[:2] + lines[3:], 3),
        ([lines[0], lines[2], lines[1], *lines[3:]], 2),
        ([*lines[:3], lines[2], *lines[3:]], 4),
        ([*lines[:3], b"", *lines[3:]], 4),
    ):
        _, broken = trace.read(wrong)
        assert broken is not None
        assert broken.line == where
    # What is cut off at the end shows against a checkpoint kept elsewhere, and only there.
    entries, broken = trace.read(lines[:3])
    assert broken is None
    kept = trace.checkpoint(5, prev, world.secret("trace"))
    assert not trace.checkpoint_holds(kept, entries, world.public("trace"))
    assert trace.checkpoint_holds(kept, trace.read(lines)[0], world.public("trace"))
    assert not trace.checkpoint_holds(kept, trace.read(lines)[0], world.public("mallory"))
    other = trace.checkpoint(5, "11" * 32, world.secret("trace"))
    assert not trace.checkpoint_holds(other, trace.read(lines)[0], world.public("trace"))


WRONG: tuple[Any, ...] = (None, 5, -1, "", "zz", [], {}, [[]], [1, 2, 3], {"a": 1}, True)


def recomputes_or_refuses(entry: Any, reveal: Any) -> None:
    """Whatever is wrong in a trace that anybody may have written, it is named or judged."""
    try:
        again = record.recompute(entry, reveal, world.KEYS)
    except CredentialError:
        return
    assert again["verdict"] in ("allow", "ask", "deny")


@pytest.mark.parametrize("part", ["facts", "token", "call", "waited"])
def test_a_record_of_other_shape_is_unreadable_and_nothing_worse(part: str) -> None:
    entry, reveal = small()
    inner = {path[:n] for path in places(entry[part]) for n in range(len(path) + 1)}
    for path in sorted(inner, key=repr):
        for wrong in WRONG:
            recomputes_or_refuses(changed(entry, (part, *path), wrong), reveal)


@pytest.mark.parametrize("key", sorted(small()[1]))
def test_a_reveal_of_other_shape_is_unreadable_and_nothing_worse(key: str) -> None:
    """Even when the record names exactly this reveal."""
    entry, reveal = small()
    inner = {path[:n] for path in places(reveal[key]) for n in range(len(path) + 1)}
    for path in sorted(inner, key=repr):
        for wrong in WRONG:
            other = changed(reveal, (key, *path), wrong)
            digest = record.reveal_digest(other)
            recomputes_or_refuses(changed(entry, ("call", "digest"), digest), other)


def test_a_record_of_another_issuer_is_unreadable() -> None:
    entry, reveal = small()
    mallory = world.mint(
        signer=Signer("issuer:test", "k1", world.secret("mallory"), world.SIGNER.exchange)
    )
    forged = changed(entry, ("token", "identifier"), to_text(mallory.identifier))
    with pytest.raises(CredentialError):
        record.recompute(forged, reveal, world.KEYS)
