"""Law: a cache may save work and never change an answer.

It stands outside the pure core and remembers only what was authenticated: headers by how their
text starts, and below each of them its prefixes by their exact caveats without the request, and
whole credentials by their exact text. An entry is made only after the MAC held. Revocation, time,
budgets and exposure are never cached: they are facts, asked anew for every call. All of it is
dropped when the key bundle changes. Each header has a quota, so that one agent cannot push out the
others.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final

from nucleus_tokens import chain
from nucleus_tokens.chain import HEAD, NOTHING, PREFIX, Spelled
from nucleus_tokens.limits import CACHED_PREFIXES_PER_TREE
from nucleus_verifier.authenticate import (
    Opened,
    Refused,
    VerifiedCredential,
    VerifiedPrefix,
    check_tag,
    open_header,
    read_credential,
    read_request,
    split_request,
    verify_prefix,
)
from nucleus_verifier.decision import Deny
from nucleus_verifier.facts import Keys

# Characters that spell the length of an identifier and all but the last byte of its signature.
_SIGNED: Final = slice(len(PREFIX), len(PREFIX) + 92)


@dataclass(slots=True)
class _Tree:
    """One opened header, and what was verified below it. The oldest entry goes first."""

    start: Spelled
    identifier: bytes
    opened: Opened
    prefixes: dict[tuple[bytes, ...], VerifiedPrefix] = field(default_factory=dict)
    texts: dict[str, VerifiedCredential] = field(default_factory=dict)

    def __len__(self) -> int:
        return 1 + len(self.prefixes) + len(self.texts)


def _put(entries: dict[Any, Any], key: object, value: object) -> int:
    """Keep one more, within the quota of a tree; by how many entries that is more."""
    before = len(entries)
    entries[key] = value
    if len(entries) > CACHED_PREFIXES_PER_TREE:
        del entries[next(iter(entries))]
    return len(entries) - before


def _start(text: str, identifier: bytes) -> Spelled:
    """What of a text spells the header. Before the identifier stand the macaroon's head, the
    field's type, and its length in two bytes: no header is shorter than 128."""
    groups = (len(HEAD) + 3 + len(identifier)) // 3
    spelled = text[: len(PREFIX) + 4 * groups]
    return Spelled(spelled, chain.from_text(spelled[len(PREFIX) :]))


class CachingVerifier:
    """`authenticate` with a memory. One per thread: it does not lock."""

    def __init__(self, keys: Keys, *, size: int = 8192) -> None:
        """`size` bounds what is remembered, in entries of at most some ten kilobytes."""
        self._keys = keys
        self._size = size
        self._held = 0
        self._trees: OrderedDict[str, _Tree] = OrderedDict()

    @property
    def keys(self) -> Keys:
        return self._keys

    def use_keys(self, keys: Keys) -> None:
        """Replace the bundle; whatever the old one verified is forgotten."""
        self._keys = keys
        self._held = 0
        self._trees.clear()

    def authenticate(self, text: str) -> VerifiedCredential | Deny:
        """Steps 1 to 4: the same value that `authenticate.authenticate` gives."""
        tree = self._known(text)
        if tree is not None:
            whole = tree.texts.get(text)
            if whole is not None:
                return whole
        try:
            credential = read_credential(text, NOTHING if tree is None else tree.start)
            token = credential.token
            raw, req = split_request(token.caveats)
            # The text agrees in whole groups of four characters: the last bytes may still differ.
            if tree is None or tree.identifier != token.identifier:
                opened = open_header(token.identifier, self._keys)
                tree = _Tree(_start(text, token.identifier), token.identifier, opened)
            prefix = tree.prefixes.get(raw)
            if prefix is None:
                found = verify_prefix(tree.opened, token, raw, req)
            else:
                check_tag(prefix.tag, req, token.tag)
                found = prefix
            verified = read_request(found, credential, req)
        except Refused as refused:
            return refused.deny
        # A request is good for one call: only what will be shown again is worth a whole entry.
        if prefix is None or req is None:
            self._keep(text, tree, verified)
        return verified

    def _known(self, text: str) -> _Tree | None:
        if type(text) is not str:
            return None
        key = text[_SIGNED]
        tree = self._trees.get(key)
        if tree is None or not text.startswith(tree.start.text):
            return None
        self._trees.move_to_end(key)
        return tree

    def _keep(self, text: str, tree: _Tree, verified: VerifiedCredential) -> None:
        key = text[_SIGNED]
        other = self._trees.get(key)
        if other is not tree:
            self._trees[key] = tree
            self._held += len(tree) - (0 if other is None else len(other))
        self._held += _put(tree.prefixes, verified.prefix.raw, verified.prefix)
        if verified.req is None:
            self._held += _put(tree.texts, text, verified)
        while self._held > self._size:
            self._held -= len(self._trees.popitem(last=False)[1])
