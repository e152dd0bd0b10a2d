"""An approval at each of its edges: what just fits is read, and the next is refused."""

from __future__ import annotations

from typing import Any

import pytest

from nucleus_tokens import approvals, canonical
from nucleus_tokens.approvals import UnverifiedApproval
from nucleus_tokens.caveats import Scope
from nucleus_tokens.errors import CredentialError
from tests.support import world

TOKEN = world.mint()
ONE: dict[str, Any] = canonical.decode(world.approve(TOKEN, world.read(), ["op:read_files"])[64:])
MANY = {**ONE, "digest": None, "pattern": [["tool", "in", ["fs.read"]]]}

NO_NAMES: list[Any] = [[], ["b", "a"], {}, "", None, [5]]
NO_PATTERNS: list[Any] = [
    None, [], {}, "", 5, [[]], ["tool"], [{}], [None], {"tool": 1}, [[5]], [["exp", 1]],
    [["tool", "in", ["a"]], ["link", "ab" * 16]], [["tool", "in", ["b", "a"]]],
    [["tool", "in", ["a"]], "tool"],
]  # fmt: skip


def read(body: dict[str, Any]) -> UnverifiedApproval:
    return approvals.parse(b"s" * 64 + canonical.encode(body))


def refuse(body: dict[str, Any]) -> None:
    with pytest.raises(CredentialError) as refused:
        read(body)
    assert refused.value.code == "approval.malformed"


def test_what_is_read_is_what_was_written() -> None:
    one, many = read({**ONE, "count": 1}), read({**MANY, "count": 1000})
    for fields in (one, many):
        for name in ("id", "approver", "tid", "rid", "cell", "not_after"):
            assert getattr(fields, name) == ONE[name]
        assert fields.obligations == ("op:read_files",)
        assert fields.signature == b"s" * 64
    assert (one.digest, one.pattern, one.count) == (ONE["digest"], None, 1)
    assert (many.digest, many.pattern, many.count) == (
        None, (Scope("tool", True, ("fs.read",)),), 1000,
    )  # fmt: skip
    assert one.signed == canonical.encode({**ONE, "count": 1})


def test_it_stays_as_it_was_read() -> None:
    fields = read(ONE)
    with pytest.raises(AttributeError):
        setattr(fields, "count", 2)  # noqa: B010 - a type checker refuses the plain form
    assert not hasattr(fields, "__dict__"), "nothing can be written beside it either"


@pytest.mark.parametrize(
    ("member", "value"),
    [
        *(("v", value) for value in (0, 2, -1, True, None)),
        *((name, value) for name in ("id", "tid", "rid")
          for value in ("ab" * 15, "AB" * 16, "", None, 5)),
        *((name, value) for name in ("approver", "cell") for value in ("", "x" * 1025, None, 5)),
        *(("digest", value) for value in (None, "ab" * 31, "AB" * 32, "", 5)),
        *(("count", value) for value in (0, 2, -1, True, None)),
        *(("not_after", value) for value in (-1, True, None)),
        *(("obligations", value) for value in NO_NAMES),
        ("pattern", MANY["pattern"]),
    ],
)  # fmt: skip
def test_what_no_member_may_be(member: str, value: Any) -> None:
    read(ONE)
    refuse({**ONE, member: value})


@pytest.mark.parametrize(
    ("member", "value"),
    [
        *(("count", value) for value in (0, 1001)),
        *(("pattern", value) for value in NO_PATTERNS),
        ("digest", ONE["digest"]),
    ],
)  # fmt: skip
def test_what_no_pattern_may_be(member: str, value: Any) -> None:
    read(MANY)
    refuse({**MANY, member: value})


def test_how_much_fits() -> None:
    """Caveats of a pattern, patterns of all its scopes together, and bytes of the whole."""
    rule = ["arg", "t", {}]
    read({**MANY, "pattern": [rule] * 64})
    refuse({**MANY, "pattern": [rule] * 65})
    names = [f"t{n}" for n in range(10, 42)]
    read({**MANY, "pattern": [["tool", "in", names], ["ref", "in", names]]})
    refuse({**MANY, "pattern": [["tool", "in", names], ["ref", "in", [*names, "u"]]]})
    room = 4096 - 64 - len(canonical.encode({**ONE, "obligations": ["a"]}))
    longest = {**ONE, "obligations": ["a" + "x" * room]}
    read(longest)
    refuse({**longest, "obligations": ["a" + "x" * (room + 1)]})
    for size in (0, 63, 64, 65, 66):
        with pytest.raises(CredentialError, match=r"\[approval\.malformed\]"):
            approvals.parse((b"s" * 64 + b"[]")[:size])
