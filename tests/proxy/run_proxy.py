"""The three ways to run the proxy, as processes, with the test world's keys.

    run_proxy.py held CONFIG | serve CONFIG | connect CONFIG

CONFIG is a JSON file: state, reveals, policy, socket, token, holder, instance, port, as each needs.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nucleus.composing import Cells
from nucleus_issuer.store import Store
from nucleus_proxy import policy
from nucleus_proxy.connect import run_connect
from nucleus_proxy.egress.dial import SYSTEM_ROOTS, Dialer, Private, client_tls
from nucleus_proxy.egress.resolving import PinnedResolver
from nucleus_proxy.held import run_held
from nucleus_proxy.live import Live
from nucleus_proxy.mediator import Mediator
from nucleus_proxy.serve import run_serve
from nucleus_proxy.streams import stdio
from nucleus_proxy.tracefile import RevealFile
from nucleus_tokens import holding
from nucleus_verifier.caching import CachingVerifier
from nucleus_vmhost.bubblewrap import Bubblewrap
from tests.support import world


def clock() -> int:
    return int(time.time())


def log(sentence: str) -> None:
    print(f"nucleus: {sentence}", file=sys.stderr, flush=True)


def dialer(ports: Sequence[int]) -> Dialer | None:
    """What reaches servers at these ports of the loopback; nothing without any."""
    if not ports:
        return None
    private = [Private("127.0.0.1", port, "127.0.0.1") for port in ports]
    return Dialer(resolver=PinnedResolver({}), tls=client_tls(SYSTEM_ROOTS), private=private)


def mediator(config: dict[str, Any], store: Store, live: Live) -> Mediator:
    return Mediator(
        verifier=CachingVerifier(world.KEYS),
        ledger=live.watched(store),
        desk=store,
        policy=policy.load(Path(config["policy"])),
        instance=config["instance"],
        run=os.urandom(8).hex(),
        clock=clock,
        draw=os.urandom,
        reveals=RevealFile(Path(config["reveals"])),
    )


async def main(mode: str, config: dict[str, Any]) -> None:
    if mode == "connect":
        reader, writer = await stdio()
        await run_connect(
            Path(config["socket"]), holding.read_token(config["token"]),
            world.secret(config["holder"]),
            reader=reader, writer=writer, clock=clock, draw=os.urandom,
        )  # fmt: skip
        return
    with Store.open(Path(config["state"])) as store:
        live = Live()
        made = mediator(config, store, live)
        if mode == "serve":
            await run_serve(
                Path(config["socket"]), made, live=live, draw=os.urandom, log=log,
                runner=Cells(Bubblewrap()),
                ready=lambda: print("ready", flush=True),
            )  # fmt: skip
        else:
            reader, writer = await stdio()
            await run_held(
                config["token"], reader=reader, writer=writer, mediator=made, live=live,
                draw=os.urandom, log=log, runner=Cells(Bubblewrap()),
                dialer=dialer([port for port in [config.get("port")] if port]),
            )  # fmt: skip


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], json.loads(Path(sys.argv[2]).read_text())))
