"""Law: the proxy as a process of its own: held token, stdio, the embedded store; nothing left out.

held_proxy.py DIRECTORY [labels]    (made by `mcp.py`: keys.json, token, policy.toml)

With `labels` values carry theirs and the prompt vouches, as `nucleus mcp` composes it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

if not __package__:  # run as a file: its own directory would shadow other packages
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from nucleus_issuer.mint import Audience, Signer, mint
from nucleus_issuer.store import Store, wall_clock
from nucleus_proxy import policy
from nucleus_proxy.flow import Flow
from nucleus_proxy.flowstate import FlowState
from nucleus_proxy.held import run_held
from nucleus_proxy.http.serving import run_http
from nucleus_proxy.live import Live
from nucleus_proxy.mediator import Mediator
from nucleus_proxy.offload import inline
from nucleus_proxy.streams import stdio
from nucleus_proxy.tracefile import RevealFile
from nucleus_tokens import crypto, writing
from nucleus_tokens.chain import to_text
from nucleus_tokens.header import Holder
from nucleus_verifier.caching import CachingVerifier
from nucleus_verifier.facts import Keys

ISSUER: Final = ("issuer:bench", "k1")
AUDIENCE: Final = ("proxy:bench", "a1")


class Made(NamedTuple):
    """A token, and the secrets of the issuer and the audience that it is for."""

    text: str
    issuer: bytes
    audience: bytes

    def keys(self) -> Keys:
        """The bundle of this audience."""
        issuers = {ISSUER: crypto.public_of(self.issuer)}
        return Keys(AUDIENCE[0], {AUDIENCE[1]: self.audience}, issuers, {})

    def another(self, within: str) -> str:
        """A further token of the same, for its bearer."""
        return _token(self.issuer, self.audience, within, Holder(None, None))


def made(within: str, *, bearer: bool = False) -> Made:
    """A new issuer, a new audience, and a token that may read files below `within`."""
    issuer, audience = os.urandom(32), os.urandom(32)
    holder = Holder(None, None if bearer else crypto.public_of(os.urandom(32)))
    return Made(_token(issuer, audience, within, holder), issuer, audience)


def _token(issuer: bytes, audience: bytes, within: str, holder: Holder) -> str:
    now = int(time.time())
    token = mint(
        Signer(*ISSUER, issuer, crypto.exchange_public_of(os.urandom(32))),
        Audience(*AUDIENCE, crypto.exchange_public_of(audience)),
        tid=os.urandom(16).hex(),
        root_key=os.urandom(32),
        sub="agent",
        holder=holder,
        ceil=[["only", {"read_files": "always"}], ["path", "in", [within]]],
        iat=now,
        exp=now + 3600,
    )
    return writing.write_credential(token)


def read(directory: Path) -> Made:
    """What `mcp.py` left here."""
    secrets = json.loads((directory / "keys.json").read_text(encoding="ascii"))
    text = (directory / "token").read_text(encoding="ascii")
    return Made(text, bytes.fromhex(secrets["issuer"]), bytes.fromhex(secrets["audience"]))


async def serve(directory: Path, *, labels: bool, http: bool) -> None:
    """One client, one server, until either ends; or, over HTTP, until it is told to end."""
    live = Live()
    given = read(directory)
    with ExitStack() as open_:
        store = open_.enter_context(Store.open(directory / "state.db", create=True))
        reveals = open_.enter_context(RevealFile(directory / "reveals.jsonl"))
        rules = policy.load(directory / "policy.toml")
        flow = None
        if labels:
            flow = Flow(
                open_.enter_context(FlowState.open(directory / "labels.db")),
                believed=rules.believed,
                releasers={},
                draw=os.urandom,
                cwd=rules.server.cwd,
            )
        mediator = Mediator(
            verifier=CachingVerifier(given.keys()),
            ledger=live.watched(store),
            desk=store,
            policy=rules,
            instance=f"bench-{to_text(os.urandom(6))}",
            run=os.urandom(8).hex(),
            clock=wall_clock,
            draw=os.urandom,
            reveals=reveals,
            offload=inline,
            flow=flow,
        )
        if http:
            await run_http(
                0, mediator, live=live, draw=os.urandom, log=say,
                ready=lambda port: print(port, flush=True),
            )  # fmt: skip
        reader, writer = await stdio()
        await run_held(
            given.text,
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
    asyncio.run(
        serve(Path(sys.argv[1]), labels="labels" in sys.argv[2:], http="http" in sys.argv[2:])
    )
