"""Law: what goes on is shown as it is now, and one key revokes what was chosen, nothing else.

The same that the console shows beside its queue (`looking`): what each session has seen and since
which call, who holds what down the tree of delegation, and what was denied with what would let it
pass. Nothing is chosen at first, and what is chosen stays chosen while the list is renewed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import ClassVar, Final

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Label, OptionList, Static
from textual.widgets.option_list import Option

from nucleus.cli.console import safe, when
from nucleus.looking import Denial, Look, Session, held
from nucleus.showing import seen
from nucleus.tui.drawing import LABEL, SOFT, drawn
from nucleus_issuer.revoking import Node, Tree
from nucleus_tokens.errors import NucleusError

POLL_SECONDS: Final = 0.5
_NODES: Final = 200  # of one tree; the command draws them all
_HELD: Final = "held:"


class Around(ModalScreen[None]):
    """Sessions, tokens and denials. `see` looks at all of it; `revoke` ends one prefix and says so
    in a sentence. Both may raise NucleusError, which is shown."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,w", "dismiss(None)", "back"),
        Binding("j", "move(1)", "next"),
        Binding("k", "move(-1)", "previous"),
        Binding("x", "revoke", "revoke"),
    ]

    def __init__(
        self, see: Callable[[], Awaitable[Look]], revoke: Callable[[str], Awaitable[str]]
    ) -> None:
        super().__init__()
        self._see = see
        self._end = revoke
        self._shown: list[tuple[str, Text]] = []

    def compose(self) -> ComposeResult:
        with Vertical(id="around"):
            yield Label("What goes on", id="dialog-title", markup=False)
            yield OptionList(id="around-list", markup=False)
            yield Static(id="around-said")
            yield Label("j k: choose    x: revoke a token    Escape: back", id="dialog-keys")

    def on_mount(self) -> None:
        self.follow()

    @work
    async def follow(self) -> None:
        """Look, again and again, until the screen is left."""
        while True:
            try:
                self._show(await self._see())
            except NucleusError as error:
                self._say(str(error))
            await asyncio.sleep(POLL_SECONDS)

    def _show(self, look: Look) -> None:
        found = list(lines(look))
        if found == self._shown:
            return
        self._shown = found
        listed = self.query_one(OptionList)
        chosen = self._chosen()
        listed.clear_options()
        listed.add_options(Option(text, id=id_, disabled=not id_) for id_, text in _named(found))
        listed.highlighted = next((n for n, (id_, _) in enumerate(found) if id_ == chosen), None)

    def _chosen(self) -> str | None:
        listed = self.query_one(OptionList)
        if listed.highlighted is None:
            return None
        return listed.get_option_at_index(listed.highlighted).id

    def _say(self, sentence: str) -> None:
        self.query_one("#around-said", Static).update(Text(safe(sentence)))

    def action_move(self, step: int) -> None:
        listed = self.query_one(OptionList)
        if step > 0:
            listed.action_cursor_down()
        else:
            listed.action_cursor_up()

    @work(group="revoke")
    async def action_revoke(self) -> None:
        chosen = self._chosen()
        if chosen is None or not chosen.startswith(_HELD):
            return
        try:
            self._say(await self._end(chosen.removeprefix(_HELD)))
            self._show(await self._see())
        except NucleusError as error:
            self._say(str(error))


def _named(found: list[tuple[str, Text]]) -> Iterator[tuple[str | None, Text]]:
    """A heading has no name: it cannot be chosen."""
    for id_, text in found:
        yield id_ or None, text


def lines(look: Look) -> Iterator[tuple[str, Text]]:
    """All of it, each line with its name; a heading has none."""
    yield "", Text("What each session has seen", LABEL)
    yield from (((f"session:{each.cell}"), _session(each)) for each in look.sessions)
    yield "", Text("Tokens and whom they were handed to", LABEL)
    for tree in look.trees:
        yield from _tree(tree)
    yield "", Text("Denied of late", LABEL)
    yield from ((f"denial:{each.seq}", _denial(each)) for each in look.denials)


def _session(each: Session) -> Text:
    made = Text(safe(each.cell), overflow="fold")
    made.append(f" {safe(each.about)}\n  ", SOFT)
    return made.append_text(drawn(seen(each.exposure)))


def _tree(tree: Tree) -> Iterator[tuple[str, Text]]:
    """Top down, the children of one prefix below it and further in."""
    todo: list[tuple[Node, int]] = [(tree.root, 0)]
    for _ in range(_NODES):
        if not todo:
            return
        above, depth = todo.pop()
        node, steps = held(above)
        made = Text("  " * depth, overflow="fold")
        issued = tree.issued if not depth else None
        holder = node.who or (issued.sub if issued is not None else "the holder")
        made.append(safe(holder), "strike dim" if node.dead else "bold")
        made.append(f" {'dead' if node.dead else 'alive'}", SOFT)
        made.append(f", narrowed {steps}×" if steps else "", SOFT)
        made.append(f" {node.rid[:12]}", SOFT)
        if issued is not None:
            made.append(f"  token {issued.tid[:8]}… for {safe(issued.aud)}", SOFT)
        yield f"{_HELD}{node.rid}", made
        todo += [(child, depth + 1) for child in reversed(node.children)]
    if todo:
        yield "", Text(f"{len(todo)} more: nucleus token tree", SOFT)


def _denial(each: Denial) -> Text:
    made = Text(overflow="fold")
    made.append(safe(each.tool), "bold")
    made.append(f" {safe(each.detail)}")
    made.append(f"  {when(each.at)}, record {each.seq}, by {safe(each.who)}\n  ", SOFT)
    made.append(f"{each.code} ", LABEL)
    made.append(safe(" ".join((each.hint, *each.repairs))), SOFT)
    return made
