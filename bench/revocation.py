"""How long from `revoke` until it is effective, with many verifiers on real connections.

    python -m bench.revocation [--verifiers 50] [--rounds 200] [--json]

The real issuer and identity services as processes; the verifiers share this one, each with a
connection of its own under mutual TLS, and allow nothing beyond the lease that they were given.
`recorded` is when the entry is durable, `effective` when the issuer says that every lease knows it.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, redirect_stdout, suppress
from pathlib import Path

from bench import harness
from nucleus_verifier.rpc import issuer_pb2 as pb
from tests.service.stage import Stage, order, running
from tests.service.verifier import Verifier


async def measure(stage: Stage, verifiers: int, rounds: int) -> dict[str, list[float]]:
    """Milliseconds from the request to each of the two answers."""
    found: dict[str, list[float]] = {"recorded": [], "effective": []}
    async with AsyncExitStack() as stack:
        watching = []
        for _ in range(verifiers):
            client = await stack.enter_async_context(stage.client("tool"))
            verifier = Verifier(client)
            watching.append((verifier, asyncio.ensure_future(verifier.run())))
        for verifier, _ in watching:
            await verifier.until_leased()
        agent = await stack.enter_async_context(stage.client("agent"))
        # A service that has just started waits once for the leases of the one before it.
        for n in range(-1, rounds):
            made = await agent.issue(order(f"bench-{n}"))
            start = time.perf_counter()
            async for event in agent.revoke(pb.RevokeRequest(token=made.token)):
                took = (time.perf_counter() - start) * 1000
                if n >= 0:
                    found[str(event.WhichOneof("event"))].append(took)
            assert not any(verifier.allows(made.rid) for verifier, _ in watching)
        assert all(verifier.connections == 1 for verifier, _ in watching)
        for _, task in watching:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    return found


def report(answer: Mapping[str, float]) -> str:
    """The section of the report."""
    lines = [
        "## Revoke to effective",
        "",
        f"One issuer, {answer['verifiers']:g} verifiers that watch over connections of their own, "
        f"{answer['rounds']:g} revocations. Milliseconds from the request to each answer; "
        "`effective` is said once no verifier allows anything under it.",
        "",
        "| answer | p50 ms | p99 ms |",
        "|---|---|---|",
    ]
    for name in ("recorded", "effective"):
        lines.append(f"| {name} | {answer[f'{name}_p50_ms']:g} | {answer[f'{name}_p99_ms']:g} |")
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and perhaps write."""
    parser = harness.parser(__doc__, 200)
    parser.add_argument("--verifiers", type=int, default=50)
    given = parser.parse_args(argv)
    with (
        tempfile.TemporaryDirectory() as root,
        redirect_stdout(sys.stderr),
        running(Path(root), "--lease", "5s") as stage,
    ):
        stage.register()
        found = asyncio.run(measure(stage, given.verifiers, given.rounds))
    answer: dict[str, float] = {"verifiers": given.verifiers, "rounds": given.rounds}
    for name, values in found.items():
        values.sort()
        answer[f"{name}_p50_ms"] = round(values[len(values) // 2], 1)
        answer[f"{name}_p99_ms"] = round(values[int(len(values) * 0.99)], 1)
    data = {"machine": harness.machine(), **answer}
    harness.publish("revocation", report(answer), data, given.json, given.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())
