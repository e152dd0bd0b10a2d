"""Law: only here a call or a read is written to a server, and it takes a permit to do it.

A house of one door: the wiring test looks for any other.
"""

from __future__ import annotations

from nucleus_proxy.methods import READS, TOOLS_CALL, judged_as
from nucleus_proxy.wire import Frame, Writer
from nucleus_tokens.errors import CallerError
from nucleus_verifier.commit import Permit
from nucleus_verifier.facts import Call


async def forward(permit: Permit, call: Call, cell: str, frame: Frame, server: Writer) -> None:
    """Run the call that was decided: write exactly the frame whose arguments were judged.

    Raises CallerError `permit.*` for a used or foreign permit, `effect.other_call` when the frame
    is not the call; then nothing is written.
    """
    if frame.kind != "request" or not _is(frame, call):
        raise CallerError("effect.other_call", "This frame is not the call that was decided.")
    permit.use(operation=call.operation, call_digest=call.digest, cell=cell)
    server.write(frame.raw + b"\n")
    await server.drain()


def _is(frame: Frame, call: Call) -> bool:
    if frame.method in READS:
        # Texts, and a table of texts: what is equal is the same.
        return judged_as(frame.method, frame.params) == (call.tool, call.args)
    given = frame.params.get("arguments")
    # The very object that was digested, not one that looks like it.
    same = given is call.args or (given is None and call.args == {})
    return frame.method == TOOLS_CALL and frame.params.get("name") == call.tool and same
