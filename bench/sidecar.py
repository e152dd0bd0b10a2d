"""What the sidecar answers: requests per second and waiting times, bare and through real gateways.

    python -m bench.sidecar [--requests 2000] [--clients 8] [--memory 100000] [--root DIR] [--json]

The real `nucleus verifier serve` as a process, one bearer token, `--clients` connections that each
ask again as soon as they are answered. Every request is a durable decision: `--root` says on which
disk (/dev/shm for none). *Direct* is the tool without a gateway. *Held* is the bare Check while 400
connections to the sidecar stand half-open with half a request; *memory* is its resident set.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, suppress
from pathlib import Path
from typing import Any, Final

import grpc.aio

from bench import harness
from nucleus_verifier.sidecar.answers import Admitted
from nucleus_verifier.sidecar.asked import Asked
from nucleus_verifier.sidecar.checking import Remote
from tests.sidecar.gateways import gateway
from tests.sidecar.stage import HOST, Sidecar, Tool, sidecar

HALF_OPEN: Final = 400
_COLUMNS: Final = ("requests_per_second", "p50_ms", "p99_ms")
Ask = Callable[[], Awaitable[None]]


async def timed(asks: Sequence[Ask], requests: int) -> dict[str, float]:
    """Each of `asks` again and again, all at once, until so many were answered."""
    took: list[float] = []

    async def client(ask: Ask) -> None:
        while len(took) < requests:
            start = time.perf_counter()
            await ask()
            took.append((time.perf_counter() - start) * 1000)

    for ask in asks:
        await ask()  # connections are made before the clock starts
    start = time.perf_counter()
    await asyncio.gather(*map(client, asks))
    seconds = time.perf_counter() - start
    took.sort()
    return {
        "requests_per_second": round(len(took) / seconds, 1),
        "p50_ms": round(took[len(took) // 2], 2),
        "p99_ms": round(took[int(len(took) * 0.99)], 2),
    }


async def bare(stack: AsyncExitStack, made: Sidecar, token: str) -> Ask:
    """One connection to the sidecar's own Check."""
    options = (("grpc.use_local_subchannel_pool", 1),)
    address = f"unix:{made.folder}/own.sock"
    channel = await stack.enter_async_context(grpc.aio.insecure_channel(address, options))
    remote = Remote(lambda: channel, seconds=30)

    async def ask() -> None:
        answer = await remote(Asked(token, "GET", HOST, "/notes/one"))
        if not isinstance(answer, Admitted):
            raise SystemExit(f"the sidecar refused: {answer}")

    return ask


async def over_http(port: int, token: str) -> Ask:
    """One connection that is kept."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    text = f"GET /notes/one HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\n\r\n"

    async def ask() -> None:
        writer.write(text.encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"http/1.1 200"):
            raise SystemExit(f"refused: {head[:40]!r}")
        if b"transfer-encoding: chunked" in head:
            size = 1
            while size:
                size = int(await reader.readline(), 16)
                await reader.readexactly(size + 2)
            return
        length = head.partition(b"content-length:")[2].split(b"\r\n", 1)[0]
        await reader.readexactly(int(length))

    return ask


def resident(made: Sidecar) -> int:
    """Kilobytes of the sidecar's process."""
    assert made.process is not None
    for line in Path(f"/proc/{made.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise SystemExit("the sidecar is gone")


async def measure(
    made: Sidecar, ports: dict[str, int], requests: int, clients: int, memory: int
) -> dict[str, object]:
    """Every row, one after the other."""
    token = made.bearer(exp=int(time.time()) + 24 * 3600)
    found: dict[str, object] = {"cpus": os.cpu_count(), "clients": clients, "requests": requests}
    async with AsyncExitStack() as stack:
        checks = [await bare(stack, made, token) for _ in range(clients)]
        found["check"] = await timed(checks, requests)
        for name, port in ports.items():
            asks = [await over_http(port, token) for _ in range(clients)]
            found[name] = await timed(asks, requests)
        half = []
        for _ in range(HALF_OPEN):
            path = str(made.folder / "nginx.sock")
            _, writer = await asyncio.open_unix_connection(path)
            writer.write(b"GET /check HTTP/1.1\r\nX-Original-Method: G")
            half.append(writer)
        found["held"] = await timed(checks, requests)
        for writer in half:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
        # Caches and pools are full by now: from here on it stays as it is, or it leaks.
        sizes = [resident(made)]
        for _ in range(10 if memory else 0):
            await timed(checks, memory // 10)
            sizes.append(resident(made))
        found["memory_requests"] = memory
        found["memory_kib"] = sizes
    return found


def report(found: Mapping[str, Any]) -> str:
    """The section of the report."""
    lines = [
        "## The sidecar",
        "",
        f"`nucleus verifier serve` as a process, {found['clients']} clients that ask again as soon "
        f"as they are answered, {found['requests']} requests for each row, every answer a durable "
        "decision. *direct* is the tool without a gateway; *held* is the bare check while "
        f"{HALF_OPEN} connections stand half-open.",
        "",
        "| road | requests/s | p50 ms | p99 ms |",
        "|---|---|---|---|",
    ]
    for name in ("direct", "check", "held", "nginx", "envoy"):
        row = found[name]
        lines.append(f"| {name} | " + " | ".join(f"{row[key]:g}" for key in _COLUMNS) + " |")
    sizes = found["memory_kib"]
    lines += ["", f"Resident memory over {found['memory_requests']} requests more: from "
              f"{sizes[0] // 1024} to {max(sizes) // 1024} MiB."]  # fmt: skip
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and perhaps write."""
    parser = harness.parser(__doc__)
    parser.add_argument("--requests", "--rounds", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--memory", type=int, default=100_000)
    parser.add_argument("--root", type=Path, default=None)
    given = parser.parse_args(argv)
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=given.root)))
        tool = Tool()
        stack.callback(tool.close)
        made = stack.enter_context(sidecar(root))
        ports = {"direct": tool.port}
        for name in ("nginx", "envoy"):
            place = made.folder / f"{name}.sock"
            ports[name] = stack.enter_context(gateway(name, root, tool.port, place))
        work = measure(made, ports, given.requests, given.clients, given.memory)
        found = asyncio.run(work)
    data = {"machine": harness.machine(), **found}
    harness.publish("sidecar", report(found), data, given.json, given.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())
