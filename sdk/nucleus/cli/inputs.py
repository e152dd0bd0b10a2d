"""Law: secrets come in from a file, a descriptor, standard input or the terminal; no other way.

An argument list can be read by every process of the machine and stays in the shell's history; an
environment is handed to every child. So neither ever holds a token, a key or a passphrase.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from nucleus import shapes
from nucleus_issuer import files
from nucleus_tokens import arguments
from nucleus_tokens.errors import CallerError, CredentialError, WorldError
from nucleus_tokens.limits import CREDENTIAL_CHARS

STDIN: Final = Path("-")
_FILE_BYTES: Final = 1024 * 1024
_PASSPHRASE_BYTES: Final = 4096
_DURATION: Final = re.compile(r"([0-9]{1,9})([smhd]?)")
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def token(where: Path | None, descriptor: int | None) -> str:
    """The text of one token or credential, from one place. Raises CallerError or WorldError."""
    if (where is None) == (descriptor is None):
        raise CallerError(
            "token.where", "Say where the token is: a file, - for standard input, or --token-fd N."
        )
    most = CREDENTIAL_CHARS + 64  # white space around it is not an error
    if descriptor is not None:
        data = from_descriptor(descriptor, most)
    elif where == STDIN:
        data = sys.stdin.buffer.read(most + 1)
    else:
        data = files.read(where or STDIN, secret=True, most=_FILE_BYTES)
    try:
        return data.decode("ascii").strip()
    except UnicodeDecodeError as error:
        raise CredentialError("token.encoding", "A credential starts with nuc1_.") from error


def secret_text(where: Path) -> str:
    """A secret of one line of ASCII, from a private file or standard input. Raises CallerError or
    WorldError."""
    if where == STDIN:
        data = sys.stdin.buffer.read(_FILE_BYTES + 1)
    else:
        data = files.read(where, secret=True, most=_FILE_BYTES)
    try:
        return data.decode("ascii").strip()
    except UnicodeDecodeError as error:
        raise CallerError("input.text", f"{where} is not one line of ASCII.") from error


def from_descriptor(number: int, most: int) -> bytes:
    """All that an open descriptor gives, a byte more than `most` at the most."""
    try:
        with os.fdopen(number, "rb") as file:
            return file.read(most + 1)
    except (OSError, OverflowError, ValueError) as error:
        raise WorldError(
            "input.descriptor", f"Nothing can be read from the descriptor {number}."
        ) from error


def json_file(where: Path) -> Any:
    """Strict JSON from a file or standard input."""
    try:
        if where == STDIN:
            data = sys.stdin.buffer.read(_FILE_BYTES + 1)
        else:
            with where.open("rb") as file:
                data = file.read(_FILE_BYTES + 1)
    except OSError as error:
        raise WorldError("file.unreadable", f"{where} cannot be read.") from error
    return _json(data, str(where))


def text_file(where: Path) -> str:
    """UTF-8 text from a file or standard input. Raises CallerError or WorldError."""
    try:
        if where == STDIN:
            data = sys.stdin.buffer.read(_FILE_BYTES + 1)
        else:
            with where.open("rb") as file:
                data = file.read(_FILE_BYTES + 1)
    except OSError as error:
        raise WorldError("file.unreadable", f"{where} cannot be read.") from error
    try:
        if len(data) > _FILE_BYTES:
            raise ValueError("too long")
        return data.decode("utf-8")
    except ValueError as error:
        raise CallerError(
            "input.text", f"{where} is not UTF-8 text of at most {_FILE_BYTES} bytes."
        ) from error


def json_text(text: str, what: str) -> Any:
    """Strict JSON from an option."""
    return _json(text.encode("utf-8", "surrogateescape"), what)


def _json(data: bytes, what: str) -> Any:
    try:
        return arguments.parse(data, _FILE_BYTES)
    except CredentialError as error:
        reason = error.message.removeprefix("The JSON was refused: ")
        raise CallerError("json.refused", f"{what} is not strict JSON: {reason}") from error


def json_caveat(text: str, what: str) -> list[Any]:
    """One caveat in JSON. That it is one that verifiers read is checked where it is written."""
    value = shapes.items(json_text(text, what))
    if value is None:
        raise CallerError("caveat.malformed", f'{what} is an array such as ["tool", "in", ["x"]].')
    return value


def hexed(text: str, size: int, what: str) -> bytes:
    """`size` bytes in hex."""
    try:
        data = bytes.fromhex(text.strip())
    except ValueError:
        data = b""
    if len(data) != size:
        raise CallerError("input.hex", f"{what} is {2 * size} hex digits.")
    return data


def duration(text: str, what: str) -> int:
    """Seconds from `90`, `90s`, `15m`, `8h` or `7d`."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or not (seconds := int(match[1]) * _SECONDS[match[2]]):
        raise CallerError("input.duration", f"{what} is a time such as 90s, 15m, 8h or 7d.")
    return seconds


def pairs(given: Sequence[str], what: str) -> dict[str, str]:
    """`name=value` options as a table; a name given twice is a mistake."""
    made: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name in made:
            raise CallerError("input.pair", f"{what} is given as NAME=VALUE, each name once.")
        made[name] = value
    return made


def whole(text: str, what: str) -> int:
    """A whole number from 0."""
    if not text.isascii() or not text.isdigit() or len(text) > 16:
        raise CallerError("input.number", f"{what} is a whole number from 0.")
    return int(text)


# Passphrases ----------------------------------------------------------------------------------


def passphrase(
    file: Path | None, descriptor: int | None, *, new: bool = False
) -> Callable[[str], bytes]:
    """Where a passphrase comes from: a file, a descriptor, or the terminal that controls us. It
    is asked for once, when it is first needed; a `new` one is typed twice."""
    if file is not None and descriptor is not None:
        raise CallerError("passphrase.where", "Give a passphrase file or a descriptor, not both.")
    known: list[bytes] = []

    def ask(what: str) -> bytes:
        if not known:
            if file is not None:
                data = files.read(file, secret=True, most=_PASSPHRASE_BYTES)
                known.append(data.removesuffix(b"\n"))
            elif descriptor is not None:
                known.append(from_descriptor(descriptor, _PASSPHRASE_BYTES).removesuffix(b"\n"))
            else:
                known.append(_from_terminal(what, new))
        return known[0]

    return ask


def passphrases(
    file: Path | None, descriptor: int | None, approvers: Path | None
) -> tuple[Callable[[str], bytes], Callable[[str], bytes]]:
    """The issuer's and the approver's: one file or descriptor for both, unless the approver has
    a file of their own; on the terminal each is asked for by name."""
    issuer = passphrase(file, descriptor)
    if approvers is None and (file, descriptor) != (None, None):
        return issuer, issuer
    return issuer, passphrase(approvers, None)


def passphrase_or_module(
    file: Path | None, descriptor: int | None, pkcs11: str | None, pin_file: Path | None
) -> Callable[[str], bytes]:
    """What opens the issuer's keys: a passphrase, or a hardware module with its PIN."""
    if pkcs11 is None:
        return passphrase(file, descriptor)
    from nucleus_issuer import hsm

    return hsm.passphrase(hsm.Slot.parse(pkcs11), passphrase(pin_file, None))


def _from_terminal(what: str, new: bool) -> bytes:
    import getpass

    try:
        # getpass would read standard input where there is no terminal: that is somebody's data.
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError as error:
        raise CallerError(
            "passphrase.no_terminal",
            f"There is no terminal on which to ask for the passphrase of the {what}.",
            hint="Give --passphrase-file or --passphrase-fd.",
        ) from error
    first = getpass.getpass(f"Passphrase of the {what}: ")
    if new and getpass.getpass("The same again: ") != first:
        raise CallerError("passphrase.differs", "The two passphrases differ: nothing was made.")
    return first.encode()
