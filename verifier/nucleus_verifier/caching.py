"""Law: a cache may save work and never change an answer.

It stands outside the pure core and remembers only what was authenticated: opened headers by their
exact identifier, prefixes by their exact bytes without the request, whole credentials by their
exact text. An entry is made only after the MAC held. Revocation, time, budgets and exposure are
never cached: they are facts, asked anew for every call. All of it is dropped when the key bundle
changes. Each token tree has a quota, so that one agent cannot push out the others.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

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

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Bounded(Generic[K, V]):
    """Least recently used entries go first; a tree that is over its quota loses its own."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[K, tuple[str, V]] = OrderedDict()
        self._trees: dict[str, OrderedDict[K, None]] = {}

    def get(self, key: K) -> V | None:
        found = self._entries.get(key)
        if found is None:
            return None
        self._entries.move_to_end(key)
        return found[1]

    def put(self, key: K, tree: str, value: V) -> None:
        mine = self._trees.setdefault(tree, OrderedDict())
        if key not in self._entries:
            if len(mine) >= CACHED_PREFIXES_PER_TREE:
                self._drop(next(iter(mine)))
            elif len(self._entries) >= self._size:
                self._drop(next(iter(self._entries)))
            mine = self._trees.setdefault(tree, OrderedDict())
        self._entries[key] = (tree, value)
        mine[key] = None

    def _drop(self, key: K) -> None:
        tree, _ = self._entries.pop(key)
        del self._trees[tree][key]
        if not self._trees[tree]:
            del self._trees[tree]

    def clear(self) -> None:
        self._entries.clear()
        self._trees.clear()

    def __len__(self) -> int:
        return len(self._entries)


class CachingVerifier:
    """`authenticate` with a memory. One per thread: it does not lock."""

    def __init__(self, keys: Keys, *, size: int = 4096) -> None:
        """`size` bounds each of the three caches, in entries of at most some ten kilobytes."""
        self._keys = keys
        self._headers: _Bounded[bytes, Opened] = _Bounded(size)
        self._prefixes: _Bounded[tuple[bytes, tuple[bytes, ...]], VerifiedPrefix] = _Bounded(size)
        self._whole: _Bounded[str, VerifiedCredential] = _Bounded(size)

    @property
    def keys(self) -> Keys:
        return self._keys

    def use_keys(self, keys: Keys) -> None:
        """Replace the bundle; whatever the old one verified is forgotten."""
        self._keys = keys
        for cache in (self._headers, self._prefixes, self._whole):
            cache.clear()

    def authenticate(self, text: str) -> VerifiedCredential | Deny:
        """Steps 1 to 4: the same value that `authenticate.authenticate` gives."""
        if type(text) is str:
            known = self._whole.get(text)
            if known is not None:
                return known
        try:
            credential = read_credential(text)
            token = credential.token
            raw, req = split_request(token.caveats)
            prefix = self._prefixes.get((token.identifier, raw))
            if prefix is not None:
                check_tag(prefix.tag, req, token.tag)
                verified = read_request(prefix, credential, req)
            else:
                opened = self._headers.get(token.identifier)
                known_header = opened is not None
                if opened is None:
                    opened = open_header(token.identifier, self._keys)
                prefix = verify_prefix(opened, token, raw, req)
                verified = read_request(prefix, credential, req)
                if not known_header:
                    self._headers.put(token.identifier, opened.header.tid, opened)
                self._prefixes.put((token.identifier, raw), opened.header.tid, prefix)
        except Refused as refused:
            return refused.deny
        # A request is good for one call: only what will be shown again is worth a whole entry.
        if req is None:
            self._whole.put(text, prefix.opened.header.tid, verified)
        return verified
