"""Law: what is chosen is chosen by its name and stays what it was when it was chosen.

A new question comes below and moves nothing; one that is gone stays, dimmed, while it is chosen.
Nothing is chosen at first, and nothing after an answer, so no key answers what was not looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from textual.containers import VerticalScroll
from textual.events import Click
from textual.message import Message
from textual.widgets import Static

from nucleus.asked import Question
from nucleus.tui import drawing

GONE = "answered elsewhere, or not waited for any longer"


class Item(Static):
    """One question of the list."""

    def __init__(self, asked: Question, now: int) -> None:
        super().__init__(drawing.line(asked, now))
        self.asked = asked
        self.gone = False

    def on_click(self, _: Click) -> None:
        self.post_message(Queue.Picked(self.asked.id))


class Queue(VerticalScroll, can_focus=False):
    """What waits, the oldest first."""

    class Picked(Message):
        """Somebody pointed at a question."""

        def __init__(self, request: str) -> None:
            super().__init__()
            self.request = request

    def __init__(self) -> None:
        super().__init__(id="queue")
        self._items: dict[str, Item] = {}
        self._chosen: str | None = None

    @property
    def chosen(self) -> Question | None:
        """The question that was chosen, as it was shown; None once it is gone."""
        item = self._item()
        return None if item is None or item.gone else item.asked

    @property
    def shown(self) -> tuple[Question, bool] | None:
        """What is chosen, and whether it is gone."""
        item = self._item()
        return None if item is None else (item.asked, item.gone)

    def show(self, found: Sequence[Question], now: int) -> int:
        """Bring the list up to date; how many are new."""
        waiting = {each.id: each for each in found}
        for id_, item in list(self._items.items()):
            asked = waiting.get(id_)
            if asked is not None:
                item.asked = _kept(item.asked, asked) if id_ == self._chosen else asked
                item.update(drawing.line(item.asked, now))
            elif id_ == self._chosen:
                item.gone = True
                item.set_class(True, "gone")
                item.update(drawing.line(item.asked, now, GONE))
            else:
                self._drop(id_)
        new = [each for each in found if each.id not in self._items]
        for each in new:
            self._items[each.id] = item = Item(each, now)
            self.mount(item)
        return len(new)

    def choose(self, id_: str | None) -> None:
        """Choose a question, or nothing."""
        before = self._item()
        if before is not None and before.asked.id != id_:
            before.set_class(False, "chosen")
            if before.gone:
                self._drop(before.asked.id)
        self._chosen = id_ if id_ in self._items else None
        item = self._item()
        if item is not None:
            item.set_class(True, "chosen")
            item.scroll_visible()

    def move(self, step: int) -> None:
        """Choose the next one, or the one before; from nothing, the first or the last."""
        ids = list(self._items)
        if not ids:
            return
        at = ids.index(self._chosen) + step if self._chosen in ids else (0 if step > 0 else -1)
        self.choose(
            ids[at if at < 0 and self._chosen not in ids else min(max(at, 0), len(ids) - 1)]
        )

    def _item(self) -> Item | None:
        return None if self._chosen is None else self._items.get(self._chosen)

    def _drop(self, id_: str) -> None:
        self._items.pop(id_).remove()


def _kept(before: Question, now: Question) -> Question:
    """A group that was shown does not grow under the eyes of whoever answers it."""
    ids = {each.id for each in before.alike}
    return replace(now, alike=tuple(each for each in now.alike if each.id in ids))
