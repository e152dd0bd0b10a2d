"""Law: a comfortable option is a caveat in other words; what is written is what verifiers read.

Each kind of option becomes one caveat, so that values of one kind are alternatives and kinds are
all demanded. Paths are spelled as the proxy will resolve them.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nucleus.cli import inputs
from nucleus_tokens import writing
from nucleus_tokens.errors import CallerError, CredentialError

Texts = Sequence[str] | None


@dataclass(frozen=True, slots=True)
class Narrowing:
    """The restrictions of one command line."""

    caveats: Texts = None
    tools: Texts = None
    paths: Texts = None
    not_paths: Texts = None
    hosts: Texts = None
    refs: Texts = None
    commands: Texts = None
    caps: Texts = None
    only: Texts = None
    approve: Texts = None
    exposure: Texts = None
    calls: int | None = None
    budgets: Texts = None
    expires: str | None = None

    def read(self, now: int) -> list[list[Any]]:
        """The caveats, each checked as a verifier would read it. `now` is unix seconds. Raises
        CallerError."""
        made: list[list[Any]] = []
        if self.only:
            made.append(["only", inputs.pairs(self.only, "--only")])
        if self.caps:
            made.append(["cap", inputs.pairs(self.caps, "--cap")])
        if self.tools:
            made.append(["tool", "in", _set(self.tools)])
        if self.paths:
            made.append(["path", "in", _set([_path(p) for p in self.paths])])
        if self.not_paths:
            made.append(["path", "not", _set([_path(p) for p in self.not_paths])])
        if self.hosts:
            made.append(["host", "in", _set(self.hosts)])
        if self.refs:
            made.append(["ref", "in", _set(self.refs)])
        if self.commands:
            made.append(["cmd", "in", [list(words) for words in _commands(self.commands)]])
        if self.approve:
            made.append(["approve", _set(self.approve)])
        if self.exposure:
            labels = [] if list(self.exposure) == ["none"] else _set(self.exposure)
            made.append(["exposure", labels])
        if self.calls is not None:
            made.append(["budget", "calls", self.calls])
        for unit, amount in inputs.pairs(self.budgets or (), "--budget").items():
            made.append(["budget", unit, inputs.whole(amount, f"--budget {unit}")])
        if self.expires is not None:
            made.append(["exp", now + inputs.duration(self.expires, "--expires")])
        made += [inputs.json_caveat(text, "--caveat") for text in self.caveats or ()]
        for caveat in made:
            _check(caveat)
        return made


def _check(caveat: list[Any]) -> None:
    if caveat[:1] in (["delegate"], ["req"]):
        raise CallerError(
            "caveat.reserved", f"A caveat of type {caveat[0]} is not given like this."
        )
    try:
        writing.caveat(caveat)
    except CredentialError as error:
        what = caveat[0] if caveat and type(caveat[0]) is str else "this type"
        raise CallerError(
            error.code,
            f"The caveat of type {what} is not one that a verifier reads.",
            hint="Its values must be sorted and known; docs/spec/token.md lists the types.",
        ) from error


def _set(values: Sequence[str]) -> list[str]:
    return sorted(set(values))


def _commands(texts: Sequence[str]) -> list[tuple[str, ...]]:
    try:
        return sorted({tuple(shlex.split(text)) for text in texts})
    except ValueError as error:
        raise CallerError("input.command", f"--cmd cannot be split into words: {error}.") from error


def _path(text: str) -> str:
    """Up to its first `*` a path is resolved as the proxy resolves what it compares with it."""
    if text.startswith("**"):
        return text
    fixed, star, rest = text.partition("*")
    if not star:
        return os.path.realpath(text)
    folder, _, name = os.path.join(os.getcwd(), fixed).rpartition("/")
    return os.path.realpath(folder or "/").rstrip("/") + "/" + name + star + rest
