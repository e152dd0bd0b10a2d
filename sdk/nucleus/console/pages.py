"""Law: a page is a pure function of what was looked at; it decides and does nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from nucleus.asked import Question
from nucleus.cli.console import span, when
from nucleus.console.markup import Child, Html, exactly, joined, tag, text
from nucleus.console.trees import trees
from nucleus.looking import Denial, Look, Session
from nucleus.offers import COUNT, MOST_CALLS, MOST_MINUTES, NARROWS, SECONDS
from nucleus.showing import STOPS, Piece, Row, approved, pattern, rows, ruled, seen
from nucleus.showing import Look as Meaning

# The answer to ?, and all that the keys do.
KEYS: Final = (
    ("j k", "next, previous"),
    ("a", "approve this one call"),
    ("1 … 9", "approve an offer"),
    ("g", "approve it and those alike"),
    ("d", "deny: say why, then Enter"),
    ("s s", "stop the task: read, then stop"),
    ("x", "revoke what is chosen"),
    ("Esc", "choose nothing"),
)


def page(look: Look, who: str, csrf: str) -> Html:
    """The whole page."""
    head = tag(
        "header",
        tag("h1", "Nucleus"),
        tag("nav", *[
            tag("a", label, tag("span", str(count), class_="count"), href=f"#{name}")
            for name, label, count in (
                ("approvals", "Approvals ", len(look.questions)),
                ("sessions", "Sessions ", len(look.sessions)),
                ("tokens", "Tokens ", len(look.trees)),
                ("denials", "Denials ", len(look.denials)),
            )
        ], aria_label="Sections"),
        tag("form", _csrf(csrf), tag("button", f"Leave ({who})", class_="quiet"),
            method="post", action="/leave"),
    )  # fmt: skip
    keys = tag(
        "aside",
        *[joined(tag("kbd", key), f" {does}  ") for key, does in KEYS],
        class_="keys",
    )
    parts = [
        tag("section", each, id=name, data_part=name) for name, each in sections(look, csrf).items()
    ]
    status = tag("p", id="status", role="status", aria_live="polite")
    return document("Nucleus", head, status, tag("main", *parts), keys, live=True)


def sections(look: Look, csrf: str) -> dict[str, Html]:
    """What is brought up to date, by name."""
    return {
        "approvals": joined(
            tag("h2", "Waiting for an answer"),
            *[_question(each, look, csrf) for each in look.questions],
            tag("p", "Nothing waits.", class_="none"),
        ),
        "sessions": joined(
            tag("h2", "What each session has seen"),
            *[_session(each) for each in look.sessions],
            tag("p", "No session yet.", class_="none"),
        ),
        "tokens": joined(
            tag("h2", "Tokens and whom they were handed to"),
            trees(look.trees, csrf),
            tag("h2", "Approvals that can still be used"),
            *[_approved(look, number, csrf) for number in range(len(look.approved))],
            tag("p", "None.", class_="none"),
            tag("h2", "Never asked again"),
            *[_rule(look, number, csrf) for number in range(len(look.rules))],
            tag("p", "Nothing.", class_="none"),
        ),
        "denials": joined(
            tag("h2", "Denied of late"),
            *[_denial(each) for each in look.denials],
            tag("p", "Nothing was denied.", class_="none"),
        ),
    }


def entrance(says: str, brought: Mapping[str, str], first: str) -> Html:
    """Where one comes in: a look at it spends nothing. `brought` is what the address brought along;
    without it there may be a way to go `first`."""
    way: Child = None
    if brought:
        hidden = [tag("input", type="hidden", name=k, value=v) for k, v in brought.items()]
        way = tag("form", *hidden, tag("button", "Enter", autofocus=True),
                  method="post", action="/enter")  # fmt: skip
    elif first:
        way = tag("p", tag("a", first, href="/enter/away", autofocus=True))
    return document("Nucleus", tag("main", tag("h1", "Nucleus"), tag("p", says), way,
                                   class_="entrance"))  # fmt: skip


def problem(sentence: str) -> Html:
    """Something that could not be done."""
    return document("Nucleus", tag("main", tag("h1", "Not done"), tag("p", sentence),
                                   tag("p", tag("a", "Back", href="/", autofocus=True)),
                                   class_="entrance"))  # fmt: skip


def document(title: str, *body: Child, live: bool = False) -> Html:
    """A page of ours."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("link", rel="stylesheet", href="/console.css"),
        tag("script", src="/console.js", defer=True) if live else None,
    )
    return Html("<!doctype html>\n" + tag("html", head, tag("body", *body), lang="en"))


# One question -----------------------------------------------------------------------------------


def _question(asked: Question, look: Look, csrf: str) -> Html:
    left = span(max(0, asked.expires - look.now))
    terms = [joined(tag("dt", row.name), tag("dd", _said(row))) for row in rows(asked)]
    return tag(
        "article",
        tag("h3", text(asked.words), tag("small", f" {left} left")),
        tag("dl", *terms),
        _answers(asked, look.approver in asked.voices, csrf),
        tabindex="-1",
        data_item=asked.id,
    )


def _answers(asked: Question, spoken: bool, csrf: str) -> Html:
    """The form. Who has `spoken` already can only deny: a second yes of theirs adds nothing."""
    alike = ",".join(f"{each.id}:{each.mark}" for each in asked.alike)

    def field(name: str, value: str) -> Html:
        return tag("input", type="hidden", name=name, value=value)

    def number(name: str, value: int, most: int) -> Html:
        return tag("input", name=name, type="number", min=1, max=most, value=value)

    buttons = [tag("button", "Approve once", name="do", value="once", data_key="a")]
    if asked.alike:
        label = f"Approve this and {len(asked.alike)} alike"
        buttons.append(tag("button", label, name="do", value="all", data_key="g"))
    if asked.offers:
        buttons.append(
            tag("button", "Approve, and never ask about this very call", name="do", value="ever")
        )
    offers = [
        tag("li",
            tag("button", str(number), name="do", value=f"offer:{number}", data_key=str(number)),
            "  ", tag("b", text(offer.words)), " ", exactly(offer.exactly))
        for number, offer in enumerate(asked.offers, 1)
    ]  # fmt: skip
    patterns = tag(
        "details",
        tag("summary", "Or calls like it, so often, so long"),
        tag("p",
            tag("label", "times ", number("count", COUNT, MOST_CALLS)),
            tag("label", " minutes ", number("minutes", SECONDS // 60, MOST_MINUTES)),
            tag("label", " only where ",
                tag("select", *[tag("option", kind) for kind in NARROWS],
                    name="kind")),
            tag("label", " is ", tag("input", name="narrow", placeholder="as the pattern says")),
        ),
        tag("ol", *offers),
    )  # fmt: skip
    deny = tag(
        "p",
        tag("input", name="reason", placeholder="why not (the agent is told)", maxlength=500),
        tag("button", "Deny", name="do", value="deny", data_key="d", class_="deny"),
        tag("button", "Deny, and never ask again", name="do", value="never", class_="deny")
        if asked.offers
        else None,
    )
    stop = tag(
        "details",
        tag("summary", "Or stop its task: a stranger may have wanted this"),
        tag("p", f"This will {STOPS}."),
        tag("p", tag("button", "Deny, and stop its task", name="do", value="stop", data_key="s",
                     class_="deny")),
        class_="stop",
    )  # fmt: skip
    return tag(
        "form",
        # Enter in a field gives what the first button says, where no script listens: nothing.
        tag("button", disabled=True, hidden=True),
        _csrf(csrf), field("id", asked.id), field("mark", asked.mark), field("alike", alike),
        tag("p", "You approved it; another approver must as well.") if spoken else joined(
            tag("p", *buttons), patterns if offers else None
        ),
        deny,
        stop if asked.stoppable else None,
        method="post",
        action="/answer",
        autocomplete="off",
    )  # fmt: skip


_TAGS: Final[Mapping[Meaning, str]] = {
    "added": "ins", "code": "code", "place": "i", "removed": "del", "soft": "small",
    "strong": "b", "warn": "strong",
}  # fmt: skip


def _said(row: Row) -> Html:
    if row.name != "diff":
        return joined(*map(_piece, row.pieces))
    lines = [joined(_piece(each), Html("\n")) for each in row.pieces]
    return tag("pre", *lines, class_="diff")


def _piece(piece: Piece) -> Html:
    """One piece. What an agent wrote is text on its own: its direction is nobody else's."""
    match piece.look:
        case "leg":
            return _chip(piece.text)
        case "code":
            return exactly(piece.text)
        case "strong":
            return tag("b", text(piece.text))
        case look:
            return tag(_TAGS.get(look, "span"), piece.text)


def _chip(leg: str) -> Html:
    return tag("span", leg.replace("_", " "), class_=f"leg {leg}")


# The rest ---------------------------------------------------------------------------------------


def _session(each: Session) -> Html:
    full = " full" if len(each.exposure) == 3 else ""
    return tag(
        "article",
        tag("h3", tag("code", each.cell), tag("small", f" {each.about}")),
        tag("p", _said(seen(each.exposure))),
        class_=f"session{full}",
    )


def _denial(each: Denial) -> Html:
    return tag(
        "article",
        tag("h3", tag("code", each.tool), f" {each.detail}",
            tag("small", f" {when(each.at)}, record {each.seq}, by {each.who}")),
        tag("p", tag("code", each.code), f" {each.hint} ", *[tag("em", r) for r in each.repairs]),
    )  # fmt: skip


def _approved(look: Look, number: int, csrf: str) -> Html:
    each = look.approved[number]
    what = joined(tag("code", each.tool), " ", exactly(pattern(each)))
    said = f" {approved(each, look.now)}"
    return _kept("approval", each.approval.id, what, said, "Take back", csrf)


def _rule(look: Look, number: int, csrf: str) -> Html:
    each = look.rules[number]
    return _kept("rule", each.id, tag("code", each.pattern), f" {ruled(each)}", "Forget", csrf)


def _kept(kind: str, id_: str, what: Html, said: str, verb: str, csrf: str) -> Html:
    form = tag(
        "form",
        _csrf(csrf),
        tag("input", type="hidden", name=kind, value=id_),
        tag("button", verb, class_="deny", data_key="x"),
        method="post",
        action="/end",
    )
    return tag("article", tag("p", what, said), form, tabindex="-1", data_item=id_, class_="kept")


def _csrf(csrf: str) -> Html:
    return tag("input", type="hidden", name="csrf", value=csrf)
