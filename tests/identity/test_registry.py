"""Who is not in the registry is nobody; a registry with a mistake names it and gives nothing."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleus_issuer.identity.registry import Peer, parse
from nucleus_tokens.errors import CallerError

HEAD = 'trust_domain = "example.org"\n'
ONE = """
[[workload]]
id = "spiffe://example.org/agent/one"
uid = 1001
"""


def _entry(lines: str) -> str:
    return f'{HEAD}[[workload]]\nid = "spiffe://example.org/a"\n{lines}\n'


def test_nobody_by_default() -> None:
    assert parse(HEAD.encode()).of_peer(Peer(0, 0, 1, "/bin/sh")) == ()


def test_every_selector_that_is_given_must_match() -> None:
    registry = parse(_entry('uid = 7\ngid = 8\nexe = "/bin/agent"').encode())
    assert registry.of_peer(Peer(7, 8, 1, "/bin/agent"))
    for other in (
        Peer(0, 8, 1, "/bin/agent"),
        Peer(7, 0, 1, "/bin/agent"),
        Peer(7, 8, 1, "/bin/agent2"),
        Peer(7, 8, 1, "/bin/agent (deleted)"),
        Peer(7, 8, 1, None),
    ):
        assert registry.of_peer(other) == ()


def test_a_socket_is_no_identity_of_a_process() -> None:
    registry = parse(_entry('socket = "vm-7.sock"').encode())
    assert registry.sockets == ("vm-7.sock",)
    assert registry.of_peer(Peer(0, 0, 1, None)) == ()
    assert [str(i) for i in registry.of_socket("vm-7.sock")] == ["spiffe://example.org/a"]
    assert registry.of_socket("vm-8.sock") == ()


def test_who_may_start_walls_is_none_of_them() -> None:
    registry = parse(_entry('uid = 7\neach = "vm"').encode())
    one = Peer(7, 7, 1, None)
    assert registry.has_walls
    assert registry.of_peer(one) == ()
    assert str(getattr(registry.of_wall(one, "vm"), "id", None)) == "spiffe://example.org/a"
    assert registry.of_wall(one, "local") is None
    assert registry.of_wall(Peer(8, 7, 1, None), "vm") is None
    assert not parse(_entry("uid = 7").encode()).has_walls


def test_several_entries_are_several_identities_in_order() -> None:
    registry = parse((HEAD + ONE + ONE.replace("one", "two") + ONE).encode())
    found = [str(i) for i in registry.of_peer(Peer(1001, 1, 1, None))]
    assert found == ["spiffe://example.org/agent/one", "spiffe://example.org/agent/two"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "trust_domain = 1",
        HEAD + "x = 1",
        HEAD + "workload = 1",
        HEAD + "workload = [1]",
        HEAD + "[[workload]]\nuid = 1",
        _entry(""),
        _entry("uid = -1"),
        _entry("uid = true"),
        _entry('uid = "1"'),
        _entry("uid = 4294967295"),
        _entry("uid = 1\ngid = 1.5"),
        _entry('uid = 1\nexe = "agent"'),
        _entry('uid = 1\nsocket = "a"'),
        _entry('socket = "a"\ngid = 1'),
        _entry('socket = "../a"'),
        _entry('socket = ".a"'),
        _entry('socket = ""'),
        _entry('uid = 1\neach = "box"'),
        _entry('socket = "a"\neach = "vm"'),
        _entry('uid = 1\naudiences = ["a"]'),
        _entry('uid = 1\neach = "vm"\naudiences = "a"'),
        _entry('uid = 1\neach = "vm"\naudiences = [""]'),
        _entry('uid = 1\neach = "vm"') + '[[workload]]\nid = "spiffe://example.org/a/b"\nuid = 2',
        _entry('uid = 1\neach = "vm"') + '[[workload]]\nid = "spiffe://example.org/a"\nuid = 2',
        _entry("uid = 1\nuser = 2"),
        HEAD + '[[workload]]\nid = "spiffe://other.org/a"\nuid = 1',
    ],
)
def test_a_mistake_gives_nothing(text: str) -> None:
    with pytest.raises(CallerError) as said:
        parse(text.encode())
    assert said.value.code.startswith("identity.")


@given(st.binary(max_size=200))
def test_any_bytes_give_a_registry_or_a_sentence(data: bytes) -> None:
    with suppress(CallerError):
        parse(data)
