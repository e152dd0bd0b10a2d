"""A stage with one model route of each shape to a fake provider, and one trusted sink."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.egress.fake_provider import Provider
from tests.egress.far import Far, fetcher
from tests.egress.out_stage import Answer, OutStage

ROUTES = """
[egress.private]
"site.test:{port}" = "127.0.0.1"
[egress.secrets.key]
file = "key"
[egress.routes.openai]
class = "model"
shape = "openai"
url = "http://site.test:{port}"
secret = "key"
operation = "{operation}"
max_output_tokens = 1000
[egress.routes.openai.models.m]
input = 2000000
output = 10000000
[egress.routes.anthropic]
class = "model"
shape = "anthropic"
url = "http://site.test:{port}/"
secret = "key"
operation = "{operation}"
max_output_tokens = 1000
[egress.routes.anthropic.models.m]
input = 2000000
output = 10000000
[egress.routes.tickets]
class = "trusted_sink"
url = "http://site.test:{port}/api"
secret = "key"
methods = ["GET", "POST"]
paths = ["/tickets"]
"""
CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hello there"}]}
MESSAGES: dict[str, Any] = {**CHAT, "max_tokens": 50}


class ModelStage(OutStage):
    """Its client asks models."""

    def __init__(
        self, folder: Path, far: Provider | Far, operation: str = "read_files", **rest: Any
    ) -> None:
        text = ROUTES.replace("{port}", str(far.port)).replace("{operation}", operation)
        super().__init__(folder, text, client=fetcher(far.port), **rest)

    async def chat(self, *headers: str, **more: Any) -> Answer:
        body = json.dumps({**CHAT, **more}).encode()
        return await self.post("/model/openai/v1/chat/completions", body, *headers)

    async def messages(self, *headers: str, **more: Any) -> Answer:
        body = json.dumps({**MESSAGES, **more}).encode()
        return await self.post("/model/anthropic/v1/messages", body, *headers)

    def spent(self, unit: str) -> int:
        """What the token's one budget of this unit stands at."""
        prefix = self.opened_held()
        (counter,) = [c.id for c in prefix.authority.counters if c.unit == unit]
        return self.ledger.spent.get(counter, 0)

    def opened_held(self) -> Any:
        from tests.support import world

        return world.opened(self.held).prefix


def code(got: Answer) -> str:
    """The code of a refusal."""
    return str(json.loads(got.body)["error"]["code"])
