"""Law: what is counted names outcomes, never a caller, a token or what was asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from nucleus_verifier.sidecar.answers import Admitted, Answer, Waiting
from nucleus_verifier.sidecar.asked import Asked
from nucleus_verifier.sidecar.gate import Check

_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class Lease(Protocol):
    """What a sidecar knows of revocations, and for how long it may rely on it."""

    @property
    def seq(self) -> int: ...

    def remaining(self) -> float: ...


class Metrics:
    """The counts of one sidecar."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._answers = Counter(
            "nucleus_verifier_answers",
            "Requests that were judged, by outcome.",
            ("outcome",),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "nucleus_verifier_seconds",
            "How long a request was judged.",
            buckets=_BUCKETS,
            registry=self.registry,
        )

    def counting(self, check: Check) -> Check:
        """The same check, counted."""

        async def run(asked: Asked) -> Answer:
            began = time.perf_counter()
            answer = await check(asked)
            self._seconds.observe(time.perf_counter() - began)
            self._answers.labels(outcome(answer)).inc()
            return answer

        return run

    def observe(self, lease: Lease) -> None:
        """Show this lease as it is whenever somebody looks."""
        values: dict[str, tuple[str, Callable[[], float]]] = {
            "lease_seconds": (
                "How long it may go on without its issuer.",
                lambda: max(0.0, lease.remaining()),
            ),
            "revocation_seq": ("The latest revocation it knows.", lambda: lease.seq),
        }
        for name, (says, value) in values.items():
            gauge = Gauge(f"nucleus_verifier_{name}", says, registry=self.registry)
            gauge.set_function(value)


def outcome(answer: Answer) -> str:
    """One word of a few."""
    if isinstance(answer, Admitted):
        return "admitted"
    if isinstance(answer, Waiting):
        return "waiting"
    return "unavailable" if answer.code == "verifier.unavailable" else "refused"
