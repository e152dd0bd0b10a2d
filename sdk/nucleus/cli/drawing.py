"""Law: what is drawn is what `describing` says, with every text from outside made safe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nucleus.cli.console import draw, safe, say, table, when

if TYPE_CHECKING:
    from rich.tree import Tree

    from nucleus_issuer.revoking import Node
    from nucleus_issuer.revoking import Tree as TokenTree


def token(value: dict[str, Any]) -> None:
    """One token, as `describe` gives it."""
    refused = value["refused"]
    if value["verified"]:
        say("Authenticated by this host's keys.")
    elif refused is None:
        say("UNVERIFIED: there are no keys here; all of this is the token's own word.")
    else:
        say(
            f"UNVERIFIED: {safe(refused['detail'])} [{refused['code']}]",
            "All of this is the token's own word.",
        )
    say(*(f"{name:<12}{text}" for name, text in _facts(value)))
    rights = value["rights"]
    asks = set(rights["asks_for"])
    granted = [
        (operation, level, "a person is asked" if operation in asks else "")
        for operation, level in rights["levels"].items()
        if level != "never"
    ]
    if granted:
        table(("it may", "level", ""), granted)
    else:
        say("", "It may do nothing.")
    scopes = [_ceiling(each) for each in value["ceiling"] + [n[1] for n in value["narrowed"]]]
    scopes = [each for each in scopes if each]
    revocation = {each["prefix"]: each for each in value["revocation"]}
    rows = [("0", "; ".join(scopes) or "as above", f"issuer {value['issuer']['name']}")]
    rows += [(str(c["number"]), c["words"], c["added_by"]) for c in value["caveats"]]
    table(
        ("", "restriction", "added by", "revocation id", "who can revoke"),
        [
            (
                *row,
                revocation.get(int(row[0]), {}).get("rid", "not known here"),
                ", ".join(revocation.get(int(row[0]), {}).get("revokers", ())),
            )
            for row in rows
        ],
    )
    if rights["budgets"]:
        table(
            ("budget", "limit", "spent"),
            [
                (b["unit"], str(b["limit"]), "not known" if b["spent"] is None else str(b["spent"]))
                for b in rights["budgets"]
            ],
        )


def _ceiling(caveat: Sequence[Any]) -> str:
    from nucleus.describing import caveat_words

    return "" if caveat[0] in ("only", "cap", "budget") else caveat_words(caveat)


def _facts(value: dict[str, Any]) -> list[tuple[str, str]]:
    holder = value["holder"]
    rights = value["rights"]
    held = [f"key {holder['key']}"] if holder["key"] else []
    held += [safe(holder["spiffe"])] if holder["spiffe"] else []
    made = [
        ("token", value["tid"]),
        ("for", safe(value["sub"])),
        ("held by", " and ".join(held) or "whoever bears it"),
        ("issued by", f"{safe(value['issuer']['name'])} (key {safe(value['issuer']['key'])})"),
        ("audience", f"{safe(value['audience']['name'])} (key {safe(value['audience']['key'])})"),
        ("valid", f"{when(rights['not_before'])} to {when(rights['not_after'])}"),
        ("hand on", f"{value['depth_left']} times"),
    ]
    if len(rights["exposure_within"]) < 3:
        made.append(
            ("session", "has seen only " + (", ".join(rights["exposure_within"]) or "nothing"))
        )
    if value["bound_to_one_call"]:
        made.append(("bound", "to one call"))
    return made


# The delegation tree ----------------------------------------------------------------------------


def tree(found: TokenTree) -> None:
    """One token and what is known to be made from it."""
    from rich.text import Text
    from rich.tree import Tree

    issued = found.issued
    tid = "another issuer's token" if issued is None else f"token {issued.tid}"
    made = Tree(Text(tid))
    _grow(made, found.root)
    draw(made)


def _grow(onto: Tree, node: Node) -> None:
    """Without recursion: how deep a chain is, strangers decide."""
    from rich.text import Text

    todo = [(onto, node)]
    while todo:
        above, each = todo.pop()
        below = above.add(Text(node_words(each), style="strike" if each.dead else ""))
        todo += [(below, child) for child in reversed(each.children)]


def node_words(node: Node) -> str:
    """One prefix, in words."""
    what = "handed to " if node.delegated else "held by "
    state = ""
    if node.revoked is not None:
        reason = f": {safe(node.revoked.reason)}" if node.revoked.reason else ""
        state = f"  REVOKED by {safe(node.revoked.by)}{reason}"
    elif node.dead:
        state = "  dead (revoked above)"
    who = ", ".join(safe(name) for name in ("issuer", *node.revokers))
    return f"{what}{safe(node.who) or 'nobody known'}  {node.rid}  revocable by {who}{state}"
