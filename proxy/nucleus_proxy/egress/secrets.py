"""Law: a secret has a name for everybody and a value only where it is injected.

A source is a file that only its owner reads, or a descriptor; never an argument, never the
environment. A `Secret` does not print, compare or travel; `Scrubber` takes a value out of what
comes back, because a server may echo what it was sent.
"""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Final, NoReturn

from nucleus_tokens.errors import CallerError, WorldError

MOST_BYTES: Final = 16 * 1024
FEWEST_BYTES: Final = 8  # anything shorter would be cut out of honest text
BLANK: Final = b"[secret removed by nucleus]"


class Secret:
    """One value under its name."""

    __slots__ = ("_value", "name")

    def __init__(self, name: str, value: bytes) -> None:
        """Raises CallerError `secret.value` for what cannot stand in a header."""
        if not FEWEST_BYTES <= len(value) <= MOST_BYTES or any(b < 33 or b > 126 for b in value):
            raise CallerError(
                "secret.value",
                f"The secret {name} is not {FEWEST_BYTES} to {MOST_BYTES} printable characters.",
            )
        self.name = name
        self._value = value

    def dangerously_value(self) -> bytes:
        """The value, for the one header it is injected into."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({self.name!r})"

    def __reduce__(self) -> NoReturn:
        raise CallerError("secret.travels", "A secret does not leave its process.")


class Credential:
    """A secret as one header spells it."""

    __slots__ = ("_secrets", "name", "prefix")

    def __init__(self, name: str, prefix: str, secret: Secret) -> None:
        """`name` is the header's, `prefix` what stands before the secret in it."""
        self.name, self.prefix = name, prefix
        self._secrets: tuple[Secret, ...] = (secret,)

    @classmethod
    def basic(cls, user: str, secret: Secret) -> Credential:
        """A user and a password, as RFC 7617 packs them."""
        pair = user.encode() + b":" + secret.dangerously_value()
        made = cls("authorization", "Basic ", Secret(secret.name, base64.b64encode(pair)))
        made._secrets += (secret,)
        return made

    def dangerously_value(self) -> str:
        """The value of the header, for the one address it is meant for."""
        return self.prefix + self._secrets[0].dangerously_value().decode("ascii")

    def scrub(self, data: bytes) -> bytes:
        """What came back from that address, without the secret in either spelling."""
        for secret in self._secrets:
            data = data.replace(secret.dangerously_value(), BLANK)
        return data


def from_file(name: str, path: Path) -> Secret:
    """Raises WorldError `secret.unreadable`, CallerError `secret.readable` when others may read
    it, `secret.value`."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise WorldError("secret.unreadable", f"The secret {name} cannot be read.") from error
    try:
        found = os.fstat(fd)
        owned = found.st_uid in (os.geteuid(), 0)
        if not stat.S_ISREG(found.st_mode) or not owned or stat.S_IMODE(found.st_mode) & 0o077:
            raise CallerError(
                "secret.readable",
                f"The file of the secret {name} must be yours alone.",
                hint="Make it a plain file of yours with mode 0600.",
            )
        return Secret(name, _line(_read(name, fd)))
    finally:
        os.close(fd)


def from_fd(name: str, fd: int) -> Secret:
    """Read a descriptor to its end and close it. Raises as `from_file`."""
    try:
        return Secret(name, _line(_read(name, fd)))
    finally:
        try:
            os.close(fd)
        except OSError:
            pass


def _read(name: str, fd: int) -> bytes:
    data = b""
    try:
        while len(data) <= MOST_BYTES and (piece := os.read(fd, MOST_BYTES + 2)):
            data += piece
    except OSError as error:
        raise WorldError("secret.unreadable", f"The secret {name} cannot be read.") from error
    return data


def _line(data: bytes) -> bytes:
    return data.removesuffix(b"\n").removesuffix(b"\r")


class Scrubber:
    """Takes a value out of a stream of bytes, also where it stands across two pieces."""

    def __init__(self, secret: Secret) -> None:
        self._value = secret.dangerously_value()
        self._kept = b""

    def text(self, text: str) -> str:
        """A header's value without the secret."""
        return text.replace(self._value.decode("ascii"), BLANK.decode("ascii"))

    def feed(self, piece: bytes) -> bytes:
        """What may be passed on by now: an end that could begin the secret is kept back."""
        data = (self._kept + piece).replace(self._value, BLANK)
        keep = next(
            (n for n in range(min(len(self._value) - 1, len(data)), 0, -1)
             if data.endswith(self._value[:n])), 0,
        )  # fmt: skip
        self._kept = data[len(data) - keep :]
        return data[: len(data) - keep]

    def end(self) -> bytes:
        """What was kept back."""
        rest, self._kept = self._kept, b""
        return rest


async def scrubbed(pieces: AsyncIterator[bytes], secrets: Iterable[Secret]) -> AsyncIterator[bytes]:
    """The pieces without any of the values."""
    scrubbers = [Scrubber(secret) for secret in secrets]
    async for piece in pieces:
        data = piece
        for scrubber in scrubbers:
            data = scrubber.feed(data)
        if data:
            yield data
    rest = b""
    for scrubber in scrubbers:
        rest = scrubber.feed(rest) + scrubber.end()
    if rest:
        yield rest
