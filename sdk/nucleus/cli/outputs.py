"""Law: what holds a secret is written to a private file; nothing is overwritten unasked."""

from __future__ import annotations

import sys
from pathlib import Path

from nucleus.cli.inputs import STDIN
from nucleus_issuer import files
from nucleus_tokens.errors import CallerError, WorldError


def check(where: Path, *, force: bool, as_json: bool) -> None:
    """Refuse before anything is made what could not be written afterwards."""
    if where == STDIN:
        if as_json:
            raise CallerError("output.twice", "With --json, write the result to a file.")
        if sys.stdout.isatty():
            raise CallerError(
                "output.terminal",
                "A secret is not printed on a terminal: write it to a file, or pipe it on.",
            )
    elif not force and (where.exists() or where.is_symlink()):
        raise CallerError(
            "file.exists", f"{where} exists and is not overwritten.", hint="Say --force to do so."
        )
    elif not where.absolute().parent.is_dir():
        raise WorldError("file.unwritable", f"There is no directory {where.absolute().parent}.")


def secret(where: Path, data: bytes, *, force: bool) -> None:
    """Write a secret: a file (0600, durable), or a pipe. Call `check` first."""
    if where == STDIN:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    elif force:
        files.replace(where, data)
    else:
        files.create(where, data)
