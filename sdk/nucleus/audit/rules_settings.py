"""Law: what can be wrong with what an agent may do without asking."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from nucleus.audit import clients, commands, credentials
from nucleus.audit.facts import Settings, Text
from nucleus.audit.findings import Finding
from nucleus.audit.making import finding
from nucleus.audit.rules_servers import ROOTS, SENSITIVE

_RULE: Final = re.compile(r"^([A-Za-z_]\w*)(?:\((.*)\))?$", re.DOTALL)

# Programs that run whatever they are told.
_RUNNERS: Final = frozenset(
    ("sh", "bash", "zsh", "sudo", "eval", "env", "xargs", "python", "python3", "node", "perl",
     "ruby", "osascript", "powershell")
)  # fmt: skip


def split(rule: str) -> tuple[str, str | None]:
    """`Bash(git status:*)` is Bash and `git status:*`; `Bash` has no second half."""
    found = _RULE.match(rule.strip())
    return (found[1], found[2]) if found else (rule.strip(), None)


def is_everything(inside: str | None) -> bool:
    """Whether a rule's second half restricts nothing."""
    return inside is None or inside.strip() in (
        "",
        "*",
        "**",
        ":*",
        "*:*",
        "**/*",
        "/**",
        "//**",
        "domain:*",
    )


def judge(settings: Settings) -> Iterator[Finding]:
    """All findings of one settings file."""
    for switch in settings.bypass:
        yield finding("safety-bypass", switch.place, "", f"{switch.text}: nobody is asked.")
    for switch in settings.unconfined:
        yield finding("sandbox-off", switch.place, "", f"{switch.text}.")
    for rule in settings.allow:
        yield from _allowed(rule, settings)
    for hook in settings.hooks:
        for why in commands.line_dangers(hook.text):
            yield finding("risky-hook", hook.place, why, f"In a hook {why}.")
    for name, value in settings.env:
        if credentials.is_one(name, value.text):
            yield finding("plaintext-credential", value.place, "",
                          f"{name} is given in clear ({credentials.shown(value.text)})."
                          )  # fmt: skip


def _allowed(rule: Text, settings: Settings) -> Iterator[Finding]:
    tool, inside = split(rule.text)
    if tool == "Bash":
        if is_everything(inside):
            if not _denied(settings, "Bash"):
                yield finding("unrestricted-shell", rule.place, "", f"{rule.text} is allowed.")
            return
        first = _first_word(inside or "")
        if first in commands.SENDING:
            yield finding("exfiltration-command", rule.place, "", f"{rule.text} is allowed.")
        elif first in _RUNNERS and _open_ended(inside or ""):
            yield finding("unrestricted-shell", rule.place, "",
                          f"{rule.text} is allowed: {first} runs anything.")  # fmt: skip
    elif tool in ("Read", "Edit", "Write", "MultiEdit", "NotebookEdit"):
        if inside and SENSITIVE.search(inside):
            yield finding("sensitive-path", rule.place, "", f"{rule.text} is allowed.")
        elif (
            tool == "Read"
            and inside
            and ROOTS.match(re.sub(r"\*+$", "", inside.replace("//", "/")))
        ):
            yield finding("broad-filesystem", rule.place, "", f"{rule.text} is allowed.")
        elif tool != "Read" and inside and clients.OBEYED.search(inside):
            yield finding("writable-instructions", rule.place, "", f"{rule.text} is allowed.")
        elif tool != "Read" and is_everything(inside) and not _protects(settings):
            yield finding("writable-instructions", rule.place, "",
                          f"{rule.text} is allowed, of instructions and settings too.")  # fmt: skip


def _first_word(inside: str) -> str:
    return re.split(r"[\s:*]", inside.strip())[0].rpartition("/")[2].lower()


def _open_ended(inside: str) -> bool:
    """Whether what follows the first word is free: `python:*`, `bash -c *`."""
    rest = inside.strip()[len(re.split(r"[\s:]", inside.strip())[0]) :].strip()
    return rest in (":*", "*", "") or bool(re.match(r"^-(?:c|e|lc)\b", rest))


def _denied(settings: Settings, tool: str) -> bool:
    return any(
        split(each.text)[0] == tool and is_everything(split(each.text)[1]) for each in settings.deny
    )


def _protects(settings: Settings) -> bool:
    """Whether writing what agents obey is denied."""
    return any(
        split(each.text)[0] in ("Edit", "Write")
        and clients.OBEYED.search(split(each.text)[1] or "")
        for each in settings.deny
    )
