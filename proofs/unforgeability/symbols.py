"""Law: under symbols a primitive is a free term: equal only to itself, inverted only by its key.

Every primitive of `nucleus_tokens.crypto` is replaced by one that gives out a new handle (bytes of
the right length) for each new term and the same handle for the same term. So the real token code
runs over terms: nothing can be computed back, and two things are equal only if made alike. A
primitive that this file does not know stops the run: it would be real cryptography among symbols.
"""

import inspect
import itertools
import sys
import types
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from nucleus_tokens import chain, crypto, writing
from nucleus_tokens.chain import UnverifiedToken

Term = tuple[Any, ...]
SIZES = {"mac": 32, "hash": 32, "public": 32, "exchange": 32, "secret": 32, "sign": 64, "seal": 80}


class Symbols:
    """All terms of one run."""

    def __init__(self) -> None:
        self.handles: dict[Term, bytes] = {}
        self.terms: dict[bytes, Term] = {}
        self._drawn = itertools.count()

    def _made(self, *term: Any) -> bytes:
        handle = self.handles.get(term)
        if handle is None:
            # Told apart from text by its start; as long as the primitive's own result.
            number = len(self.handles).to_bytes(8, "big")
            handle = (b"\xff\xfe" + number).ljust(SIZES[term[0]], b"\xfd")
            self.handles[term] = handle
            self.terms[handle] = term
        return handle

    def secret(self, name: str) -> bytes:
        """A private key, seed or root key."""
        return self._made("secret", name)

    def draw(self, size: int) -> bytes:
        """Randomness: 32 bytes are a secret, fewer an identifier that nobody drew before."""
        number = next(self._drawn)
        return self.secret(f"drawn {number}") if size == 32 else number.to_bytes(size, "big")

    # The primitives ---------------------------------------------------------------------------

    def sha256(self, data: bytes) -> bytes:
        return self._made("hash", bytes(data))

    def mac(self, key: bytes, message: bytes) -> bytes:
        return self._made("mac", key, bytes(message))

    def mac_chain(
        self, key: bytes, messages: Iterable[bytes]
    ) -> tuple[bytes, list[tuple[bytes, bytes]]]:
        ready = []
        for message in messages:
            key = self.mac(key, message)
            ready.append((key, key))
        return key, ready

    def macs(self, ready: Iterable[tuple[bytes, bytes]], message: bytes) -> list[bytes]:
        return [self.mac(key, message) for key, _ in ready]

    def same(self, a: bytes, b: bytes) -> bool:
        return a == b

    def public_of(self, private: bytes) -> bytes:
        return self._made("public", private)

    def exchange_public_of(self, private: bytes) -> bytes:
        return self._made("exchange", private)

    def sign(self, private: bytes, message: bytes) -> bytes:
        return self._made("sign", private, bytes(message))

    def verify(self, public: bytes, message: bytes, signature: bytes) -> bool:
        term = self.terms.get(signature, ())
        return term[:1] == ("sign",) and (self.public_of(term[1]), term[2]) == (public, message)

    def seal(self, public: bytes, key: bytes) -> bytes:
        return self._made("seal", public, key)

    def unseal(self, private: bytes, public: bytes, sealed: bytes) -> bytes | None:
        term = self.terms.get(sealed, ())
        if term[:1] != ("seal",) or term[1] != public or public != self.exchange_public_of(private):
            return None
        opened: bytes = term[2]
        return opened

    @contextmanager
    def injected(self) -> Iterator[None]:
        """The real token code runs over these terms while this is open."""
        own = {
            name: value
            for name, value in vars(crypto).items()
            if inspect.isfunction(value) and value.__module__ == crypto.__name__
        }
        public = {name for name in own if not name.startswith("_")}
        unknown = public - set(dir(self))
        if unknown:
            raise SystemExit(f"unforgeability: crypto has primitives without symbols: {unknown}")
        with replaced(*((crypto, name, getattr(self, name)) for name in public)), _no_macaroons():
            yield


@contextmanager
def replaced(*changes: tuple[Any, str, Any]) -> Iterator[None]:
    """Attributes of modules set to other values, and back."""
    before = [(place, name, getattr(place, name)) for place, name, _ in changes]
    try:
        for place, name, value in changes:
            setattr(place, name, value)
        yield
    finally:
        for place, name, value in before:
            setattr(place, name, value)


@contextmanager
def _no_macaroons() -> Iterator[None]:
    """The issuer mints with pymacaroons, which has an HMAC of its own: a stand-in that computes the
    same chain with our primitive, since a symbol cannot go through a real hash."""

    class Macaroon:
        def __init__(self, *, location: str, identifier: bytes, key: bytes, version: int) -> None:
            self._token = UnverifiedToken(identifier, (), chain.first_tag(key, identifier))

        def serialize(self) -> str:
            return chain.to_text(writing.render(self._token))

    stand_in = types.ModuleType("pymacaroons")
    stand_in.Macaroon = Macaroon  # type: ignore[attr-defined]
    before = sys.modules.get("pymacaroons")
    sys.modules["pymacaroons"] = stand_in
    try:
        yield
    finally:
        del sys.modules["pymacaroons"]
        if before is not None:
            sys.modules["pymacaroons"] = before
