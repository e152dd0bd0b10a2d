"""Arguments that are judged together with another: an amount with its payee, a file in a list of
attachments, an entry with its guests."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleus_proxy import binding, policy
from nucleus_proxy.binding import Hints
from nucleus_proxy.knowledge import MOST_FACTS
from nucleus_tokens import exposure, label_names, names
from nucleus_tokens.errors import CallerError
from tests.flow.scene import PARSED, Scene

FRIEND = "GB29NWBK60161331926819"
SHOP = "SE3550000000054910000003"
OTHER = "US122000000121212121212"
PAID = [
    {"from": "me", "to": FRIEND, "amount": 200.0, "subject": "birthday"},
    {"from": FRIEND, "to": "me", "amount": 10.0, "subject": "for the Pizzeria"},
    {"from": "me", "to": SHOP, "amount": 50, "subject": "Tonal Premium"},
]


def scene(prompt: str) -> Scene:
    return Scene(prompt).saw("bank", PAID)


@pytest.mark.parametrize("amount", [10, 10.0, 0.01, 199.99, 200])
def test_up_to_what_was_paid_to_the_very_same_account(amount: float) -> None:
    assert scene(f"send it back to {FRIEND}").admits("transfer", {"to": FRIEND, "amount": amount})


@pytest.mark.parametrize(
    "amount", [200.01, 2000, -1, 0, math.nan, math.inf, "10", True, {"a": 10}, 1e300, None]
)
def test_nothing_beyond_it_and_nothing_that_is_no_amount(amount: Any) -> None:
    missing = scene(f"send it back to {FRIEND}").missing(
        "transfer", {"to": FRIEND, "amount": amount}
    )
    assert any(pointer.startswith("/amount") for pointer in missing)


def test_another_account_has_its_own_bound() -> None:
    known = scene(f"pay {SHOP} or {OTHER}")
    assert known.admits("transfer", {"to": SHOP, "amount": 50})
    assert known.missing("transfer", {"to": SHOP, "amount": 51}) == {"/amount"}
    assert known.missing("transfer", {"to": OTHER, "amount": 1}) == {"/amount"}
    # the bound vouches for the amount alone
    assert scene("pay it").missing("transfer", {"to": FRIEND, "amount": 10}) == {"/to"}


def test_a_name_pays_whom_the_user_paid_under_it() -> None:
    assert scene("send Tonal the rest").admits("transfer", {"to": "Tonal", "amount": 5})
    assert scene("send Tonal the rest").missing("transfer", {"to": "Tonal", "amount": 51})
    # what somebody else wrote about a payment names nobody
    assert "/to" in scene("pay the Pizzeria").missing("transfer", {"to": "Pizzeria", "amount": 10})
    assert "/to" in scene("send it on").missing("transfer", {"to": "Tonal", "amount": 5})


def test_once_anything_was_forgotten_there_is_no_bound() -> None:
    known = scene(f"send it back to {FRIEND}")
    known.known.learn([("directory", str(n)) for n in range(MOST_FACTS)])
    assert "/amount" in known.missing("transfer", {"to": FRIEND, "amount": 10})


amounts = st.floats(min_value=0.01, max_value=1e6).map(lambda x: round(x, 2))


@given(st.lists(st.tuples(st.sampled_from([FRIEND, SHOP, OTHER]), amounts)), amounts)
def test_the_bound_is_the_largest_amount_with_that_party(
    paid: list[tuple[str, float]], amount: float
) -> None:
    known = Scene(f"pay {FRIEND}")
    known.saw("bank", [{"from": "me", "to": to, "amount": n, "subject": ""} for to, n in paid])
    most = max((Decimal(repr(n)) for to, n in paid if to == FRIEND), default=Decimal(0))
    assert known.admits("transfer", {"to": FRIEND, "amount": amount}) is (
        Decimal(repr(amount)) <= most
    )


def test_a_flag_is_set_by_the_users_word() -> None:
    args = {"to": FRIEND, "amount": 1, "again": True}
    assert scene(f"pay {FRIEND} 1 monthly").admits("transfer", args)
    assert scene(f"pay {FRIEND} 1").missing("transfer", args) == {"/again"}
    assert scene(f"pay {FRIEND} 1").admits("transfer", {**args, "again": False})
    assert scene(f"pay {FRIEND} 1 monthly").missing("transfer", {**args, "again": 1}) == {"/again"}


@pytest.mark.parametrize(
    ("item", "vouched"),
    [
        ({"file_id": "7"}, True),
        ({"type": "file", "file_id": "7"}, True),
        ({"type": "file", "file_id": "8"}, False),
        ({"type": "event", "file_id": "7"}, False),
        ({"type": "file", "file_id": "7", "content": "more"}, False),
        ({"type": "file"}, False),
        ("7", False),
        (["7"], False),
        ({"file_id": ["7"]}, False),
    ],
)
def test_what_is_attached_is_one_known_member_and_nothing_beside_it(
    item: Any, vouched: bool
) -> None:
    assert Scene("mail them file #7").admits("attach", {"files": [item]}) is vouched
    # every one of them
    both = {"files": [{"file_id": "7"}, item]}
    assert Scene("mail them file #7").admits("attach", both) is vouched


def test_an_entry_with_guests_is_a_mail() -> None:
    alone = {"day": "2026-05-20", "title": "x"}
    for args, operation, sink in (
        (alone, "write_files", "workspace_write"),
        ({**alone, "guests": None}, "write_files", "workspace_write"),
        ({**alone, "guests": ["a@x.org"]}, "manage_pods", "email_send"),
        ({**alone, "guests": []}, "manage_pods", "email_send"),
    ):
        call = binding.bind("entry", args, PARSED.tools["entry"], Hints(), "/")
        assert call.operation == names.operation(operation)
        assert call.sink == label_names.sink(sink)
        assert bool(call.projects & exposure.EXFIL_VECTOR) is (sink == "email_send")


def test_whoever_wrote_is_in_the_directory_and_what_he_wrote_is_not() -> None:
    known = Scene("answer them").saw("chat", [{"sender": "Ann", "body": "Mallory"}, {"body": "x"}])
    assert known.admits("post", {"channel": "Ann", "body": "hi"})
    assert not known.admits("post", {"channel": "Mallory", "body": "hi"})


def test_a_sentence_may_begin_right_behind_a_link() -> None:
    known = Scene("Put it on www.example.com.They know")
    assert known.admits("get", {"url": "www.example.com"})
    for other in ("www.example", "example.com", "www.example.com.evil.org", "www.example.com/They"):
        assert not known.admits("get", {"url": other})
    # a path of capitals, and a host that goes on in small letters, are what they say
    assert not Scene("see x.org/a.B").admits("get", {"url": "x.org"})
    assert not Scene("see x.org.evil.net").admits("get", {"url": "x.org"})


@pytest.mark.parametrize(
    "tool",
    [
        'selectors."/a" = { kind = "amount", within = ["/b"] }',
        'selectors."/a" = { kind = "text", within = ["/a"] }',
        'selectors."/a" = { kind = "text", words = ["x"] }',
        'selectors."/a" = { kind = "id", beside = { type = "file" } }',
        'selectors."/a" = { kind = "id", item = "x", beside = { type = 1 } }',
        'given."/a" = { operation = "manage_pods" }',
        'selectors."/a" = "text"\ngiven."/a" = { sink = "email_send" }',
        'selectors."/a" = "text"\ngiven."/a" = { operation = "fly" }',
        'selectors."/a" = "text"\ngiven."/a" = { operation = "manage_pods", level = 1 }',
        'results = [{ yields = "payment", key = "/a" }]',
        'results = [{ yields = "directory", where = { "/a" = 1 } }]',
        'results = [{ yields = "directory", parties = ["/a"] }]',
    ],
)
def test_a_binding_that_makes_no_sense_refuses_the_file(tool: str) -> None:
    text = f'version = 1\n[tools.x]\noperation = "read_files"\n{tool}\n'
    with pytest.raises(CallerError) as refused:
        policy.parse(text.encode())
    assert refused.value.code in ("policy.value", "policy.unknown_key")
