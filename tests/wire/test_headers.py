"""A header at each of its edges: what just fits is read, and the next is refused."""

from __future__ import annotations

from typing import Any

import pytest
from nacl.public import PublicKey, SealedBox

from nucleus_tokens import canonical, header
from nucleus_tokens.errors import CredentialError
from nucleus_tokens.header import UnverifiedHeader
from tests.support import world

ONLY = ["only", {}]
RID, KEY = "ab" * 16, "cd" * 32
BODY: dict[str, Any] = canonical.decode(world.mint().identifier[64:-161])
NO_LISTS: list[Any] = [{}, "", None, 0, False, [[]], [{}], [""], {RID: KEY}, ["ab"]]
BEARER = {"bearer": True, "key": None, "spiffe": None}


def read(**changed: Any) -> UnverifiedHeader:
    return header.parse(bytes(64) + canonical.encode({**BODY, **changed}) + bytes(161))


def refuse(**changed: Any) -> None:
    with pytest.raises(CredentialError) as refused:
        read(**changed)
    assert refused.value.code == "header.malformed", changed


@pytest.mark.parametrize(
    ("member", "kept", "item", "most"),
    [
        ("ceil", [ONLY], ["cap", {}], 63),
        ("narrowed", [], [RID, ["exp", 1]], 64),
        ("ancestors", [], [RID, KEY], 32),
    ],
)
def test_how_many_fit(member: str, kept: list[Any], item: list[Any], most: int) -> None:
    fields = read(**{member: [*kept, *[item] * most]})
    assert len(getattr(fields, member)) == len(kept) + most
    refuse(**{member: [*kept, *[item] * (most + 1)]})


@pytest.mark.parametrize(
    ("member", "value"),
    [(member, value) for member in ("ceil", "narrowed", "ancestors")
     for value in NO_LISTS]
    + [("ceil", []), ("ceil", [["cap", {}]]), ("ceil", ["only"]), ("ceil", [ONLY, ["exp", 1]]),
       ("ceil", [ONLY, ["exposure", []]]), ("ceil", [ONLY, ["link", RID]]),
       ("narrowed", [[RID, ["delegate", {}, ""]]]), ("narrowed", [[RID, ["unknown"]]]),
       ("narrowed", [[RID.upper(), ["exp", 1]]]), ("narrowed", [["exp", 1]]),
       ("ancestors", [[RID.upper(), KEY]]), ("ancestors", [[RID, KEY, KEY]]),
       ("ancestors", [[KEY, RID]]), ("ancestors", [{RID: 1, KEY: 2}])],
)  # fmt: skip
def test_a_list_is_a_list_of_what_belongs_there(member: str, value: Any) -> None:
    refuse(**{member: value})


@pytest.mark.parametrize("version", [0, 2, -1, True, "1", None])
def test_there_is_one_version(version: Any) -> None:
    read(v=1)
    refuse(v=version)


@pytest.mark.parametrize(
    ("holder", "said"),
    [
        (BEARER, True),
        ({**BEARER, "bearer": 1}, False),
        ({**BEARER, "bearer": False}, False),
        ({"bearer": False, "key": KEY, "spiffe": None}, True),
        ({"bearer": 0, "key": KEY, "spiffe": None}, False),
        ({"bearer": None, "key": KEY, "spiffe": None}, False),
        ({"bearer": True, "key": KEY, "spiffe": None}, False),
        ({"bearer": False, "key": None, "spiffe": "spiffe://a"}, True),
        ({"bearer": False, "key": None, "spiffe": "https://a"}, False),
        ({"bearer": False, "key": None, "spiffe": ""}, False),
        ({"bearer": False, "key": KEY.upper(), "spiffe": None}, False),
        ({"bearer": False, "key": KEY, "spiffe": "spiffe://a"}, True),
    ],
)
def test_who_holds_it_is_said_aloud(holder: Any, said: bool) -> None:
    if said:
        assert read(holder=holder).holder.bearer is holder["bearer"]
    else:
        refuse(holder=holder)


@pytest.mark.parametrize(
    ("account", "said"),
    [
        (None, True),
        (["team", {}], True),
        (["team", {"calls": 1, "tokens": 2}], True),
        (["team", {"coins": 1}], False),
        (["team", {"calls": -1}], False),
        (["team", {"calls": True}], False),
        (["team", []], False),
        (["team", ""], False),
        (["", {}], False),
        ([5, {}], False),
        (["team"], False),
        (["team", {}, 1], False),
        ({}, False),
        (0, False),
        ("", False),
        (False, False),
    ],
)
def test_an_account_names_units_that_are_known(account: Any, said: bool) -> None:
    if said:
        wanted = None if account is None else (account[0], tuple(account[1].items()))
        assert read(account=account).account == wanted
    else:
        refuse(account=account)


def test_the_body_is_as_long_as_a_header_may_be() -> None:
    room = 4096 - len(canonical.encode({**BODY, "iss": "", "kid": "", "aud": "", "akid": ""}))
    texts = [1024, 1024, 1024, room - 3072]
    longest = dict(zip(("iss", "kid", "aud", "akid"), ("x" * n for n in texts), strict=True))
    assert len(canonical.encode({**BODY, **longest})) == 4096
    assert read(**longest).iss == "x" * 1024
    refuse(**{**longest, "akid": longest["akid"] + "x"})


@pytest.mark.parametrize("after", [b"\1", b"\xff", b"}", b" "])
def test_what_ends_the_body_is_a_zero(after: bytes) -> None:
    body = canonical.encode(BODY)
    header.parse(bytes(64) + body + b"\0" + bytes(160))
    with pytest.raises(CredentialError, match=r"\[header\.malformed\]"):
        header.parse(bytes(64) + body + after + bytes(160))


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_seal_holds_a_whole_key(size: int) -> None:
    private, public = world.secret("audience"), world.AUDIENCE.public
    box = SealedBox(PublicKey(public))
    assert header.open_seal(box.encrypt(b"k" * 32), private, public) == b"k" * 32
    with pytest.raises(CredentialError, match=r"\[header\.seal\]"):
        header.open_seal(box.encrypt(b"k" * size), private, public)
