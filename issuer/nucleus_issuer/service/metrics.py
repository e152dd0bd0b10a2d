"""Law: what is counted names methods and outcomes, never a caller, a token or what was asked.

For Prometheus, on a port of its own without TLS: bind it to loopback or to a network of operators.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge

from nucleus_issuer.service.leases import Leases
from nucleus_verifier.rpc.prometheus import served


class Metrics:
    """The counts of one service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._calls = Counter(
            "nucleus_issuer_calls",
            "Calls that ended, by method and outcome.",
            ("method", "outcome"),
            registry=self.registry,
        )
        self._gauges: dict[str, Gauge] = {
            name: Gauge(f"nucleus_issuer_{name}", says, registry=self.registry)
            for name, says in (
                ("watchers", "Verifiers that watch, or whose lease has not run out."),
                ("revocation_seq", "The latest revocation that this node knows."),
                ("lease_seconds", "How long a lease would be that is given now."),
            )
        }

    def counted(self, method: str, outcome: str) -> None:
        """One call ended. `method` is one of the service's own, or `unknown`."""
        self._calls.labels(method.rsplit("/", 1)[-1], outcome).inc()

    def observe(self, leases: Leases) -> None:
        """Show these leases as they are whenever somebody looks."""
        values: dict[str, Callable[[], float]] = {
            "watchers": lambda: leases.watchers,
            "revocation_seq": lambda: leases.seq,
            "lease_seconds": lambda: max(0.0, leases.remaining()),
        }
        for name, value in values.items():
            self._gauges[name].set_function(value)

    @contextmanager
    def served(self, address: str) -> Iterator[int]:
        """Answer at `host:port`; the port. Raises CallerError `metrics.address`, WorldError
        `service.address`."""
        with served(self.registry, address) as port:
            yield port
