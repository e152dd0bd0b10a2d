"""Helpers of the wire tests: the other implementation, random caveats, and a counter of work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from hypothesis import strategies as st
from pymacaroons import Macaroon, Verifier
from pymacaroons.exceptions import MacaroonInvalidSignatureException

from nucleus_tokens import chain, crypto, header, names, writing
from nucleus_tokens.chain import UnverifiedToken
from tests.support import world

BITS: Final = 2**53 - 1


# The other implementation -----------------------------------------------------------------------


def theirs(text: str) -> Macaroon:
    """What pymacaroons makes of the token in a credential."""
    return Macaroon.deserialize(text[len(chain.PREFIX) :].partition(".")[0])


def root_key(token: UnverifiedToken, private: bytes = world.secret("audience")) -> bytes:
    """From the audience's seal."""
    sealed = header.parse(token.identifier).seal_audience
    return header.open_seal(sealed, private, crypto.exchange_public_of(private))


def they_verify(read: Macaroon, key: bytes) -> bool:
    """pymacaroons' word on the chain, with a satisfier that agrees to everything."""
    judge = Verifier()
    judge.satisfy_general(lambda _: True)
    try:
        return bool(judge.verify(read, key, []))
    except MacaroonInvalidSignatureException:
        return False


def assert_same_bytes(credential: str, private: bytes = world.secret("audience")) -> None:
    """Both read the same token out of this credential, verify it, and write it again equal."""
    token = chain.read_credential(credential).token
    read = theirs(credential)
    assert read.identifier_bytes == token.identifier
    assert tuple(c.caveat_id_bytes for c in read.caveats) == token.caveats
    assert bytes.fromhex(read.signature) == token.tag
    assert not read.third_party_caveats()
    assert read.serialize().rstrip("=") == chain.to_text(writing.render(token))
    assert they_verify(read, root_key(token, private))


# Random caveats, each canonical -----------------------------------------------------------------

_letters = st.text('abcXYZ019 _-\u00e9\u4e2d\U0001f600"\\\x01\x7f~', min_size=1, max_size=12)
_segments = st.lists(
    st.sampled_from(["a", "srv", "data", "*", "a*b", "caf\u00e9", ".x"]), min_size=1, max_size=4
)
_integers = st.integers(0, BITS) | st.sampled_from([0, 1, BITS])


def _sorted(values: st.SearchStrategy[Any], most: int = 4) -> st.SearchStrategy[list[Any]]:
    unique: Any = str
    return st.lists(values, unique_by=unique, max_size=most).map(sorted)


def _scope(kind: str, patterns: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.tuples(st.just(kind), st.sampled_from(["in", "not"]), _sorted(patterns)).map(list)


_scalars = st.none() | st.booleans() | st.integers(-BITS, BITS) | _letters
_low = st.none() | st.integers(-BITS, BITS)
_size = st.none() | st.integers(0, BITS)
_rules = st.one_of(
    st.just(["any"]),
    st.tuples(st.just("equals"), _scalars).map(list),
    st.tuples(st.just("one-of"), st.lists(_scalars, max_size=4)).map(list),
    st.tuples(st.just("prefix"), _letters).map(list),
    st.tuples(st.just("subpath"), st.sampled_from(["/", "/srv", "/srv/caf\u00e9"])).map(list),
    st.tuples(st.just("range"), _low, _low).map(list),
    st.tuples(st.just("length"), _size, _size).map(list),
)
_pointers = st.sampled_from(["", "/path", "/a~1b", "/a~0b", "/n/0", "/caf\u00e9", "/\U0001f600"])
_levels = st.dictionaries(
    st.sampled_from(names.OPERATIONS), st.sampled_from(names.LEVELS), max_size=5
)
_hex16 = st.binary(min_size=16, max_size=16).map(bytes.hex)

caveats: st.SearchStrategy[list[Any]] = st.one_of(
    st.tuples(st.sampled_from(["exp", "nbf"]), _integers).map(list),
    st.tuples(st.sampled_from(["cap", "only"]), _levels).map(list),
    _scope("path", _segments.map(lambda parts: "/" + "/".join(parts))),
    _scope("host", st.sampled_from(["a.example", "*.b.example", "c.example:8443", "[::1]"])),
    _scope("cmd", st.lists(_letters, min_size=1, max_size=3)),
    _scope("ref", _segments.map("/".join)),
    _scope("tool", st.sampled_from(["fs.read", "fs.*", "caf\u00e9"])),
    st.tuples(
        st.just("arg"),
        st.sampled_from(["*", "fs.read"]),
        st.dictionaries(_pointers, _rules, max_size=4),
    ).map(list),
    st.tuples(
        st.just("budget"), st.sampled_from(["calls", "micro_usd", "tokens", "bytes_out"]), _integers
    ).map(list),
    st.tuples(st.just("exposure"), _sorted(st.sampled_from(names.EXPOSURES))).map(list),
    st.tuples(st.just("approve"), _sorted(st.sampled_from(names.OPERATIONS))).map(list),
    st.tuples(st.just("link"), _hex16).map(list),
)


# Work -------------------------------------------------------------------------------------------


@contextmanager
def counted(patch: pytest.MonkeyPatch, *functions: tuple[Any, str]) -> Iterator[dict[str, int]]:
    """How often each function is called inside. The kernel calls `crypto.x`, never a copy of it."""
    calls: dict[str, int] = {}
    with patch.context() as patched:
        for module, name in functions:
            original = getattr(module, name)
            calls[name] = 0

            def standing_in(*args: Any, _name: str = name, _original: Any = original) -> Any:
                calls[_name] += 1
                return _original(*args)

            patched.setattr(module, name, standing_in)
        yield calls
