"""Law: what a person does not see in a text that an agent reads.

Characters that show nothing or change the direction of others; and sentences that steer, where
people do not look: in comments, and in what a tool says of itself.
"""

from __future__ import annotations

import re
from typing import Final

# Direction, tags, invisible operators, fillers. Joiners are judged by what stands beside them.
_NEVER: Final = re.compile(
    "[\u202a-\u202e\u2066-\u2069\u200b\u2060-\u2064\u206a-\u206f\ufeff\u180e\u115f\u1160\u3164\uffa0"
    "\U000e0000-\U000e007f\U000e0100-\U000e01ef\u061c]"
)
_JOINER: Final = re.compile("[\u200c\u200d]")
_VARIATIONS: Final = re.compile("[\ufe00-\ufe0f]{2,}")
# The flags of England, Scotland and Wales are spelled with tags.
_FLAG: Final = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{1,7}\U000e007f")
_NAMES: Final = (
    ("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u061c",
     "characters that turn text around"),
    ("\u200b\u200c\u200d\u2060\ufeff\u180e", "invisible blanks"),
)  # fmt: skip
_STEERING: Final = re.compile(
    r"(?i)\b(?:ignore|disregard|forget|override)\b[^.\n]{0,40}\b(?:previous|prior|above|earlier|all|system|other)\b"
    r"[^.\n]{0,30}\b(?:instructions?|rules?|prompts?|guidelines?)|"
    r"\b(?:do not|don't|never|without)\s+"
    r"(?:tell(?:ing)?|mention(?:ing)?|inform(?:ing)?|notify(?:ing)?|"
    r"reveal(?:ing)?|show(?:ing)?)\b[^.\n]{0,30}\b(?:the\s+)?user\b|"
    r"<\s*(?:IMPORTANT|SYSTEM|SECRET|HIDDEN|INSTRUCTIONS?)\s*>|"
    r"\bbefore\s+(?:using|calling)\s+(?:this|any)\b[^.\n]{0,60}\b(?:read|send|call|fetch|include)\b"
    r"[^.\n]{0,60}(?:\.ssh|\.env|mcp\.json|credentials?|id_rsa|password|token)|"
    r"\b(?:send|post|upload|exfiltrate|forward)\b[^.\n]{0,60}\b(?:contents?|conversation|history|secrets?|"
    r"credentials?|api keys?|\.env|private keys?)\b[^.\n]{0,60}\b(?:to|at)\s+(?:https?://|[\w.+-]+@)"
)
# Long enough to be more than a word, without a blank: nobody reads it, and an agent can.
_ENCODED: Final = re.compile(r"(?<![\w/+=-])[A-Za-z0-9+/]{120,}={0,2}(?![\w/+=-])")


def characters(text: str) -> str:
    """Which invisible characters stand in it, in words; empty if none do."""
    if text.isascii():
        return ""
    bare = _FLAG.sub("", text.removeprefix("\ufeff"))
    found = {match[0] for match in _NEVER.finditer(bare)}
    found |= {match[0] for match in _JOINER.finditer(bare) if not _joins(bare, match.start())}
    if _VARIATIONS.search(bare):
        found.add("\ufe00")
    if not found:
        return ""
    kinds = [name for letters, name in _NAMES if found & set(letters)]
    if any(0xE0000 <= ord(each) <= 0xE01EF for each in found):
        kinds.append("hidden letters")
    codes = ", ".join(f"U+{ord(each):04X}" for each in sorted(found)[:4])
    return f"{' and '.join(kinds) or 'invisible characters'} ({codes})"


def _joins(text: str, at: int) -> bool:
    """Whether a joiner stands where scripts and emoji need one: between two letters of a script
    that has them, or between two pictures."""
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    if before == "\ufe0f" and at > 1:
        before = text[at - 2]
    return bool(before and after) and all(
        0x0600 <= ord(c) <= 0x0DFF or 0x1F000 <= ord(c) <= 0x1FAFF or 0x2190 <= ord(c) <= 0x2BFF
        for c in (before, after)
    )


def steering(text: str, *, everywhere: bool) -> str:
    """The sentence that steers, cut short; of instructions only in comments, since telling an
    agent what to do is what they are for."""
    for piece in [text] if everywhere else [each for _, each in comments(text)]:
        found = _STEERING.search(piece)
        if found is not None:
            return " ".join(found[0].split())[:80]
    return ""


def encoded(text: str) -> bool:
    """Whether a long word without meaning to people stands in it."""
    return any(
        any(c.islower() for c in m[0])
        and any(c.isupper() for c in m[0])
        and any(c.isdigit() for c in m[0])
        for m in _ENCODED.finditer(text)
    )


def comments(text: str) -> list[tuple[int, str]]:
    """The comments of a Markdown text, and where each begins; one that never ends is one too."""
    found: list[tuple[int, str]] = []
    at = text.find("<!--")
    while at >= 0:
        end = text.find("-->", at + 4)
        if end < 0:
            return [*found, (at, text[at + 4 :])]
        found.append((at, text[at + 4 : end]))
        at = text.find("<!--", end + 3)
    return found
