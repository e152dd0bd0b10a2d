"""Revocation ids, their preimages, and which tokens die with which id."""

from __future__ import annotations

from typing import Any

from tests.vectors.frozen import allow, case, deny, token
from tests.vectors.writer import NOW, Chain, name16


def chains() -> dict[str, Chain]:
    """A tree: the root, two equal children made distinct by links, and a grandchild."""
    root = token(["exp", NOW + 100])
    left = root.add(["link", name16("left")])
    right = root.add(["link", name16("right")])
    return {
        "root": root,
        "left": left,
        "right": right,
        "grandchild": left.hand("agent", "sub", 2).add(["tool", "in", ["fs.read"]]),
    }


def preimages() -> list[dict[str, Any]]:
    """For each prefix of each chain: tag (a secret), preimage (revokes), rid (public)."""
    return [
        {
            "id": name,
            "credential": chain.text(),
            "prefixes": [
                {"preimage": preimage.hex(), "rid": rid, "tag": tag.hex()}
                for tag, preimage, rid in zip(
                    chain.tags, chain.preimages(), chain.rids(), strict=True
                )
            ],
        }
        for name, chain in chains().items()
    ]


def cases() -> list[dict[str, Any]]:
    tree = chains()
    dead = deny(6, "token.revoked")

    def one(name: str, whose: str, shown: str, place: int, note: str) -> dict[str, Any]:
        rid = tree[whose].rids()[place]
        inside = rid in tree[shown].rids()
        return case(name, tree[shown], dead if inside else allow(), note, facts={"revoked": [rid]})

    stale = {"lease_ok": False}
    return [
        one("bare-header", "root", "grandchild", 0, "The header's own rid kills the whole tree."),
        one("parent", "root", "grandchild", 1, "A parent's rid kills what was made from it."),
        one("itself", "left", "left", -1, "A token's own rid kills it."),
        one("child-spares-parent", "grandchild", "left", -1, "A child's rid leaves the parent."),
        one("sibling", "left", "right", -1, "And a sibling: that is what links are for."),
        one("middle", "grandchild", "grandchild", 3, "Every prefix can be revoked, each hop too."),
        case("stale", tree["root"], deny(6, "revocation.stale"),
             "Without a live lease nothing is allowed: an old list is no list.", facts=stale),
        case("unrelated", tree["root"], allow(), "Rids of others say nothing.",
             facts={"revoked": [name16("other"), "", "00" * 16]}),
    ]  # fmt: skip
