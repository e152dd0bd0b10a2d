"""Law: what the proxy released is never bare: it carries the label that the proxy gave it, and what
the session had seen by then; whatever is made from two of them carries both.

A label on this side is a developer's lint. The proxy keeps its own account and ignores what it is
told: dropping a label here gains nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, final

from nucleus.labeled import Adversarial, Labeled, Secret, labeled
from nucleus_tokens import labels


@final
@dataclass(frozen=True, slots=True)
class Label:
    """Confidentiality, integrity, authority, provenance and derivation of one value."""

    bits: int

    def __or__(self, other: Label) -> Label:
        """The label of a value made from both."""
        return Label(labels.join(self.bits, other.bits))

    def flows_to(self, other: Label) -> bool:
        """Whether a value labelled so may stand where the other is accepted."""
        return labels.flows_to(self.bits, other.bits)

    @property
    def words(self) -> Mapping[str, str | tuple[str, ...]]:
        """The label axis by axis."""
        from nucleus_tokens import label_names

        said = label_names.describe_label(self.bits)
        return {
            "confidentiality": said["confidentiality"],
            "integrity": said["integrity"],
            "authority": said["authority"],
            "provenance": said["provenance"],
            "derivation": said["derivation"],
        }

    def __str__(self) -> str:
        return ", ".join(
            f"{axis} {at if isinstance(at, str) else '+'.join(at) or 'nobody'}"
            for axis, at in self.words.items()
        )


@dataclass(frozen=True, eq=False)
class Text:
    """A text with its label and the exposure of the session that read it.

    It adds up with plain texts, which are the program's own, and with others of its kind. `str()`
    and `value` give the bare text; `map` changes it and keeps the label.
    """

    value: str = field(repr=False)
    label: Label
    exposure: frozenset[str]
    # By which the proxy knows this very text again, and its label with it; a changed text has none.
    ref: str = field(default="", repr=False, kw_only=True)

    def __str__(self) -> str:
        return self.value

    def __len__(self) -> int:
        return len(self.value)

    def __contains__(self, part: str) -> bool:
        return part in self.value

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Text):
            return self.value == other.value and self.label == other.label
        return self.value == other if isinstance(other, str) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # equal to a bare text, so not a key beside it

    def __add__(self, other: str | Text) -> Text:
        if isinstance(other, str):
            return Text(self.value + other, self.label, self.exposure)
        return Text(
            self.value + other.value, self.label | other.label, self.exposure | other.exposure
        )

    def __radd__(self, other: str) -> Text:
        return Text(other + self.value, self.label, self.exposure)

    @property
    def labeled(self) -> Labeled[str, Adversarial, Secret]:
        """The text with its label in its type, for mypy and pyright: `x.labeled.at_least(Trusted,
        Public)` asks the label. See `nucleus.labeled`."""
        return labeled(self)

    def map(self, change: Callable[[str], str]) -> Text:
        """The text changed by the program's own code; it stays as tainted as it was."""
        return Text(change(self.value), self.label, self.exposure)

    @staticmethod
    def join(separator: str, parts: list[Text]) -> Text:
        """All of them, with the join of their labels; at least one is needed."""
        first, *rest = parts
        made = Text(first.value, first.label, first.exposure)
        for part in rest:
            made = made + separator + part
        return made


@dataclass(frozen=True, eq=False)
class FileHandle(Text):
    """A file's text, or what was read of it. `sha256` is of the whole file."""

    path: str
    size: int
    sha256: str | None
    next: int | None = None  # where to read on, if this was not all


@dataclass(frozen=True, eq=False)
class NetResponse(Text):
    """An answer from the network; its text is the body. A redirect was followed call by call."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    redirect: str | None = None  # where it points, if that was not followed

    @property
    def ok(self) -> bool:
        """Whether the status is below 400."""
        return self.status < 400


@dataclass(frozen=True, eq=False)
class CommandOutput(Text):
    """What came of a command; its text is the standard output."""

    code: int
    stderr: str
    truncated: bool
    timed_out: bool
    set_aside: tuple[str, ...] = ()  # what it changed where nothing may be changed unasked

    @property
    def ok(self) -> bool:
        """Whether it ran to its end and exited with 0."""
        return self.code == 0 and not self.timed_out


@dataclass(frozen=True, slots=True)
class Written:
    """A file that was written."""

    path: str
    size: int
    sha256: str
    created: bool = False
    replaced: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """What a tool gave back: fields by name, with the label and the exposure."""

    fields: Mapping[str, Any]
    label: Label
    exposure: frozenset[str]

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]
