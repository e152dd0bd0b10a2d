"""Law: where something is wrong, `nucleus` says one clear sentence, and never a traceback.

Exit codes: 0 allowed or done; 1 denied, or the answer is no; 2 nothing was decided: a mistake in
the command line, a missing file, a wrong passphrase; 3 an approval is needed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

DENIED = 1
USAGE = 2
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in (words[: words.index("--")] if "--" in words else words)
    if any(word.startswith("nuc1_") or "=nuc1_" in word for word in words):
        return _problem(
            "token.in_arguments",
            "A token stands on the command line, where every process can read it and the shell "
            "keeps it.",
            "Put it into a file, or give - or --token-fd N; and revoke this one.",
            as_json,
        )
    try:
        return _run(words, as_json)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our answer has gone; there is nobody to tell
        return DENIED


def _run(words: list[str], as_json: bool) -> int:
    from typer import Abort
    from typer.exceptions import TyperException

    from nucleus.cli.app import build
    from nucleus_tokens.errors import CredentialError, NucleusError

    try:
        done = build()(words, prog_name="nucleus", standalone_mode=False)
        sys.stdout.flush()
        return done if isinstance(done, int) else 0
    except TyperException as error:
        context = getattr(error, "ctx", None)
        message = error.format_message()
        if type(error).__name__ == "NoArgsIsHelpError":
            sys.stderr.write(message + "\n")
        else:
            where = getattr(context, "command_path", "nucleus")
            _problem("usage", " ".join(message.split()), f"See {where} --help.", as_json)
        return USAGE
    except Abort:
        return INTERRUPTED
    except NucleusError as error:
        _problem(error.code, error.message, error.hint, as_json)
        return DENIED if isinstance(error, CredentialError) else USAGE
    except (BrokenPipeError, KeyboardInterrupt):
        raise
    except Exception as error:  # noqa: BLE001  a person is told, in one sentence, that it is our fault
        return _problem("bug", f"This is a defect of nucleus: {_where(error)}.", "", as_json)


def _problem(code: str, message: str, hint: str, as_json: bool) -> int:
    from nucleus.cli.console import problem

    problem(code, message, hint, as_json)
    return USAGE


def _where(error: Exception) -> str:
    """What and where, without the values: they may be secrets."""
    from traceback import extract_tb

    frame = extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {frame.name}, {frame.filename}:{frame.lineno}"
