"""Law: what looks like a credential is one, unless it plainly stands for something else.

A value is judged by its name and by its form, and is never shown: `shown` gives its first letters
where the form is public knowledge, else its length.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Final

# Forms that issuers publish, so that leaks are found: the part before the secret is no secret.
_FORMS: Final = re.compile(
    r"(?P<prefix>sk-ant-|sk-proj-|sk-or-|sk-|sk_live_|rk_live_|ghp_|gho_|ghu_|ghs_|ghr_|github_pat_"
    r"|glpat-|xox[abeprs]-|xapp-|AKIA|ASIA|AIza|ya29\.|hf_|npm_|pypi-|dckr_pat_|SG\.|lin_api_"
    r"|ntn_|secret_|tvly-|pplx-|gsk_|figd_|sbp_|dop_v1_|shpat_|key-|nuc1_)"
    r"[A-Za-z0-9_\-.=+/]{12,}"
)
_PEM: Final = re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----")
_JWT: Final = re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}")
_URL: Final = re.compile(
    r"[a-z][a-z0-9+.-]{0,20}://[^/\s:@]{0,200}:(?P<word>[^/\s@]{1,400})@", re.IGNORECASE
)
_QUERY: Final = re.compile(
    r"[?&](?:api[_-]?key|access[_-]?token|token|key|secret|auth)=(?P<word>[^&\s#]+)", re.IGNORECASE
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


def _real(value: str, form: re.Pattern[str]) -> bool:
    for found in form.finditer(value):
        body = found[0][len(found.groupdict().get("prefix") or "") :]
        if len(set(body)) > 5 and not re.search(r"(?i)example|your|xxxx|placeholder", body):
            return True
    return False


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
