"""Law: an issuer elsewhere is asked in the same words as the one of this home, and answers in the
same values.

Who we are comes from SPIFFE_ENDPOINT_SOCKET; where the issuer is, from `--issuer` or from
`issuer.toml` in the home. Approvals are signed here: the approver's key never leaves its home.
"""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from nucleus_issuer import files
from nucleus_issuer.issuing import Minted
from nucleus_issuer.ports import Issued, Revocation
from nucleus_issuer.revoking import Node, Recorded, Tree
from nucleus_issuer.store_approvals import Standing
from nucleus_tokens.errors import CallerError, WorldError
from nucleus_verifier.ports import PendingRequest, Status
from nucleus_verifier.rpc import issuer_pb2 as pb
from nucleus_verifier.rpc.client import IssuerClient
from nucleus_verifier.rpc.mtls import Dialled, Workload
from nucleus_verifier.rpc.names import WorkloadId, workload_id

T = TypeVar("T")

FILE: Final = "issuer.toml"
_FILE_BYTES: Final = 4096
_STATUSES: Final[dict[str, Status]] = {
    "pending": "pending",
    "approved": "approved",
    "denied": "denied",
    "withdrawn": "withdrawn",
    "expired": "expired",
}


@dataclass(frozen=True, slots=True)
class Where:
    """An issuer's address, and its SPIFFE ID if it is not the usual one."""

    address: str
    id: str | None = None


def find(config: Path, given: str | None) -> Where | None:
    """The issuer that was named, or the one that `issuer.toml` in `config` names; None: this
    home's own. Raises CallerError `issuer.config`, WorldError."""
    path = config / FILE
    if not path.exists():
        return None if given is None else Where(given)
    bad = CallerError("issuer.config", f"{path} holds 'address', and 'id' or not; nothing else.")
    try:
        value = tomllib.loads(files.read(path, secret=False, most=_FILE_BYTES).decode("utf-8"))
    except ValueError as error:
        raise bad from error
    texts = all(type(each) is str for each in value.values())
    if not texts or set(value) - {"address", "id"} or "address" not in value:
        raise bad
    return Where(given or value["address"], value.get("id"))


@contextmanager
def connected(where: Where) -> Generator[RemoteIssuer]:
    """Whoever is asked. Raises WorldError `identity.unavailable`."""
    with Workload.open() as workload, asyncio.Runner() as runner:
        domain = workload.id.trust_domain
        server = WorkloadId(domain, ("issuer",))
        if where.id is not None:
            server = workload_id(where.id, domain)
        dialled = Dialled(workload, where.address, server)
        try:
            yield RemoteIssuer(IssuerClient(dialled.channel), runner)
        finally:
            runner.run(dialled.close())


class RemoteIssuer:
    """Asks, and waits for the answer. Raises what the issuer of a home raises, and WorldError
    `service.unreachable`."""

    def __init__(self, client: IssuerClient, runner: asyncio.Runner) -> None:
        self._client = client
        self._runner = runner

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    # Tokens -------------------------------------------------------------------------------------

    def issue(self, request: pb.IssueRequest) -> Minted:
        return _minted(self._wait(self._client.issue(request)))

    def exchange(self, token: str, statement: bytes) -> Minted:
        request = pb.ExchangeRequest(token=token, statement=statement)
        return _minted(self._wait(self._client.exchange(request)))

    def register(self, audience: str, akid: str, public: bytes) -> None:
        self._wait(self._client.register_audience(audience, akid, public))

    def trust_bundle(self, audience: str) -> pb.TrustBundle:
        return self._wait(self._client.trust_bundle(audience))

    def inventory(self) -> list[tuple[Issued, bool]]:
        """Everything we may see, and whether the whole of it is revoked."""
        return [(_issued(each), each.revoked) for each in self._wait(self._client.list())]

    def tree(self, *, tid: str = "", token: str = "") -> Tree:
        """One token, by its id or by showing it."""
        request = pb.TreeRequest(token=token) if token else pb.TreeRequest(tid=tid)
        found = self._wait(self._client.tree(request))
        issued = _issued(found.issued) if found.HasField("issued") else None
        return Tree(issued, _root(found.nodes))

    def revoke(self, request: pb.RevokeRequest, recorded: Callable[[Recorded], None]) -> Recorded:
        """Returns when it is effective; `recorded` is told as soon as it is durable."""

        async def work() -> Recorded:
            made: Recorded | None = None
            async for event in self._client.revoke(request):
                if event.WhichOneof("event") == "recorded":
                    entry = event.recorded
                    made = Recorded(_revocation(entry.entry), entry.wanted)
                    recorded(made)
                elif made is not None:
                    return made
            raise WorldError(
                "revoke.not_effective",
                "Whether verifiers know of the revocation is open: revoke it again and wait.",
            )

        return self._wait(work())

    # Approvals: what `ApprovalDesk` needs of a store ----------------------------------------------

    def requests(self, *, pending_only: bool = True) -> list[PendingRequest]:
        found = self._wait(self._client.list_approvals(everything=not pending_only))
        return [_pending(each) for each in found.requests]

    def status(self, request_id: str) -> PendingRequest:
        every = self.requests(pending_only=False)
        for each in every:
            if each.id == request_id:
                return each
        raise CallerError("desk.unknown", "No request of this id is on the desk: list them.")

    def in_force(self, rid: str | None = None) -> list[Standing]:
        """Nothing: what was approved at a service, the service does not tell."""
        return []

    def settle(self, request_id: str, *, approval: bytes | None, reason: str = "") -> None:
        if approval is None:
            self._wait(self._client.deny(request_id, reason))
        else:
            self._wait(self._client.approve(request_id, approval))


def _minted(made: pb.Minted) -> Minted:
    return Minted(made.token, made.tid, made.rid, made.exp)


def _issued(found: pb.Issued) -> Issued:
    return Issued(
        tid=found.tid,
        rid0=found.rid0,
        sub=found.sub,
        aud=found.aud,
        iat=found.iat,
        exp=found.exp,
        holder=found.holder,
        header=found.header,
        memo=found.memo,
        ancestors=tuple(found.ancestors),
    )


def _revocation(entry: pb.Revocation) -> Revocation:
    return Revocation(entry.seq, entry.rid, entry.tid, entry.at, entry.by, entry.reason)


def _pending(told: pb.ApprovalStatus) -> PendingRequest:
    asked = told.request
    return PendingRequest(
        id=asked.id,
        created=asked.created,
        expires=asked.expires,
        tid=asked.tid,
        rid=asked.rid,
        cell=asked.cell,
        operation=asked.operation,
        tool=asked.tool,
        call_digest=asked.call_digest,
        obligations=tuple((each.id, each.why) for each in asked.obligations),
        shown=asked.shown,
        status=_STATUSES.get(told.status, "expired"),
        reason=told.reason,
    )


def _root(nodes: Sequence[pb.Node]) -> Node:
    """The nodes come each after its parent: so they are made from the last to the first."""
    if not nodes:
        raise WorldError("service.answer", "The service's answer cannot be: is it as new as we?")
    below: dict[str, list[Node]] = {}
    for each in reversed(nodes):
        children = sorted(below.pop(each.rid, ()), key=lambda node: node.rid)
        made = Node(
            rid=each.rid,
            who=each.who,
            delegated=each.delegated,
            revoked=_revocation(each.revoked) if each.HasField("revoked") else None,
            dead=each.dead,
            revokers=tuple(each.revokers),
            children=tuple(children),
        )
        below.setdefault(each.parent, []).append(made)
    (root,) = below[""]
    return root
