"""Law: a private key rests in a file of its own, readable by its owner alone, whole or refused.

A key file is one line of canonical JSON. The issuer's, the exchange and the approvers' keys are
sealed by a passphrase (argon2id and XSalsa20-Poly1305, libsodium's `pwhash` and `secretbox`), whose
parameters stand in the file. The keys of an audience, of the trace and of a holder are plain: a
service must start without a person. These two primitives are the only ones used outside
`nucleus_tokens.crypto`, since only a person's key at rest needs them.

The passphrase comes from a function of the caller's: never from argv or the environment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id
from nacl.secret import SecretBox

from nucleus_issuer import files
from nucleus_tokens import canonical, crypto
from nucleus_tokens.errors import CallerError, CredentialError, NucleusError, WorldError

Kind = Literal["issuer", "exchange", "approver", "audience", "trace", "holder"]
# Asks a person for the passphrase of what is named, for example on the controlling terminal.
Passphrase = Callable[[str], bytes]
Random = Callable[[int], bytes]

SEALED: Final = frozenset(("issuer", "exchange", "approver"))
X25519: Final = frozenset(("exchange", "audience"))
KINDS: Final = frozenset(("issuer", "exchange", "approver", "audience", "trace", "holder"))

Strength = Literal["interactive", "moderate", "sensitive", "dangerously_fast_for_tests"]
# libsodium's own limits: 64 MiB and a tenth of a second; 256 MiB and most of one; 1 GiB and more.
_STRENGTHS: Final[dict[Strength, tuple[int, int]]] = {
    "interactive": (argon2id.OPSLIMIT_INTERACTIVE, argon2id.MEMLIMIT_INTERACTIVE),
    "moderate": (argon2id.OPSLIMIT_MODERATE, argon2id.MEMLIMIT_MODERATE),
    "sensitive": (argon2id.OPSLIMIT_SENSITIVE, argon2id.MEMLIMIT_SENSITIVE),
    "dangerously_fast_for_tests": (argon2id.OPSLIMIT_MIN, argon2id.MEMLIMIT_MIN),
}
# A damaged file must not make us fill the memory or compute for an hour.
_MOST_OPS: Final = argon2id.OPSLIMIT_SENSITIVE
_MOST_MEMORY: Final = argon2id.MEMLIMIT_SENSITIVE

_FILE_BYTES: Final = 4096
_FIELDS: Final = ["id", "kind", "public", "seal", "secret", "type", "v"]
_SEAL_FIELDS: Final = ["kdf", "memory", "ops", "salt"]
_NAME: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What may be told of a key."""

    kind: Kind
    id: str
    public: bytes


@dataclass(frozen=True, slots=True)
class Key:
    """A key that was opened. `private` is a secret and is not shown."""

    kind: Kind
    id: str
    public: bytes
    private: bytes = field(repr=False)


def check_name(name: str) -> str:
    """A key's id, which is also part of a file's name. Raises CallerError `keys.name`."""
    if not 0 < len(name) <= 64 or not _NAME.issuperset(name) or name.startswith((".", "-")):
        raise CallerError(
            "keys.name", "A key's name is 1 to 64 of a-z, 0-9, dot, dash and underscore."
        )
    return name


def public_of(kind: Kind, private: bytes) -> bytes:
    """The public half: X25519 for exchange and audience, Ed25519 for everything else."""
    return crypto.exchange_public_of(private) if kind in X25519 else crypto.public_of(private)


def generate(kind: Kind, key_id: str, random: Random) -> Key:
    """A new key. `random` gives as many random bytes as it is asked for."""
    private = random(crypto.KEY_BYTES)
    return Key(kind, check_name(key_id), public_of(kind, private), private)


def write(
    path: Path,
    key: Key,
    *,
    random: Random,
    passphrase: Passphrase | None = None,
    strength: Strength = "moderate",
) -> None:
    """Write a new key file (0600, durable). Raises CallerError `file.exists`,
    `keys.passphrase_missing` when a kind that must be sealed comes without one,
    `keys.passphrase_empty`, or WorldError `file.*`."""
    if key.kind in SEALED and passphrase is None:
        raise CallerError("keys.passphrase_missing", f"The {key.kind} key needs a passphrase.")
    seal: dict[str, Any] | None = None
    secret = key.private
    if passphrase is not None:
        ops, memory = _STRENGTHS[strength]
        salt = random(argon2id.SALTBYTES)
        seal = {"kdf": "argon2id", "memory": memory, "ops": ops, "salt": salt.hex()}
        plain = canonical.encode({"id": key.id, "kind": key.kind, "secret": key.private.hex()})
        box = _box(passphrase(f"{key.kind} key {key.id}"), seal)
        secret = bytes(box.encrypt(plain, random(SecretBox.NONCE_SIZE)))
    files.create(
        path,
        canonical.encode(
            {
                "id": key.id,
                "kind": key.kind,
                "public": key.public.hex(),
                "seal": seal,
                "secret": secret.hex(),
                "type": "nucleus-key",
                "v": 1,
            }
        )
        + b"\n",
    )


def read(path: Path, kind: Kind, passphrase: Passphrase | None = None) -> Key:
    """Open a key file. Raises WorldError `keys.corrupt`, `keys.kind`, `keys.passphrase` for a
    wrong passphrase, `file.*`; CallerError `keys.passphrase_missing` or `keys.passphrase_empty`.
    """
    value, public = _read(path, kind)
    seal = value["seal"]
    data = bytes.fromhex(value["secret"])
    if seal is not None:
        if passphrase is None:
            raise CallerError("keys.passphrase_missing", f"{path} needs its passphrase to open.")
        data = _open(path, value, _box(passphrase(f"{kind} key {value['id']}"), seal), data)
    if len(data) != crypto.KEY_BYTES or not crypto.same(public_of(kind, data), public.public):
        raise _corrupt(path, "its two halves do not belong together")
    return Key(kind, public.id, public.public, data)


def read_public(path: Path, kind: Kind) -> PublicKey:
    """The public half of a key file, without opening it. Raises WorldError."""
    return _read(path, kind)[1]


def _read(path: Path, kind: Kind) -> tuple[dict[str, Any], PublicKey]:
    data = files.read(path, secret=True, most=_FILE_BYTES)
    try:
        value = canonical.decode(data.removesuffix(b"\n"))
        if type(value) is not dict or sorted(value) != _FIELDS:
            raise ValueError("fields")
        if (value["type"], value["v"]) != ("nucleus-key", 1) or value["kind"] not in KINDS:
            raise ValueError("type")
        public = PublicKey(value["kind"], check_name(value["id"]), bytes.fromhex(value["public"]))
        bytes.fromhex(value["secret"])
        _check_seal(value["seal"], value["kind"])
    except (ValueError, TypeError, AttributeError, NucleusError) as error:
        raise _corrupt(path, "it is not a key file") from error
    if public.kind != kind:
        raise WorldError("keys.kind", f"{path} holds a key of kind {public.kind}, not {kind}.")
    return value, public


def _check_seal(seal: Any, kind: str) -> None:
    if seal is None:
        # Whoever can strip the seal from a file must not make us take a plain key for it.
        if kind in SEALED:
            raise ValueError("seal")
        return
    if type(seal) is not dict or sorted(seal) != _SEAL_FIELDS or seal["kdf"] != "argon2id":
        raise ValueError("seal")
    ops, memory = seal["ops"], seal["memory"]
    if type(ops) is not int or not argon2id.OPSLIMIT_MIN <= ops <= _MOST_OPS:
        raise ValueError("ops")
    if type(memory) is not int or not argon2id.MEMLIMIT_MIN <= memory <= _MOST_MEMORY:
        raise ValueError("memory")
    if len(bytes.fromhex(seal["salt"])) != argon2id.SALTBYTES:
        raise ValueError("salt")


def _box(passphrase: bytes, seal: dict[str, Any]) -> SecretBox:
    if not passphrase:
        raise CallerError("keys.passphrase_empty", "An empty passphrase protects nothing.")
    salt = bytes.fromhex(seal["salt"])
    try:
        key = argon2id.kdf(
            SecretBox.KEY_SIZE, passphrase, salt, opslimit=seal["ops"], memlimit=seal["memory"]
        )
    except (CryptoError, MemoryError, ValueError) as error:
        raise WorldError(
            "keys.memory", f"Opening this key needs {seal['memory'] >> 20} MiB of memory."
        ) from error
    return SecretBox(key)


def _open(path: Path, value: dict[str, Any], box: SecretBox, data: bytes) -> bytes:
    try:
        opened = canonical.decode(bytes(box.decrypt(data)))
        # The sealed text says what it is, so that one sealed key cannot be renamed into another.
        renamed = (opened["id"], opened["kind"]) != (value["id"], value["kind"])
        secret = bytes.fromhex(opened["secret"])
    except (CryptoError, ValueError, TypeError, KeyError, CredentialError) as error:
        raise WorldError(
            "keys.passphrase", f"The passphrase does not open {path}, or the file was altered."
        ) from error
    if renamed:
        raise _corrupt(path, "it was renamed")
    return secret


def _corrupt(path: Path, why: str) -> WorldError:
    return WorldError("keys.corrupt", f"{path} is damaged ({why}): restore it from a copy.")
