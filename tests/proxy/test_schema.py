"""Arguments are held against the tool's own schema before anything vouches for them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleus_proxy.binding import Hints
from nucleus_proxy.flow import Flow
from nucleus_proxy.flowstate import FlowState
from nucleus_proxy.rules import Believed
from nucleus_proxy.schema import mismatch
from tests.proxy import rig as relay_rig
from tests.proxy.stage import POLICY, Stage, counted, granted, refused
from tests.support import world

PERSON = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"],
          "additionalProperties": False}  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "string"}, "x", 1),
        ({"type": "boolean"}, True, 1),
        ({"type": "integer"}, 1.0, 1.5),
        ({"type": "integer"}, 1, True),
        ({"type": "number"}, 1, "1"),
        ({"type": ["string", "null"]}, None, []),
        ({"type": "array", "items": {"type": "string"}}, ["a"], ["a", ["b"]]),
        ({"enum": ["r", "rw"]}, "r", "w"),
        ({"enum": [1]}, 1, True),
        ({"const": "x"}, "x", "y"),
        ({"minimum": 1, "maximum": 5}, 5, 6),
        ({"type": "string", "maxLength": 2}, "ab", "abc"),
        ({"type": "array", "minItems": 1}, [1], []),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, None, 1),
        ({"allOf": [{"type": "string"}, {"minLength": 1}]}, "a", ""),
        (PERSON, {"name": "x"}, {}),
        (PERSON, {"name": "x"}, {"name": "x", "more": 1}),
        ({"$ref": "#/$defs/p", "$defs": {"p": PERSON}}, {"name": "x"}, {"name": 1}),
        ({"additionalProperties": {"type": "string"}}, {"a": "b"}, {"a": 1}),
        (True, 1, ...),
        (False, ..., 1),
        # what nobody here can read is the server's affair
        ({"type": "colour"}, 1, ...),
        ({"$ref": "http://example.com/s"}, 1, ...),
        ({"patternProperties": {"^x": {}}, "additionalProperties": False}, {"x": 1}, ...),
        ("nonsense", 1, ...),
        (None, 1, ...),
        ({"required": 5, "properties": 7, "minimum": "x", "enum": "x"}, {"a": 1}, ...),
    ],
)
def test_what_fits_and_what_does_not(schema: Any, good: Any, bad: Any) -> None:
    if good is not ...:
        assert mismatch(schema, good) is None
    if bad is not ...:
        assert mismatch(schema, bad) is not None


def test_it_says_where() -> None:
    inside = {"type": "object", "properties": {"people": {"items": PERSON}}}
    assert mismatch(inside, {"people": [{"name": "x"}, {"name": 1}]}) == "/people/1/name"
    assert mismatch(inside, {"people": [{}]}) == "/people/0/name"


def test_a_schema_that_never_ends_admits_everything() -> None:
    loop: dict[str, Any] = {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}
    assert mismatch(loop, {"a": 1}) is None


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
keywords = st.dictionaries(
    st.sampled_from(
        [
            "type",
            "enum",
            "const",
            "properties",
            "required",
            "items",
            "anyOf",
            "allOf",
            "oneOf",
            "$ref",
            "minimum",
            "maxLength",
            "additionalProperties",
            "prefixItems",
        ]
    ),
    json | st.sampled_from(["string", "object", "#", "#/properties"]),
)


@given(keywords, json)
def test_it_is_total(schema: Any, value: Any) -> None:
    found = mismatch(schema, value)
    assert found is None or type(found) is str


async def test_a_call_that_does_not_fit_is_asked_about_where_evidence_counts() -> None:
    """The values inside may be the user's own; in this form they vouch for nothing."""
    text = POLICY + '[tools.save]\noperation = "write_files"\nselectors = { "/to" = "text" }\n'
    state = FlowState.open(None)
    flow = Flow(state, believed=Believed(), releasers={}, draw=counted(9), cwd="/")
    stage = Stage(text, flow=flow)
    token = stage.token(world.all_levels("low_risk"))
    state.give_prompt(Stage.tree(token), "save it to Ann")
    said = Hints(schema={"properties": {"to": {"type": "string"}}})
    granted(await stage.call(token, "save", {"to": "Ann"}, said=said))
    granted(await stage.call(token, "save", {"to": ["Ann"]}))
    waiting = asyncio.create_task(stage.call(token, "save", {"to": ["Ann"]}, said=said))
    request = await stage.asked()
    assert [name for name, _ in request.obligations] == ["input:"]
    stage.ledger.settle(request.id, approval=None)
    assert refused(await waiting) == "approval.denied"
    stage.verified()


async def test_where_no_evidence_counts_the_server_says_what_is_wrong(tmp_path: Path) -> None:
    stage = Stage(relay_rig.POLICY)
    tools = [{"name": "read", "inputSchema": {"properties": {"x": {"type": "integer"}}}}]
    async with relay_rig.rigged(
        tmp_path, stage, held=world.text(stage.token()), tools=tools
    ) as rig:
        await rig.call(1, "read", {"x": [1]})
        await rig.settle()
        assert [f["params"]["arguments"] for f in rig.calls_served()] == [{"x": [1]}]
