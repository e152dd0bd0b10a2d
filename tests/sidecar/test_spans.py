"""Spans say which method and what came of it, join the caller's trace, and hold nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.context import Context

from nucleus_issuer.service import policy
from nucleus_issuer.service.door import Door, Unary, anybody
from nucleus_verifier.rpc import issuer_pb2 as pb
from nucleus_verifier.rpc import spans
from nucleus_verifier.sidecar.answers import Admitted, Answer, Refused, Waiting, unavailable
from nucleus_verifier.sidecar.asked import Asked
from nucleus_verifier.sidecar.spanning import spanning

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


class Recorded(trace.NonRecordingSpan):
    """What an SDK would export of one span."""

    def __init__(self, name: str, context: Context | None) -> None:
        above = trace.get_current_span(context).get_span_context()
        super().__init__(above)
        self.name = name
        self.trace_id = f"{above.trace_id:032x}" if above.is_valid else ""
        self.attributes: dict[str, Any] = {}
        self.ended = False

    def set_attribute(self, key: str, value: Any) -> None:
        self.attributes[key] = value

    def end(self, end_time: int | None = None) -> None:
        self.ended = True


class Recorder(trace.Tracer):
    def __init__(self) -> None:
        self.spans: list[Recorded] = []

    def start_span(self, name: str, context: Any = None, *_: Any, **__: Any) -> Recorded:
        self.spans.append(Recorded(name, context))
        return self.spans[-1]

    @contextmanager
    def start_as_current_span(self, *_: Any, **__: Any) -> Iterator[Any]:
        raise AssertionError("a span of ours is nobody's context")


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Admitted(7, "notes.read", "agent", "rid"), "admitted"),
        (Refused("token.revoked"), "refused"),
        (Waiting("id", ("op:x",), ""), "waiting"),
        (unavailable("store.failed"), "unavailable"),
    ],
)
async def test_a_request_is_one_span_with_its_outcome(answer: Answer, outcome: str) -> None:
    recorder = Recorder()

    async def check(_: Asked) -> Answer:
        return answer

    asked = Asked("nuc1_secret", "GET", "host", "/path?query", peer="spiffe://x/y", trace=PARENT)
    assert await spanning(check, recorder)(asked) is answer
    (span,) = recorder.spans
    assert (span.name, span.trace_id, span.ended) == ("nucleus.verifier/Check", TRACE, True)
    tool = {"nucleus.tool": "notes.read"} if outcome == "admitted" else {}
    assert span.attributes == {"nucleus.outcome": outcome, **tool}


async def test_a_check_that_fails_ends_its_span() -> None:
    recorder = Recorder()

    async def check(_: Asked) -> Answer:
        raise ValueError

    with pytest.raises(ValueError):
        await spanning(check, recorder)(Asked("x", "GET", "host", "/"))
    assert [span.ended for span in recorder.spans] == [True]


@given(st.one_of(st.text(max_size=80), st.from_regex(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-9]")))
def test_a_traceparent_of_a_stranger_is_read_or_ignored(text: str) -> None:
    recorder = Recorder()
    with spans.span(recorder, "it", text):
        pass
    (span,) = recorder.spans
    assert span.trace_id in ("", text[3:35])


async def test_the_issuers_calls_are_spans_whatever_they_are_called() -> None:
    """Over a real connection without TLS: its caller is nobody, and every call is refused."""
    recorder = Recorder()

    async def never(*_: Any) -> Any:
        raise AssertionError

    door = Door(
        "nucleus.issuer.v1.Issuer",
        {"List": Unary(pb.ListRequest, anybody, never)},
        trust_domain="example.org",
        policy=policy.IssuancePolicy((), {}, ()),
        clock=lambda: 0,
        log=lambda line: None,
        tracer=recorder,
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((door,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            for name in ("List", "nuc1_secret"):
                call: Any = channel.unary_unary(f"/nucleus.issuer.v1.Issuer/{name}")
                with pytest.raises(grpc.aio.AioRpcError):
                    await call(b"", metadata=(("traceparent", PARENT),), timeout=10)
            # The caller has its answer a moment before the handler is over.
            async with asyncio.timeout(30):
                while not all(span.ended for span in recorder.spans):
                    await asyncio.sleep(0.005)
    finally:
        await server.stop(None)
    assert [span.name for span in recorder.spans] == [
        "nucleus.issuer/List",
        "nucleus.issuer/unknown",
    ]
    for span in recorder.spans:
        assert span.ended
        assert span.trace_id == TRACE
        assert span.attributes == {"nucleus.outcome": "refused"}


def test_without_an_sdk_a_span_is_nothing() -> None:
    with spans.span(spans.tracer(), "it", PARENT) as made:
        assert not made.is_recording()
