"""Law: a secret is known by its name before an agent starts, and hidden from it.

The names are those of the usual list of sensitive paths. A name is a guess: a secret in a file
with an ordinary name is shown.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
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


def secrets(roots: Sequence[str], most: int = MOST_ENTRIES) -> tuple[str, ...]:
    """Every path beneath resolved folders that has the name of a secret, the outermost of each; a
    root that is no folder may be one itself. Links are not followed; where one has such a name,
    what it leads to is hidden. In a git repository's own folder only its configuration is one: it
    can hold credentials.

    Raises WorldError `wall.workspace` for what cannot be looked at, CallerError `wall.workspace`
    for more names than `most`.
    """
    todo, seen = [root for root in roots if os.path.isdir(root)], 0
    found = {root for root in roots if root not in todo and is_secret(root, is_dir=False)}
    while todo:
        for entry in _entries(todo.pop()):
            seen += 1
            if seen > most:
                raise CallerError(
                    "wall.workspace",
                    f"There are more than {most} files to look at.",
                    hint="Show a smaller folder with --dir, or none with --workspace none.",
                )
            is_dir = entry.is_dir(follow_symlinks=False)
            if is_secret(entry.path, is_dir=is_dir):
                path = os.path.realpath(entry.path)
                if os.path.lexists(path) and any(path.startswith(root + "/") for root in roots):
                    found.add(path)
            elif is_dir and entry.name == ".git":
                config = f"{entry.path}/config"
                if os.path.isfile(config) and not os.path.islink(config):
                    found.add(config)
            elif is_dir:
                todo.append(entry.path)
    return tuple(sorted(found))


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
