"""A verifier that watches: what it knows to be revoked, and whether it may allow anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from nucleus_issuer.service.leases import boottime
from nucleus_tokens.errors import NucleusError
from nucleus_verifier.rpc import issuer_pb2 as pb
from nucleus_verifier.rpc.client import IssuerClient


class Verifier:
    """The least that keeps the law of Watch. `slow` holds back confirmations and renewals."""

    def __init__(self, client: IssuerClient) -> None:
        self._client = client
        self.seq = 0
        self.revoked: set[str] = set()
        self.until = 0.0
        self.connections = 0
        self.slow = asyncio.Event()
        self.slow.set()
        self.changed = asyncio.Condition()

    def allows(self, rid: str) -> bool:
        return boottime() < self.until and rid not in self.revoked

    @property
    def leased(self) -> bool:
        return boottime() < self.until

    async def run(self) -> None:
        """Watch for ever, connection after connection, from where it stands."""
        while True:
            try:
                await self._watch()
            except NucleusError:
                await asyncio.sleep(0.05)

    async def _watch(self) -> None:
        self.connections += 1
        sent: dict[int, float] = {}
        say: asyncio.Queue[pb.WatchRequest] = asyncio.Queue()

        def ask() -> None:
            number = len(sent) + 1
            sent[number] = boottime()
            say.put_nowait(pb.WatchRequest(confirmed_seq=self.seq, number=number))

        async def messages() -> AsyncIterator[pb.WatchRequest]:
            while True:
                message = await say.get()
                await self.slow.wait()
                yield message

        ask()
        fresh: set[str] = set()
        async for event in self._client.watch(messages()):
            kind = event.WhichOneof("event")
            if kind == "snapshot":
                fresh |= {entry.rid.hex() for entry in event.snapshot.entries}
                if event.snapshot.last:
                    self.revoked, self.seq = fresh, event.snapshot.seq
                    ask()
            elif kind == "entries":
                assert event.entries.seq > self.seq, "nothing twice, nothing out of order"
                self.revoked |= {entry.rid.hex() for entry in event.entries.entries}
                self.seq = event.entries.seq
                ask()
            elif event.heartbeat.seq == self.seq:
                lease = sent[event.heartbeat.number] + event.heartbeat.lease_millis / 1000
                self.until = max(self.until, lease)
                asyncio.get_running_loop().call_later(event.heartbeat.lease_millis / 3000, ask)
            async with self.changed:
                self.changed.notify_all()

    async def until_leased(self) -> None:
        async with self.changed:
            await asyncio.wait_for(self.changed.wait_for(lambda: self.leased), 20)
