"""Law: what is counted is served on a port of its own, without TLS: for operators."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server

from nucleus_tokens.errors import CallerError, WorldError


@contextmanager
def served(registry: CollectorRegistry, address: str) -> Iterator[int]:
    """Answer at `host:port`; the port. Raises CallerError `metrics.address`, WorldError
    `service.address`."""
    host, _, port = address.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise CallerError("metrics.address", "Metrics are served at HOST:PORT.")
    try:
        server, thread = start_http_server(int(port), host.strip("[]"), registry)
    except OSError as error:
        raise WorldError(
            "service.address", f"Nobody can listen at {address}: is it free, and is it ours?"
        ) from error
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
