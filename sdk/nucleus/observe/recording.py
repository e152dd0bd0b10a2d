"""Law: to observe is the one road with a wide token: nothing is held back, and all is recorded.

A home that lives as long as the run: keys of its own, a token that permits everything, an approver
who approves whatever is asked and is on record as having done so. No secret of the person's home
is in it, and no argument is written there but while a call waits for that approver. What the
kernel denies in spite of all that is refused here too, and is a finding.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from nucleus.approver import Answering, Approve
from nucleus.audit import drafting, live
from nucleus.audit.facts import Tool
from nucleus.audit.scrubbing import Scrub
from nucleus.home import Home
from nucleus.observe.book import Book, Witnessed
from nucleus_issuer.issuing import Order
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

OBSERVER: Final = "observer"  # who approves, as the trace names it
_TTL: Final = 7 * 86400
_LIST_SECONDS: Final = 20.0
_POLL: Final = 0.02
_PREFIX: Final = "nucleus-observe-"
_LOCK: Final = "lock"
_FRESH_SECONDS: Final = 60
_NAME: Final = re.compile(r"[A-Za-z0-9_.:/-]{1,128}")


@dataclass(frozen=True, slots=True)
class Booth:
    """A home for one observation."""

    home: Home
    store: Witnessed
    book: Book
    token: str
    passphrase: bytes

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
def booth(book: Book, workspace: Path | None = None) -> Generator[Booth]:
    """A home that is gone afterwards. With a workspace the token is for paths in it."""
    _sweep(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    lock = os.open(folder / _LOCK, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
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
        with Witnessed.open(home.store_path, clock=home.clock) as store:
            store.book = book
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
            yield Booth(home, store, book, minted.text, word)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)
        book.close()


def _sweep(where: Path) -> None:
    """Remove the homes of runs of ours that were killed: nobody holds their lock any more."""
    for folder in where.glob(f"{_PREFIX}*"):
        try:
            flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
            lock = os.open(folder / _LOCK, flags)
        except OSError:
            continue
        try:
            status = os.fstat(lock)
            # One that is just being made is not locked yet.
            if status.st_uid == os.getuid() and time.time() - status.st_mtime > _FRESH_SECONDS:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # it runs
        finally:
            os.close(lock)


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
    rules = policy(await tools(spec, command, made.book.keep.scrub, log), spec)
    watching = Live()
    mediator = made.home.mediator(
        made.store,
        rules,
        made.book.reveal,
        ledger=watching.watched(made.store),
        one_client=False,
    )
    made.book.begin()
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


async def tools(
    spec: ServerSpec, command: Sequence[str], scrub: Scrub, log: Callable[[str], None]
) -> tuple[Tool, ...]:
    """What the server lists: it is started once to be asked. Raises CallerError `observe.tools`.

    A tool whose name is none (a pattern, or a credential that the server was given) stays out,
    and so is denied."""
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
    kept = tuple(
        live.scrubbed(tool, scrub)
        for tool in found
        if _NAME.fullmatch(tool.name) and not scrub.holds(tool.name)
    )
    if len(kept) < len(found):
        log(f"{len(found) - len(kept)} tools have names that cannot stand in a policy: denied.")
    return kept


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
    made.book.begin()
    return await walled.run(
        made.home, made.store, made.book.reveal, held, rules, order,
        terminal=terminal, log=log, answering=made.approving,
    )  # fmt: skip
