"""A stage for the proxy's own tools: a workspace, a mediator, and effects called by hand."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from nucleus_proxy import native
from nucleus_proxy.answers import Granted, Presented, Refusal, Withdrawn
from nucleus_proxy.effects import fs
from nucleus_proxy.effects.opening import Root
from nucleus_proxy.native import Tools, Value
from nucleus_proxy.waiting import Caller
from nucleus_tokens import names
from nucleus_tokens.chain import UnverifiedToken
from nucleus_tokens.errors import NucleusError
from nucleus_verifier.ports import PendingRequest
from tests.proxy.stage import Stage, until, within
from tests.support import world

LOCAL = world.levels(
    **{name: "always" for name in names.OPERATIONS if name not in ("web_fetch", "web_search")}
)
POLICY = """
version = 1
[wall]
id = "test"
shows = []
[workspace]
root = "{root}"
"""


class NativeStage(Stage):
    """One verifier host with a workspace and the tools over it."""

    def __init__(
        self, workspace: Path, *, tools: Tools | None = None, text: str = POLICY, **options: Any
    ) -> None:
        super().__init__(text.replace("{root}", str(workspace)), **options)
        self.workspace = workspace
        self.root = Root(str(workspace))
        self.tools: dict[str, native.NativeTool] = {
            **fs.tools(self.root, draw=self.draw),
            **(tools or {}),
        }
        self.rebind()

    def rebind(self) -> None:
        """Take in what was added to `tools`."""
        self.mediator.judge.policy = native.bound(self.policy, self.tools)

    def everywhere(self, *more: list[Any], **rest: Any) -> UnverifiedToken:
        """A token for everything in the workspace, narrowed by the ceil's further caveats. It
        cannot reach the web: with that leg every command and push would owe an approval."""
        return self.token(LOCAL, ["path", "in", [str(self.workspace)]], *more, **rest)

    async def decide(
        self, token: UnverifiedToken, tool: str, args: dict[str, Any], caller: Caller | None = None
    ) -> Granted | Refusal | Withdrawn:
        """The decision on one call, under the holder's signature."""

        async def heard(_: str) -> None: ...

        text = self.sign(token, tool, args)
        row = self.tools[tool]
        return await within(
            self.mediator.call(
                Presented(text, "carried"),
                lambda: row.bind(args, str(self.workspace)),
                progress=heard,
                caller=caller or Caller(),
            )
        )

    async def use(self, token: UnverifiedToken, tool: str, args: dict[str, Any]) -> Value:
        """Decide and run; the call must be allowed."""
        granted = await self.decide(token, tool, args)
        assert isinstance(granted, Granted), granted
        return await within(self.tools[tool].run(granted, self.mediator.wall))

    async def code(self, token: UnverifiedToken, tool: str, args: dict[str, Any]) -> str:
        """The code of a refusal, or of a failure under a permit; "ok" where it succeeded."""
        done = await self.decide(token, tool, args)
        if isinstance(done, Refusal):
            return done.code
        assert isinstance(done, Granted), done
        try:
            await within(self.tools[tool].run(done, self.mediator.wall))
        except NucleusError as error:
            return error.code
        return "ok"

    async def owed(self, token: UnverifiedToken, tool: str, args: dict[str, Any]) -> list[str]:
        """The obligations of a call that is asked about; the request is withdrawn."""
        call = asyncio.create_task(self.decide(token, tool, args))
        request = await self.asked_by(call)
        self.ledger.withdraw(request.id)
        await within(call)
        return [name for name, _ in request.obligations]

    async def asked_by(self, call: asyncio.Task[Any]) -> PendingRequest:
        """The request that a call waits with; a call that ends without one is a failure."""

        def waits() -> PendingRequest | None:
            assert not call.done(), call.result()
            return self.pending()

        return await until(waits, "a request at the desk")

    def pending(self) -> PendingRequest | None:
        """The request that waits at the desk now."""
        return next((r for r in self.ledger.desk.values() if r.status == "pending"), None)
