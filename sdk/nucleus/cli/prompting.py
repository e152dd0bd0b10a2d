"""Law: a question at the terminal shows exactly what would happen, and silence is no.

It is read from the terminal that controls this process and written to it: standard input may be
anybody's. What comes from an agent cannot move the cursor or look like our own text.
"""

from __future__ import annotations

from nucleus.approver import Answer, Approve, Deny, Question

_ARGUMENTS = 2000  # characters of the arguments that are shown; more would scroll the reason away


def at_terminal(asked: Question) -> Answer:
    """Ask; None where there is no terminal, so that somebody else can answer."""
    try:
        with open("/dev/tty", "r+b", buffering=0) as terminal:
            terminal.write(("\n".join(["", *lines(asked), "approve? [y]es once, [n]o: "])).encode())
            said = terminal.readline().decode("utf-8", "replace").strip().lower()
    except OSError:
        return None
    return Approve() if said in ("y", "yes") else Deny("a person said no at the terminal")


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
