"""RFC 8785 at each of its edges: what is I-JSON has one spelling, and what is not has none."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleus_tokens import arguments, jcs
from tests.support.posing import Poser

BIG = 2**53 - 1


def nested(depth: int, inner: Any, *, key: str = "") -> Any:
    value = inner
    for _ in range(depth):
        value = {key: value} if key else [value]
    return value


SPELLED: list[tuple[Any, str]] = [
    (None, "null"), (True, "true"), (False, "false"), (0, "0"), (-7, "-7"), (BIG, str(BIG)),
    (-BIG, str(-BIG)), ("", '""'), ('"\\\n\x1f\x7f', '"\\"\\\\\\n\\u001f\x7f"'),
    ("\u20ac\U0001f600", '"\u20ac\U0001f600"'), ("e\u0301", '"e\u0301"'),
    (0.0, "0"), (-0.0, "0"), (1.0, "1"), (-1.0, "-1"), (float(BIG), str(BIG)),
    (float(-BIG), str(-BIG)), (0.1, "0.1"), (-1.5, "-1.5"), (100.25, "100.25"),
    (1e-6, "0.000001"), (1e-7, "1e-7"), (-1.25e-7, "-1.25e-7"), (1.5e-6, "0.0000015"),
    (1e21, "1e+21"), (-1e21, "-1e+21"), (1.5e22, "1.5e+22"), (5e-324, "5e-324"),
    (1.7976931348623157e308, "1.7976931348623157e+308"), (2251799813685248.5, "2251799813685248.5"),
    (123456789.125, "123456789.125"), (0.5, "0.5"), (1e100, "1e+100"),
    ([], "[]"), ({}, "{}"), ([[], {}, [1]], "[[],{},[1]]"), ([1, "a", None], '[1,"a",null]'),
    ({"b": 1, "a": [2]}, '{"a":[2],"b":1}'), ({"": {"": {}}}, '{"":{"":{}}}'),
    ({"\uff00": 1, "\U0001f600": 2, "a": 3}, '{"a":3,"\U0001f600":2,"\uff00":1}'),
    ({"\u00e9": 1, "z": 2, "Z": 3}, '{"Z":3,"z":2,"\u00e9":1}'),
    ([0.5, [], {}], "[0.5,[],{}]"), ({"\u00e9": [], "a": {}}, '{"a":{},"\u00e9":[]}'),
]  # fmt: skip


@pytest.mark.parametrize(("value", "text"), SPELLED, ids=lambda v: ascii(v)[:30])
def test_each_value_has_its_spelling(value: Any, text: str) -> None:
    jcs.check(value)
    assert jcs.spell(value) == text.encode()
    assert arguments.encode(value) == text.encode()
    assert jcs.spell([value, {"k": value}]) == f'[{text},{{"k":{text}}}]'.encode()
    assert jcs.digest(value) == hashlib.sha256(b"nucleus/args/v1\0" + text.encode()).digest()


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
EIGHTHS = st.integers(-4000, 4000).map(lambda n: n / 8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-BIG, BIG) | EIGHTHS | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(TEXTS | st.sampled_from("abz"), inner, max_size=4)
    ),
    max_leaves=12,
)


def plain(value: Any) -> bool:
    """By looking everywhere."""
    if isinstance(value, dict):
        return all(key.isascii() and plain(each) for key, each in value.items())
    return all(map(plain, value)) if isinstance(value, list) else not isinstance(value, float)


def reference(value: Any) -> str:
    """RFC 8785 from the text of the standard, one value at a time."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return "{" + ",".join(f"{reference(key)}:{reference(value[key])}" for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(reference, value)) + "]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False)


@given(VALUES)
def test_what_is_plain_and_what_is_not_has_the_spelling_of_the_standard(value: Any) -> None:
    assert jcs.check(value) is plain(value)
    assert jcs.spell(value) == reference(value).encode()
    assert arguments.encode(value) == reference(value).encode()


@pytest.mark.parametrize("value", [each for each, _ in SPELLED], ids=lambda v: ascii(v)[:30])
def test_what_is_plain_is_so_wherever_it_stands(value: Any) -> None:
    for around in (value, [value, 1], [1, value], {"k": value, "l": 1}, {"a": 1, "k": [value]}):
        assert jcs.check(around) is plain(around)
    assert jcs.check({"\u00e9": value}) is False


NOT_JSON: list[Any] = [
    BIG + 1, -BIG - 1, 10**30, float("nan"), float("inf"), float("-inf"), float(BIG + 1),
    float(-BIG - 1), 1e17, 1e20, -1e20, 999999999999999868928.0,
    "\ud800", "a\udfff", b"a", (), (1,),
    {1: 2}, {None: 1}, {True: 1}, {"\ud800": 1}, {"a"}, object(), ..., Poser(), {Poser(): 1},
]  # fmt: skip


@pytest.mark.parametrize("value", NOT_JSON, ids=lambda v: ascii(v)[:20])
def test_what_is_no_json_is_refused_wherever_it_stands(value: Any) -> None:
    for around in (value, [value], [1, value], {"k": value}, {"a": 1, "k": [value]}):
        with pytest.raises(ValueError):
            jcs.check(around)


@pytest.mark.parametrize("key", ["", "k"])
@pytest.mark.parametrize("inner", [1, "a", None, {}, []])
def test_how_deep_it_may_be_nested(key: str, inner: Any) -> None:
    jcs.check(nested(64, inner, key=key))
    with pytest.raises(ValueError):
        jcs.check(nested(65, inner, key=key))


def test_a_key_is_no_deeper_than_its_object() -> None:
    jcs.check(nested(63, {"a": 1}))
    jcs.check(nested(63, {"k": "v"}, key="k"))
