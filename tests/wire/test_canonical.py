"""Canonical JSON at each of its edges: one spelling of what has one, and none of the rest."""

from __future__ import annotations

from typing import Any

import pytest

from nucleus_tokens import canonical
from nucleus_tokens.errors import CredentialError

BIG = 2**53 - 1

SPELLED: list[tuple[Any, str]] = [
    (None, "null"), (True, "true"), (False, "false"), (0, "0"), (-1, "-1"), (7, "7"),
    (BIG, "9007199254740991"), (-BIG, "-9007199254740991"), ("", '""'), ("a b", '"a b"'),
    ("a/b", '"a/b"'), ('"\\', '"\\"\\\\"'), ("\n\t\x01\x7f", '"\\n\\t\\u0001\x7f"'),
    ("-0", '"-0"'), ("{", '"{"'), ("\u00e9", '"\u00e9"'), ("\U0001f600", '"\U0001f600"'),
    ("\u2028", '"\u2028"'), ([], "[]"), ({}, "{}"), ([1, [2, "x"]], '[1,[2,"x"]]'),
    ({"": 1, "a": {"b": []}}, '{"":1,"a":{"b":[]}}'),
    ({"b": 1, "a": 2, "A": 3, "\uff00": 4, "\U0001f600": 5},
     '{"A":3,"a":2,"b":1,"\uff00":4,"\U0001f600":5}'),
]  # fmt: skip


@pytest.mark.parametrize(("value", "text"), SPELLED, ids=lambda v: ascii(v)[:30])
def test_each_value_has_its_spelling(value: Any, text: str) -> None:
    assert canonical.encode(value) == text.encode()
    read = canonical.decode(text.encode())
    assert read == value
    assert type(read) is type(value)
    for around in ([value], {"k": value}):
        assert canonical.decode(canonical.encode(around)) == around


def test_a_tuple_is_spelled_as_a_list() -> None:
    assert canonical.encode((1, ("a", None))) == b'[1,["a",null]]'


NOT_SPELLED: list[Any] = [
    BIG + 1, -BIG - 1, 10**30, 0.0, 1.5, float("nan"), float("inf"), "e\u0301", "\ud800", b"a",
    {1: 2}, {None: 1}, {True: 1}, {"e\u0301": 1}, {"\ud800": 1}, {"a"}, object(), ...,
]  # fmt: skip


@pytest.mark.parametrize("value", NOT_SPELLED, ids=lambda v: ascii(v)[:20])
def test_what_has_no_spelling(value: Any) -> None:
    for around in (value, [value], (value,), ["a", value], {"k": value}, [[{"k": [value]}]]):
        with pytest.raises(ValueError):
            canonical.encode(around)


def test_what_is_nested_too_deeply_has_no_spelling() -> None:
    value: Any = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(ValueError):
        canonical.encode(value)


REFUSED = [
    "", " ", "1 ", " 1", "1\n", "\t1", "[1, 2]", "[ 1]", '{"a": 1}', '{"a" :1}', "[1,]", "[,]",
    "01", "-0", "[-0]", "-01", "+1", "1.0", "1.", ".5", "1e2", "1E2", "-", "--1", "0x1", "NaN",
    "Infinity", "-Infinity", "nul", "True", "null1", "1 2", "1,2", "[1][2]", "[]]", "[", "{", '"',
    "[\n1]", "[1\n]", "[\t1]", "[1,\r2]", "[\n]",
    "9007199254740992", "-9007199254740992", "9" * 17, "9" * 18, "9" * 19, "9" * 5000,
    "-" + "9" * 18,
    "'a'", '"\\u0061"', '"\\/"', '"\\u000a"', '"\\u001F"', '"\n"', '"\\ud800"', '"\\ud83d\\ude00"',
    '"e\u0301"', '{"e\u0301":1}', '["a","e\u0301"]', '{"b":1,"a":2}', '{"a":1,"a":1}',
    '{"a":1,"a":2}', "{a:1}", "{1:2}", "\ufeff1", "\u00a01",
]  # fmt: skip


@pytest.mark.parametrize("text", REFUSED, ids=lambda v: ascii(v)[:20])
def test_what_is_another_spelling_or_none(text: str) -> None:
    for parts in ([text], ["1", text], [text, "1"], ['"a"', text, "[]"]):
        with pytest.raises(CredentialError) as refused:
            canonical.decode_all([part.encode() for part in parts])
        assert refused.value.code == "json.canonical"


@pytest.mark.parametrize("data", [b"\xff", b'"\xed\xa0\x80"', b'"\xc0\x80"', b'"\xe9"', b'"\xf0"'])
def test_bytes_that_are_no_utf8(data: bytes) -> None:
    with pytest.raises(CredentialError, match=r"\[json\.canonical\]"):
        canonical.decode(data)


def test_many_are_read_each_by_itself() -> None:
    """No part leans on its neighbour, and no length makes up for another."""
    assert canonical.decode_all([]) == []
    texts = [text.encode() for _, text in SPELLED]
    assert canonical.decode_all(texts) == [value for value, _ in SPELLED]
    for parts in ([b'"a', b'"b"'], [b'["a"', b"]"], [b'"a","b"'], [b"1", b"2,3"], [b"1,2", b"3"],
                  [b"", b"1"], [b"1", b""], [b'["a" ]', b"[-0]"], [b"[1", b"2]"], [b"1", b"", b""],
                  [b"1", b"2 "]):  # fmt: skip
        with pytest.raises(CredentialError, match=r"\[json\.canonical\]"):
            canonical.decode_all(parts)
