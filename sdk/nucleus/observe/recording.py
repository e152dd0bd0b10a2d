"""Law: to observe is the one road with a wide token: nothing is held back, and all is recorded.

A home that lives as long as the run: keys of its own, a token that permits everything, an approver
who approves whatever is asked and is on record as having done so. No secret of the person's home
is in it. What the kernel denies in spite of all that is refused here too, and is a finding.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from nucleus.approver import Answering, Approve
from nucleus.audit import drafting, live
from nucleus.audit.facts import Tool
from nucleus.home import Home
from nucleus.observe import record
from nucleus.observe.record import Record
from nucleus_issuer.issuing import Order
from nucleus_issuer.store import Store
from nucleus_proxy import policy as policies
from nucleus_proxy.held import run_held
from nucleus_proxy.live import Live
from nucleus_proxy.methods import OPENABLE
from nucleus_proxy.policy import PolicyFile
from nucleus_proxy.server import ServerProcess
from nucleus_proxy.servers import ServerSpec
from nucleus_proxy.streams import stdio
from nucleus_tokens.errors import CallerError
from nucleus_tokens.header import Holder
from nucleus_tokens.names import OPERATIONS
from nucleus_verifier import trace
from nucleus_verifier.record import reveal_digest

OBSERVER: Final = "observer"  # who approves, as the trace names it
_TTL: Final = 7 * 86400
_LIST_SECONDS: Final = 20.0
_POLL: Final = 0.02
_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Booth:
    """A home for one observation."""

    home: Home
    store: Store
    token: str
    passphrase: bytes

    def record(self, agent: str) -> Record:
        """What was seen until now."""
        reveals: dict[str, Any] = {}
        if self.home.reveals_path.exists():
            for line in self.home.reveals_path.read_bytes().splitlines():
                reveal = json.loads(line)
                reveals[reveal_digest(reveal)] = reveal
        lines: list[Any] = []
        seq = 0
        while page := self.store.trace_lines(seq, _PAGE):
            entries, broken = trace.read([line for _, line in page])
            if broken is not None and not entries:
                break
            lines += [entry.record for entry in entries]
            seq = page[-1][0]
        return record.of_trace(agent, lines, reveals, self.home.random(16))

    @asynccontextmanager
    async def approving(self, *_: object) -> AsyncGenerator[None]:
        """Whatever is asked is approved while the block runs."""
        key = self.home.approver(None, lambda _: self.passphrase)
        desk = Answering(self.home, self.store, key)

        async def answer() -> None:
            while True:
                await asyncio.to_thread(desk.once, lambda _: Approve())
                await asyncio.sleep(_POLL)

        task = asyncio.create_task(answer())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@contextmanager
def booth(workspace: Path | None = None) -> Generator[Booth]:
    """A home that is gone afterwards. With a workspace the token is for paths in it."""
    folder = Path(tempfile.mkdtemp(prefix="nucleus-observe-"))
    try:
        home = Home.find(folder, {})
        word = home.random(24).hex().encode()
        home.create(
            issuer="observe",
            audience="observe",
            approver=OBSERVER,
            key_id="observe",
            policy=b"version = 1\n",
            issuer_passphrase=lambda _: word,
            approver_passphrase=lambda _: word,
            # They guard nothing that outlives the run, and nobody knows the passphrase.
            strength="dangerously_fast_for_tests",
        )
        with home.store() as store:
            minted = home.issuer(store, lambda _: word).issue(
                Order(
                    sub="observed",
                    holder=Holder(None, None),
                    audience=home.keyring().bundle().audience_named(None),
                    ceil=[["only", dict.fromkeys(OPERATIONS, "always")]],
                    extra=[] if workspace is None else [["path", "in", [str(workspace)]]],
                    ttl=_TTL,
                    bearer=True,
                    memo="observe",
                )
            )
            yield Booth(home, store, minted.text, word)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# An MCP server ----------------------------------------------------------------------------------


async def server(
    made: Booth,
    command: Sequence[str],
    *,
    log: Callable[[str], None],
    says: Callable[[bytes], None],
) -> None:
    """Relay one client, on our standard streams, to a server that gets all we were given."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("NUCLEUS_")}
    spec = ServerSpec(cwd=os.getcwd(), env=env, danger_outside_cell=True)
    rules = policy(await tools(spec, command), spec)
    watching = Live()
    with made.home.reveals() as reveals:
        mediator = made.home.mediator(
            made.store, rules, reveals, ledger=watching.watched(made.store), one_client=False
        )
        reader, writer = await stdio()
        async with made.approving():
            await run_held(
                made.token,
                reader=reader,
                writer=writer,
                mediator=mediator,
                live=watching,
                draw=made.home.random,
                log=log,
                command=command,
                stderr=says,
            )


async def tools(spec: ServerSpec, command: Sequence[str]) -> tuple[Tool, ...]:
    """What the server lists: it is started once to be asked. Raises CallerError `observe.tools`."""
    process = await ServerProcess.start(spec, command)
    try:
        async with asyncio.timeout(_LIST_SECONDS):
            found = await live.listed(process.reader, process.writer)
    except (TimeoutError, ValueError, OSError, asyncio.IncompleteReadError) as error:
        raise CallerError("observe.tools", "The server did not list its tools.") from error
    finally:
        await process.stop()
    if isinstance(found, str):
        raise CallerError("observe.tools", f"The server did not list its tools: {found}.")
    return found


def policy(found: Sequence[Tool], spec: ServerSpec) -> PolicyFile:
    """Every tool bound; what nobody knows as a shell, which is opaque."""
    drafted = drafting.draft(found, workspace=spec.cwd, outside=True, opaque=True)
    # What is open passes and is recorded as opened; its content has no decision to be recorded.
    opened = ["resources/read", "prompts/get", "resources/list", "prompts/list"]
    rules = policies.parse(drafted.text.encode())
    return replace(rules, server=spec, workspace=None, opened=frozenset(opened) & OPENABLE)


# An agent ---------------------------------------------------------------------------------------


async def agent(made: Booth, order: Any, *, terminal: Any, log: Callable[[str], None]) -> int:
    """Run an agent behind the local wall; its exit code."""
    from nucleus import walled
    from nucleus_proxy.policy import Workspace

    rules = replace(policies.parse(b"version = 1\n"), workspace=Workspace(str(order.folder)))
    held = walled.Held(wall=f"observe:{made.home.random(8).hex()}", token=made.token)
    with made.home.reveals() as reveals:
        return await walled.run(
            made.home, made.store, reveals, held, rules, order,
            terminal=terminal, log=log, answering=made.approving,
        )  # fmt: skip


def write(path: Path, seen: Record) -> None:
    """Keep a record. Raises NucleusError."""
    from nucleus_issuer import files

    data = record.write(seen).encode()
    if path.exists():
        files.replace(path, data)
    else:
        files.create(path, data)
