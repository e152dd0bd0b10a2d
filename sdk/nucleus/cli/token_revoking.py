"""`nucleus token list`, `tree`, `preimage` and `revoke`: what is out there, and taking it back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nucleus.cli import options
from nucleus.cli.options import Force, Json, Out, Reason, Token, TokenFd, examples

if TYPE_CHECKING:
    from nucleus.home import Home
    from nucleus_issuer.ports import Issued
    from nucleus_issuer.revoking import Node, Recorded
    from nucleus_issuer.store import Store

LIST = examples("nucleus token list", "nucleus token list --json")
TREE = examples("nucleus token tree", "nucleus token tree 9f12ab", "nucleus token tree child.token")
PREIMAGE = examples("nucleus token preimage lead.token -o lead.revoke")
REVOKE = examples(
    'nucleus token revoke child.token --reason "no longer needed"',
    "nucleus token revoke --rid 2c61d2f7a1b04e5f9d0c3a7788aa1234",
    "nucleus token revoke --record 17",
    "nucleus token revoke --preimage lead.revoke lead.token",
)


def inventory(ctx: typer.Context, issuer: options.RemoteAt = None, as_json: Json = False) -> int:
    """List every token that was issued here, the latest first; with --issuer, those that its
    policy lets you see."""
    from nucleus.cli.console import OK, document, say, table, when

    place = options.home(ctx)
    now = place.clock()
    elsewhere = options.remote(place, issuer)
    if elsewhere is not None:
        from nucleus.remote import connected

        with connected(elsewhere) as there:
            found = there.inventory()
    else:
        with place.store() as store:
            found = place.revoker(store).list()
    rows = [(issued, _state(issued, dead, now)) for issued, dead in found]
    if as_json:
        document([{**_listed(issued), "state": state} for issued, state in rows])
    elif not rows:
        say("No token was issued here. See: nucleus token issue --help")
    else:
        table(
            ("token", "for", "audience", "profile", "state", "valid until", "memo"),
            [
                (i.tid, i.sub, i.aud, _listed(i)["profile"] or "", state, when(i.exp), i.memo)
                for i, state in rows
            ],
        )
    return OK


def _state(issued: Issued, dead: bool, now: int) -> str:
    if dead:
        return "revoked"
    return "expired" if now >= issued.exp else "valid"


def _listed(issued: Issued) -> dict[str, Any]:
    import json

    summary: dict[str, Any] = json.loads(issued.header)
    return {
        "audience": issued.aud,
        "expires": issued.exp,
        "holder": json.loads(issued.holder),
        "issued": issued.iat,
        "memo": issued.memo,
        "profile": summary.get("profile"),
        "rid": issued.rid0,
        "sub": issued.sub,
        "tid": issued.tid,
    }


def tree(
    ctx: typer.Context,
    which: Annotated[
        str | None,
        typer.Argument(metavar="TID|TOKEN", help="Token id (or its start), or a token's file."),
    ] = None,
    issuer: options.RemoteAt = None,
    as_json: Json = False,
) -> int:
    """Draw what was made from a token.

    Delegations, what is revoked, and who can revoke what. A token that was narrowed or handed on
    offline is known once it was used here, or shown here by its file. Without an argument every
    token is drawn.
    """
    from nucleus.cli import drawing
    from nucleus.cli.console import OK, document, say

    place = options.home(ctx)
    elsewhere = options.remote(place, issuer)
    if elsewhere is not None:
        from nucleus.cli import token_remote

        trees = token_remote.trees(elsewhere, which)
        tids = ["" if t.issued is None else t.issued.tid for t in trees]
    else:
        with place.store() as store:
            revoker = place.revoker(store)
            if which is None:
                tids = [issued.tid for issued, _ in revoker.list()]
            else:
                tids = [_tid(which, place, store)]
            trees = [revoker.tree(tid) for tid in tids]
    if as_json:
        document(
            [
                {"sub": t.issued.sub if t.issued else None, "tid": tid, "tree": _node(t.root)}
                for tid, t in zip(tids, trees, strict=True)
            ]
        )
    else:
        for each in trees:
            drawing.tree(each)
        if not trees:
            say("No token was issued here. See: nucleus token issue --help")
    return OK


def _tid(which: str, place: Home, store: Store) -> str:
    """The token that was meant: by the start of its id, or by its file, which makes its prefixes
    known."""
    from nucleus.cli import inputs
    from nucleus_issuer.opening import AudienceOpener
    from nucleus_tokens.errors import CallerError

    if which == "-" or Path(which).exists():
        opened = AudienceOpener(place.verifier_keys()).open(inputs.token(Path(which), None))
        store.note_links(opened.links)
        return opened.tid
    found = [i.tid for i in store.inventory() if i.tid.startswith(which.lower())]
    if len(found) == 1:
        return found[0]
    if len(which) == 32 and not found:
        return which.lower()  # another issuer's, if anything of it is known
    why = "Several tokens here start" if found else "No token here has an id that starts"
    raise CallerError("token.unknown", f"{why} with {which!r}.", hint="See: nucleus token list")


def _node(node: Node) -> dict[str, Any]:
    """JSON of a tree; a chain has at most 64 caveats, so it is not deep."""
    entry = node.revoked
    return {
        "children": [_node(child) for child in node.children],
        "dead": node.dead,
        "delegated": node.delegated,
        "revoked": None
        if entry is None
        else {"at": entry.at, "by": entry.by, "reason": entry.reason, "seq": entry.seq},
        "revokers": ["issuer", *node.revokers],
        "rid": node.rid,
        "who": node.who,
    }


def preimage(
    ctx: typer.Context,
    out: Out,
    token: Token = None,
    token_fd: TokenFd = None,
    force: Force = False,
    as_json: Json = False,
) -> int:
    """Write a proof that revokes a token, and gives nothing away.

    Keep it for later, or send it to whoever runs the proxy: it proves that you held the token, and
    is good for nothing else.
    """
    from nucleus.cli import inputs, outputs
    from nucleus.cli.console import OK, answer
    from nucleus_tokens import chain, holding

    outputs.check(out, force=force, as_json=as_json)
    held = holding.read_token(inputs.token(token, token_fd))
    outputs.secret(out, holding.reveal(held).hex().encode() + b"\n", force=force)
    rid = chain.rid(held.tag)
    if out != inputs.STDIN:
        answer(
            as_json,
            {"file": str(out), "rid": rid},
            f"Written to {out}: whoever has it can revoke {rid}.",
        )
    return OK


def revoke(
    ctx: typer.Context,
    token: Token = None,
    token_fd: TokenFd = None,
    rid: Annotated[
        str | None, typer.Option("--rid", metavar="HEX", help="Revoke this revocation id.")
    ] = None,
    record: Annotated[
        int | None,
        typer.Option("--record", metavar="SEQ", help="Revoke what this trace record is about."),
    ] = None,
    preimage: Annotated[
        Path | None,
        typer.Option(
            "--preimage",
            metavar="FILE",
            help="Revoke by proof (`token preimage`); with TOKEN where the prefix is not known.",
        ),
    ] = None,
    reason: Reason = "",
    issuer: options.RemoteAt = None,
    as_json: Json = False,
) -> int:
    """Revoke a token and all that is made from it.

    It cannot be undone. By its file, its revocation id, a trace record or a preimage. Returns when
    it is effective.
    """
    from nucleus.cli import inputs
    from nucleus.cli.init import user_name
    from nucleus_tokens.errors import CallerError

    shown = token is not None or token_fd is not None
    ways = [rid is not None, record is not None, preimage is not None or shown]
    if sum(ways) != 1:
        raise CallerError(
            "revoke.what", "Say one thing to revoke: a token, --rid, --record or --preimage."
        )
    text = inputs.token(token, token_fd) if shown else None
    place = options.home(ctx)
    elsewhere = options.remote(place, issuer)
    if elsewhere is not None:
        from nucleus.cli import token_remote

        if record is not None:
            raise CallerError("revoke.what", "A record is of this home's trace: give its rid.")
        proof = None if preimage is None else _proof(preimage)
        return _recorded(
            token_remote.revoke(elsewhere, rid=rid, preimage=proof, text=text, reason=reason),
            as_json,
        )
    by = f"operator {user_name()}"
    with place.store() as store:
        revoker = place.revoker(store)
        if preimage is not None:
            by = "holder, by preimage"
            recorded = revoker.revoke(_proof(preimage), by=by, reason=reason, prefix=text)
        elif record is not None:
            recorded = revoker.revoke(_record(store, record), by=by, reason=reason)
        else:
            recorded = revoker.revoke(rid or text or "", by=by, reason=reason)
    return _recorded(recorded, as_json)


def _proof(path: Path) -> bytes:
    from nucleus.cli import inputs
    from nucleus_issuer import files

    data = files.read(path, secret=True, most=1024)
    return inputs.hexed(data.decode("ascii", "replace"), 32, f"What {path} holds")


def _record(store: Store, seq: int) -> dict[str, Any]:
    from nucleus_tokens import arguments
    from nucleus_tokens.errors import CallerError

    lines = store.trace_lines(seq - 1, 1) if seq > 0 else []
    if not lines or lines[0][0] != seq:
        raise CallerError(
            "revoke.record", f"The trace has no record {seq}.", hint="See: nucleus trace show"
        )
    found: dict[str, Any] = arguments.parse(lines[0][1])["record"]
    return found


def _recorded(recorded: Recorded, as_json: bool) -> int:
    from nucleus.cli.console import OK, answer, safe, when

    entry = recorded.entry
    lines = [f"recorded   entry {entry.seq}: {entry.rid}, {when(entry.at)}, by {safe(entry.by)}"]
    if entry.rid != recorded.wanted:
        lines.append(f"           {recorded.wanted} is dead with it: that prefix is above it.")
    # Of this home the store is the verifier's own: its next commit asks it again, so there is no
    # lease to wait for. A service said so when there was none left.
    lines.append("effective  no call under it, or under anything made from it, is allowed any more")
    answer(
        as_json,
        {
            "at": entry.at,
            "by": entry.by,
            "effective": True,
            "recorded": True,
            "rid": entry.rid,
            "seq": entry.seq,
            "tid": entry.tid,
            "wanted": recorded.wanted,
        },
        *lines,
    )
    return OK
