"""Law: a key says which answer; what is signed is made by the desk from what was recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import ClassVar, Final

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.widgets import Footer, Static

from nucleus.approver import Answer, Answering, Approve, Deny
from nucleus.asked import Question
from nucleus.cli.console import safe
from nucleus.home import Home
from nucleus.looking import Look, look
from nucleus.offers import COUNT, MOST_CALLS, MOST_MINUTES, NARROWS, SECONDS, narrowed, whole
from nucleus.showing import STRANGE
from nucleus.tui import drawing
from nucleus.tui.around import Around
from nucleus.tui.dialogs import Dialog, Field, Given
from nucleus.tui.kept import Kept
from nucleus.tui.queue import GONE, Queue
from nucleus_issuer.keys import Key
from nucleus_issuer.store import Store
from nucleus_tokens.errors import NucleusError

POLL_SECONDS: Final = 0.5
_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # in columns
_EMPTY: Final = "Nothing waits for an answer."
_HOW: Final = "Choose a question with j and k. No key answers before one is chosen."
_REASON: Final = Field("reason", "Why? The agent is told.", hint="what it should do instead")


class Desk(App[None]):
    """What waits at one desk, for one approver."""

    TITLE = "Nucleus"
    CSS_PATH = "desk.tcss"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = _BREAKPOINTS
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", "move", key_display="j k"),
        Binding("k,up", "move(-1)", "choose", show=False),
        Binding("a", "once", "once"),
        *(Binding(str(n), f"offer({n})", "like", key_display="1…9", show=n == 1)
          for n in range(1, 10)),
        Binding("g", "alike", "all"),
        Binding("e", "ever", "ever"),
        Binding("d", "deny", "deny"),
        Binding("n", "never", "never"),
        Binding("s", "stop", "stop"),
        Binding("t", "kept", "kept"),
        Binding("w", "around", "who"),
        Binding("escape", "nothing", "choose nothing", show=False),
        Binding("space,pagedown", "page(1)", "more", show=False),
        Binding("pageup", "page(-1)", "back", show=False),
        Binding("q,ctrl+c", "quit", "quit", key_display="q"),
    ]  # fmt: skip

    def __init__(self, place: Home, store: Store, key: Key) -> None:
        super().__init__()
        self._heard: list[str] = []
        self._place = place
        self._clock = place.clock
        self._who = key.id
        self._store = store
        self._desk = Answering(place, store, key, told=lambda _, said: self._heard.append(said))
        self._turn = asyncio.Lock()  # one thread at the desk at a time
        self._drawn: tuple[Question, bool] | None = None
        self._again = asyncio.Event()  # something was answered: look at once

    def compose(self) -> ComposeResult:
        yield Static(id="head")
        with Container(id="desk"):
            yield Queue()
            with VerticalScroll(id="one", can_focus=False):
                yield Static(id="details")
        yield Static(id="said")
        yield Footer(compact=True)

    def on_mount(self) -> None:
        self.theme = "textual-dark"
        self.follow()

    # What is seen -------------------------------------------------------------------------------

    @work
    async def follow(self) -> None:
        """Look at the desk, and follow the standing rules, until the end."""
        while True:
            try:
                async with self._turn:
                    await asyncio.to_thread(self._desk.follow_rules)
                    found = await asyncio.to_thread(self._desk.questions)
                self._show(found)
            except NucleusError as error:
                self.say(str(error))
            try:
                await asyncio.wait_for(self._again.wait(), POLL_SECONDS)
            except TimeoutError:
                pass
            self._again.clear()

    def _show(self, found: Sequence[Question]) -> None:
        if self._queue.show(found, self._clock()):
            self.bell()
        head = Text()
        head.append(" Nucleus ", "bold reverse")
        waits = "waits" if len(found) == 1 else "wait"
        head.append(f"  {len(found)} {waits} for an answer")
        head.append(f" of {safe(self._who)}", drawing.SOFT)
        self.query_one("#head", Static).update(head)
        self._draw()

    @property
    def _queue(self) -> Queue:
        return self.query_one(Queue)

    def _draw(self) -> None:
        shown = self._queue.shown
        details = self.query_one("#details", Static)
        if shown is None:
            details.update(Text(_EMPTY if self._queue.empty else _HOW, drawing.SOFT))
        else:
            asked, gone = shown
            details.update(drawing.details(asked, self._clock(), GONE if gone else ""))
        if shown != self._drawn:  # the foot is made anew only where its keys may differ
            self._drawn = shown
            self.refresh_bindings()

    def say(self, sentence: str) -> None:
        """One sentence at the foot."""
        self.query_one("#said", Static).update(Text(safe(sentence)))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what the chosen question can be answered with."""
        if action not in ("once", "alike", "offer", "ever", "deny", "never", "stop"):
            return True
        asked = self._queue.chosen if self.screen is self.screen_stack[0] else None
        if asked is None:
            return False
        if action == "stop":
            return asked.stoppable
        if action in ("deny", "never"):
            return action == "deny" or bool(asked.offers)
        if self._who in asked.voices:
            return False  # a second word of the same person adds nothing
        match action, parameters:
            case "alike", _:
                return bool(asked.alike)
            case "offer", (int(number),):
                return number <= len(asked.offers)
            case "ever", _:
                return bool(asked.offers)
            case _:
                return True

    # Keys ---------------------------------------------------------------------------------------

    def action_move(self, step: int) -> None:
        self._queue.move(step)
        self.query_one("#one").scroll_home(animate=False)
        self._draw()

    def action_nothing(self) -> None:
        self._queue.choose(None)
        self._draw()

    def action_page(self, step: int) -> None:
        one = self.query_one("#one")
        one.scroll_relative(y=step * max(1, one.size.height - 2), animate=False)

    def on_queue_picked(self, picked: Queue.Picked) -> None:
        self._queue.choose(picked.request)
        self._draw()

    def action_once(self) -> None:
        self._answer(self._queue.chosen, Approve())

    def action_alike(self) -> None:
        self._answer(self._queue.chosen, Approve(alike=True))

    @work
    async def action_offer(self, number: int) -> None:
        asked = self._queue.chosen
        if asked is None:
            return
        offer = asked.offers[number - 1]
        fields = (
            Field("times", "How many times", str(COUNT)),
            Field("minutes", "For how many minutes", str(SECONDS // 60)),
            Field("narrow", "Only where", hint=", ".join(f"{kind}=…" for kind in NARROWS)),
        )
        given = await self._given("Approve calls like it", drawing.offered(offer), fields)
        if given is None:
            return
        try:
            kind, _, value = given["narrow"].partition("=")
            pattern = narrowed(offer, kind.strip(), value) if given["narrow"].strip() else (
                offer.pattern
            )  # fmt: skip
            count = whole(given["times"], MOST_CALLS, "times")
            seconds = whole(given["minutes"], MOST_MINUTES, "minutes") * 60
        except NucleusError as error:
            self.say(str(error))
            return
        self._answer(asked, Approve(pattern, count, seconds))

    @work
    async def action_ever(self) -> None:
        asked = self._queue.chosen
        if asked is not None and await self._given(
            "Approve this call, and never ask about it again", _rule(asked)
        ) is not None:  # fmt: skip
            self._answer(asked, Approve(always=True))

    @work
    async def action_deny(self) -> None:
        asked = self._queue.chosen
        if asked is None:
            return
        says = Text(safe(asked.words))
        if asked.stoppable:
            says.append(f"\n{STRANGE}. Escape, then s: stop its task.", drawing.WARN)
        given = await self._given("Deny this call", says, (_REASON,))
        if given is not None:
            self._answer(asked, Deny(given["reason"].strip() or "denied at the terminal"))

    @work
    async def action_stop(self) -> None:
        asked = self._queue.chosen
        if asked is None:
            return
        given = await self._given("Deny, and stop its task", drawing.stopped(asked), (_REASON,))
        if given is not None:
            reason = given["reason"].strip() or "stopped at the terminal"
            self._answer(asked, Deny(reason, stop=True))

    @work
    async def action_never(self) -> None:
        asked = self._queue.chosen
        if asked is None:
            return
        title = "Deny this call, and never ask about it again"
        given = await self._given(title, _rule(asked), (_REASON,))
        if given is not None:
            reason = given["reason"].strip() or "denied at the terminal"
            self._answer(asked, Deny(reason, always=True))

    @work
    async def action_kept(self) -> None:
        """Show what was answered before and still counts, until nothing more is taken back."""
        while True:
            async with self._turn:
                approvals = await asyncio.to_thread(self._store.in_force)
                rules = await asyncio.to_thread(self._desk.standing.rules)
            ended = await self.push_screen_wait(Kept(approvals, rules, self._clock()))
            if ended is None:
                return
            try:
                async with self._turn:
                    self.say(await asyncio.to_thread(self._end, *ended.split(":")))
            except NucleusError as error:
                self.say(str(error))

    @work
    async def action_around(self) -> None:
        """Show sessions, tokens and denials, live, until somebody goes back."""
        await self.push_screen_wait(Around(self._look, self._revoke))

    async def _look(self) -> Look:
        async with self._turn:
            return await asyncio.to_thread(look, self._place, self._store, self._desk)

    async def _revoke(self, rid: str) -> str:
        revoker = self._place.revoker(self._store)
        async with self._turn:
            await asyncio.to_thread(
                partial(revoker.revoke, rid, by=self._who, reason="at the terminal")
            )
        return f"Revoked {rid[:12]}, and everything below it."

    def _end(self, kind: str, id_: str) -> str:
        if kind == "approval":
            self._store.take_back(id_, by=self._who)
            return f"Taken back: {id_}."
        self._desk.standing.forget(id_)
        return f"Forgotten: {id_}. It is asked about again."

    async def _given(self, title: str, says: Text, fields: tuple[Field, ...] = ()) -> Given | None:
        return await self.push_screen_wait(Dialog(title, says, fields))

    @work(group="answer")
    async def _answer(self, asked: Question | None, answer: Answer) -> None:
        if asked is None:
            return
        self._queue.choose(None)
        self._draw()
        async with self._turn:
            try:
                done = await asyncio.to_thread(self._desk.settle, asked, answer)
            except NucleusError as error:
                self._heard.append(str(error))
                done = 0
        said, self._heard = self._heard, []
        more = f" And {done - 1} alike." if done > 1 else ""
        self.say((said[-1] if said else "") + more)
        self._again.set()


def _rule(asked: Question) -> Text:
    """What a standing answer would be about."""
    made = drawing.offered(asked.offers[0])
    made.append(
        "\nFor the same holders, in a session that has seen no more. 30 days.", drawing.SOFT
    )
    return made
