"""Law: an answer with words or numbers in it is read before it is given, and Escape gives none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

Given = Mapping[str, str]


class Field(NamedTuple):
    """One thing to fill in."""

    name: str
    label: str
    value: str = ""
    hint: str = ""


class Dialog(ModalScreen[Given | None]):
    """What would be answered, and its fields. Enter gives it, Escape nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "back"),
        Binding("enter", "give", "give this answer"),
    ]

    def __init__(self, title: str, says: Text, fields: Sequence[Field] = ()) -> None:
        super().__init__()
        self._title = title
        self._says = says
        self._fields = fields

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Label(self._title, id="dialog-title", markup=False)
            yield Static(self._says, id="dialog-says")
            for each in self._fields:
                yield Label(each.label, markup=False)
                yield Input(each.value, placeholder=each.hint, id=each.name,
                            max_length=500, compact=True)  # fmt: skip
            yield Label("Enter: yes    Escape: back", id="dialog-keys", markup=False)

    def on_input_submitted(self, _: Input.Submitted) -> None:
        self.action_give()

    def action_give(self) -> None:
        found = {each.name: self.query_one(f"#{each.name}", Input).value for each in self._fields}
        self.dismiss(found)
