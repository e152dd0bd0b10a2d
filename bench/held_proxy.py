"""Law: the proxy as a process of its own: held token, stdio, the embedded store; nothing left out.

held_proxy.py DIRECTORY    (made by `mcp.py`: keys.json, token, policy.toml)
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Final

if not __package__:  # run as a file: its own directory would shadow other packages
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from nucleus_issuer.store import Store, wall_clock
from nucleus_proxy import policy
from nucleus_proxy.held import run_held
from nucleus_proxy.live import Live
from nucleus_proxy.mediator import Mediator
from nucleus_proxy.offload import inline
from nucleus_proxy.streams import stdio
from nucleus_proxy.tracefile import RevealFile
from nucleus_tokens import crypto
from nucleus_tokens.chain import to_text
from nucleus_verifier.caching import CachingVerifier
from nucleus_verifier.facts import Keys

ISSUER: Final = ("issuer:bench", "k1")
AUDIENCE: Final = ("proxy:bench", "a1")


def pinned(directory: Path) -> Keys:
    """The bundle of this audience, from the secrets that `mcp.py` drew."""
    secrets = json.loads((directory / "keys.json").read_text(encoding="ascii"))
    audience, issuer = bytes.fromhex(secrets["audience"]), bytes.fromhex(secrets["issuer"])
    return Keys(AUDIENCE[0], {AUDIENCE[1]: audience}, {ISSUER: crypto.public_of(issuer)}, {})


async def serve(directory: Path) -> None:
    """One client, one server, until either ends."""
    reader, writer = await stdio()
    with (
        Store.open(directory / "state.db", create=True) as store,
        RevealFile(directory / "reveals.jsonl") as reveals,
    ):
        live = Live()
        mediator = Mediator(
            verifier=CachingVerifier(pinned(directory)),
            ledger=live.watched(store),
            desk=store,
            policy=policy.load(directory / "policy.toml"),
            instance=f"bench-{to_text(os.urandom(6))}",
            run=os.urandom(8).hex(),
            clock=wall_clock,
            draw=os.urandom,
            reveals=reveals,
            offload=inline,
        )
        await run_held(
            (directory / "token").read_text(encoding="ascii"),
            reader=reader,
            writer=writer,
            mediator=mediator,
            live=live,
            draw=os.urandom,
            log=say,
        )


def say(line: str) -> None:
    """What was dropped, for whoever watches."""
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
