"""A stage for the proxy's tests: a mediator over a ledger, and people who answer at the desk."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from nucleus_proxy import binding, policy
from nucleus_proxy.answers import Granted, Presented, Refusal, Withdrawn
from nucleus_proxy.binding import Hints
from nucleus_proxy.mediator import Mediator
from nucleus_proxy.waiting import Caller
from nucleus_tokens import holding, writing
from nucleus_tokens.chain import UnverifiedToken
from nucleus_verifier import record
from nucleus_verifier.caching import CachingVerifier
from nucleus_verifier.ports import PendingRequest
from tests.support import world
from tests.support.memory_ledger import MemoryLedger
from tests.support.patience import PATIENCE

T = TypeVar("T")

POLICY = """
version = 1
[wall]
id = "test"
shows = []
[tools.read]
operation = "read_files"
selectors = { "/path" = "path" }
[tools.write]
operation = "write_files"
selectors = { "/path" = "path" }
payload = ["/content"]
[tools.fetch]
operation = "web_fetch"
selectors = { "/url" = "url" }
[tools.push]
operation = "git_push"
selectors = { "/remote" = "host", "/branch" = "ref", "/repo" = "path" }
"""


async def until(condition: Callable[[], T | bool | None], what: str = "it") -> T:
    """The first true value of `condition`; fails after a long while. No sleeping to synchronise:
    it only polls, so a slow machine is slow and nothing else."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while loop.time() < deadline:
        value = condition()
        if value:
            return value  # type: ignore[return-value]  # a true value is a T
        await asyncio.sleep(0.005)
    raise AssertionError(f"waited in vain for {what}")


async def within(work: Awaitable[T]) -> T:
    """The result of `work`, or a failure instead of a hanging suite."""
    return await asyncio.wait_for(work, PATIENCE)


class Clock:
    def __init__(self, now: int = world.NOW) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def counted(start: int = 0) -> Callable[[int], bytes]:
    """Bytes that never repeat, the same in every run."""
    numbers = itertools.count(start + 1)
    return lambda size: next(numbers).to_bytes(size, "big")


class Stage:
    """One verifier host over a fake ledger."""

    def __init__(self, text: str = POLICY, **options: Any) -> None:
        self.clock = Clock()
        self.ledger = MemoryLedger(self.clock)
        self.reveals: list[Mapping[str, Any]] = []
        self.draw = counted()
        self.nonces = counted(1000)
        self.policy = policy.parse(text.encode())
        given: dict[str, Any] = {
            "verifier": CachingVerifier(world.KEYS),
            "ledger": self.ledger,
            "desk": self.ledger,
            "policy": self.policy,
            "instance": world.INSTANCE,
            "run": "test",
            "clock": self.clock,
            "draw": self.draw,
            "reveals": self.reveals.append,
            "poll_seconds": 0.005,
            **options,
        }
        self.mediator = Mediator(**given)
        self.mediator.open()

    def token(self, *ceil: list[Any], seen: int = 0, **rest: Any) -> UnverifiedToken:
        """A token whose tree has seen these exposure bits."""
        token = world.mint(*ceil, **rest)
        self.ledger.open_cell(self.tree(token), seen)
        return token

    @staticmethod
    def tree(token: UnverifiedToken) -> str:
        return f"tree:{world.opened(token).prefix.rids[0]}"

    def sign(
        self, token: UnverifiedToken, tool: str, args: Any, holder: str = "agent", **rest: Any
    ) -> str:
        given: dict[str, Any] = {
            "time": self.clock(),
            "nonce": self.nonces(16).hex(),
            "instance": world.INSTANCE,
            **rest,
        }
        return holding.request(token, world.secret(holder), tool=tool, args=args, **given)

    async def call(
        self,
        presented: str | UnverifiedToken,
        tool: str,
        args: Any,
        *,
        channel: Any = "carried",
        said: Hints | None = None,
        caller: Caller | None = None,
        progress: list[str] | None = None,
    ) -> Granted | Refusal | Withdrawn:
        """Mediate one call; a token is signed for it first."""
        text = presented if isinstance(presented, str) else self.sign(presented, tool, args)

        async def heard(message: str) -> None:
            if progress is not None:
                progress.append(message)

        return await within(
            self.mediator.call(
                Presented(text, channel),
                lambda: binding.bind(tool, args, self.policy.tools.get(tool), said or Hints(), "/"),
                progress=heard,
                caller=caller or Caller(),
            )
        )

    async def asked(self) -> PendingRequest:
        """The one request that waits."""

        def pending() -> PendingRequest | None:
            found = [r for r in self.ledger.desk.values() if r.status == "pending"]
            return found[0] if found else None

        return await until(pending, "a request at the desk")

    def approve(self, request: PendingRequest, approver: str = "person", **rest: Any) -> None:
        self.ledger.settle(request.id, approval=approval(request, self.clock(), approver, **rest))

    def verified(self) -> None:
        """Every decision in the trace follows from its record and its reveal."""
        reveals = {record.reveal_digest(r): r for r in self.reveals if "args" in r}
        for entry in self.ledger.records("decision"):
            reveal = reveals[entry["call"]["digest"]]
            assert record.recompute(entry, reveal, world.KEYS) == entry["decision"]


def approval(request: PendingRequest, now: int, approver: str = "person", **rest: Any) -> bytes:
    """What a person signs who saw this request."""
    body: dict[str, Any] = {
        "approver": approver,
        "cell": request.cell,
        "count": 1,
        "digest": request.call_digest,
        "id": world.hex16(f"{approver} of {request.id}"),
        "not_after": now + 600,
        "obligations": sorted({name for name, _ in request.obligations}),
        "pattern": None,
        "rid": request.rid,
        "tid": request.tid,
        "v": 1,
        **rest,
    }
    return writing.approval(body, world.secret(approver))


def granted(answer: object) -> Granted:
    assert isinstance(answer, Granted), answer
    return answer


def refused(answer: object) -> str:
    """The code of a refusal."""
    assert isinstance(answer, Refusal), answer
    return answer.code
