"""Law: a name is known or it is refused; nothing is guessed, folded or defaulted to authority.

The algebra speaks in integers. This module alone knows what operations, levels and exposures
are called on the wire; `label_names` adds sinks, labels and nodes, which a token never names.
Both are deliberately outside the provable subset.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from nucleus_tokens import lattice

# 1. The position is the number. The order is part of the format and only grows at the end.
OPERATIONS: Final[tuple[str, ...]] = (
    "read_files", "write_files", "edit_files", "run_bash", "glob_search", "grep_search",
    "web_search", "web_fetch", "git_commit", "git_push", "create_pr", "manage_pods",
    "spawn_agent",
)  # fmt: skip
LEVELS: Final[tuple[str, ...]] = ("never", "low_risk", "always")
EXPOSURES: Final[tuple[str, ...]] = ("private_data", "untrusted_content", "exfil_vector")
# The rules of the flow check by number; 0 is no broken rule.
FLOW_RULES: Final[tuple[str, ...]] = (
    "allow", "secret_to_exfil", "authority", "integrity", "web_to_exfil", "freshness",
    "derivation",
)  # fmt: skip


def numbers(names: tuple[str, ...]) -> Mapping[str, int]:
    """The inverse of a tuple of names, read-only."""
    return MappingProxyType({name: i for i, name in enumerate(names)})


OPERATION_NUMBER: Final = numbers(OPERATIONS)
LEVEL_NUMBER: Final = numbers(LEVELS)
EXPOSURE_NUMBER: Final = numbers(EXPOSURES)


# 2. Only a str is looked up: an object of another type may equal a name now and not later.
def number_of(table: Mapping[str, int], name: object, what: str) -> int:
    """The number of a name, or ValueError."""
    if type(name) is not str or name not in table:
        raise ValueError(f"unknown {what}: {name!r}")
    return table[name]


def bits_of(table: Mapping[str, int], names: Iterable[str], what: str) -> int:
    """The set of these names, or ValueError."""
    # A bare string would be read letter by letter; it is always a mistake.
    if isinstance(names, str):
        raise ValueError(f"a list of {what} names is needed, not the string {names!r}")
    bits = 0
    for name in names:
        bits |= 1 << number_of(table, name, what)
    return bits


def names_of(table: tuple[str, ...], bits: int, what: str) -> tuple[str, ...]:
    """The names in a set, in order, or ValueError."""
    if bits < 0 or bits >> len(table):
        raise ValueError(f"not a set of {what}s: {bits:#x}")
    return tuple(name for i, name in enumerate(table) if bits >> i & 1)


# 3. What tokens and policies spell out.
def operation(name: str) -> int:
    """The number of an operation."""
    return number_of(OPERATION_NUMBER, name, "operation")


def pack_levels(levels: Mapping[str, str], default: str = "never") -> int:
    """Capabilities from names. What is not named gets the default: never for a ceiling or an
    `only` caveat, always for a `cap` caveat (which leaves the rest as it was)."""
    fill = number_of(LEVEL_NUMBER, default, "level")
    given = {operation(op): number_of(LEVEL_NUMBER, at, "level") for op, at in levels.items()}
    packed = 0
    for dim in range(lattice.DIMS):
        packed |= lattice.with_level(dim, given.get(dim, fill))
    return packed


def unpack_levels(caps: int) -> dict[str, str]:
    """All thirteen operations with their levels, in order."""
    if not lattice.valid(caps):
        raise ValueError(f"not a packed capability: {caps:#x}")
    return {name: LEVELS[lattice.level_of(caps, i)] for i, name in enumerate(OPERATIONS)}


def exposure_bits(names: Iterable[str]) -> int:
    """An exposure from names."""
    return bits_of(EXPOSURE_NUMBER, names, "exposure")


def exposure_names(bits: int) -> tuple[str, ...]:
    """The names of an exposure, in order."""
    return names_of(EXPOSURES, bits, "exposure")


def obligation_bits(names: Iterable[str]) -> int:
    """An obligation set from names of operations."""
    return bits_of(OPERATION_NUMBER, names, "operation")


def obligation_names(bits: int) -> tuple[str, ...]:
    """The operations of an obligation set, in order."""
    return names_of(OPERATIONS, bits, "operation")
