"""Law: whatever in a text could be reached is found generously: a find only asks.

Hygiene, no boundary: a person who wants to be misunderstood by it can spell an address in words.
"""

from __future__ import annotations

import re
from typing import Final

# Where something in a text could be reached: looked for generously, since a find only asks. Each
# expression is tried on one short token, or has only one way to match.
_BETWEEN: Final = re.compile(r"[\s<>\"'`,;()\[\]{}|]+")
_NAME: Final = re.compile(r"[\w-]\.[^\W\d_]{2,}")
_ACCOUNTS: Final = re.compile(
    r"\b[A-Za-z]{2}[0-9]{2}(?: ?[A-Za-z0-9]{4}){2,7}(?: ?[A-Za-z0-9]{1,3})?\b"
)
_LINK_TAIL: Final = ".:!?*_~"
_TOKEN_CHARS: Final = 512


def contacts(text: str) -> list[tuple[str, str]]:
    """(kind, value) of every link, address and account in a text. Total."""
    found = [("payee", match.group()) for match in _ACCOUNTS.finditer(text)]
    for token in _BETWEEN.split(text):
        bare = token.strip(_LINK_TAIL)
        if "@" in bare:
            found.append(("email", bare))
        elif (
            "://" in bare
            or bare.lower().startswith("www.")
            or len(bare) > _TOKEN_CHARS
            or _NAME.search(bare)
        ):
            found.append(("url", bare))
    return found
