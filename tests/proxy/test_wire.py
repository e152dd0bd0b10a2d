"""What is not exactly one JSON-RPC message is nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleus_proxy import methods, wire
from nucleus_proxy.wire import BadFrame, Frame


def _frame(value: Any, **options: Any) -> Frame:
    return wire.parse(json.dumps(value).encode() + b"\n", **options)


def _code(line: bytes, **options: Any) -> str:
    with pytest.raises(BadFrame) as caught:
        wire.parse(line, **options)
    return caught.value.code


def test_the_three_kinds_of_message() -> None:
    request = _frame({"jsonrpc": "2.0", "id": 1, "method": "ping"})
    assert (request.kind, request.id, request.method, request.params) == ("request", 1, "ping", {})
    note = _frame({"jsonrpc": "2.0", "method": "notifications/initialized", "params": {"a": 1}})
    assert (note.kind, note.id, note.params) == ("notification", None, {"a": 1})
    answer = _frame({"jsonrpc": "2.0", "id": "x", "result": {}})
    assert (answer.kind, answer.id, answer.method) == ("response", "x", "")


def test_what_was_parsed_is_kept_byte_for_byte() -> None:
    line = b'{ "method":"ping" ,"id":1,  "jsonrpc":"2.0", "params":{"x":1.0,"y":"\\u00e9"} }'
    assert wire.parse(line + b"\r\n").raw == line


HOSTILE: list[tuple[bytes, str]] = [
    (b"\n", "wire.json"),
    (b"hello\n", "wire.json"),
    (b'\xff\xfe{"jsonrpc":"2.0","id":1,"method":"ping"}\n', "wire.json"),
    (b'\xef\xbb\xbf{"jsonrpc":"2.0","id":1,"method":"ping"}\n', "wire.json"),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping"} {}\n', "wire.json"),
    (b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}\n', "wire.json"),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":{"b":1,"b":2}}}\n', "wire.json"),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}\n', "wire.json"),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":NaN}}\n', "wire.json"),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":1e999}}\n', "wire.json"),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"\\ud800"}}\n', "wire.json"),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":9007199254740993}}\n', "wire.json"),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":' + b"[" * 70 + b"]" * 70 + b"}\n",
     "wire.json"),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":' + b"[" * 100_000 + b"\n", "wire.json"),
    (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]\n', "wire.batch"),
    (b"[]\n", "wire.batch"),
    (b"null\n", "wire.message"),
    (b'"ping"\n', "wire.message"),
    (b'{"id":1,"method":"ping"}\n', "wire.message"),
    (b'{"jsonrpc":2.0,"id":1,"method":"ping"}\n', "wire.message"),
    (b'{"jsonrpc":"2.0","id":null,"method":"ping"}\n', "wire.message"),
    (b'{"jsonrpc":"2.0","id":1.0,"method":"ping"}\n', "wire.message"),
    (b'{"jsonrpc":"2.0","id":true,"method":"ping"}\n', "wire.message"),
    (b'{"jsonrpc":"2.0","id":[1],"method":"ping"}\n', "wire.message"),
    (b'{"jsonrpc":"2.0","id":1,"method":7}\n', "wire.message"),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}\n', "wire.message"),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping","extra":1}\n', "wire.message"),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}\n', "wire.message"),
    (b'{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":"x"}}\n', "wire.message"),
    (b'{"jsonrpc":"2.0","id":1,"error":{"message":"x"}}\n', "wire.message"),
    (b'{"jsonrpc":"2.0","id":1}\n', "wire.message"),
    (b'{"jsonrpc":"2.0","id":1,"method":"x","params":\r{"jsonrpc":"2.0","id":9}\r}\n', "wire.json"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "code"), HOSTILE)
def test_hostile_lines_are_refused(line: bytes, code: str) -> None:
    assert _code(line) == code


def test_a_second_message_behind_a_carriage_return_never_passes() -> None:
    """A server that reads with universal newlines would run the inner call."""
    inner = b'{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"t"}}'
    line = b'{"jsonrpc":"2.0","id":1,"method":"ping","params":\r' + inner + b"\r}\n"
    assert json.loads(line)["params"]["method"] == "tools/call"
    assert _code(line) == "wire.json"


def test_a_line_over_the_limit_is_refused() -> None:
    line = b'{"jsonrpc":"2.0","id":1,"method":"' + b"x" * 200 + b'"}\n'
    assert _code(line, limit=100) == "wire.too_large"


def test_a_server_may_send_numbers_beyond_i_json_but_no_second_key() -> None:
    big = b'{"jsonrpc":"2.0","id":1,"result":{"id":1234567890123456789,"t":"\\ud83d"}}\n'
    assert wire.parse(big, from_server=True).raw == big[:-1]
    twice = b'{"jsonrpc":"2.0","id":1,"result":{},"result":{"a":1}}\n'
    assert _code(twice, from_server=True) == "wire.json"
    deep = b'{"jsonrpc":"2.0","id":1,"result":' + b'{"a":' * 70 + b"1" + b"}" * 70 + b"}\n"
    assert _code(deep, from_server=True) == "wire.json"


def test_ids_of_two_types_are_two_ids() -> None:
    one = _frame({"jsonrpc": "2.0", "id": 1, "method": "ping"})
    text = _frame({"jsonrpc": "2.0", "id": "1", "method": "ping"})
    assert one.key != text.key


def test_an_altered_frame_is_spelled_once_on_one_line() -> None:
    frame = _frame({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"a": "\u2028\n"}})
    altered = frame.altered("params", {"b": "\u2028\x85\r\n"})
    assert altered.raw.decode().splitlines() == [altered.raw.decode()]
    assert json.loads(altered.raw) == altered.value
    assert frame.value["params"] == {"a": "\u2028\n"}


def test_what_is_altered_takes_no_more_than_it_did() -> None:
    value = {"jsonrpc": "2.0", "id": 1, "result": {"t": "\u4e2d\u00e9\U0001f600\x7f"}}
    raw = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    assert wire.parse(raw, from_server=True).altered("id", 2).raw == raw.replace(b":1,", b":2,")


@given(st.text(st.sampled_from('a"\\\n\x0b\x0c\x1c\x85\u2028\u2029\u4e2d\ud800\udfff\U0001f600')))
def test_no_reader_sees_a_line_break_in_what_was_spelled(text: str) -> None:
    raw = wire.spell({text: [text]})
    assert raw.decode().splitlines() == [raw.decode()]
    # Two halves of one character are that character to whoever reads it.
    assert json.loads(raw) == json.loads(json.dumps({text: [text]}))


@given(st.binary(max_size=200))
def test_any_bytes_give_a_frame_or_a_refusal(data: bytes) -> None:
    for from_server in (False, True):
        with contextlib.suppress(BadFrame):
            assert wire.parse(data, from_server=from_server).raw in data


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "jsonrpc": st.just("2.0") | _json,
            "id": st.integers() | _json,
            "method": st.just("tools/call") | _json,
            "params": _json,
            "result": _json,
            "error": _json,
        },
    )
)
def test_any_object_gives_a_frame_or_a_refusal(value: dict[str, Any]) -> None:
    try:
        line = json.dumps(value).encode()
        frame = wire.parse(line)
    except BadFrame:
        return
    assert json.loads(frame.raw) == frame.value


async def test_lines_are_read_until_one_is_too_long() -> None:
    reader = asyncio.StreamReader(limit=64)
    reader.feed_data(b"first\nsecond\n" + b"x" * 100)
    assert await wire.read_line(reader) == b"first\n"
    assert await wire.read_line(reader) == b"second\n"
    with pytest.raises(BadFrame):
        await wire.read_line(reader)


async def test_a_torn_last_line_is_dropped() -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(b'{"jsonrpc":"2.0","id":1,"method":"ping"}')
    reader.feed_eof()
    assert await wire.read_line(reader) == b""


def test_every_method_of_the_protocol_has_a_place_in_the_tables() -> None:
    """The official tables as an oracle: a method we do not know is refused, never forgotten."""
    from mcp_types import methods as official

    def named(table: Any) -> set[str]:
        return {str(method) for method, _ in table}

    assert named(official.CLIENT_REQUESTS) == methods.CLIENT_REQUESTS | set(methods.CLIENT_OPENABLE)
    assert named(official.SERVER_REQUESTS) == methods.SERVER_REQUESTS | set(methods.SERVER_OPENABLE)
    assert named(official.CLIENT_NOTIFICATIONS) == methods.CLIENT_NOTIFICATIONS | set(
        methods.CLIENT_NOTIFICATIONS_WITH
    )
    assert named(official.SERVER_NOTIFICATIONS) == methods.SERVER_NOTIFICATIONS | set(
        methods.SERVER_NOTIFICATIONS_WITH
    )


def test_nothing_but_tools_passes_unless_it_is_opened() -> None:
    assert not methods.client_request("resources/read", frozenset())
    assert methods.client_request("resources/read", {"resources/read"})
    assert not methods.client_request("tasks/get", {"tasks/get"})
    assert not methods.server_request("sampling/createMessage", frozenset())
    assert not methods.server_notification("notifications/message", frozenset())
    assert not methods.client_notification("notifications/anything", frozenset())
    claimed: dict[str, Any] = {"tools": {}, "resources": {}, "experimental": {}}
    assert methods.server_capabilities(claimed, frozenset()) == {"tools": {}}
    assert methods.client_capabilities({"sampling": {}, "roots": {}}, {"roots/list"}) == {
        "roots": {}
    }
