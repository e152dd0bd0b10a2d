"""Law: a caller sees the tokens it is the subject of; an operator who may list sees all of them."""

from __future__ import annotations

import asyncio
from typing import Final

from nucleus_issuer.opening import IssuerOpener
from nucleus_issuer.ports import Issued
from nucleus_issuer.revoking import Node, Revoker, Tree
from nucleus_issuer.service.policy import Caller
from nucleus_issuer.service.watching import revocation
from nucleus_issuer.store import Store
from nucleus_tokens.errors import CallerError
from nucleus_verifier.rpc import issuer_pb2 as pb

PAGE: Final = 200
# So that the answer fits the bound on messages, whatever the headers hold.
_ANSWER_BYTES: Final = 512 * 1024
_NODES: Final = 2000


class Looking:
    """List and Tree."""

    def __init__(self, store: Store, revoker: Revoker, opener: IssuerOpener) -> None:
        self._store = store
        self._revoker = revoker
        self._opener = opener

    async def list(self, caller: Caller, request: pb.ListRequest) -> pb.ListResponse:
        return await asyncio.to_thread(self._list, caller, request)

    def _list(self, caller: Caller, request: pb.ListRequest) -> pb.ListResponse:
        limit = min(request.limit or PAGE, PAGE)
        if limit < 1:
            raise CallerError("list.limit", f"A page has 1 to {PAGE} tokens.")
        sub = None if "list" in caller.rights else str(caller.id)
        found = self._store.listed(limit, after=_place(request.after), sub=sub)
        dead = self._store.revoked([issued.rid0 for issued in found])
        made, size = pb.ListResponse(), 0
        for issued in found:
            each = _issued(issued, issued.rid0 in dead)
            size += each.ByteSize()
            if size > _ANSWER_BYTES and made.tokens:
                break
            made.tokens.append(each)
        if len(made.tokens) < len(found) or len(found) == limit:
            made.next = f"{made.tokens[-1].iat}:{made.tokens[-1].tid}"
        return made

    async def tree(self, caller: Caller, request: pb.TreeRequest) -> pb.TreeResponse:
        return await asyncio.to_thread(self._tree, caller, request)

    def _tree(self, caller: Caller, request: pb.TreeRequest) -> pb.TreeResponse:
        tid = request.tid
        if request.WhichOneof("which") == "token":
            # Whoever shows it holds it, and may see what became of it.
            opened = self._opener.open(request.token)
            self._store.note_links(opened.links)
            tid = opened.tid
        elif "list" not in caller.rights:
            issued = self._store.issued(tid)
            if issued is None or issued.sub != str(caller.id):
                raise CallerError("token.unknown", "No token of yours has this id: list them.")
        found = self._revoker.tree(tid)
        made = pb.TreeResponse(nodes=_nodes(found))
        if found.issued is not None:
            made.issued.CopyFrom(_issued(found.issued, found.root.dead))
        return made


def _place(after: str) -> tuple[int, str] | None:
    if not after:
        return None
    iat, _, tid = after.partition(":")
    if not (iat.isascii() and iat.isdigit() and len(iat) < 16 and len(tid) == 32):
        raise CallerError("list.after", "A list goes on after what the last answer says.")
    return int(iat), tid


def _issued(issued: Issued, revoked: bool) -> pb.Issued:
    return pb.Issued(
        tid=issued.tid,
        rid0=issued.rid0,
        sub=issued.sub,
        aud=issued.aud,
        iat=issued.iat,
        exp=issued.exp,
        holder=issued.holder,
        header=issued.header,
        memo=issued.memo,
        ancestors=issued.ancestors,
        revoked=revoked,
    )


def _nodes(tree: Tree) -> list[pb.Node]:
    made: list[pb.Node] = []
    todo: list[tuple[Node, str]] = [(tree.root, "")]
    while todo and len(made) < _NODES:
        node, parent = todo.pop()
        made.append(
            pb.Node(
                rid=node.rid,
                parent=parent,
                who=node.who,
                delegated=node.delegated,
                dead=node.dead,
                revoked=None if node.revoked is None else revocation(node.revoked),
                revokers=node.revokers,
            )
        )
        todo += [(child, node.rid) for child in reversed(node.children)]
    return made
