"""Law: what a folder shows to an agent is found before the agent starts, name by name.

Secrets by their names are hidden; what somebody else forbids is hidden; what runs later is
read-only. The names are those of the original's list of sensitive paths. A name is a guess: a
secret in a file with an ordinary name is shown.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from nucleus_tokens.errors import CallerError, WorldError

MOST_ENTRIES: Final = 500_000

_SECRET: Final = re.compile(
    r"\.env.*|.*\.pem|.*\.key|.*\.p12|.*\.pfx|.*\.jks|.*\.keystore|secrets|\.ssh|\.aws|\.gnupg|"
    r"\.azure|\.kube|\.docker|id_rsa.*|id_dsa.*|id_ecdsa.*|id_ed25519.*|\.npmrc|\.pypirc|\.netrc|"
    r"_netrc|\.git-credentials|\.pgpass|\.htpasswd|\.vault-token|nucleus-hook|"
    r"\.nucleus-exit-report\.json"
)
# These words begin the names of secrets, and of programs: not where the ending is a program's or
# a text's, and not a folder.
_WORDS: Final = re.compile(r"(credentials|token|password).*")
_SOURCE: Final = re.compile(
    r".*\.(py|pyi|js|mjs|cjs|ts|mts|cts|tsx|jsx|go|rs|java|kt|c|h|cc|cpp|hpp|cs|rb|php|swift|scala|"
    r"ex|exs|erl|hs|ml|mli|lua|pl|sh|sql|md|rst|html|css|scss|vue|svelte|proto|v|map)"
)
_NUCLEUS: Final = (
    "/.nucleus/policy.toml", "/.nucleus/trust", "/.nucleus/manifests", "/.local/share/nucleus",
)  # fmt: skip


def is_secret(path: str, *, is_dir: bool) -> bool:
    """Whether a path has the name of a secret, in whatever case."""
    name = os.path.basename(path).casefold()
    if _SECRET.fullmatch(name):
        return True
    if path.casefold().endswith(_NUCLEUS):
        return True
    if _WORDS.fullmatch(name):
        return not is_dir and not _SOURCE.fullmatch(name)
    return False


@dataclass(frozen=True, slots=True)
class Shown:
    """What of a folder is hidden, and what runs later: that is read-only where the rest is
    writable. `later` gives for a link where it leads; a link is no mount and can be replaced."""

    hidden: tuple[str, ...]
    later: Mapping[str, str | None]

    @property
    def frozen(self) -> tuple[str, ...]:
        return tuple(path for path, leads in self.later.items() if leads is None)


def look(
    root: str,
    *,
    allowed: Callable[[str], bool],
    runs_later: Callable[[str], bool],
    secret: Callable[[str, bool], bool] = lambda path, is_dir: is_secret(path, is_dir=is_dir),
    most: int = MOST_ENTRIES,
) -> Shown:
    """Look at every name beneath `root`, which is resolved. Links are not followed; where one has
    the name of a secret, what it leads to is hidden. `allowed` says whether a path may be seen.

    Raises WorldError `wall.workspace` for what cannot be looked at, CallerError `wall.workspace`
    for more names than `most`.
    """
    hidden, later = set[str](), dict[str, str | None]()
    todo, seen = [(root, False)], 0
    while todo:
        folder, is_frozen = todo.pop()
        entries = _entries(folder)
        seen += len(entries)
        if seen > most:
            raise CallerError(
                "wall.workspace",
                f"{root} has more than {most} files.",
                hint="Show a smaller folder with --dir, or none with --workspace none.",
            )
        for entry in entries:
            path, is_link = entry.path, entry.is_symlink()
            is_dir = entry.is_dir(follow_symlinks=False)
            if not allowed(path) or secret(path, is_dir):
                target = os.path.realpath(path)
                if not is_link:
                    hidden.add(path)
                elif target.startswith(root + "/") and os.path.lexists(target):
                    hidden.add(target)
                continue
            runs = not is_frozen and runs_later(path)
            if runs:
                later[path] = os.readlink(path) if is_link else None
            if is_dir:
                todo.append((path, is_frozen or runs))
    return Shown(tuple(sorted(hidden)), dict(sorted(later.items())))


def set_aside(before: Shown, after: Shown, name: str) -> tuple[str, ...]:
    """Rename what would run later and was not there before: `name` is appended. Call it when
    nothing that could write there runs any more. Raises WorldError `wall.workspace`."""
    moved = []
    for path, leads in after.later.items():
        if path not in before.later or before.later[path] != leads:
            try:
                os.rename(path, f"{path}.{name}")
            except OSError as error:
                raise WorldError(
                    "wall.workspace", f"{path} cannot be set aside: {error.strerror}."
                ) from error
            moved.append(path)
    return tuple(moved)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except PermissionError:
        return []  # a cell has no more rights than we have: nothing in there can be shown
    except OSError as error:
        raise WorldError(
            "wall.workspace", f"{folder} cannot be looked at: {error.strerror}."
        ) from error
