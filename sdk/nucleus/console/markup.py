"""Law: text becomes markup in one place, and there it is escaped, twice over.

Every string that is not `Html` is shown as a terminal would have to show it (controls,
bidirectional and invisible characters are spelled out) and then escaped. There is no way to write a
tag but `tag`.
"""

from __future__ import annotations

import html
from typing import Final

from nucleus_issuer.desk import shown_safely

_VOID: Final = frozenset(("br", "hr", "img", "input", "link", "meta"))


class Html(str):
    """Markup that `tag` made."""

    __slots__ = ()


Child = Html | str | int | None


def tag(kind: str, /, *children: Child, **attributes: str | bool | int | None) -> Html:
    """An element. An attribute's `_` is a `-` in HTML, and one at the end goes; True writes the
    name alone, None and False nothing."""
    made = "".join(
        f" {key.rstrip('_').replace('_', '-')}"
        + ("" if value is True else f'="{html.escape(str(value), quote=True)}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if kind in _VOID:
        return Html(f"<{kind}{made}>")
    return Html(f"<{kind}{made}>{joined(*children)}</{kind}>")


def joined(*children: Child) -> Html:
    """Markup after markup; text is escaped."""
    return Html("".join(map(_child, children)))


def text(value: object) -> Html:
    """Text from outside, on its own: its direction is nobody else's."""
    return tag("bdi", str(value))


def exactly(value: str) -> Html:
    """What is plain ASCII already, such as JSON with its own escapes, as it stands."""
    plain = value.isascii() and value.isprintable()
    return tag("code", Html(html.escape(value, quote=True)) if plain else value)


def _child(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return child
    return html.escape(shown_safely(str(child)), quote=True)
