"""Law: a letter that looks like another is named, wherever a person reads what would be touched.

A path, host or name that is written with letters of more than one script, or of a script whose
letters look like Latin ones, is not what it seems; an escape does not help, since the letters are
honest ones. So each such letter is spelled out beside the text.
"""

from __future__ import annotations

import unicodedata
from typing import Final

_MOST: Final = 8
# Scripts that have letters which look like those of another one.
_ALIKE: Final = ("ARMENIAN", "CHEROKEE", "COPTIC", "CYRILLIC", "GREEK", "LISU", "FULLWIDTH",
                 "MATHEMATICAL", "ROMAN", "HALFWIDTH", "MODIFIER", "SUPERSCRIPT",
                 "CIRCLED", "PARENTHESIZED", "SQUARED", "DOUBLE-STRUCK", "SCRIPT", "BLACK-LETTER",
                 "DESERET", "OSAGE", "WARANG", "TIFINAGH", "VAI", "YI", "BAMUM")  # fmt: skip
_PHONETIC: Final = "\u0250"
# Marks that pass for the ones that structure a path, a host or a command.
_MARKS: Final = frozenset("∕⁄⧸⼃╱․‥…。｡﹒·‧ꓸ‐‑‒–—―−﹣ː꞉∶‚ʹʼ’‘′“”")


def unusual(text: str) -> list[str]:
    """The letters of a text that may pass for others, each once, by name."""
    found: dict[str, None] = {}
    for character in text:
        if character.isascii():
            continue
        name = unicodedata.name(character, "")
        script = name.partition(" ")[0]
        # Letters of living alphabets are no surprise; those for phonetics and style are.
        odd = script == "LATIN" and character >= _PHONETIC
        if character in _MARKS or script in _ALIKE or odd:
            found.setdefault(f"{character} is U+{ord(character):04X} {name}", None)
    listed = list(found)
    more = [f"and {len(listed) - _MOST} more such letters"] if len(listed) > _MOST else []
    return listed[:_MOST] + more
