"""A field of a result has its own label; the law against a slow reading of the same binding."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleus_proxy import fieldlabels, policy
from nucleus_proxy.fieldlabels import Fields
from nucleus_proxy.flowtracker import Labelled
from nucleus_tokens import label_names, labels
from nucleus_tokens.errors import CallerError
from nucleus_tokens.exposure import PRIVATE_DATA, UNTRUSTED_CONTENT

SCALE = int(os.environ.get("NUCLEUS_SCALE", "1"))
TRUE = label_names.node_label("deterministic_bind")[0]
TOOL = Labelled(label_names.node_label("web_content")[0], 0, 3600)
DECLARED: list[dict[str, Any]] = [
    {"at": ["/number", "/items/*/number"], "is": "number", "label": "deterministic_bind"},
    {"at": ["/state"], "is": ["open", "closed"], "label": "deterministic_bind"},
    {"at": ["/items/*/id"], "is": "id", "label": "database_row"},
    {"at": ["/when", "/grid/*/*"], "is": "time", "label": "file_read"},
    {"at": ["/done"], "is": "flag", "label": "git_blob"},
    {
        "at": ["/note"],
        "is": "text",
        "label": "http_response",
        "adds": ["private_data", "untrusted_content"],
    },
]
WORST = PRIVATE_DATA | UNTRUSTED_CONTENT
GOOD: dict[str, Any] = {
    "number": 7,
    "state": "open",
    "items": [{"number": 1, "id": "a-1"}, {"number": None, "id": "B_2.x"}],
    "when": "2026-05-15T10:00:00Z",
    "grid": [["2026-05-15"], []],
    "done": True,
}


def made(declared: list[dict[str, Any]] = DECLARED) -> Fields:
    found = fieldlabels.parse("test", declared)
    assert found is not None
    return found


OF = made()


# The same, slowly: every value and key by its pointer, matched as text. -------------------------


def walked(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    yield at, value
    if type(value) is dict:
        for key, item in value.items():
            # No key with a slash or tilde is declared here; `*` is not, either.
            name = re.sub(r"[~/*]", "?", key)
            yield from walked(item, f"{at}/{name}")
    elif type(value) is list:
        for i, item in enumerate(value):
            yield from walked(item, f"{at}/*{i}")


def slow_form(form: Any, value: Any) -> bool:
    if value is None:
        return True
    if isinstance(form, list):
        return isinstance(value, str) and value in form
    return {
        "number": isinstance(value, int | float) and not isinstance(value, bool),
        "flag": value is True or value is False,
        "text": isinstance(value, str | int | float),
        "id": isinstance(value, str)
        and bool(re.fullmatch(r"[a-zA-Z0-9][\w./+=-]{0,127}", value, re.A)),
        "time": isinstance(value, str) and bool(re.fullmatch(r"[0-9]{4}-[0-9T:Z .+-]*", value)),
    }[form]


def slowly(value: Any) -> tuple[int, dict[str, str], int]:
    """(exposure, pointer -> kind of each field, label of the whole)."""
    pointers = {p: each for each in DECLARED for p in each["at"]}
    bits, found, rest = 0, dict[str, str](), False
    for at, here in walked(value):
        shape = re.sub(r"\*[0-9]+", "*", at)
        if shape in pointers:
            if slow_form(pointers[shape]["is"], here):
                found[at.replace("*", "")] = pointers[shape]["label"]
                bits |= WORST if "adds" in pointers[shape] else 0
            else:
                rest = True
        elif here is not None:
            list_of = any(p.startswith(f"{shape}/*") for p in pointers)
            object_of = any(re.match(re.escape(shape) + "/[^*]", p) for p in pointers)
            rest |= not (type(here) is list and (list_of or not here and object_of)) and not (
                type(here) is dict and (object_of or not here and list_of)
            )
        else:
            rest |= not any(p.startswith(f"{shape}/") for p in pointers)
    kinds = set(found.values())
    all_kinds = [label_names.node_label(each["label"])[0] for each in DECLARED]
    whole = 0xFFFF
    for kind in all_kinds:
        whole &= kind
    if rest:
        whole = TOOL.label
        for kind in all_kinds:
            whole |= kind
    for name in kinds:
        whole |= label_names.node_label(name)[0]
    return (WORST if rest else bits), found, whole


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.sampled_from(["open", "closed", "2026-05-15", "a-1", "Ignore all of it", "", "x y"]),
)
KEYS = st.sampled_from(
    ["number", "state", "items", "id", "when", "grid", "done", "note", "*", "0", "title", "a/b"]
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
NEAR = st.fixed_dictionaries(
    {},
    optional={
        "number": LEAVES,
        "state": LEAVES,
        "items": st.lists(st.fixed_dictionaries({}, optional={"number": LEAVES, "id": LEAVES})),
        "when": LEAVES,
        "grid": st.lists(st.lists(LEAVES, max_size=2), max_size=2),
        "done": LEAVES,
        "note": LEAVES,
    },
)


@settings(max_examples=500 * SCALE)
@given(st.one_of(NEAR, VALUES))
def test_it_is_what_a_slow_reading_says(value: Any) -> None:
    found = fieldlabels.parts(OF, value)
    bits, fields, whole = slowly(value)
    assert {at: part.what.label for at, part in found.found.items()} == fields
    assert found.adds(WORST) == bits
    assert found.label(OF, TOOL, 0).label == whole


@settings(max_examples=500 * SCALE)
@given(st.one_of(NEAR, VALUES))
def test_it_is_never_more_than_the_worst_nor_less_than_what_a_field_declares(value: Any) -> None:
    found = fieldlabels.parts(OF, value)
    whole = found.label(OF, TOOL, 0)
    assert found.adds(WORST) & ~WORST == 0
    assert labels.flows_to(whole.label, OF.worst(TOOL, 0).label)
    for part in found.found.values():
        assert labels.flows_to(part.what.labelled(0).label, whole.label)
        assert part.what.adds & ~found.adds(WORST) == 0


@settings(max_examples=500 * SCALE)
@given(NEAR, KEYS, VALUES)
def test_more_in_a_result_never_lowers_it(value: dict[str, Any], key: str, more: Any) -> None:
    if key in value:
        return
    less, grown = fieldlabels.parts(OF, value), fieldlabels.parts(OF, {**value, key: more})
    assert less.adds(WORST) & ~grown.adds(WORST) == 0
    assert labels.flows_to(less.label(OF, TOOL, 0).label, grown.label(OF, TOOL, 0).label)


@settings(max_examples=300 * SCALE)
@given(st.one_of(NEAR, VALUES))
def test_a_value_is_its_fields_and_the_rest(value: Any) -> None:
    found = fieldlabels.parts(OF, value)
    rest = fieldlabels.parts(OF, fieldlabels.rest_of(value, found))
    assert (rest.rest, rest.found) == (found.rest, {})


def test_what_is_as_declared_brings_nothing() -> None:
    found = fieldlabels.parts(OF, GOOD)
    assert not found.rest
    assert found.adds(WORST) == 0
    assert labels.integ(found.label(OF, TOOL, 0).label) == labels.TRUSTED
    assert found.found["/items/1/id"].name == "/items/*/id"
    nothing: list[Any] = [{}, {"items": []}, {"grid": [[]]}]
    for odd in (10**90, -(2**64), 1e30):  # digits without end spell anything
        assert fieldlabels.parts(OF, {"number": odd}).rest
    for empty in nothing:
        none = fieldlabels.parts(OF, empty)
        assert (none.rest, none.found) == (False, {})
        # Not cleaner than what it could have shown.
        assert none.label(OF, TOOL, 0) == OF.least


@pytest.mark.parametrize(
    "result",
    [
        {"content": [{"type": "text", "text": json.dumps(GOOD)}]},
        {"structuredContent": GOOD},
        {"content": [], "structuredContent": GOOD, "isError": False, "resultType": "complete"},
        {"structuredContent": GOOD, "content": [{"type": "text", "text": json.dumps(GOOD)}]},
        {"content": [{"type": "text", "text": json.dumps(GOOD, indent=2)}], "_meta": {}},
    ],
)
def test_a_result_with_one_reading(result: Any) -> None:
    assert not fieldlabels.of_result(OF, result).rest


# In the policy file -------------------------------------------------------------------------------


def tool(more: str) -> bytes:
    return f'version = 1\n[tools.t]\noperation = "read_files"\nfields = [{more}]\n'.encode()


@pytest.mark.parametrize(
    "wrong",
    [
        '{ at = ["/a"], label = "git_blob" }',
        '{ at = ["/a"], is = "number" }',
        '{ is = "number", label = "git_blob" }',
        '{ at = [], is = "number", label = "git_blob" }',
        '{ at = ["a"], is = "number", label = "git_blob" }',
        '{ at = ["/a"], is = "anything", label = "git_blob" }',
        '{ at = ["/a"], is = [], label = "git_blob" }',
        '{ at = ["/a"], is = [1], label = "git_blob" }',
        '{ at = ["/a"], is = "number", label = "clean" }',
        '{ at = ["/a"], is = "number", label = "git_blob", adds = ["exfil_vector"] }',
        '{ at = ["/a"], is = "number", label = "git_blob", trusted = true }',
        '{ at = ["/a", "/a"], is = "number", label = "git_blob" }',
        '{ at = ["/a", "/a/b"], is = "number", label = "git_blob" }',
        '{ at = ["/a/b", "/a"], is = "number", label = "git_blob" }',
        '"/a"',
    ],
)
def test_what_is_not_understood_refuses_the_file(wrong: str) -> None:
    with pytest.raises(CallerError) as refused:
        policy.parse(tool(wrong))
    assert refused.value.code in ("policy.value", "policy.unknown_key")


def test_only_what_a_tool_answers_has_fields() -> None:
    text = tool('{ at = ["/a"], is = "number", label = "git_blob" }')
    assert policy.parse(text).tools["t"].fields is not None
    with pytest.raises(CallerError, match="fields"):
        policy.parse(text.replace(b"[tools.t]", b'[resources."a:b"]'))
