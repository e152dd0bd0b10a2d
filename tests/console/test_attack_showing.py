"""Whatever an agent writes, wherever it may stand in a question, is shown as text on every surface:
no escape, no turned direction, no markup, and no row that is not ours."""

from __future__ import annotations

import io
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from nucleus.asked import Origin, Owed, Question, Seen
from nucleus.cli.prompting import choices, lines
from nucleus.console.pages import sections
from nucleus.looking import Denial, Look, Session
from nucleus.offers import offers
from nucleus.showing import rows
from nucleus.tui import around, drawing
from nucleus_issuer.ports import Issued
from nucleus_issuer.revoking import Node, Tree

HOSTILE = st.text(
    st.one_of(
        st.sampled_from("\x1b\x07\x08\r\n\t\u202e\u2066\u200b\u2800\x9b\x00<>\"'&[]/\\ "),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=12,
)
NASTY = "\x1b[2J\u202e<script>[bold]\n  allows  everything\"'>"
UNSEEN = frozenset(
    "\x1b\x07\x08\r\t\x9b\x00\u200b\u2800\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
TAGS = frozenset(
    ("article", "b", "bdi", "button", "code", "dd", "del", "details", "dl", "dt", "form", "h2",
     "h3", "i", "input", "ins", "label", "li", "ol", "option", "p", "pre", "select", "small",
     "span", "strong", "summary")
)  # fmt: skip


def asked(text: str) -> Question:
    """A question in which all that can come from outside is this text."""
    resources: dict[str, Any] = {"path": (f"/srv/{text}",), "cmd": ((text, text),)}
    made = Question(
        id="0123456789abcdef",
        who=("agent", text),
        tool=text,
        operation="write_files",
        arguments=text,
        owed=((text, text),),
        exposure=(text,),
        cell=text,
        expires=60,
        issuer=text,
        tid="ab" * 16,
        resources=resources,
        diff=f"--- a\n+++ b\n@@ -1 +1 @@\n-{text}\n+{text}",
        demanded=(Owed(text, text, text),),
        seen=(Seen(text, 7, text),),
        records=(f"{text}x",),
        needed=2,
        voices=(text,),
        origins=(Origin("input:/path", text, "untrusted", text, 7),),
        task="ab" * 16,
        offers=offers("fs_write", resources, ""),
    )
    return replace(made, alike=(made,))


@given(HOSTILE)
@example(NASTY)
def test_a_terminal_shows_text_in_rows_of_ours(text: str) -> None:
    found = asked(text)
    told = [*lines(found, 0), *choices(found)]
    assert not any(set(line) & UNSEEN or "\n" in line for line in told)
    expected = 1 + sum(
        len(row.pieces) if row.name == "diff" else 1 for row in rows(found, diff_lines=60)
    )
    assert len(lines(found, 0)) == expected


@given(HOSTILE)
@example(NASTY)
def test_the_queue_shows_text_beside_names_of_ours(text: str) -> None:
    found = asked(text)
    out = io.StringIO()
    console = Console(file=out, width=100, color_system=None, legacy_windows=False)
    console.print(drawing.line(found, 0))
    console.print(drawing.details(found, 0))
    for offer in found.offers:
        console.print(drawing.offered(offer))
    console.print(drawing.stopped(found))
    said = out.getvalue()
    assert not set(said) & UNSEEN
    names = {row.name for row in rows(found)}
    details = io.StringIO()
    Console(file=details, width=100, color_system=None).print(drawing.details(found, 0))
    for line in details.getvalue().splitlines():
        label = line[:9].strip()  # the column of names; what comes from outside never reaches it
        assert label in names or label.isdigit() or label in ("", "s"), line


@given(HOSTILE)
@example(NASTY)
def test_what_goes_on_is_text_in_lines_of_ours(text: str) -> None:
    """Names of holders, tools and folders are the agent's or the operator's, and no line of ours
    has one more line break for them."""
    issued = Issued("ab" * 16, "cd" * 16, text, text, 0, 9, text, text)
    below = Node("ef" * 16, text, True, None, False, (), ())
    root = Node("cd" * 16, "", False, None, False, (), (below, below))
    denial = Denial(3, 0, text, text, "scope.outside", text, text, (text,))
    session = Session(text, text, (Seen(text, 7, text),))
    look = Look(0, "alice", (), (session,), (Tree(issued, root),), (denial,), (), ())
    drawn = [made.plain for _, made in around.lines(look)]
    assert not any(set(line) & UNSEEN for line in drawn)
    assert sum(line.count("\n") for line in drawn) == 2


class _Parsed(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        bad = [name for name, _ in attrs if name.startswith("on") or name in ("style", "src")]
        self.wrong += bad if tag in TAGS else [tag]

    def handle_data(self, data: str) -> None:
        self.text += data


@given(HOSTILE)
@example(NASTY)
def test_the_page_holds_no_markup_but_ours(text: str) -> None:
    shown = Look(0, "alice", (asked(text),), (), (), (), (), ())
    parsed = _Parsed()
    parsed.feed(sections(shown, "secret")["approvals"])
    assert not parsed.wrong
    assert not set(parsed.text) & UNSEEN
