"""Law: a key that an audience registered is sealed to from then on; its id never means another key.

Whether somebody may register for an audience is settled before this file runs.
"""

from __future__ import annotations

from typing import Final

from nucleus_issuer.batches import Connection, State, one, rows
from nucleus_issuer.mint import Audience
from nucleus_issuer.store_clock import HighWater
from nucleus_tokens import crypto
from nucleus_tokens.errors import CallerError

# Tokens are sealed to the latest; the ones before may still be shown by an audience that rotates.
KEYS_PER_AUDIENCE: Final = 16


class SqlAudiences:
    """The registered keys."""

    def __init__(self, database: State, time: HighWater) -> None:
        self._database = database
        self._time = time

    def register(self, audience: Audience, *, by: str) -> None:
        """Make a key known, durably. Raises CallerError `audience.taken` when its id means
        another one."""

        def job(c: Connection) -> None:
            now = self._time.note(c)
            row = one(
                c,
                "SELECT public FROM audience_keys WHERE name = ? AND akid = ?",
                (audience.name, audience.akid),
            )
            if row is not None:
                if crypto.same(bytes(row[0]), audience.public):
                    return
                raise CallerError(
                    "audience.taken", "A key of this id is registered already: draw another id."
                )
            c.execute(
                "INSERT INTO audience_keys (name, akid, public, at, by_whom) VALUES (?,?,?,?,?)",
                (audience.name, audience.akid, audience.public, now, by),
            )
            c.execute(
                "DELETE FROM audience_keys WHERE name = ? AND n NOT IN (SELECT n FROM audience_keys"
                " WHERE name = ? ORDER BY n DESC LIMIT ?)",
                (audience.name, audience.name, KEYS_PER_AUDIENCE),
            )

        self._database.write(job)

    def registered(self, name: str) -> list[Audience]:
        """The keys of an audience, the latest first."""
        sql = "SELECT name, akid, public FROM audience_keys WHERE name = ? ORDER BY n DESC"
        found = self._database.read(lambda c: rows(c, sql, (name,)))
        return [Audience(row[0], row[1], bytes(row[2])) for row in found]
