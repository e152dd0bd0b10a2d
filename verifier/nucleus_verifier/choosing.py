"""Law: an argument nobody declared is a selector without evidence, and what an agent writes is as
tainted as what its session has seen.

What every reader of calls needs, whatever road they come by: from MCP, from HTTP, from gRPC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Final

from nucleus_tokens import labelling, labels
from nucleus_tokens.authority import MISSING, lookup
from nucleus_tokens.exposure import PRIVATE_DATA, UNTRUSTED_CONTENT
from nucleus_verifier import resources
from nucleus_verifier.facts import Selector
from nucleus_verifier.resources import spellable

# What a selector can be matched as. The first nine have a resource or none, see RESOURCE_OF.
SELECTOR_KINDS: Final = (
    "path", "url", "host", "ref", "argv", "recipient", "payee", "amount", "id",
    "email", "name", "member", "slug", "date", "text", "credential", "flag", "choice",
)  # fmt: skip
RESOURCE_OF: Final = {"path": "path", "url": "host", "host": "host", "ref": "ref", "argv": "cmd"}


@dataclass(frozen=True, slots=True)
class SelectorRule:
    """Which argument chooses what is acted on, and how it is read."""

    pointer: str
    kind: str
    base: str = ""  # pointer of the path that a relative path starts from; empty: the server's cwd
    optional: bool = False  # left out, it chooses nothing
    of: str = ""  # of an id: the kind of record it belongs to
    least: str = ""  # of a choice: the value that needs nobody's word
    words: tuple[str, ...] = ()  # of a flag: by which a prompt says that it shall be set
    within: tuple[str, ...] = ()  # of an amount: pointers of who it goes to, or what it is of
    item: str = ""  # where the items are tables: the member that chooses
    # ... and the members that may stand beside it, each with its one value
    beside: Mapping[str, str] = field(default_factory=dict)


# How the road resolves a path: the rule that names it, and its value.
PathOf = Callable[[SelectorRule, Any], str | None]


def payload_label(cells: int) -> int:
    """What the agent writes is a model's plan, and as tainted as what the session has seen."""
    label = labelling.MODEL_PLAN
    if cells & UNTRUSTED_CONTENT:
        label = labels.join(label, labelling.WEB_CONTENT)
    if cells & PRIVATE_DATA:
        label = labels.join(label, labelling.conf_bits(labels.INTERNAL))
    return label


def plain(value: Any) -> str | int | None:
    """What has a spelling in a record and can have evidence: a text or a whole number."""
    if type(value) is int or (type(value) is str and spellable(value)):
        return value
    return None


def chosen(
    rules: Iterable[SelectorRule], args: Any, path: PathOf, trusted_sink: bool
) -> tuple[list[Selector], dict[str, tuple[Any, ...] | None]]:
    """What the declared arguments choose, and the resources they touch (None: not known).

    `path` resolves a path as whoever opens it will."""
    touched: dict[str, tuple[Any, ...] | None] = {}
    selectors: list[Selector] = []
    for rule in rules:
        made, values = _select(rule, args, path, trusted_sink)
        selectors += made
        kind = RESOURCE_OF.get(rule.kind)
        if kind is not None:
            before = touched.get(kind, ())
            touched[kind] = None if values is None or before is None else before + values
    return selectors, touched


def _select(
    rule: SelectorRule, args: Any, path: PathOf, trusted_sink: bool
) -> tuple[list[Selector], tuple[Any, ...] | None]:
    """The selectors one rule gives, and the resources (None: not known)."""
    value = lookup(args, rule.pointer)
    if value is MISSING or value is None:
        # The server will put something there that we do not know.
        return ([], ()) if rule.optional else ([Selector(rule.pointer, rule.kind, None)], None)
    if type(value) is list and rule.kind != "argv":
        items = [(f"{rule.pointer}/{i}", item) for i, item in enumerate(value)]
        if not items:
            return [Selector(rule.pointer, rule.kind, None)], ()
    else:
        items = [(rule.pointer, value)]
    if rule.item:
        items = [(f"{at}/{rule.item}", _member(rule, item)) for at, item in items]
    read = [(pointer, _resolve(rule, item, path), item) for pointer, item in items]
    selectors = [
        _selector(pointer, rule, trusted_sink, value, item) for pointer, value, item in read
    ]
    values = tuple(found for _, found, _ in read)
    return selectors, None if None in values else values


def _member(rule: SelectorRule, item: Any) -> Any:
    """The one member of a table that chooses; None for a table that holds anything we cannot tell,
    because the server may go by that instead."""
    if type(item) is not dict:
        return None
    rest = {key: value for key, value in item.items() if key != rule.item}
    known = all(rule.beside.get(key) == value for key, value in rest.items())
    return item.get(rule.item) if known else None


def _resolve(rule: SelectorRule, value: Any, path: PathOf) -> Any:
    match rule.kind:
        case "path":
            return path(rule, value)
        case "url":
            return resources.url_host(value)
        case "host":
            return resources.host(value)
        case "ref":
            return resources.ref(value)
        case "argv":
            return resources.argv(value)
        case _:
            return plain(value)


def _selector(
    pointer: str, rule: SelectorRule, trusted_sink: bool, found: Any, item: Any
) -> Selector:
    if rule.kind != "url":
        return Selector(pointer, rule.kind, found)
    # A URL is a channel: its host, fixed by the issuer, vouches for all of it only on a sink
    # where nobody the agent could write to listens.
    if trusted_sink:
        return Selector(pointer, "host", found)
    return Selector(pointer, "url", None if found is None else item)


def undeclared(declared: Set[str], args: Any) -> list[Selector]:
    """Every argument that `declared` (pointers) does not name: nothing vouches for it."""
    found: list[Selector] = []
    _walk(args, "", declared, found)
    if all(spellable(s.pointer) for s in found):
        return found
    # A name without one spelling cannot stand in a record: the whole arguments stand for it.
    return [Selector("", "undeclared", None)]


def _walk(value: Any, at: str, declared: Set[str], found: list[Selector]) -> None:
    if at in declared:
        return
    inside = any(pointer.startswith(at + "/") for pointer in declared)
    if type(value) is dict and (inside or at == ""):
        for key, item in value.items():
            _walk(item, f"{at}/{key.replace('~', '~0').replace('/', '~1')}", declared, found)
    else:
        found.append(Selector(at, "undeclared", plain(value)))
