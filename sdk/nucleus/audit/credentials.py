"""Law: what looks like a credential is one, unless it plainly stands for something else.

A value is judged by its name and by its form, and is never shown: `shown` gives its first letters
where the form is public knowledge, else its length.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

# Forms that issuers publish, so that leaks are found: the part before the secret is no secret.
_FORMS: Final = re.compile(
    r"(?<![A-Za-z0-9])(?P<prefix>sk-ant-|sk-proj-|sk-or-|sk-|sk_live_|rk_live_|ghp_|gho_|ghu_|ghs_|ghr_|github_pat_"
    r"|glpat-|xox[abeprs]-|xapp-|AKIA|ASIA|AIza|ya29\.|hf_|npm_|pypi-|dckr_pat_|SG\.|lin_api_"
    r"|ntn_|secret_|tvly-|pplx-|gsk_|figd_|sbp_|dop_v1_|shpat_|key-|nuc1_)"
    r"[A-Za-z0-9_\-.=+/]{12,}"
)
_PEM: Final = re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----")
_PEM_WHOLE: Final = re.compile(_PEM.pattern + r"[^-]*(?:-----END (?:[A-Z]+ )*PRIVATE KEY-----)?")
_JWT: Final = re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}")
_URL: Final = re.compile(
    r"[a-z][a-z0-9+.-]{0,20}://[^/\s:@]{0,200}:(?P<word>[^/\s@]{1,400})@", re.IGNORECASE
)
_QUERY: Final = re.compile(
    r"[?&](?:api[_-]?key|access[_-]?token|token|key|secret|auth)=(?P<word>[^&\s#]+)", re.IGNORECASE
)
# Forms of capital letters that need no digit.
_BARE: Final = frozenset(("AKIA", "ASIA"))
# In what a program says: `Bearer …`, `password=…`. In a configuration its own rules look closer.
_SAID: Final = re.compile(
    r"(?:\b(?:bearer|basic)\s+|(?:token|secret|password|passwd|api[_-]?key)[\"']?\s{0,3}[=:]\s{0,3}[\"']?)"
    r"(?P<word>[^\s\"',;&]{8,})",
    re.IGNORECASE,
)
_NAME: Final = re.compile(
    r"(?:^|[_\-.])(?:api[_-]?key|apikey|access[_-]?key|secret[_-]?key|private[_-]?key|token|secret|"
    r"password|passwd|passphrase|credentials?|auth|bearer|pat|connection[_-]?string|dsn)"
    r"(?:$|[_\-.]|\d)",
    re.IGNORECASE,
)
# Names that hold such a word and are none: files, flags, counts, places.
_HARMLESS: Final = re.compile(
    r"(?:_FILE|_PATH|_DIR|_URL|_URI|_HOST|_PORT|_NAME|_TYPE|_METHOD|_MODE|_ENDPOINT|_TTL|_LIMIT|"
    r"_ENABLED|_REQUIRED|_COUNT|_EXPIRY|_SCOPES?|_ID|_HELPER|_TTL_MS)$|^(?:MAX|MIN|NUM|USE|ENABLE|"
    r"DISABLE|NO)_|TOKENIZER|AUTHOR(?!I)",
    re.IGNORECASE,
)
_REFERENCE: Final = re.compile(
    r"^\s*(?:Bearer\s+|token\s+|Basic\s+)?(?:\$\{?[^}]*\}?|\{\{.*\}\}|%\w+%|<[^>]*>|op://\S+|"
    r"vault:\S+|keychain:\S+|env:\S+|@\S+)\s*$",
    re.IGNORECASE,
)
_STANDS_FOR: Final = re.compile(
    r"^(?:your|my|the|some|an?|insert|enter|put|add|replace|change|set|dummy|fake|example|sample|"
    r"test|todo|none|null|true|false|xxx|redacted|placeholder|secret|password|token)"
    r"(?:$|[\s_\-.])|^[x*.<>\-_]+$|[_\-](?:here|goes|placeholder|me)$|^changeme$|\.\.\.$|^0+$",
    re.IGNORECASE,
)


def named(name: str) -> bool:
    """Whether a variable or header of this name holds a credential."""
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)  # apiKey
    return bool(_NAME.search(split)) and not _HARMLESS.search(split)


def refers(value: str) -> bool:
    """Whether a value only says where to find it: `${TOKEN}`, `op://…`, or is an example's."""
    value = value.strip()
    if not value or _REFERENCE.match(value) or "${" in value:
        return True
    word = re.sub(r"^(?:Bearer|Basic|token)\s+", "", value, flags=re.IGNORECASE)
    return bool(_STANDS_FOR.search(word))


def formed(value: str) -> bool:
    """Whether a text holds something of a known form."""
    return any(_real(value, each) for each in (_FORMS, _JWT)) or bool(_PEM.search(value))


def _real(value: str, form: re.Pattern[str]) -> list[str]:
    """What of this form is no example, and no name that begins like one (`key-value-store-v2`)."""
    made: list[str] = []
    for found in form.finditer(value):
        prefix = found.groupdict().get("prefix") or ""
        body = found[0][len(prefix) :]
        if len(set(body)) > 5 and not re.search(r"(?i)example|your|xxxx|placeholder", body):
            parts = re.split(r"[-_./=+]", body)
            if prefix in _BARE or any(len(part) >= 8 and _mixed(part) for part in parts):
                made.append(found[0])
    return made


def _mixed(word: str) -> bool:
    letters = any(c.isalpha() for c in word)
    return letters and (any(c.isdigit() for c in word) or word.lower() != word != word.upper())


def inside(value: str) -> bool:
    """Whether a URL or a command line carries one: `user:word@`, `?api_key=…`, a known form."""
    if formed(value):
        return True
    for form in (_URL, _QUERY):
        for found in form.finditer(value):
            if not refers(found["word"]):
                return True
    return False


def is_one(name: str, value: str) -> bool:
    """Whether `name=value` gives a credential away."""
    if inside(value):
        return True
    if not named(name) or refers(value):
        return False
    # Short words are settings: `AUTH=basic`, `TOKEN=1`.
    return len(value) >= 6 and not value.startswith(("/", "./", "~/", "http://", "https://"))


def in_words(args: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The credentials of a command line, each with the option it is given to or a word for it."""
    for index, word in enumerate(args):
        before = args[index - 1] if index else ""
        option, equals, value = word.partition("=")
        given = (
            inside(word)
            or (bool(equals) and is_one(option.lstrip("-"), value))
            or (before.startswith("-") and "=" not in before
                and is_one(before.lstrip("-"), word) and random_looking(word))
        )  # fmt: skip
        if given and not refers(word):
            # Only an option names what is given: another word may be the credential itself.
            if equals and option.startswith("-"):
                yield option, value
            else:
                yield before if before.startswith("-") else "an argument", word


def words_in(value: str) -> list[str]:
    """The secret parts of a text: what `inside` finds, and what is said to be one."""
    found = [word for form in (_FORMS, _JWT) for word in _real(value, form)]
    found += [match[0] for match in _PEM_WHOLE.finditer(value)]
    for form in (_URL, _QUERY):
        found += [m["word"] for m in form.finditer(value) if not refers(m["word"])]
    return found + [m["word"] for m in _SAID.finditer(value) if _mixed(m["word"])]


def blotted(value: str, mark: str) -> str:
    """A text with a mark in place of all that `words_in` finds in it."""
    for word in sorted(words_in(value), key=len, reverse=True):
        value = value.replace(word, mark)
    return value


def random_looking(value: str) -> bool:
    """Whether a word is long and even enough to have been drawn: for arguments without a name."""
    if not 20 <= len(value) <= 512 or not re.fullmatch(r"[A-Za-z0-9_\-+/=.]+", value):
        return False
    counts, size = Counter(value), len(value)
    bits = -sum(n / size * math.log2(n / size) for n in counts.values())
    return bits > 3.8 and any(c.isdigit() for c in value) and any(c.isalpha() for c in value)


def shown(value: str) -> str:
    """How a finding may speak of it."""
    found = _FORMS.search(value)
    return f"{found['prefix']}…" if found else f"{len(value)} characters"
