"""Law: this is the only place that writes a tools/call to a server, and it takes a permit to do it.

A house of one door: the wiring test looks for any other.
"""

from __future__ import annotations

from nucleus_proxy.methods import TOOLS_CALL
from nucleus_proxy.wire import Frame, Writer
from nucleus_tokens.errors import CallerError
from nucleus_verifier.commit import Permit
from nucleus_verifier.facts import Call


async def forward(permit: Permit, call: Call, cell: str, frame: Frame, server: Writer) -> None:
    """Run the call that was decided: write exactly the frame whose arguments were judged.

    Raises CallerError `permit.*` for a used or foreign permit, `effect.other_call` when the frame
    is not the call; then nothing is written.
    """
    given = frame.params.get("arguments")
    if (
        frame.method != TOOLS_CALL
        or frame.kind != "request"
        or frame.params.get("name") != call.tool
        # The very object that was digested, not one that looks like it.
        or not (given is call.args or (given is None and call.args == {}))
    ):
        raise CallerError("effect.other_call", "This frame is not the call that was decided.")
    permit.use(operation=call.operation, call_digest=call.digest, cell=cell)
    server.write(frame.raw + b"\n")
    await server.drain()
