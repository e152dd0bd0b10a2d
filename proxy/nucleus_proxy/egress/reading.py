"""Law: what stands in the `egress` section is read strictly; what is not known refuses the file."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from nucleus_proxy import fields
from nucleus_proxy.egress.dial import Private
from nucleus_proxy.egress.url import Target
from nucleus_proxy.fields import bad


def keys(where: str, table: Any, allowed: tuple[str, ...]) -> dict[str, Any]:
    return fields.keys(where, table, *allowed)


def tables(where: str, value: Any, kind: type = dict) -> dict[str, Any]:
    if type(value) is not dict or not all(type(each) is kind for each in value.values()):
        bad(where, "a table of " + ("lists" if kind is list else "tables") + " is needed")
    return value


def text(where: str, value: Any) -> str:
    if type(value) is not str or not 0 < len(value) <= 1024 or not value.isprintable():
        bad(where, "a short text is needed")
    if not value.isascii():
        bad(where, "only ASCII can stand here")
    return value


def texts(where: str, value: Any) -> list[str]:
    if type(value) is not list:
        bad(where, "a list of texts is needed")
    return [text(where, item) for item in value]


def flag(where: str, value: Any) -> bool:
    if type(value) is not bool:
        bad(where, "true or false is needed")
    return value


def over_tls(where: str, to: Target, private: Collection[Private]) -> None:
    """For where a secret is sent: plain http only to an exception that the operator made."""
    if to.scheme != "https" and (to.host, to.port) not in {(p.host, p.port) for p in private}:
        bad(where, "a secret leaves this host only over https")


def count(table: Mapping[str, Any], key: str, default: int, most: int) -> int:
    """A whole number from 1."""
    value = table.get(key, default)
    if type(value) is not int or not 0 < value <= most:
        bad(f"egress, {key}", f"a whole number from 1 to {most} is needed")
    return value
