"""Law: a function of the agent's own runs in the agent's process; its permit is used up here.

The one effect that does nothing: what was allowed was allowed once, and the record of it stands
before the function can know. What the function then does is not mediated (docs/sdk.md).
"""

from __future__ import annotations

from nucleus_proxy.answers import Granted


def hand_over(granted: Granted, cell: str) -> None:
    """Use the permit. Raises CallerError `permit.*`."""
    call = granted.call
    granted.permit.use(operation=call.operation, call_digest=call.digest, cell=cell)
