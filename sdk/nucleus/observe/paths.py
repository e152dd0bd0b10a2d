"""Law: a path is generalised to the least folder that the knob allows, never to a place of
everything.

A pattern has no escape: a path with a `*` in its name stands for the folder that holds it, and so
does one that is deeper than a pattern may be.
"""

from __future__ import annotations

import os.path
from collections.abc import Iterable
from typing import Final

from nucleus_tokens.limits import PATTERN_SEGMENTS

_HOMES: Final = frozenset(("/", "/home", "/Users"))  # what lies right below them is everything


def widened(found: Iterable[str], tight: str, folders: frozenset[str] = frozenset()) -> set[str]:
    """Exactly these; or their folders, of which none lies in another; or the folder of all. Where
    that would be everything, a file stays itself, and folders stay apart. `folders` are those of
    them that are folders themselves."""
    spelled = {_literal(path) for path in found}
    if tight == "exact" or not spelled:
        return spelled
    wider = {path if path in folders else _folder(path) for path in spelled}
    if tight == "root" and not _everything(common(wider)):
        return {common(wider)}
    kept: set[str] = set()
    for folder in sorted(wider, key=lambda path: path.split("/")):
        if not any(folder == each or folder.startswith(each.rstrip("/") + "/") for each in kept):
            kept.add(folder)
    return kept


def common(found: Iterable[str]) -> str:
    """The folder of all."""
    return os.path.commonpath(sorted(found))


def _folder(path: str) -> str:
    folder = os.path.dirname(path)
    return path if _everything(folder) else folder


def _everything(folder: str) -> bool:
    """The root, a place right below it, or a person's home."""
    return folder in _HOMES or os.path.dirname(folder) in _HOMES


def _literal(path: str) -> str:
    """The path, or the nearest folder of it that a pattern can name and nothing else."""
    segments = path.split("/")
    starred = next((i for i, each in enumerate(segments) if "*" in each), len(segments))
    return "/".join(segments[: min(starred, PATTERN_SEGMENTS)]) or "/"
