"""Law: a span names one of our own methods and its outcome; no caller, token or argument.

OpenTelemetry's API alone: without an SDK in the process nothing is recorded. Whose trace a call
belongs to is what the caller says (`traceparent`, W3C): text of a stranger, read strictly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

PARENT: Final = "traceparent"
OUTCOME: Final = "nucleus.outcome"
_CHARS: Final = 55  # of a traceparent of version 00
_READ: Final = TraceContextTextMapPropagator()


def tracer() -> trace.Tracer:
    """Where our spans go: to whatever SDK this process was started with, if any."""
    return trace.get_tracer("nucleus")


@contextmanager
def span(by: trace.Tracer, name: str, parent: str) -> Iterator[trace.Span]:
    """One call, from here to the end of the block."""
    context = None
    if len(parent) == _CHARS and parent.isascii():
        context = _READ.extract({PARENT: parent})
    made = by.start_span(name, context=context, kind=trace.SpanKind.SERVER)
    try:
        yield made
    finally:
        made.end()


def parent_of(metadata: Sequence[tuple[str, Any]] | None) -> str:
    """The `traceparent` of a gRPC call; empty if there is none, or more than one."""
    found = [value for key, value in metadata or () if key == PARENT]
    return found[0] if len(found) == 1 and isinstance(found[0], str) else ""
