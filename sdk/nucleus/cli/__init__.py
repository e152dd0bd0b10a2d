"""Law: where something is wrong, `nucleus` says one clear sentence, and never a traceback.

Exit codes: 0 allowed or done; 1 denied, or the answer is no; 2 nothing was decided: a mistake in
the command line, a missing file, a wrong passphrase; 3 an approval is needed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typer.exceptions import TyperException

DENIED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130
_NOT_INSTALLED: Final = (
    "nucleus: The command line is not installed. [cli.not_installed] "
    "Install nucleus-runtime[cli].\n"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in (words[: words.index("--")] if "--" in words else words)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal that lacks a letter still gets the rest
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(words, as_json)
        if not sys.stdout.closed:  # the proxy closes it when its client is gone
            sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except ModuleNotFoundError as error:
        # The base install is for agents that only narrow tokens: it has no command line.
        if error.name not in ("typer", "rich"):
            raise
        sys.stderr.write(_NOT_INSTALLED)
        return USAGE
    except BrokenPipeError:
        # Whoever read our answer has gone. The interpreter must not try to flush once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DENIED


def _run(words: list[str], as_json: bool) -> int:
    from typer import Abort
    from typer.exceptions import TyperException

    from nucleus.cli.app import build
    from nucleus_tokens.errors import CallerError, CredentialError, NucleusError

    try:
        if any(word.startswith("nuc1_") or "=nuc1_" in word for word in words):
            raise CallerError(
                "token.in_arguments",
                "A token stands on the command line, where every process can read it and the "
                "shell keeps it.",
                hint="Put it into a file, or give - or --token-fd N; and revoke this one.",
            )
        completing = "_NUCLEUS_COMPLETE" in os.environ
        done = build(None if completing else words)(
            words, prog_name="nucleus", standalone_mode=False
        )
        return done if isinstance(done, int) else 0
    except TyperException as error:
        return _usage(error, as_json)
    except Abort:
        return INTERRUPTED
    except NucleusError as error:
        _problem(error.code, error.message, error.hint, as_json)
        return DENIED if isinstance(error, CredentialError) else USAGE
    except (BrokenPipeError, KeyboardInterrupt):
        raise
    except Exception as error:  # noqa: BLE001  said in one sentence: it is our fault
        return _problem("bug", f"This is a defect of nucleus: {_where(error)}.", "", as_json)


def _usage(error: TyperException, as_json: bool) -> int:
    """A command line that cannot be read; one without any words gets the help page."""
    message = error.format_message()
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(message + "\n")
        return USAGE
    where = getattr(getattr(error, "ctx", None), "command_path", "nucleus")
    return _problem("usage", " ".join(message.split()), f"See: {where} --help", as_json)


def _problem(code: str, message: str, hint: str, as_json: bool) -> int:
    from nucleus.cli.console import problem

    problem(code, message, hint, as_json)
    return USAGE


def _where(error: Exception) -> str:
    """What and where, without the values: they may be secrets."""
    from traceback import extract_tb

    frame = extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {frame.name}, {frame.filename}:{frame.lineno}"
