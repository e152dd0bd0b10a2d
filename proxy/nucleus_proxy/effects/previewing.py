"""Law: what a write would change is shown to the person who is asked, and to nobody else.

The file is read as the effect will open it, and nothing of it goes back to the caller. Where there
is nothing to compare, too much of it, or no text, nothing is shown: the call itself still is.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from nucleus_proxy.binding import BoundCall
from nucleus_proxy.effects import opening
from nucleus_proxy.effects.opening import Root
from nucleus_tokens.errors import NucleusError

# Comparing is slower than reading: beyond this nobody reads the result either.
_BYTES: Final = 256 * 1024
_LINES: Final = 4000


def of_writes(root: Root) -> Mapping[str, Callable[[BoundCall], str]]:
    """The previews of the tools that change a file's text."""
    return {"fs_write": partial(_diff, root), "fs_edit": partial(_diff, root)}


def _diff(root: Root, call: BoundCall) -> str:
    path = next((s.value for s in call.selectors if s.pointer == "/path"), None)
    if type(path) is not str:
        return ""
    before = _text(root, path)
    after = _after(call.args, before or "")
    if before is None or after is None or len(after) > _BYTES:
        return ""
    old, new = before.splitlines(), after.splitlines()
    if len(old) + len(new) > _LINES:
        return ""
    name = path.rpartition("/")[2]
    lines = difflib.unified_diff(old, new, f"{name} (now)", f"{name} (then)", lineterm="")
    return "\n".join(lines)


def _after(args: Mapping[str, object], before: str) -> str | None:
    if "content" in args:
        return str(args["content"])
    old, new = args.get("old"), args.get("new")
    if type(old) is not str or type(new) is not str or not old or old not in before:
        return None
    return before.replace(old, new, -1 if args.get("all") is True else 1)


def _text(root: Root, path: str) -> str | None:
    """What stands there; empty where nothing does, None where it cannot be compared."""
    try:
        with root.parent(path) as (directory, name), opening.opened(directory, name) as (fd, found):
            if found.st_size > _BYTES:
                return None
            with open(fd, "rb", closefd=False) as file:
                return file.read(_BYTES).decode("utf-8")
    except UnicodeDecodeError:
        return None
    except NucleusError as error:
        return "" if error.code == "fs.missing" else None
