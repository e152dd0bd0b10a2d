"""Law: a tunnel's first bytes name the host that was judged, or nothing is sent.

Reads a TLS ClientHello (RFC 8446 section 4.1.2, RFC 6066 section 3) whole and strictly: every
length fits, nothing is left over, no extension stands twice. A hello without a name, with another
name, or with an encrypted inner one (ECH: it may name anything) is refused.
"""

from __future__ import annotations

from typing import Final

from nucleus_tokens.errors import CredentialError

MOST_BYTES: Final = 32 * 1024
MOST_RECORDS: Final = 8  # honest ones have one or two
_HANDSHAKE: Final = 22
_CLIENT_HELLO: Final = 1
_RECORD: Final = 2**14
_SERVER_NAME: Final = 0
_ECH: Final = (0xFE0D, 0xFE08, 0xFE09, 0xFE0A)  # the extension, and its drafts


class _Bad(ValueError):
    """The bytes are no hello."""


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._data):
            raise _Bad("a length does not fit")
        found, self._at = self._data[self._at : end], end
        return found

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> _Reader:
        """What follows behind its length of `size` bytes."""
        return _Reader(self.take(self.number(size)))

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def end(self) -> None:
        if self.left:
            raise _Bad("something is left over")


def message(data: bytes) -> bytes | None:
    """The handshake message that `data` begins with, out of its records; None while there is more
    to come. Raises CredentialError `connect.hello`."""
    found, at = b"", 0
    for _ in range(MOST_RECORDS + 1):
        if len(found) >= 4:
            size = 4 + int.from_bytes(found[1:4], "big")
            if found[0] != _CLIENT_HELLO or size > MOST_BYTES:
                raise _refused()
            if len(found) == size:
                return found
            if len(found) > size:
                raise _refused()  # a second message in front of the first answer
        if at + 5 > len(data):
            partial = data[at:]
            if partial and (partial[0] != _HANDSHAKE or partial[1:2] not in (b"", b"\x03")):
                raise _refused()
            break
        kind, major, length = data[at], data[at + 1], int.from_bytes(data[at + 3 : at + 5], "big")
        if kind != _HANDSHAKE or major != 3 or not 0 < length <= _RECORD:
            raise _refused()
        found += data[at + 5 : at + 5 + length]
        at += 5 + length
        if at > len(data):
            break
    else:
        raise _refused()
    if len(data) > MOST_BYTES:
        raise _refused()
    return None


def server_name(hello: bytes) -> str:
    """The name that a whole ClientHello asks for, in lower case.

    Raises CredentialError `connect.hello`, or `connect.name` where there is none to trust.
    """
    try:
        extensions = _extensions(hello)
        if any(kind in extensions for kind in _ECH):
            raise CredentialError(
                "connect.name",
                "The TLS greeting hides a name (ECH), so nobody can say where it leads.",
                hint="Switch Encrypted Client Hello off in the client.",
            )
        if _SERVER_NAME not in extensions:
            raise CredentialError("connect.name", "The TLS greeting names no server.")
        extension = _Reader(extensions[_SERVER_NAME])
        names = extension.vector(2)
        extension.end()
        kind, name = names.number(1), names.vector(2)
        text = name.take(name.left)
        names.end()
        if kind != 0 or not text:
            raise _Bad("not a host name")
        return text.decode("ascii").lower()
    except (_Bad, UnicodeDecodeError) as error:
        raise _refused() from error


def _extensions(hello: bytes) -> dict[int, bytes]:
    outer = _Reader(hello)
    if outer.number(1) != _CLIENT_HELLO:
        raise _Bad("not a ClientHello")
    body = outer.vector(3)
    outer.end()
    if body.number(2) >> 8 != 3:
        raise _Bad("no version of TLS")
    body.take(32)
    if body.vector(1).left > 32:
        raise _Bad("a session id is too long")
    suites, methods = body.vector(2), body.vector(1)
    if suites.left == 0 or suites.left % 2 or methods.take(methods.left) != b"\0":
        raise _Bad("no suite, or compression")
    found: dict[int, bytes] = {}
    extensions = body.vector(2)
    body.end()
    while extensions.left:
        kind, value = extensions.number(2), extensions.vector(2)
        if kind in found:
            raise _Bad("an extension stands twice")
        found[kind] = value.take(value.left)
    return found


def _refused() -> CredentialError:
    return CredentialError("connect.hello", "This does not begin like TLS: no tunnel is opened.")
