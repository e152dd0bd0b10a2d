"""Law: what opens the issuer's keys can rest in a hardware module, and never leaves it.

The module (PKCS #11) holds one secret key; what it computes over a constant of ours, HMAC-SHA256,
takes the place of the passphrase. A copy of the key files is then worth nothing without the module
and its PIN, which comes from where a passphrase would.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from nucleus_issuer.keys import Passphrase
from nucleus_tokens.errors import CallerError, WorldError

_MESSAGE: Final = b"nucleus/kek/v1\0"
_BITS: Final = 256
_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Slot:
    """Where the key is: the module's library, the token's label and the key's label."""

    module: str
    token: str
    key: str

    @classmethod
    def parse(cls, text: str) -> Slot:
        """`MODULE,TOKEN,KEY`. Raises CallerError `hsm.slot`."""
        parts = text.split(",")
        if len(parts) != 3 or not all(parts):
            raise CallerError("hsm.slot", "A key in a module is given as MODULE,TOKEN,KEY.")
        return cls(*parts)


def passphrase(slot: Slot, pin: Passphrase) -> Passphrase:
    """What opens the keys, as the module computes it. Raises WorldError `hsm.unavailable` or
    `hsm.no_key` when it is asked."""

    def ask(_: str) -> bytes:
        with _session(slot, pin) as (session, pkcs11):
            try:
                key = session.get_key(object_class=pkcs11.ObjectClass.SECRET_KEY, label=slot.key)
                made = bytes(key.sign(_MESSAGE, mechanism=pkcs11.Mechanism.SHA256_HMAC))
            except pkcs11.PKCS11Error as error:
                raise WorldError(
                    "hsm.no_key", f"The module has no key {slot.key!r} that can sign with HMAC."
                ) from error
        if len(made) != _BYTES:
            raise WorldError("hsm.unavailable", "The module gave no HMAC-SHA256.")
        return made

    return ask


def make(slot: Slot, pin: Passphrase) -> None:
    """Make the key inside the module; it cannot be read out. Raises CallerError `hsm.exists`,
    WorldError `hsm.unavailable`."""
    with _session(slot, pin, rw=True) as (session, pkcs11):
        attribute = pkcs11.Attribute
        try:
            if list(session.get_objects({attribute.LABEL: slot.key})):
                raise CallerError("hsm.exists", "The module has a key of this label already.")
            session.generate_key(
                pkcs11.KeyType.GENERIC_SECRET,
                _BITS,
                label=slot.key,
                store=True,
                template={
                    attribute.SENSITIVE: True,
                    attribute.EXTRACTABLE: False,
                    attribute.SIGN: True,
                },
            )
        except pkcs11.PKCS11Error as error:
            raise WorldError("hsm.unavailable", "The module made no key.") from error


@contextmanager
def _session(slot: Slot, pin: Passphrase, *, rw: bool = False) -> Iterator[tuple[Any, Any]]:
    try:
        import pkcs11
    except ImportError as error:
        raise WorldError(
            "hsm.unavailable", "PKCS #11 needs the extra `pkcs11` of nucleus-runtime."
        ) from error
    given = pin(f"module's token {slot.token} (PIN)")
    try:
        token = pkcs11.lib(slot.module).get_token(token_label=slot.token)
        session = token.open(rw=rw, user_pin=given.decode("utf-8", "replace"))
    except (pkcs11.PKCS11Error, RuntimeError, OSError) as error:
        raise WorldError(
            "hsm.unavailable",
            f"The token {slot.token!r} cannot be used: check module, label and PIN.",
        ) from error
    try:
        yield session, pkcs11
    finally:
        session.close()
