"""Law: a verifier hears of every revocation in order, and may rely on it only under a lease.

`Watch` sends what the verifier has not applied, and answers a numbered request with a lease once it
has confirmed everything that is known here. `Revoke` says `recorded` when that is durable, and
`effective` when no lease without it is left.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from nucleus_issuer.ports import Revocation
from nucleus_issuer.revoking import Recorded, Revoker
from nucleus_issuer.service.leases import Leases, Watcher
from nucleus_issuer.service.policy import Caller
from nucleus_issuer.store import Store
from nucleus_tokens.errors import CallerError, CredentialError
from nucleus_verifier.rpc import issuer_pb2 as pb

_BATCH: Final = 1000
_REASON_CHARS: Final = 1024
# Something happens before; a wake-up that was missed must not be missed for ever.
_IDLE_SECONDS: Final = 5.0


class Watching:
    """Watch and Revoke. `digest` gives the digest of a caller's trust bundle."""

    def __init__(
        self,
        store: Store,
        revoker: Revoker,
        leases: Leases,
        digest: Callable[[Caller], Awaitable[bytes]],
    ) -> None:
        self._store = store
        self._revoker = revoker
        self._leases = leases
        self._digest = digest

    # Watch --------------------------------------------------------------------------------------

    async def watch(
        self, caller: Caller, messages: AsyncIterator[pb.WatchRequest]
    ) -> AsyncIterator[pb.WatchEvent]:
        first = await anext(messages, None)
        if first is None:
            return
        if first.confirmed_seq > self._leases.seq:
            await self._leases.refresh()  # another node told it
        watcher = self._leases.join()
        heard = _Heard(watcher, first.confirmed_seq)
        reading = asyncio.ensure_future(self._read(heard, messages))
        try:
            if first.confirmed_seq == 0:
                async for page in self._snapshot(heard):
                    yield page
            else:
                await self._leases.after(first.confirmed_seq)
                self._leases.confirm(watcher, first.confirmed_seq)
            heard.asks(first)
            while not reading.done() or heard.number:
                found, seq = await self._leases.after(heard.sent)
                if seq > heard.sent:
                    heard.sent = seq
                    yield pb.WatchEvent(
                        entries=pb.WatchEvent.Entries(entries=map(_entry, found), seq=seq)
                    )
                elif heard.number and (seconds := self._leases.lease(watcher)) > 0:
                    number, heard.number = heard.number, 0
                    digest = await self._digest(caller)
                    yield pb.WatchEvent(
                        heartbeat=pb.WatchEvent.Heartbeat(
                            number=number,
                            seq=seq,
                            lease_millis=int(seconds * 1000),
                            bundle_digest=digest,
                        )
                    )
                elif reading.done():
                    break
                else:
                    await self._something(heard, reading)
            reading.result()
        finally:
            reading.cancel()
            self._leases.leave(watcher)

    async def _snapshot(self, heard: _Heard) -> AsyncIterator[pb.WatchEvent]:
        last = False
        while not last:
            found, seq = await self._leases.after(heard.sent)
            last = len(found) < _BATCH
            heard.sent = seq
            yield pb.WatchEvent(
                snapshot=pb.WatchEvent.Snapshot(seq=seq, entries=map(_entry, found), last=last)
            )

    async def _read(self, heard: _Heard, messages: AsyncIterator[pb.WatchRequest]) -> None:
        async for message in messages:
            if message.confirmed_seq > heard.sent:
                raise CallerError("watch.ahead", "What was not sent cannot be confirmed.")
            heard.asks(message)
            self._leases.confirm(heard.watcher, message.confirmed_seq)

    async def _something(self, heard: _Heard, reading: asyncio.Future[None]) -> None:
        """Until there is an entry, a request, or nobody at the other end."""
        waits: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(self._leases.change(_IDLE_SECONDS)),
            asyncio.ensure_future(heard.asked.wait()),
        ]
        try:
            await asyncio.wait({*waits, reading}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
        heard.asked.clear()

    # Revoke -------------------------------------------------------------------------------------

    async def revoke(
        self, caller: Caller, request: pb.RevokeRequest
    ) -> AsyncIterator[pb.RevokeEvent]:
        recorded = await asyncio.to_thread(self._recorded, caller, request)
        await self._leases.refresh()
        yield pb.RevokeEvent(
            recorded=pb.RevokeEvent.Recorded(
                entry=revocation(recorded.entry), wanted=recorded.wanted
            )
        )
        # Exchanged tokens die with it, by entries of their own.
        seq = self._leases.seq
        await self._leases.effective(seq)
        yield pb.RevokeEvent(effective=pb.RevokeEvent.Effective(seq=seq))

    def _recorded(self, caller: Caller, request: pb.RevokeRequest) -> Recorded:
        if len(request.reason) > _REASON_CHARS:
            raise CallerError("revoke.reason", f"A reason has at most {_REASON_CHARS} characters.")
        revoke, reason = self._revoker.revoke, request.reason
        match request.WhichOneof("what"):
            case "preimage":
                by = f"holder, by preimage, through {caller.id}"
                prefix = request.prefix or None
                return revoke(request.preimage, by=by, reason=reason, prefix=prefix)
            case "token" if request.token.strip().startswith("nuc1_"):
                return revoke(request.token, by=f"holder, through {caller.id}", reason=reason)
            case "rid":
                if "revoke" not in caller.rights and not self._own(caller, request.rid):
                    raise CallerError(
                        "revoke.not_yours", "Show the token or a preimage: it is not yours by name."
                    )
                return revoke(request.rid, by=str(caller.id), reason=reason)
        raise CredentialError("revoke.what", "Say what to revoke: a rid, a token or a preimage.")

    def _own(self, caller: Caller, rid: str) -> bool:
        link = self._store.link(rid)
        issued = None if link is None else self._store.issued(link.tid)
        return issued is not None and issued.sub == str(caller.id)


class _Heard:
    """What one verifier said last, and how far we are with it."""

    def __init__(self, watcher: Watcher, sent: int) -> None:
        self.watcher = watcher
        self.sent = sent
        self.number = 0  # of the request that waits for a lease
        self.asked = asyncio.Event()

    def asks(self, message: pb.WatchRequest) -> None:
        """The latest request is the one that is answered."""
        self.number = message.number or self.number
        self.asked.set()


def revocation(entry: Revocation) -> pb.Revocation:
    """An entry, as it is told."""
    return pb.Revocation(
        seq=entry.seq, rid=entry.rid, tid=entry.tid, at=entry.at, by=entry.by, reason=entry.reason
    )


def _entry(entry: Revocation) -> pb.WatchEvent.Entry:
    return pb.WatchEvent.Entry(seq=entry.seq, rid=bytes.fromhex(entry.rid))
