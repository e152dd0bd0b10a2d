"""Law: a bound on calls counts those that run; a client that heeds it is never refused for it."""

from __future__ import annotations

Options = tuple[tuple[str, int], ...]


def at_once(calls: int) -> Options:
    """A server's options for so many calls at once on each connection; a client waits with more.

    gRPC by itself also counts calls that it has answered and has not freed yet (its protection
    against calls dropped at once), and refuses, with `RST_STREAM` 7, a client that is told of the
    bound and keeps to it. Dropped calls keep nobody waiting without that either, and memory stays:
    `tests/sidecar/test_attack_slow_clients.py`.
    """
    return (("grpc.max_concurrent_streams", calls), ("grpc.http.overload_protection", 0))
