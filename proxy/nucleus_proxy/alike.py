"""Law: two names that can be taken for each other are one name to whoever compares them here."""

from __future__ import annotations

from typing import Final

_ALIKE: Final = str.maketrans(
    {"0": "o", "1": "l", "i": "l", "|": "l", "5": "s", **dict.fromkeys("_-. /", None)}
)


def looks(name: str) -> str:
    """A name without case, separators, and the difference between letters and digits that are
    taken for each other. Letters that are not ASCII are `lookalikes`' affair."""
    return name.casefold().translate(_ALIKE).replace("rn", "m").replace("vv", "w")
