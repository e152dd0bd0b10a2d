"""Law: whoever held a prefix can revoke it, by showing so; an operator can revoke what is known.

A rid is public, so naming one proves nothing: it is for operators, and only for prefixes that are
known to exist. A preimage or the token itself is proof. Invented ones are refused, so that nobody
fills the list, and a holder who floods it loses the prefix it was delegated (DESIGN section 4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from nucleus_issuer.opening import Opener
from nucleus_issuer.ports import Inventory, Issued, Link, Revocation
from nucleus_tokens import canonical, chain
from nucleus_tokens.errors import CallerError, CredentialError

_TAG_BYTES: Final = 32  # of HMAC-SHA-256


@dataclass(frozen=True, slots=True)
class Recorded:
    """A revocation that is durable. `wanted` is what was asked for; `entry.rid` may be of an
    ancestor that was dead already, or that went in its place."""

    entry: Revocation
    wanted: str

    @property
    def seq(self) -> int:
        return self.entry.seq


@dataclass(frozen=True, slots=True)
class Node:
    """One known prefix in the tree of a token, for people: it holds no secret."""

    rid: str
    who: str  # who holds what starts here; of the nearest delegation above if none is made here
    delegated: bool
    revoked: Revocation | None  # its own entry
    dead: bool  # it or something above it is revoked
    revokers: tuple[str, ...]  # who can show a preimage of it, the first holder first
    children: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Tree:
    """A token and its known prefixes."""

    issued: Issued | None  # None: another issuer's, seen by this verifier
    root: Node


class Revoker:
    """Lists, draws and revokes."""

    def __init__(self, inventory: Inventory, opener: Opener) -> None:
        self._inventory = inventory
        self._opener = opener

    def list(self) -> list[tuple[Issued, bool]]:
        """Everything issued, the latest first, and whether the whole of it is revoked."""
        found = self._inventory.inventory()
        dead = self._inventory.revoked([issued.rid0 for issued in found])
        return [(issued, issued.rid0 in dead) for issued in found]

    # Revoking ---------------------------------------------------------------------------------

    def revoke(
        self,
        what: str | bytes | Mapping[str, Any],
        *,
        by: str,
        reason: str = "",
        prefix: str | None = None,
    ) -> Recorded:
        """Revoke a rid (32 hex digits), a token (its last prefix), a trace record (what it was
        about), or a preimage (bytes; with `prefix`, a token that has it among its prefixes).

        When this returns, it is durable, and no commit on this store succeeds any more. Raises
        CallerError `revoke.*` or `token.other_issuer`, CredentialError, WorldError.
        """
        if isinstance(what, bytes):
            rid = self._rid_of_preimage(what, prefix)
        elif isinstance(what, Mapping):
            rid = self._rid_of_record(what)
        elif what.strip().startswith(chain.PREFIX):
            opened = self._opener.open(what)
            self._inventory.note_links(opened.links)
            rid = opened.rids[-1]
        else:
            rid = _hex_rid(what)
        return Recorded(self._inventory.revoke(rid, by=by, reason=reason), rid)

    def _rid_of_preimage(self, preimage: bytes, prefix: str | None) -> str:
        if len(preimage) != _TAG_BYTES:
            raise CredentialError("revoke.preimage", "A revocation preimage has 32 bytes.")
        rid = chain.rid_of_preimage(preimage)
        if self._inventory.link(rid) is not None:
            return rid
        if prefix is None:
            raise CallerError(
                "revoke.unknown",
                "No known prefix has this preimage: show a token that extends it as well.",
            )
        opened = self._opener.open(prefix)
        if rid not in opened.rids:
            raise CredentialError("revoke.preimage", "This token has no such prefix.")
        end = opened.rids.index(rid) + 1
        self._inventory.note_links(opened.links[:end])
        return rid

    def _rid_of_record(self, record: Mapping[str, Any]) -> str:
        """The presented prefix of a decision record: `token.rids`, the last of them."""
        try:
            token = record["token"]
            tid, rids = token["tid"], [_hex_rid(rid) for rid in token["rids"]]
            rid, _ = rids[-1], _hex_rid(tid)
        except (KeyError, TypeError, IndexError, AttributeError, CallerError) as error:
            raise CallerError(
                "revoke.record", "This trace record is about no token: choose a decision."
            ) from error
        if self._inventory.link(rid) is None:
            # The record is an operator's own, and says what exists.
            self._inventory.note_links(
                Link(each, tid, parent, "")
                for parent, each in zip((None, *rids), rids, strict=False)
            )
        return rid

    # Drawing ----------------------------------------------------------------------------------

    def tree(self, tid: str) -> Tree:
        """The known prefixes of one token. Raises CallerError `token.unknown`."""
        links = {link.rid: link for link in self._inventory.links(tid)}
        roots = [link for link in links.values() if link.parent not in links]
        if not roots:
            raise CallerError("token.unknown", "No token of this id is known here: list them.")
        issued = self._inventory.issued(tid)
        revoked = self._inventory.revoked(links)
        below: dict[str | None, list[Link]] = {}
        for link in links.values():
            below.setdefault(link.parent, []).append(link)
        root = next((r for r in roots if issued and r.rid == issued.rid0), roots[0])
        return Tree(issued, _node(root, below, revoked, _own(issued)))

    def explain(self, rid: str) -> tuple[Link, tuple[str, ...], Revocation | None]:
        """One known prefix: what it is, who can revoke it beside the issuer, and what entry
        killed it if one did. Raises CallerError `revoke.unknown`."""
        link = self._inventory.link(_hex_rid(rid))
        if link is None:
            raise CallerError("revoke.unknown", "No prefix of this revocation id is known here.")
        path = [link]
        while path[-1].parent is not None:
            above = self._inventory.link(path[-1].parent)
            if above is None:
                break
            path.append(above)
        revoked = self._inventory.revoked([each.rid for each in path])
        entries = [revoked[each.rid] for each in path if each.rid in revoked]
        alone = len(path) - 1 < _own(self._inventory.issued(link.tid))
        holders = () if alone else tuple(each.who for each in reversed(path) if each.who)
        return link, holders, entries[0] if entries else None


def _own(issued: Issued | None) -> int:
    """How many caveats the issuer itself appended: it alone held the prefixes before the last."""
    if issued is None:
        return 0
    return len(canonical.decode(issued.header.encode()).get("appended", ()))


def _node(
    root: Link,
    below: Mapping[str | None, list[Link]],
    revoked: Mapping[str, Revocation],
    own: int,
) -> Node:
    """Bottom up and without recursion on what strangers made deep."""
    order: list[tuple[Link, tuple[str, ...], bool, int]] = []
    todo: list[tuple[Link, tuple[str, ...], bool, int]] = [(root, (), False, 0)]
    while todo:
        link, above, dead, depth = todo.pop()
        # Each earlier holder can compute the tags of whatever was appended to what it handed on.
        holders = (*above, link.who) if link.who else above
        dead = dead or link.rid in revoked
        order.append((link, holders, dead, depth))
        todo += [(child, holders, dead, depth + 1) for child in below.get(link.rid, ())]
    made: dict[str, Node] = {}
    for link, holders, dead, depth in reversed(order):
        children = sorted(below.get(link.rid, ()), key=lambda each: each.rid)
        made[link.rid] = Node(
            rid=link.rid,
            who=holders[-1] if holders else "",
            delegated=bool(link.who) and link.parent is not None,
            revoked=revoked.get(link.rid),
            dead=dead,
            revokers=holders if depth >= own else (),
            children=tuple(made[child.rid] for child in children),
        )
    return made[root.rid]


def _hex_rid(text: object) -> str:
    if type(text) is not str:
        raise CallerError("revoke.rid", "A revocation id is 32 hex digits.")
    rid = text.strip().lower()
    if len(rid) != 32 or not set(rid) <= set("0123456789abcdef"):
        raise CallerError("revoke.rid", "A revocation id is 32 hex digits.")
    return rid
