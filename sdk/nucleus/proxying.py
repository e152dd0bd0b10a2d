"""Law: one process is one proxy: one ledger that is watched, one set of effects, and however many
agents it serves, each behind a wall of its own.

Put together here for a session's process and for a run behind the local wall alike.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nucleus import composing, fronting
from nucleus.launching import Launcher
from nucleus_proxy.effects import spawn
from nucleus_proxy.egress import compose
from nucleus_proxy.egress.resolving import SystemResolver
from nucleus_proxy.live import Live
from nucleus_proxy.native import NativeTool, Tools
from nucleus_proxy.serve import Service, listening
from nucleus_tokens.labels import TOP
from nucleus_verifier.caching import CachingVerifier

if TYPE_CHECKING:
    from nucleus.home import Home
    from nucleus.identities import Identity
    from nucleus.walled import Where
    from nucleus_issuer.store import Store
    from nucleus_proxy.flowstate import FlowState
    from nucleus_proxy.judge import Reveals
    from nucleus_proxy.mediator import Mediator
    from nucleus_proxy.policy import PolicyFile
    from nucleus_vmhost.vm.working import Inside


class Proxy:
    """The parts of one proxy process."""

    def __init__(
        self,
        home: Home,
        store: Store,
        reveals: Reveals,
        labels: FlowState,
        policy: PolicyFile,
        *,
        log: Callable[[str], None],
        ask_seconds: int | None,
        roots: Path = composing.ROOTS,
        walled: bool = False,
        where: Where | None = None,
        identity: Identity | None = None,
    ) -> None:
        """`policy` is the file's, with the workspace of this process. `walled` says that an agent
        behind a wall is served, and not sub-agents alone; `where` is where agents are,
        if not behind the local wall; `identity` is that of the wall of the agent which a person
        started. Raises CallerError, WorldError."""
        self.where, self.identity = where, identity
        self.home, self.log = home, log
        self._store, self._reveals, self._labels = store, reveals, labels
        self._roots, self._ask_seconds = roots, ask_seconds
        self.live = Live()
        self.ledger = self.live.watched(store)
        self.file_labels = composing.file_labels(policy, labels)
        wanted = composing.secret_names(policy)
        if walled or policy.agents:
            wanted |= {route.secret for route in policy.egress.routes.values()}
        self._secrets = compose.secrets(policy.egress, only=wanted)
        # Sub-agents are offered the same tools, so whoever starts them has the finished table.
        made: dict[str, NativeTool] = {}
        self.tools: Tools = made
        made |= composing.tools(
            policy, draw=home.random, roots=roots, labels=labels, secrets=self._secrets,
        )  # fmt: skip
        if policy.agents and policy.workspace is not None:
            made |= spawn.tools(
                Launcher(self),
                policy.workspace.root,
                agents=policy.agents,
                authenticate=CachingVerifier(home.verifier_keys()).authenticate,
                ledger=self.ledger,
                draw=home.random,
                observed=self._observed,
            )
        made |= composing.watched(made, self.live)
        self.policy = composing.with_tools(policy, made)

    def mediator(self, policy: PolicyFile, *, run: str | None = None) -> Mediator:
        """The decisions behind one wall, or of one `run` without any."""
        return self.home.mediator(
            self._store,
            policy,
            self._reveals,
            labels=self._labels,
            ledger=self.ledger,
            run=run,
            ask_seconds=self._ask_seconds,
        )

    def _observed(self, cell: str) -> int:
        found, poisoned = self._labels.seen(cell)
        return TOP if poisoned else found.label

    def watching(self) -> AbstractAsyncContextManager[None]:
        """What goes on is watched while the block runs, and cut at its end."""
        return self.live.watching()

    @asynccontextmanager
    async def road(
        self,
        mediator: Mediator,
        token: str,
        private: bytes,
        inside: Inside | None = None,
        own: Tools | None = None,
        identity: Identity | None = None,
    ) -> AsyncGenerator[Path]:
        """A folder with the sockets of one agent: `tools.sock`, `grpc.sock`, `proxy.sock` and, with
        `identity`, `identity.sock`. Whoever opens them acts with the token, and is answered as the
        agent. `inside` is the machine that the agent is in, if it is; `own` are tools that only it
        has."""
        tools = self.tools
        if inside is not None:
            tools = composing.within(
                tools, self.policy, inside,
                draw=self.home.random, live=self.live, labels=self.file_labels,
            )  # fmt: skip
        service = partial(
            Service,
            mediator,
            draw=self.home.random,
            log=self.log,
            native={**tools, **(own or {})},
            held=token,
            private=private,
        )
        egress = mediator.policy.egress
        fetching = compose.fetcher(egress, resolver=SystemResolver(), roots=self._roots)
        with _folder() as folder:
            async with (
                listening(folder / "tools.sock", service()),
                fronting.listening(folder / "grpc.sock", service, self.log),
                compose.outward(
                    folder / "proxy.sock",
                    mediator=mediator,
                    live=self.live,
                    ledger=self.ledger,
                    fetching=fetching,
                    secrets=self._secrets,
                    held=token,
                    log=self.log,
                ),
            ):
                if identity is not None:
                    identity.listening(folder)
                yield folder


@contextmanager
def _folder() -> Generator[Path]:
    """Where sockets are made, before they are only inside."""
    folder = Path(tempfile.mkdtemp(prefix="nucleus-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
