"""A fake search provider: one endpoint in JSON, on loopback.

Named as a fake: no real provider can be had in a test. It is a real HTTP server that checks its
credential and remembers what it was asked; a test can make it lie, echo or redirect.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.egress.far import answer, far

KEY = "the-key-of-the-search-provider"
POLICY = """
[egress]
pins = { "search.test" = ["127.0.0.1"] }
private = { "search.test:{port}" = "127.0.0.1" }
secrets = { search = { file = "search.key" } }
[search]
url = "http://search.test:{port}/v1/web"
secret = "search"
header = "x-search-key: {}"
query = "term"
count = "limit"
answer = { hits = "/web/results", title = "/name", url = "/link", text = "/snippet" }
"""


@dataclass
class Index:
    """What it was asked, and what it says."""

    port: int = 0
    asked: list[dict[str, list[str]]] = field(default_factory=list)
    heads: list[dict[str, str]] = field(default_factory=list)
    says: bytes | None = None  # instead of the truth, a whole answer in HTTP
    echo: bool = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:]) if v}
        asked = parse_qs(urlsplit(head[0].split(" ")[1]).query)
        self.asked.append(asked)
        self.heads.append(headers)
        writer.write(self.says or self.answer(asked, headers))
        await writer.drain()

    def answer(self, asked: dict[str, list[str]], headers: dict[str, str]) -> bytes:
        if headers.get("x-search-key") != KEY:
            return answer(b"{}", "401 No", "application/json")
        term = asked["term"][0]
        more = headers["x-search-key"] if self.echo else ""
        rows = [
            {"name": f"{term} {n}", "link": f"https://{n}.test/", "snippet": f"about {term} {more}"}
            for n in range(int(asked["limit"][0]) + 5)
        ]
        return told({"web": {"results": rows}})


def told(value: Any) -> bytes:
    """An answer in JSON."""
    return answer(json.dumps(value).encode(), kind="application/json")


@asynccontextmanager
async def index() -> AsyncIterator[Index]:
    """A fake provider while the block runs."""
    made = Index()
    async with far(made.serve) as site:
        made.port = site.port
        yield made
