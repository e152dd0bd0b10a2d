"""Law: a profile says what is granted; what it does not name is never, and nothing is guessed.

A profile is a TOML file: levels per operation, obligations, blocked paths, budgets and a lifetime.
The ten canonical ones stand in `profiles/`. Read, a profile becomes the issuer's own restriction,
`ceil`, in caveat language. Names are spelled with dashes; underscores and capitals are folded.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any, Final

from nucleus_issuer import files
from nucleus_tokens import lattice, names, writing
from nucleus_tokens.errors import CallerError, CredentialError
from nucleus_tokens.limits import INTEGER, LIST_ITEMS, STRING_CHARS, TOKEN_LIFETIME

CANONICAL: Final = (
    "code-review",
    "codegen",
    "doc-editor",
    "local-dev",
    "read-only",
    "release",
    "research-web",
    "safe-pr-fixer",
    "test-runner",
    "triage-bot",
)
_FILE_BYTES: Final = 64 * 1024
_MICRO: Final = 1_000_000
_REQUIRED: Final = frozenset(("name", "ttl_seconds", "levels", "budget"))
_OPTIONAL: Final = frozenset(("description", "obligations", "blocked_paths"))
_BUDGET: Final = frozenset(("usd", "tokens_in", "tokens_out"))


@dataclass(frozen=True, slots=True)
class Profile:
    """What a kind of work needs, and no more. `levels` is packed; money is in millionths."""

    name: str
    description: str
    levels: int
    obligations: tuple[str, ...]  # beside those that the nucleus operator adds
    blocked_paths: tuple[str, ...]
    micro_usd: int
    tokens: int  # in and out together
    ttl: int  # seconds

    def ceil(self) -> list[list[Any]]:
        """The restriction to sign: levels first, then blocked paths, then budgets."""
        granted = {
            name: level
            for name, level in names.unpack_levels(self.levels).items()
            if level != "never"
        }
        made: list[list[Any]] = [["only", granted]]
        if self.blocked_paths:
            made.append(["path", "not", list(self.blocked_paths)])
        made.append(["budget", "micro_usd", self.micro_usd])
        made.append(["budget", "tokens", self.tokens])
        return made

    def asked_for(self) -> tuple[str, ...]:
        """Every operation that needs a person under this profile, those of ν included."""
        own = names.obligation_bits(self.obligations)
        return names.obligation_names(lattice.nu(self.levels, own))


def normalise(name: str) -> str:
    """`Safe_PR_Fixer` is `safe-pr-fixer`."""
    return name.strip().lower().replace("_", "-")


def named(name: str) -> Profile:
    """A canonical profile. Raises CallerError `profile.unknown`."""
    wanted = normalise(name)
    if wanted not in CANONICAL:
        raise CallerError(
            "profile.unknown",
            f"There is no profile of this name; there are {', '.join(CANONICAL)}.",
        )
    data = resources.files("nucleus_issuer").joinpath("profiles", f"{wanted}.toml").read_bytes()
    return load(data)


def canonical_profiles() -> list[Profile]:
    """All ten, by name."""
    return [named(name) for name in CANONICAL]


def read(path: Path) -> Profile:
    """A profile of one's own. Raises CallerError `profile.*` or WorldError `file.*`."""
    return load(files.read(path, secret=False, most=_FILE_BYTES))


def load(data: bytes) -> Profile:
    """A profile from TOML. Raises CallerError `profile.syntax`, `profile.unknown_key`,
    `profile.missing_key` or `profile.value`; nothing is guessed or left out."""
    try:
        value = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise CallerError("profile.syntax", f"The profile is not TOML: {error}.") from error
    _keys(value, _REQUIRED, _OPTIONAL, "profile")
    levels, budget = value["levels"], value["budget"]
    if type(levels) is not dict or type(budget) is not dict:
        raise _value("levels and budget are tables")
    _keys(levels, frozenset(), frozenset(names.OPERATIONS), "levels")
    _keys(budget, _BUDGET, frozenset(), "budget")
    try:
        packed = names.pack_levels(levels)
    except (ValueError, TypeError) as error:
        raise _value(f"a level is one of {', '.join(names.LEVELS)}") from error
    profile = Profile(
        name=_name(value["name"]),
        description=_text(value.get("description", "")),
        levels=packed,
        obligations=_obligations(value.get("obligations", [])),
        blocked_paths=_paths(value.get("blocked_paths", [])),
        micro_usd=_money(budget["usd"]),
        tokens=_whole(budget["tokens_in"], "tokens_in")
        + _whole(budget["tokens_out"], "tokens_out"),
        ttl=_whole(value["ttl_seconds"], "ttl_seconds"),
    )
    if not 0 < profile.ttl <= TOKEN_LIFETIME:
        raise _value("ttl_seconds is from one second to 366 days")
    try:
        for caveat in profile.ceil():
            writing.caveat(caveat)
    except CredentialError as error:
        raise _value(error.message.rstrip(".").lower()) from error
    return profile


def _keys(
    table: dict[str, Any], required: frozenset[str], optional: frozenset[str], where: str
) -> None:
    unknown = sorted(table.keys() - required - optional)
    if unknown:
        raise CallerError("profile.unknown_key", f"{where} has no key {unknown[0]!r}: remove it.")
    missing = sorted(required - table.keys())
    if missing:
        raise CallerError("profile.missing_key", f"{where} needs the key {missing[0]!r}: add it.")


def _value(why: str) -> CallerError:
    return CallerError("profile.value", f"The profile cannot be used: {why}.")


def _name(value: Any) -> str:
    if type(value) is not str or not value or normalise(value) != value:
        raise _value("its name is in small letters with dashes")
    return value


def _text(value: Any) -> str:
    if type(value) is not str or len(value) > STRING_CHARS:
        raise _value(f"description is a text of at most {STRING_CHARS} characters")
    return value


def _obligations(value: Any) -> tuple[str, ...]:
    try:
        if type(value) is not list or len(set(value)) != len(value):
            raise ValueError
        return names.obligation_names(names.obligation_bits(value))
    except (ValueError, TypeError) as error:
        raise _value("obligations is a list of operations, each once") from error


def _paths(value: Any) -> tuple[str, ...]:
    if type(value) is not list or any(type(path) is not str for path in value):
        raise _value("blocked_paths is a list of patterns")
    if len(value) > LIST_ITEMS or len(set(value)) != len(value):
        raise _value(f"blocked_paths is a list of at most {LIST_ITEMS} patterns, each once")
    return tuple(sorted(value))


def _whole(value: Any, key: str) -> int:
    if type(value) is not int or not 0 <= value <= INTEGER // 2:
        raise _value(f"{key} is a whole number from 0")
    return value


def _money(value: Any) -> int:
    """Dollars as text (`"1.50"`) to whole millionths: a float cannot say what money is."""
    try:
        if type(value) not in (str, int):
            raise ValueError
        exact = Decimal(value) * _MICRO
        if not exact.is_finite() or exact < 0 or exact > INTEGER or exact != int(exact):
            raise ValueError
    except (ValueError, ArithmeticError) as error:
        raise _value('usd is an amount like "1.50", to the millionth') from error
    return int(exact)
