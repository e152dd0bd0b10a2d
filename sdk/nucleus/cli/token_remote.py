"""`nucleus token …` at an issuer elsewhere: the same words, asked of the service."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nucleus.cli import inputs
from nucleus.remote import Where, connected
from nucleus_issuer.issuing import Minted
from nucleus_issuer.revoking import Recorded, Tree
from nucleus_tokens import canonical
from nucleus_tokens.errors import CallerError
from nucleus_tokens.header import Holder
from nucleus_verifier.rpc import issuer_pb2 as pb


def only_the_profiles_name(profile_file: Path | None, account: str | None) -> None:
    """What an issuer's own policy says is not ordered. Raises CallerError `order.remote`."""
    if profile_file is not None or account is not None:
        raise CallerError(
            "order.remote",
            "Profiles and accounts are those of the service's policy: give --profile NAME.",
        )


def order(
    *, holder: Holder, bearer: bool, caveats: Sequence[list[Any]], key: str, **rest: Any
) -> pb.IssueRequest:
    """An order in the service's words."""
    return pb.IssueRequest(
        idempotency_key=key,
        holder=pb.Holder(spiffe=holder.spiffe or "", key=holder.key or b"", bearer=bearer),
        caveats=[canonical.encode(each).decode() for each in caveats],
        **rest,
    )


def person(file: Path | None) -> dict[str, str]:
    """The fields of an order by a person, whose ID token is in this file (0600) or at standard
    input. Raises CallerError or WorldError."""
    if file is None:
        return {}
    from nucleus_issuer.service.people import ID_TOKEN

    return {"subject_token": inputs.secret_text(file), "subject_token_type": ID_TOKEN}


def issue(where: Where, request: pb.IssueRequest) -> Minted:
    with connected(where) as there:
        return there.issue(request)


def trees(where: Where, which: str | None) -> list[Tree]:
    """The trees that were meant: all, one by the start of its id, or one by its file."""
    with connected(where) as there:
        if which is not None and (which == "-" or Path(which).exists()):
            return [there.tree(token=inputs.token(Path(which), None))]
        tids = [issued.tid for issued, _ in there.inventory()]
        if which is not None:
            tids = [tid for tid in tids if tid.startswith(which.lower())]
            if len(tids) != 1:
                raise CallerError(
                    "token.unknown",
                    f"{len(tids)} tokens have an id that starts with {which!r}.",
                    hint="See: nucleus token list",
                )
        return [there.tree(tid=tid) for tid in tids]


def revoke(
    where: Where, *, rid: str | None, preimage: bytes | None, text: str | None, reason: str
) -> Recorded:
    """Returns when it is effective; says as soon as it is recorded."""
    from nucleus.cli.console import note

    if preimage is not None:
        request = pb.RevokeRequest(preimage=preimage, prefix=text or "", reason=reason)
    elif rid is not None:
        request = pb.RevokeRequest(rid=rid, reason=reason)
    else:
        request = pb.RevokeRequest(token=text or "", reason=reason)

    def recorded(made: Recorded) -> None:
        note(f"nucleus: recorded as entry {made.seq}; waiting until every verifier knows it")

    with connected(where) as there:
        return there.revoke(request, recorded)
