"""Law: a search that finds nothing shows nothing unless it finds what is there: each of these
breaks the code in one way, and the search must come back with the forgery that the break allows.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from nucleus_issuer import exchanging
from nucleus_tokens import chain, crypto, exchanges, header, writing
from nucleus_tokens.header import UnverifiedHeader, VerifiedHeader
from nucleus_verifier import authenticate, clear
from proofs.unforgeability.symbols import replaced

Broken = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True)
class Control:
    """A break, and words of the forgery it must lead to."""

    name: str
    broken: Broken
    forgery: str


def unsigned_seals() -> AbstractContextManager[None]:
    """The issuer signs the body alone: anybody seals a key of his own."""

    def body_of(signed: bytes) -> bytes:
        return signed[: -2 * crypto.SEALED_KEY_BYTES]

    def verify(claimed: UnverifiedHeader, issuer_key: bytes) -> VerifiedHeader:
        if not crypto.verify(
            issuer_key, header.DOMAIN + body_of(claimed.signed), claimed.signature
        ):
            return _verify(claimed, issuer_key)
        return VerifiedHeader(claimed)

    def identifier(body: Any, root_key: bytes, issuer: bytes, audience: bytes, own: bytes) -> bytes:
        made = _identifier(body, root_key, issuer, audience, own)
        signed = made[crypto.SIGNATURE_BYTES :]
        return crypto.sign(issuer, header.DOMAIN + body_of(signed)) + signed

    _verify, _identifier = header.verify, writing.header_identifier
    return replaced((header, "verify", verify), (writing, "header_identifier", identifier))


def lifted_delegates() -> AbstractContextManager[None]:
    """A delegation covers the caveat and not what stands before it."""

    def message(identifier: bytes, before: Any, unsigned: bytes) -> bytes:
        return b"nucleus/delegate/v1\0" + unsigned

    return replaced((chain, "delegate_message", message))


def no_tag_compare() -> AbstractContextManager[None]:
    """The chain is computed and not compared."""
    return replaced((authenticate, "check_tag", lambda *_: None))


def proof_of_nothing() -> AbstractContextManager[None]:
    """A request's proof does not cover the chain."""
    return replaced((chain, "proof_message", lambda *_: b"nucleus/proof/v1\0"))


def unbound_proof() -> AbstractContextManager[None]:
    """Whether a request was proven is not asked."""
    return edited(clear, "_bound", _Without("proven"))


def free_depth() -> AbstractContextManager[None]:
    """A hop may be as deep as it says."""
    return replaced((authenticate, "depth_falls", lambda *_: True))


def approval_of_any_prefix() -> AbstractContextManager[None]:
    """An approval is not bound to the rid."""
    return edited(clear, "_approver_key", _Without("rid"))


def approval_by_itself() -> AbstractContextManager[None]:
    """Who held the token before an exchange is not remembered."""
    return edited(clear, "_approver_key", _Without("earlier"))


def unsigned_approvals() -> AbstractContextManager[None]:
    """An approver's signature is not checked."""
    return edited(clear, "_approver_key", _Without("signature_holds"))


def exchange_of_any_prefix() -> AbstractContextManager[None]:
    """A statement is not bound to the prefix: only its signature counts."""

    def holds(statement: Any, token: Any, key: bytes) -> bool:
        return crypto.verify(key, exchanges.DOMAIN + statement.signed, statement.signature)

    return replaced((exchanges, "holds", holds))


def exchange_for_anybody() -> AbstractContextManager[None]:
    """A statement need not be signed."""
    return replaced((exchanges, "holds", lambda *_: True))


def exchange_sheds_the_issuers_own() -> AbstractContextManager[None]:
    """What the issuer appended may be missing."""
    return replaced((exchanging, "_check_whole", lambda *_: None))


def exchange_drops() -> AbstractContextManager[None]:
    """What was appended is not carried over."""
    return replaced((exchanging, "_narrowed", lambda prefix, body: body["narrowed"]))


CONTROLS = (
    Control("seals are not signed", unsigned_seals, "issuer never signed"),
    Control("a delegation does not cover its prefix", lifted_delegates, "a hop that its holder"),
    Control("the tag is not compared", no_tag_compare, "no prefix of it"),
    Control("depth need not fall", free_depth, "a hop deeper"),
    Control("a proof does not cover the chain", proof_of_nothing, "a request that its holder"),
    Control("a proof is not asked for", unbound_proof, "a request that its holder"),
    Control("an approval is not bound to the rid", approval_of_any_prefix, "nobody answered"),
    Control("an approval need not be signed", unsigned_approvals, "nobody answered"),
    Control("an exchange forgets who held the token", approval_by_itself, "nobody answered"),
    Control("an exchange is not bound to the prefix", exchange_of_any_prefix, "never asked for"),
    Control("an exchange need not be signed", exchange_for_anybody, "never asked for"),
    Control("the issuer's own caveats may be gone", exchange_sheds_the_issuers_own, "own caveats"),
    Control("an exchange drops what was appended", exchange_drops, "more than there was"),
)


class _Without(ast.NodeTransformer):
    """Every test that mentions a name becomes false, every starred part that does is left out."""

    def __init__(self, name: str) -> None:
        self.name, self.hits = name, 0

    def _mentions(self, node: ast.AST) -> bool:
        return any(
            isinstance(each, ast.Attribute) and each.attr == self.name for each in ast.walk(node)
        )

    def visit_If(self, node: ast.If) -> ast.AST:
        if self._mentions(node.test) and not isinstance(node.test, ast.BoolOp):
            if self.name != "earlier":
                self.hits += 1
                node.test = ast.Constant(False)
                return node
        return self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        kept = [value for value in node.values if not self._mentions(value)]
        if len(kept) < len(node.values):
            self.hits += 1
            # In an `or` of objections one is dropped; an `and` with one becomes false.
            if isinstance(node.op, ast.Or) and kept:
                node.values = kept if len(kept) > 1 else [*kept, ast.Constant(False)]
                return node
            return ast.Constant(False)
        return self.generic_visit(node)

    def visit_Starred(self, node: ast.Starred) -> Any:
        if self._mentions(node):
            self.hits += 1
            return ast.Starred(ast.Tuple([], ast.Load()), ast.Load())
        return self.generic_visit(node)


def edited(module: Any, name: str, edit: _Without) -> AbstractContextManager[None]:
    """A function of a module with an edit made to its source; one that changes nothing is no
    control."""
    function = getattr(module, name)
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    tree = ast.fix_missing_locations(edit.visit(tree))
    if edit.hits == 0:
        raise SystemExit(f"unforgeability: {name} has no {edit.name} to break")
    space = dict(vars(module))
    exec(compile(tree, f"<{name} broken>", "exec"), space)  # noqa: S102 - our own source
    made = space[name]
    assert isinstance(made, FunctionType)
    return replaced((module, name, made))
