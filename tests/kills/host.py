"""A verifier host that is forked anew for each life and killed in it; what it was given is on disk.

    python -m tests.kills.host    one line of JSON on standard input is one life

A life says `ready PID` on standard output once its socket takes connections, and `ended N` with its
exit code, or minus its signal, when it is over. The modules are loaded once; a life is a fork.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from nucleus.composing import Cells
from nucleus_issuer.store import Store
from nucleus_proxy import native, policy
from nucleus_proxy.effects import exec, fs  # noqa: A004  it is what it is called
from nucleus_proxy.effects.opening import Root
from nucleus_proxy.egress.door import Door
from nucleus_proxy.egress.httpd import HEAD_BYTES
from nucleus_proxy.egress.meter import Meter
from nucleus_proxy.egress.outside import Outside
from nucleus_proxy.egress.secrets import Secret
from nucleus_proxy.filelabels import FileLabels
from nucleus_proxy.flow import Flow
from nucleus_proxy.flowstate import FlowState
from nucleus_proxy.live import Live
from nucleus_proxy.mediator import Mediator
from nucleus_proxy.serve import Service, listening
from nucleus_proxy.tracefile import RevealFile
from nucleus_tokens.exposure import PRIVATE_DATA
from nucleus_verifier.caching import CachingVerifier
from nucleus_vmhost.bubblewrap import Bubblewrap
from tests.egress.far import fetcher
from tests.kills.killing import die_at
from tests.support import world

SECRET = "the-real-key-of-the-proxy"


def clock() -> int:
    return int(time.time())


class Life:
    """One life of the host, over what its folder holds."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.folder = folder
        rules = policy.load(folder / "policy.toml")
        self.store = stack.enter_context(Store.open(folder / "state.sqlite"))
        labels = stack.enter_context(FlowState.open(folder / "labels.db"))
        reveals = stack.enter_context(RevealFile(folder / "reveals.jsonl"))
        self.tools: dict[str, native.NativeTool] = {}
        if rules.workspace is not None:
            root, kept = Root(rules.workspace.root), FileLabels(labels)
            cells = Cells(Bubblewrap())
            self.tools |= fs.tools(root, draw=os.urandom, labels=kept)
            self.tools |= exec.tools(
                root, runner=cells, shows=PRIVATE_DATA, draw=os.urandom, labels=kept
            )
        self.rules = native.bound(rules, self.tools)
        self.live = Live()
        self.mediator = Mediator(
            verifier=CachingVerifier(world.KEYS),
            ledger=self.live.watched(self.store),
            desk=self.store,
            policy=self.rules,
            instance=world.INSTANCE,
            run="kills",
            clock=clock,
            draw=os.urandom,
            reveals=reveals,
            poll_seconds=0.005,
            flow=Flow(
                labels, believed=rules.believed, releasers={}, draw=os.urandom, cwd=str(folder)
            ),
        )
        self.mediator.open()

    async def native(self, stack: AsyncExitStack) -> None:
        """Take calls of the proxy's own tools, each with its credential."""
        service = Service(self.mediator, draw=os.urandom, log=_log, native=self.tools)
        await stack.enter_async_context(listening(self.folder / "s", service))

    async def outward(self, stack: AsyncExitStack, held: str, port: int) -> None:
        """Take requests on the model routes, for whoever reaches the socket."""
        outside = Outside(
            mediator=self.mediator,
            live=self.live,
            meter=Meter(self.live.watched(self.store)),
            fetcher=fetcher(port),
            rules=self.rules.egress,
            secrets={"key": Secret("key", SECRET.encode())},
            held=held,
            log=_log,
        )
        door = Door(outside)
        await asyncio.start_unix_server(door.connected, self.folder / "s", limit=HEAD_BYTES)
        stack.push_async_callback(door.close)


def _log(sentence: str) -> None:
    print(f"nucleus: {sentence}", file=sys.stderr, flush=True)


async def live(given: dict[str, Any]) -> None:
    async with AsyncExitStack() as stack:
        one = Life(Path(given["folder"]), stack)
        if "port" in given:
            await one.outward(stack, given["held"], given["port"])
        else:
            await one.native(stack)
        _say(f"ready {os.getpid()}")
        if given["point"]:
            die_at(given["point"])
        await one.live.run()


def _say(words: str) -> None:
    os.write(1, words.encode() + b"\n")


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            asyncio.run(live(json.loads(line)))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        _say(f"ended {os.waitstatus_to_exitcode(status)}")


if __name__ == "__main__":
    main()
