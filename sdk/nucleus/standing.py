"""Law: "never ask again" is a rule that an approver signed, and it says no more than was shown.

A rule stands in `answers.toml` in the home, over its signer's name. It is about one chain of
holders, one tool, a pattern, and what was owed then, in a session that has seen no more than that
one had; and it ends. It approves nothing itself: a process of the approver's, with the key open,
reads it and signs one approval for one call, as a person would have. Somebody who can write the
file but has no key can only take rules away.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from nucleus import shapes
from nucleus.asked import Question
from nucleus.offers import Caveats
from nucleus_issuer import files
from nucleus_issuer.keys import Key
from nucleus_tokens import canonical, caveats, crypto
from nucleus_tokens.authority import args_admit, scope_admits
from nucleus_tokens.caveats import Arg, Scope
from nucleus_tokens.errors import CallerError, NucleusError

FILE: Final = "answers.toml"
LASTS: Final = 30 * 24 * 3600
_DOMAIN: Final = b"nucleus/standing/v1\0"
_BYTES: Final = 512 * 1024
MOST: Final = 256
_FIELDS: Final = (
    "answer", "approver", "exposure", "id", "obligations", "pattern", "reason", "tool", "until",
    "who",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rule:
    """One standing answer. `pattern` is JSON, in caveat language."""

    id: str
    approver: str
    answer: Literal["approve", "deny"]
    who: tuple[str, ...]
    tool: str
    pattern: str
    obligations: tuple[str, ...]
    exposure: tuple[str, ...]
    until: int
    reason: str = ""
    signature: str = ""

    def body(self) -> bytes:
        """What is signed."""
        return _DOMAIN + canonical.encode({name: _plain(getattr(self, name)) for name in _FIELDS})

    def covers(self, asked: Question, now: int) -> bool:
        """Whether it answers this. Unknown means no."""
        return (
            now < self.until
            and asked.whole
            and self.who == asked.who
            and self.tool == asked.tool
            and {id_ for id_, _ in asked.owed} <= set(self.obligations)
            and set(asked.exposure) <= set(self.exposure)
            and matches(json.loads(self.pattern), asked)
        )


def made(
    asked: Question,
    key: Key,
    answer: Literal["approve", "deny"],
    pattern: Caveats,
    *,
    id_: str,
    now: int,
    reason: str = "",
) -> Rule:
    """A signed rule about what this question showed."""
    rule = Rule(
        id=id_,
        approver=key.id,
        answer=answer,
        who=asked.who,
        tool=asked.tool,
        pattern=canonical.encode([list(each) for each in pattern]).decode(),
        obligations=tuple(sorted({id_ for id_, _ in asked.owed})),
        exposure=asked.exposure,
        until=now + LASTS,
        reason=_one_form(reason),
    )
    return replace(rule, signature=crypto.sign(key.private, rule.body()).hex())


class Standing:
    """The rules of one home. `approvers` says whose keys are believed."""

    def __init__(self, config: Path, approvers: Mapping[str, bytes]) -> None:
        self.path = config / FILE
        self._approvers = approvers

    def rules(self) -> tuple[Rule, ...]:
        """Those that an approver signed. Raises CallerError `answers.file`, WorldError."""
        if not self.path.exists():
            return ()
        try:
            value = tomllib.loads(files.read(self.path, secret=False, most=_BYTES).decode("utf-8"))
            if set(value) - {"version", "rule"} or value.get("version") != 1:
                raise ValueError("version")
            read = [_rule(each) for each in shapes.items(value.get("rule", [])) or ()]
        except (ValueError, TypeError, KeyError) as error:
            raise CallerError(
                "answers.file", f"{self.path} is no file of standing answers: remove it."
            ) from error
        return tuple(rule for rule in read[:MOST] if self._holds(rule))

    def answer(self, asked: Question, now: int) -> Rule | None:
        """The rule that answers this question; a denial before an approval."""
        found = [rule for rule in self.rules() if rule.covers(asked, now)]
        return min(found, key=lambda rule: rule.answer != "deny", default=None)

    def add(self, rule: Rule, now: int) -> None:
        """Keep a rule. Raises CallerError `answers.full`, WorldError."""
        kept = [each for each in self.rules() if each.until > now]
        if len(kept) >= MOST:
            raise CallerError("answers.full", f"There are {MOST} standing answers: forget some.")
        self._write([*kept, rule])

    def forget(self, id_: str) -> None:
        """Take a rule away: it is asked about again. Raises CallerError `answers.unknown`."""
        rules = self.rules()
        kept = [each for each in rules if each.id != id_]
        if len(kept) == len(rules):
            raise CallerError(
                "answers.unknown", "There is no such standing answer.",
                hint="See: nucleus approvals rules",
            )  # fmt: skip
        self._write(kept)

    def _holds(self, rule: Rule) -> bool:
        key = self._approvers.get(rule.approver)
        try:
            signature = bytes.fromhex(rule.signature)
            return key is not None and crypto.verify(key, rule.body(), signature)
        except ValueError:
            return False

    def _write(self, rules: Sequence[Rule]) -> None:
        lines = ["# Standing answers, each signed: nucleus approvals rules", "version = 1"]
        for rule in rules:
            lines += ["", "[[rule]]"]
            lines += [f"{f} = {_toml(getattr(rule, f))}" for f in (*_FIELDS, "signature")]
        files.replace(self.path, ("\n".join(lines) + "\n").encode())


def matches(pattern: Sequence[Any], asked: Question) -> bool:
    """Whether a question's call satisfies a pattern, as the verifier would judge it."""
    try:
        args = json.loads(asked.arguments)
        read = [caveats.from_value(each) for each in pattern]
    except (ValueError, NucleusError):
        return False
    for each in read:
        if isinstance(each, Scope):
            listed = asked.resources.get(each.kind)
            values: tuple[Any, ...] = (asked.tool,) if each.kind == "tool" else _known(listed)
            if not values or not scope_admits(each, values):
                return False
        elif not isinstance(each, Arg) or each.tool != asked.tool:
            return False
        elif any(op == "subpath" for _, op, _ in each.rules):
            return False  # what an argument leads to is not told
        elif not args_admit(each, asked.tool, args, {}):
            return False
    return bool(read)


def _known(listed: tuple[Any, ...] | None) -> tuple[Any, ...]:
    made = [(shapes.items(v), v) for v in listed or ()]
    return tuple(v if words is None else tuple(words) for words, v in made)


def _rule(value: Any) -> Rule:
    table = shapes.table(value)
    if table is None or set(table) != {*_FIELDS, "signature"}:
        raise ValueError("fields")
    if table["answer"] not in ("approve", "deny") or type(table["until"]) is not int:
        raise ValueError("answer")
    made = dict(table)
    for name in ("who", "obligations", "exposure"):
        listed = shapes.items(table[name])
        if listed is None:
            raise ValueError("lists")
        made[name] = tuple(map(str, listed))
    return Rule(**made)


def _plain(value: str | int | tuple[str, ...]) -> Any:
    return [*value] if isinstance(value, tuple) else value


def _one_form(text: str) -> str:
    import unicodedata

    return unicodedata.normalize("NFC", text)[:512]


def _toml(value: str | int | tuple[str, ...]) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    # A JSON string in ASCII is a TOML string, but for the escapes of surrogate pairs.
    if isinstance(value, str):
        return "".join(
            c if ord(c) < 0x10000 else f"\\U{ord(c):08x}"
            for c in json.dumps(value, ensure_ascii=False)
        ).replace("\x7f", "\\u007f")
    return str(value)
