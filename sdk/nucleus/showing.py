"""Law: what a person reads of a question is said once, here; a surface gives it a look, no word.

A row has a name and pieces, and a piece says what it is: a terminal, a screen and a page each show
it in their own way. Nothing here is made safe for any of them: that is each surface's duty.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from nucleus import shapes
from nucleus.approver import LASTS
from nucleus.asked import Question, Seen
from nucleus.cli.console import span, when
from nucleus.lookalikes import unusual
from nucleus.standing import Rule
from nucleus_issuer.store_approvals import Standing as Approved
from nucleus_tokens import canonical

DIFF_LINES: Final = 200  # more would scroll the rest away
STRANGE: Final = (
    "an argument comes from what a stranger may have written; if you did not want this, say no and "
    "stop its task: the agent may obey somebody else"
)
STOPS: Final = "deny, and stop its task: its token is revoked, and all else that it asks is denied"
Look = Literal["plain", "strong", "code", "soft", "warn", "leg", "added", "removed", "place"]


class Piece(NamedTuple):
    """A text, and what it is."""

    text: str
    look: Look = "plain"


class Row(NamedTuple):
    """One thing to know. Of the row `diff` each piece is a line; of others they are one text."""

    name: str
    pieces: tuple[Piece, ...]


def rows(asked: Question, *, diff_lines: int = DIFF_LINES) -> tuple[Row, ...]:
    """Who asks, what exactly, why, and what an approval would allow."""
    made = [_row("who", *_who(asked)), _row("exactly", *_exactly(asked))]
    made += [_row("beware", Piece(each, "warn")) for each in unusual(asked.words)]
    if asked.strange:
        made.append(_row("beware", Piece(STRANGE, "warn")))
    if asked.diff:
        made.append(_row("diff", *_changes(asked, diff_lines)))
    for owed in asked.demanded:
        by = f", wanted by {owed.demanded_by}" if owed.demanded_by else ""
        made.append(_row("why", Piece(owed.id, "code"), Piece(f": {owed.why}{by}"),
                         Piece(" (step 13)", "soft")))  # fmt: skip
    made.append(seen(asked.seen))
    once = f"this one call, once, within {span(LASTS)}; by this token in this session alone"
    made.append(_row("allows", Piece(once)))
    new = [name for name in asked.records if name not in asked.exposure]
    if new:
        also = [piece for name in new for piece in (Piece(name, "leg"), Piece(" "))]
        made.append(_row("then", Piece("the session will have seen "), *also, Piece("as well")))
    made += [_row("alike", Piece(each.arguments, "code")) for each in asked.alike]
    if asked.needed > 1:
        voices = ", ".join(asked.voices) or "nobody yet"
        made.append(_row("needs", Piece(f"{asked.needed} approvers; so far {voices}")))
    return tuple(made)


def _row(name: str, *pieces: Piece) -> Row:
    return Row(name, pieces)


def _who(asked: Question) -> list[Piece]:
    made: list[Piece] = []
    for each in asked.who:
        made += [Piece(" → ", "soft"), Piece(each, "strong")] if made else [Piece(each, "strong")]
    issuer = f" of {asked.issuer}" if asked.issuer else ""
    token = f", token {asked.tid[:8]}…{issuer}, in {asked.cell}"
    return [*(made or [Piece("not known", "warn")]), Piece(token, "soft")]


def _exactly(asked: Question) -> list[Piece]:
    cut = [] if asked.whole else [Piece(" … (cut)", "warn")]
    return [Piece(asked.tool, "strong"), Piece(" "), Piece(asked.arguments, "code"), *cut]


def _changes(asked: Question, most: int) -> list[Piece]:
    """A unified diff, line by line."""
    lines = asked.diff.split("\n")
    made: list[Piece] = []
    for number, line in enumerate(lines[:most]):
        look: Look = "plain"
        # The two lines that name the file look like changes, and are none.
        if number < 2 or line.startswith("@@"):
            look = "place"
        elif line[:1] in ("+", "-"):
            look = "added" if line[0] == "+" else "removed"
        made.append(Piece(line, look))
    if len(lines) > most:
        made.append(Piece(f"… {len(lines) - most} more lines", "warn"))
    elif not asked.diff_whole:
        made.append(Piece("… (cut)", "warn"))
    return made


def seen(legs: tuple[Seen, ...]) -> Row:
    """What a session has seen, and since when."""
    made: list[Piece] = []
    for leg in legs:
        since = f" since {leg.tool}, record {leg.seq}" if leg.seq else " from the start"
        made += [Piece(" · ", "soft")] * bool(made) + [Piece(leg.leg, "leg"), Piece(since, "soft")]
    return _row("seen", *(made or [Piece("nothing")]))


def approved(given: Approved, now: int) -> str:
    """What an approval of this tool can still be used for."""
    what = (
        "one call" if given.approval.digest else f"{given.approval.count - given.used} more calls"
    )
    left = span(max(0, given.approval.not_after - now))
    return f"{what} for {left}, by {given.approval.approver}"


def pattern(given: Approved) -> str:
    """The calls that an approval serves, exactly; empty where it is one call."""
    signed = shapes.table(canonical.decode(given.approval.signed)) or {}
    found = shapes.items(signed.get("pattern"))
    return "" if found is None else canonical.encode(found).decode()


def ruled(rule: Rule) -> str:
    """What a standing answer says of its pattern."""
    return f"{rule.answer}: to {' → '.join(rule.who)}, until {when(rule.until)}, by {rule.approver}"
