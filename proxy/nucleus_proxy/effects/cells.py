"""Law: a work cell shows what every path scope of the call admits, writes where it may, and leaves
nothing behind at a place that its call could not have written to.

What is mounted is computed from the scopes' own subtrees: patterns in between show less, never
more. What a scope blocks is hidden; what runs later is read-only. A name that is not there yet
cannot be mounted over, so the workspace is looked through before and after, and what a command
put where nothing of it may stand is set aside: renamed, so that it is neither run nor lost.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from stat import S_IFMT, S_ISDIR, S_ISLNK, S_ISREG
from typing import Final

from nucleus_proxy.effects.opening import Root
from nucleus_proxy.later import runs_later
from nucleus_tokens.authority import Authority, scope_admits
from nucleus_tokens.errors import CallerError, NucleusError
from nucleus_tokens.lattice import EDIT_FILES, READ_FILES, WRITE_FILES, level_of, obliged
from nucleus_tokens.patterns import under

ENTRIES: Final = 200_000  # of a workspace that commands run in
MASKS: Final = 512
_ASIDE: Final = ".set-aside-"


# Device, inode, type, and where a link leads: inode numbers are used again.
Identity = tuple[int, int, int, str]


@dataclass(frozen=True, slots=True)
class View:
    """What one cell is shown, and what stands at the places in it that need care."""

    readable: tuple[str, ...]
    writable: tuple[str, ...]
    masked: tuple[str, ...]
    special: dict[str, Identity]
    git_open: bool = False  # git's own data may be written, but not what git runs


def may_read(authority: Authority) -> bool:
    """Whether files may be read without a person's word for each."""
    return _free(authority, READ_FILES)


def may_write(authority: Authority) -> bool:
    """Whether files may be written and edited without a person's word for each."""
    return _free(authority, WRITE_FILES) and _free(authority, EDIT_FILES)


def _free(authority: Authority, operation: int) -> bool:
    return level_of(authority.levels, operation) > 0 and not obliged(
        authority.obligations, operation
    )


def subtrees(root: str, authority: Authority) -> tuple[str, ...]:
    """The subtrees of the workspace that every allowing path scope admits whole."""
    found = {root} if may_read(authority) else set[str]()
    for _, scope in authority.scopes:
        if scope.kind == "path" and scope.allow:
            wholes = [w for pattern in scope.patterns if (w := _whole(pattern)) is not None]
            found = {inner for a in found for b in wholes if (inner := _inner(a, b)) is not None}
    outermost = [a for a in found if not any(a != b and under(b, a) for b in found)]
    return tuple(sorted(outermost))


def _whole(pattern: object) -> str | None:
    """The subtree that a pattern admits whole."""
    if type(pattern) is not str:
        return None
    literal = pattern.removesuffix("/**")
    return literal if "*" not in literal and literal.startswith("/") else None


def _inner(a: str, b: str) -> str | None:
    if under(a, b):
        return b
    return a if under(b, a) else None


def blocked(path: str, authority: Authority) -> bool:
    return any(
        scope.kind == "path" and not scope.allow and not scope_admits(scope, (path,))
        for _, scope in authority.scopes
    )


def view(
    root: Root, subtree: tuple[str, ...], authority: Authority, *, git_open: bool = False
) -> View:
    """What a cell for this authority is shown. Raises CallerError `cell.nothing`, `cell.too_large`
    where it cannot be computed: then nothing runs."""
    if not subtree:
        raise CallerError(
            "cell.nothing",
            "No directory of the workspace is admitted whole, so a command would see nothing.",
            hint="A command needs a path scope without wildcards.",
        )
    readable: list[str] = []
    masked: list[str] = []
    special: dict[str, Identity] = {}
    for path, mode, identity in _special(root, subtree, authority, git_open):
        special[path] = identity
        if blocked(path, authority):
            if not S_ISLNK(mode):
                masked.append(path)
            continue
        # A link is read where it leads; what it leads to must not be written either.
        leads = os.path.realpath(path) if S_ISLNK(mode) else path
        if any(under(top, leads) for top in subtree):
            readable.append(leads)
    if len(masked) + len(readable) > MASKS:
        raise CallerError("cell.too_large", f"More than {MASKS} places would have to be hidden.")
    if may_write(authority):
        writable = tuple(top for top in subtree if top not in special)
        shown = tuple(sorted({*readable} - {*writable}))
        return View(shown, writable, tuple(masked), special, git_open)
    return View(subtree, (), tuple(masked), special)


def set_aside(root: Root, before: View, authority: Authority, tag: str) -> tuple[str, ...]:
    """Rename what a command left where nothing of it may stand; the paths as they were."""
    moved = []
    found = list(_special(root, before.writable, authority, before.git_open))
    for path, _, identity in found:
        if before.special.get(path) != identity:
            with root.parent(path) as (directory, name):
                os.rename(name, f"{name}{_ASIDE}{tag}", src_dir_fd=directory, dst_dir_fd=directory)
            moved.append(path)
    return tuple(moved)


def _special(
    root: Root, subtree: tuple[str, ...], authority: Authority, git_open: bool
) -> Iterator[tuple[str, int, Identity]]:
    """Every blocked path, and every path that runs later, with its mode and identity."""
    seen = 0
    todo = list(subtree)
    for at in subtree:
        if (found := _no_folder(root, at)) is None:
            continue
        todo.remove(at)
        if blocked(at, authority) or runs_later(at):
            yield at, found.st_mode, (found.st_dev, found.st_ino, S_IFMT(found.st_mode), "")
    while todo:
        at = todo.pop()
        try:
            with root.directory(at) as directory:
                for name in os.listdir(directory):
                    seen += 1
                    if seen > ENTRIES:
                        raise CallerError(
                            "cell.too_large", f"The workspace has more than {ENTRIES} entries."
                        )
                    found = os.stat(name, dir_fd=directory, follow_symlinks=False)
                    path = f"{at.rstrip('/')}/{name}"
                    # A .git that is no directory leads to one that nobody looked at.
                    opened = git_open and (name != ".git" or S_ISDIR(found.st_mode))
                    later = runs_later(path, git_open=opened)
                    if not _text(name) or blocked(path, authority) or later:
                        leads = _leads(directory, name) if S_ISLNK(found.st_mode) else ""
                        kind = S_IFMT(found.st_mode)
                        yield path, found.st_mode, (found.st_dev, found.st_ino, kind, leads)
                    elif S_ISDIR(found.st_mode):
                        todo.append(path)
        except FileNotFoundError:
            continue  # it was removed while we looked
        except NucleusError as error:
            if error.code == "fs.missing":
                continue  # a place that a scope names need not be there yet
            if error.code not in ("fs.moved", "fs.not_directory") or at in subtree:
                raise


def _no_folder(root: Root, path: str) -> os.stat_result | None:
    """A place of the workspace that is shown alone, where it is a file."""
    try:
        with root.parent(path) as (directory, name):
            found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except (OSError, CallerError):
        return None  # whoever looks into it says why not
    return found if S_ISREG(found.st_mode) else None


def _leads(directory: int, name: str) -> str:
    try:
        return os.readlink(name, dir_fd=directory)
    except OSError:
        return ""  # it was replaced while we looked


def _text(name: str) -> bool:
    """A name that is no Unicode text is nothing that a scope could be asked about."""
    return name.isascii() or name == name.encode(errors="replace").decode()
