"""Law: a TOML configuration is changed key by key; its comments, order and spacing stay.

tomlkit writes. What it wrote is read again by the standard parser: where that is not the file of
before with the new values, and nothing else, nothing is written.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from nucleus.shapes import table

if TYPE_CHECKING:
    from nucleus.audit.rewriting import Road

_MOST_CHARS: Final = 128 * 1024  # it is read slowly


def value(source: str) -> Any:
    """What the file says. Raises ValueError."""
    try:
        return tomllib.loads(source)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def stood(source: str, keys: Road) -> Any:
    """A table as it stands in the file, spelling and all. Raises KeyError."""
    at = _document(source)
    for key in keys:
        at = at[key]
    return at


def replaced(source: str, changes: Mapping[Road, Any]) -> str:
    """The text with new tables at these keys. A table of their own that is not wanted any more
    stays, empty: the comments before the next one are in it. Raises ValueError where it cannot be
    done so that everything else stays, KeyError where one is not there."""
    document = _document(source)
    wanted = value(source)
    for keys, new in changes.items():
        *way, last = keys
        holder, plain = document, wanted
        for key in way:
            holder, plain = holder[key], plain[key]
        plain[last] = _become(holder[last], new)
    made = str(document.as_string())
    if value(made) != wanted:
        raise ValueError("its tables stand so that they cannot be changed one by one")
    return made


def _document(source: str) -> Any:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    if len(source) > _MOST_CHARS:
        raise ValueError("it is too long")
    try:
        return tomlkit.parse(source)
    except (TOMLKitError, RecursionError) as error:
        raise ValueError("it is not TOML") from error


def _become(old: Any, new: Mapping[str, Any]) -> dict[str, Any]:
    """Change a table in place, and what it says then. What is equal keeps its spelling."""
    from tomlkit.items import AoT, InlineTable, Table

    said: dict[str, Any] = {}
    for key in list(old):
        if key not in new and isinstance(old[key], Table):
            said[key] = _become(old[key], {})
        elif key not in new and isinstance(old[key], AoT):
            raise ValueError("it holds a list of tables")
        elif key not in new:
            del old[key]
    for key, each in new.items():
        plain = said[key] = _plain(each)
        if key in old and _plain(old[key]) == plain:
            continue
        if key in old and isinstance(old[key], (Table, InlineTable)) and table(plain) is not None:
            said[key] = _become(old[key], each)
        elif key in old and isinstance(old[key], (Table, AoT)):
            raise ValueError("a table would become a value")
        else:
            old[key] = each
    return said


def _plain(item: Any) -> Any:
    """A value without its spelling."""
    return item.unwrap() if hasattr(item, "unwrap") else item
