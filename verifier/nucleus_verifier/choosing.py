"""Law: an argument nobody declared is a selector without evidence, and what an agent writes is as
tainted as what its session has seen.

What every reader of calls needs, whatever road they come by: from MCP, from HTTP, from gRPC.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from nucleus_tokens import labelling, labels
from nucleus_tokens.exposure import PRIVATE_DATA, UNTRUSTED_CONTENT
from nucleus_verifier.facts import Selector
from nucleus_verifier.resources import spellable


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
