"""Laws of what is offered: it holds the call that is asked about, it can be signed, and it names
all that the call touches. And letters that pass for others are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleus.asked import question
from nucleus.lookalikes import unusual
from nucleus.offers import offers
from nucleus.standing import matches
from nucleus_issuer.store_desk import IN_VAIN_PER_MINUTE
from nucleus_tokens.errors import CallerError
from nucleus_verifier.decision import Allow, Ask
from nucleus_verifier.ports import PendingRequest
from tests.issuer.host import PERSON, running
from tests.issuer.making import request
from tests.support import world

NAMES = st.text(st.sampled_from("abc.-_é*"), min_size=1, max_size=8).filter(
    lambda name: name not in (".", "..")
)
PATHS = st.lists(NAMES, min_size=1, max_size=5).map(lambda parts: "/" + "/".join(parts))
HOSTS = st.sampled_from(("example.org", "a.example.org:8443", "[::1]"))
WORDS = st.lists(st.text(st.sampled_from("ab -/*"), min_size=1, max_size=5), min_size=1, max_size=6)
RESOURCES = st.fixed_dictionaries(
    {},
    optional={
        "path": st.lists(PATHS, min_size=1, max_size=3).map(tuple),
        "host": st.lists(HOSTS, min_size=1, max_size=2).map(tuple),
        "cmd": WORDS.map(lambda words: (words,)),
        "ref": st.lists(NAMES, min_size=1, max_size=2).map(tuple),
    },
)
ARGS = st.dictionaries(
    NAMES,
    st.one_of(st.text(st.sampled_from('aé"\\/ '), max_size=4), st.integers(0, 9), st.booleans()),
)


def _asked(tool: str, resources: dict[str, Any], args: dict[str, Any]) -> PendingRequest:
    shown = {"args": json.dumps(args), "args_whole": True, "chain": ["agent"],
             "operation": "read_files", "resources": resources}  # fmt: skip
    return PendingRequest(
        id="11" * 8, created=0, expires=9, tid="11" * 16, rid="11" * 16, cell="c", operation=0,
        tool=tool, call_digest="00" * 32, obligations=(("op:read_files", "why"),),
        shown=json.dumps(shown),
    )  # fmt: skip


@given(RESOURCES, ARGS)
def test_an_offer_holds_its_own_call_and_no_other_tools(
    resources: dict[str, Any], args: dict[str, Any]
) -> None:
    asked = question(_asked("read", resources, args))
    other = question(_asked("write", resources, args))
    for offer in asked.offers:
        assert matches(json.loads(offer.exactly), asked), offer
        assert not matches(json.loads(offer.exactly), other), offer
        kinds = {each[0] for each in offer.pattern}
        # All that is touched is bound, or every argument is.
        assert "arg" in kinds or kinds - {"tool"} == set(resources)


@given(RESOURCES)
def test_nothing_is_offered_where_something_touched_is_not_known(resources: dict[str, Any]) -> None:
    found = offers("read", {**resources, "host": None}, "")
    assert not found


def test_the_kernel_allows_what_an_offer_says_and_asks_about_the_rest(tmp_path: Path) -> None:
    with running(tmp_path) as host:
        _, token = host.issue(extra=[["approve", ["read_files"]]])
        call = world.read("/srv/data/a.txt")
        found = offers(call.tool, dict(call.resources), json.dumps(call.args))
        assert len(found) == 3
        inside = {"/srv/data/a.txt": (0, 1, 2), "/srv/data/b.txt": (2,), "/srv/c.txt": ()}
        for number, offer in enumerate(found):
            host.ask(token, call, f"r{number}")
            approval = host.desk.approve(f"r{number}", PERSON, pattern=offer.pattern, count=9)
            for path, holds in inside.items():
                wanted = Allow if number in holds else Ask
                assert isinstance(host.judge(token, world.read(path)), wanted), (offer, path)
            host.store.take_back(approval, by="alice")
            assert isinstance(host.judge(token, call), Ask), "taken back"


def test_whoever_wears_a_person_down_is_not_heard_for_a_while(tmp_path: Path) -> None:
    with running(tmp_path) as host:

        def ask(name: str, cell: str = "wall:1") -> None:
            now = host.clock()
            host.store.ask(request(name, created=now, expires=now + 60, cell=cell))

        for number in range(IN_VAIN_PER_MINUTE):
            ask(f"r{number}")
            host.store.withdraw(f"r{number}")
        with pytest.raises(CallerError, match=r"desk\.full"):
            ask("more")
        ask("other", "wall:2")
        host.clock.now += 61
        ask("later")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("read files at /srv/Grüße/東京/עברית", []),
        ("/srv/раypal", ["CYRILLIC SMALL LETTER ER", "CYRILLIC SMALL LETTER A"]),
        ("/srv\u2215etc", ["DIVISION SLASH"]),
        ("with \u03bfrg", ["GREEK SMALL LETTER OMICRON"]),
        ("\uff45xample.org", ["FULLWIDTH LATIN SMALL LETTER E"]),
        ("\U0001d41example", ["MATHEMATICAL BOLD SMALL E"]),
        ("\u0261it", ["LATIN SMALL LETTER SCRIPT G"]),
    ],
)
def test_letters_that_pass_for_others_are_named(text: str, names: list[str]) -> None:
    said = unusual(text)
    assert len(said) == len(names), said
    for sentence, name in zip(said, names, strict=True):
        assert name in sentence
