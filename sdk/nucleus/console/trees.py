"""Law: a tree of delegation is drawn from known prefixes; who holds what can be revoked where it
stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from nucleus.console.markup import Child, Html, joined, tag, text
from nucleus.looking import held
from nucleus_issuer.revoking import Node, Tree

_NODES: Final = 200  # of one tree; the command draws them all


def trees(found: Sequence[Tree], csrf: str) -> Html:
    """Every tree that lives."""
    if not found:
        return tag("p", "No token lives.")
    return joined(*[_tree(each, csrf) for each in found])


def _tree(tree: Tree, csrf: str) -> Html:
    issued = tree.issued
    title = (
        joined(text(issued.sub), tag("small", f" token {issued.tid[:8]}… for {issued.aud}"))
        if issued is not None
        else joined("a token of another issuer")
    )
    left = [_NODES]
    return tag("div", tag("h3", title), tag("ul", _node(tree.root, csrf, left)), class_="tree")


def _node(node: Node, csrf: str, left: list[int]) -> Html:
    left[0] -= 1
    node, steps = held(node)
    state = "dead" if node.dead else "alive"
    narrowed = f", narrowed {steps}×" if steps else ""
    said: list[Child] = [text(node.who or "the holder"), tag("small", f" {state}{narrowed} "),
                         tag("code", node.rid[:12])]  # fmt: skip
    form = tag(
        "form",
        tag("input", type="hidden", name="csrf", value=csrf),
        tag("input", type="hidden", name="rid", value=node.rid),
        tag("button", "Revoke", class_="deny", data_key="x"),
        method="post",
        action="/revoke",
    )
    shown = node.children if left[0] > 0 else ()
    more = len(node.children) - len(shown)
    below_it = tag("ul", *[_node(each, csrf, left) for each in shown]) if shown else None
    return tag(
        "li",
        tag("div", *said, None if node.dead else form, tabindex="-1", data_item=node.rid,
            class_=state),
        below_it,
        tag("small", f"{more} more: nucleus token tree") if more else None,
    )  # fmt: skip
