"""Law: every request that is judged is one span, with the word of its outcome."""

from __future__ import annotations

from opentelemetry.trace import Tracer

from nucleus_verifier.rpc import spans
from nucleus_verifier.rpc.spans import OUTCOME, span
from nucleus_verifier.sidecar.answers import Admitted, Answer
from nucleus_verifier.sidecar.asked import Asked
from nucleus_verifier.sidecar.gate import Check
from nucleus_verifier.sidecar.metrics import outcome


def spanning(check: Check, tracer: Tracer | None = None) -> Check:
    """The same check, as spans."""
    by = tracer or spans.tracer()

    async def run(asked: Asked) -> Answer:
        with span(by, "nucleus.verifier/Check", asked.trace) as made:
            answer = await check(asked)
            made.set_attribute(OUTCOME, outcome(answer))
            if isinstance(answer, Admitted):
                made.set_attribute("nucleus.tool", answer.tool)  # a name of the operator's file
            return answer

    return run
