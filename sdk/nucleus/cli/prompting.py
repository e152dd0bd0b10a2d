"""Law: a question at the terminal shows exactly what would happen, and silence is no.

It is read from the terminal that controls this process and written to it: standard input may be
anybody's. What comes from an agent cannot move the cursor or look like our own text.
"""

from __future__ import annotations

from nucleus.approver import Answer, Deny, Question
from nucleus_tokens.errors import CallerError

_CHOICE = "approve? [y]es once, or `y count=N for=TIME` for calls like it, [n]o: "
_ARGUMENTS = 2000  # characters of the arguments that are shown; more would scroll the reason away


def at_terminal(asked: Question) -> Answer:
    """Ask; None where there is no terminal, so that somebody else can answer."""
    from nucleus.cli import ahead

    text = "\n".join(["", *lines(asked), _CHOICE])
    try:
        with open("/dev/tty", "r+b", buffering=0) as terminal:
            while True:
                terminal.write(text.encode())
                line = terminal.readline().decode("utf-8", "replace")
                yes, _, more = line.strip().partition(" ")
                if yes.lower() not in ("y", "yes"):
                    return Deny("a person said no at the terminal")
                try:
                    given = ahead.like(more, asked.tool, asked.touches)
                except CallerError as error:
                    text = f"{error.message} {_CHOICE}"
                    continue
                terminal.write(f"approved: {ahead.said(given)}\n".encode())
                return given
    except OSError:
        return None


def lines(asked: Question) -> list[str]:
    """A question for a person."""
    from nucleus.cli.console import safe

    whole = asked.arguments[:_ARGUMENTS]
    made = [
        f"{' → '.join(map(safe, asked.who))} asks for {asked.operation} by {safe(asked.tool)}",
        f"  exactly {safe(whole)}" + (" … (cut)" if whole != asked.arguments else ""),
    ]
    made += [f"  why     {safe(id_)}: {safe(why)}" for id_, why in asked.owed]
    made.append(f"  session has seen {', '.join(asked.exposure) or 'nothing'}")
    return made
