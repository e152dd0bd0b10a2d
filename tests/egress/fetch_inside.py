"""Run inside tests/support/internet.py: fetch URLs as a proxy would, with the system's resolver.

fetch_inside.py ROOTS URL ...     one JSON line for each URL, in order, one decision each
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from nucleus_proxy.effects import net
from nucleus_proxy.egress.dial import Dialer, client_tls
from nucleus_proxy.egress.fetching import Fetcher
from nucleus_proxy.egress.resolving import SystemResolver
from nucleus_tokens.errors import NucleusError
from tests.egress.far import POLICY
from tests.proxy.stage import Stage, granted


async def main(roots: Path, urls: list[str]) -> None:
    client = Fetcher(Dialer(resolver=SystemResolver(), tls=client_tls(roots)))
    for url in urls:
        stage = Stage(POLICY)
        done = granted(await stage.call(stage.token(), "net_fetch", {"url": url}))
        try:
            got = await net.fetch(done.permit, done.call, "wall:test", client, done.call.args)
            said = {"status": got.status, "body": got.body.decode(), "redirect": got.redirect}
        except NucleusError as error:
            said = {"code": error.code, "sentence": error.message}
        sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
