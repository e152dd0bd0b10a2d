"""Law: whoever is asked about a value is told where it was seen first.

The texts of results, in order, as far as they fit: the oldest are kept, because the first place is
what matters. In memory alone: after a restart nothing is known of what was seen before. Nothing is
decided by this.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from nucleus_proxy import fieldlabels
from nucleus_proxy.fieldlabels import Field, Parts
from nucleus_proxy.flowtracker import Labelled
from nucleus_proxy.words import Words, folded
from nucleus_tokens import labels
from nucleus_tokens.authority import MISSING, lookup
from nucleus_verifier.asking import Origin
from nucleus_verifier.decision import Ask

_INPUT: Final = "input:"
_RESULT_CHARS: Final = 64 * 1024
_MOST_CHARS: Final = 512 * 1024
_VALUE_CHARS: Final = 128  # of what is shown
_LEAST_CHARS: Final = 2  # a shorter value stands everywhere


@dataclass(slots=True)
class Sources:
    """What one session was shown: (record, tool, whether it may be trusted, its text)."""

    _kept: list[tuple[int, str, bool, str]] = field(default_factory=list)
    _chars: int = 0

    def add(self, seq: int, tool: str, value: Any, *, trusted: bool) -> None:
        """A result is about to be released."""
        room = min(_RESULT_CHARS, _MOST_CHARS - self._chars)
        if room <= 0 or value is None:
            return
        try:
            # As JSON, because that is quick; it is looked through only when somebody is asked.
            text = value if type(value) is str else json.dumps(value, ensure_ascii=False)
        except (TypeError, ValueError, RecursionError):
            return
        self._kept.append((seq, tool, trusted, text[:room]))
        self._chars += min(len(text), room)

    def shown(
        self, seq: int, tool: str, value: Any, parts: Parts, whole: Labelled,
        fields: Mapping[Field, Labelled],
    ) -> None:  # fmt: skip
        """The same of a result with `fields`: each of them has its own label, the rest that of the
        whole. What is in doubt comes first, so a value that stands in both is in doubt."""
        if parts.rest or not fields:
            rest = fieldlabels.rest_of(value, parts) if fields else value
            self.add(seq, tool, rest, trusted=_trusted(whole))
        for trusted in (False, True) if fields else ():
            mine = [p.value for p in parts.found.values() if _trusted(fields[p.what]) is trusted]
            if mine:
                self.add(seq, tool, mine, trusted=trusted)

    def of(self, ask: Ask, args: Any, words: Words) -> tuple[Origin, ...]:
        """Where each argument that nothing vouches for was seen first."""
        found = []
        for owed in ask.obligations:
            value = lookup(args, owed.id.removeprefix(_INPUT)) if _is_input(owed.id) else MISSING
            text = _spelled(value)
            if len(text) >= _LEAST_CHARS:
                found.append(self._origin(owed.id, text, words))
        return tuple(found)

    def _origin(self, owed: str, text: str, words: Words) -> Origin:
        shown, wanted = text[:_VALUE_CHARS], folded(text)
        spelled = folded(json.dumps(text, ensure_ascii=False)[1:-1])
        if any(wanted in folded(said) for said in words.texts):
            return Origin(owed, shown, "prompt")
        for seq, tool, trusted, said in self._kept:
            seen = folded(said)
            if wanted in seen or spelled in seen:
                return Origin(owed, shown, "trusted" if trusted else "untrusted", tool, seq)
        return Origin(owed, shown, "agent")


def _trusted(label: Labelled) -> bool:
    return labels.integ(label.label) == labels.TRUSTED


def _is_input(owed: str) -> bool:
    return owed.startswith(_INPUT + "/")


def _spelled(value: Any) -> str:
    if type(value) is str:
        return value
    return repr(value) if type(value) in (int, float) else ""
