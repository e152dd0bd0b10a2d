"""Law: what a server needs to know and an agent must not is kept sealed, under a name.

Sealed to the key of this host's audience, which has no passphrase because the proxy starts alone:
whoever reads that key reads this too. What it stops is the copy: in a repository, a backup, a
client's configuration, a command line. Nothing here prints a value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nucleus_issuer import files
from nucleus_tokens import crypto
from nucleus_tokens.errors import CallerError, WorldError

if TYPE_CHECKING:
    from nucleus.home import Home

MOST_BYTES: Final = 2 * 1024 * 1024
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")
_PURPOSE: Final = b"nucleus/vault/v1\0"


class Vault:
    """The sealed values of one home, in one of its folders."""

    def __init__(self, home: Home, folder: Path) -> None:
        """Raises CallerError `home.missing`, WorldError."""
        keys = home.verifier_keys()
        self._keys = [(keys.audience_keys[k], keys.audience_publics[k]) for k in keys.audience_keys]
        self._newest = keys.audience_publics[max(keys.audience_publics)]
        self._folder = folder

    @classmethod
    def secrets(cls, home: Home) -> Vault:
        """What servers are given."""
        return cls(home, home.data / "secrets")

    def put(self, name: str, value: bytes) -> None:
        """Keep a value; one of this name is replaced. Raises CallerError `secret.name`."""
        path = self._path(name)
        files.private_directory(self._folder)
        files.replace(path, crypto.seal(self._newest, _bound(name) + value))

    def get(self, name: str) -> bytes:
        """Raises CallerError `secret.unknown`, WorldError `secret.unreadable`."""
        path = self._path(name)
        if not path.exists():
            raise CallerError("secret.unknown", f"This home keeps no secret {name!r}.")
        sealed = files.read(path, secret=True, most=MOST_BYTES)
        for private, public in self._keys:
            opened = crypto.unseal(private, public, sealed)
            # Bound to its name: files that change places are no other secret.
            if opened is not None and opened.startswith(_bound(name)):
                return opened[len(_bound(name)) :]
        raise WorldError("secret.unreadable", f"The secret {name} cannot be read.")

    def remove(self, name: str) -> None:
        """Keep it no longer."""
        self._path(name).unlink(missing_ok=True)

    def names(self) -> list[str]:
        """Of all that is kept."""
        return sorted(p.name.removesuffix(".sealed") for p in self._folder.glob("*.sealed"))

    def environment(self, wanted: Mapping[str, str]) -> dict[str, str]:
        """For each variable the value of the secret it is to hold. Raises as `get`."""
        return {
            variable: self.get(name).decode("utf-8", "surrogateescape")
            for variable, name in wanted.items()
        }

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise CallerError(
                "secret.name", "A secret's name is lower case letters, digits, '.', '_' and '-'."
            )
        return self._folder / f"{name}.sealed"


def _bound(name: str) -> bytes:
    return _PURPOSE + name.encode() + b"\0"
