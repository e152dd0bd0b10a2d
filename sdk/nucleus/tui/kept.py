"""Law: what still counts is listed with what it says, and ends by a key, one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Label, OptionList
from textual.widgets.option_list import Option

from nucleus.cli.console import safe
from nucleus.showing import approved, pattern, ruled
from nucleus.standing import Rule
from nucleus.tui.drawing import SOFT, exactly
from nucleus_issuer.store_approvals import Standing as Approved


class Kept(ModalScreen[str | None]):
    """Approvals that can still be used, and standing rules; `approval:ID` or `rule:ID` to end."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,t", "dismiss(None)", "back"),
        Binding("j", "move(1)", "next"),
        Binding("k", "move(-1)", "previous"),
        Binding("x", "end", "take back"),
    ]

    def __init__(self, approvals: Sequence[Approved], rules: Sequence[Rule], now: int) -> None:
        super().__init__()
        self._options = [_approval(each, now) for each in approvals]
        self._options += [_rule(each) for each in rules]

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Label("What still counts", id="dialog-title", markup=False)
            if self._options:
                listed = OptionList(*self._options, id="kept", markup=False)
                listed.highlighted = None  # nothing is chosen before somebody chooses
                yield listed
            else:
                yield Label("No approval can be used any more, and everything is asked about.")
            yield Label("j k: choose    x: take back    Escape: back", id="dialog-keys")

    def action_move(self, step: int) -> None:
        for listed in self.query(OptionList):
            if step > 0:
                listed.action_cursor_down()
            else:
                listed.action_cursor_up()

    def action_end(self) -> None:
        for listed in self.query(OptionList):
            if listed.highlighted is not None:
                self.dismiss(listed.get_option_at_index(listed.highlighted).id)


def _approval(each: Approved, now: int) -> Option:
    made = Text(overflow="fold")
    made.append(safe(each.tool), "bold")
    made.append(f" {exactly(pattern(each))}")
    made.append(f"\n{safe(approved(each, now))}", SOFT)
    return Option(made, id=f"approval:{each.approval.id}")


def _rule(each: Rule) -> Option:
    made = Text(exactly(each.pattern), overflow="fold")
    made.append(f"\nnever asked again, {safe(ruled(each))}", SOFT)
    return Option(made, id=f"rule:{each.id}")
