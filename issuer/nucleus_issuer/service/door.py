"""Law: one door; who knocks is known before a byte of what is asked is read.

Every call of the service passes here: the peer's SPIFFE ID from the handshake, what the issuance
policy says of it, the right that the method needs, and only then the message. A stranger gets one
constant answer, whatever was asked and whether or not there is such a method; the log has the
reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Any, Final, Generic, NoReturn, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message
from opentelemetry.trace import Span, Tracer

from nucleus_issuer.desk import shown_safely
from nucleus_issuer.service.policy import Caller, IssuancePolicy
from nucleus_issuer.service.rates import Rates
from nucleus_tokens.errors import CredentialError, NucleusError
from nucleus_verifier.rpc import mtls, refusals, spans
from nucleus_verifier.rpc.names import WorkloadId

M = TypeVar("M", bound=Message)
Log = Callable[[str], None]
_FIRST_SECONDS: Final = 1.0
# What the caller must be; `None` is nobody in particular.
Allowed = Callable[[Caller], bool]


@dataclass(frozen=True, slots=True)
class Unary(Generic[M]):
    """One question, one answer."""

    request: type[M]
    allowed: Allowed
    run: Callable[[Caller, M], Awaitable[Message]]


@dataclass(frozen=True, slots=True)
class Answering(Generic[M]):
    """One question, several answers."""

    request: type[M]
    allowed: Allowed
    run: Callable[[Caller, M], AsyncIterator[Message]]


@dataclass(frozen=True, slots=True)
class Talking(Generic[M]):
    """Both sides, at once."""

    request: type[M]
    allowed: Allowed
    run: Callable[[Caller, AsyncIterator[M]], AsyncIterator[Message]]


Method = Unary[Any] | Answering[Any] | Talking[Any]


class _Refused(Exception):
    """The constant answer; the text is for the log."""


class _TooMany(Exception):
    """For known callers and strangers alike: it says nothing but what they know."""


class Door(grpc.GenericRpcHandler):
    """All methods of one service, behind one check. `clock` gives unix seconds."""

    def __init__(
        self,
        service: str,
        methods: Mapping[str, Method],
        *,
        trust_domain: str,
        policy: IssuancePolicy,
        clock: Callable[[], int],
        log: Log,
        counted: Callable[[str, str], None] = lambda method, outcome: None,
        tracer: Tracer | None = None,
    ) -> None:
        self._methods = {f"/{service}/{name}": method for name, method in methods.items()}
        self._trust_domain = trust_domain
        self._policy = policy
        self._clock = clock
        self._log = log
        self._counted = counted
        self._rates = Rates(policy.rate)
        self._tracer = tracer or spans.tracer()

    def service(self, details: Any) -> Any:
        """What answers a call of this name: for a name that is not ours, a refusal."""
        name: str = details.method
        method = self._methods.get(name)
        if isinstance(method, Talking):
            return grpc.stream_stream_rpc_method_handler(self._talking(name, method))
        if isinstance(method, Answering):
            return grpc.unary_stream_rpc_method_handler(self._answering(name, method))
        return grpc.unary_unary_rpc_method_handler(self._unary(name, method))

    # The three shapes ---------------------------------------------------------------------------

    def _unary(self, name: str, method: Unary[Any] | None) -> Any:
        async def answer(data: bytes, context: Any) -> bytes:
            caller = None
            with self._span(name, context) as span:
                try:
                    caller = self._admit(context, name, method)
                    assert method is not None  # noqa: S101  `_admit` refuses a name that has none
                    made = await method.run(caller, _parsed(method.request, data))
                except Exception as error:  # noqa: BLE001  what went wrong is not told outside
                    await self._refuse(context, name, caller, error, span)
                self._ended(name, span)
                return made.SerializeToString()

        return answer

    def _answering(self, name: str, method: Answering[Any]) -> Any:
        async def answer(data: bytes, context: Any) -> AsyncIterator[bytes]:
            caller = None
            with self._span(name, context) as span:
                try:
                    caller = self._admit(context, name, method)
                    async for made in method.run(caller, _parsed(method.request, data)):
                        yield made.SerializeToString()
                except Exception as error:  # noqa: BLE001  what went wrong is not told outside
                    await self._refuse(context, name, caller, error, span)
                self._ended(name, span)

        return answer

    def _talking(self, name: str, method: Talking[Any]) -> Any:
        async def asked(messages: AsyncIterator[bytes]) -> AsyncIterator[Any]:
            async for data in messages:
                yield _parsed(method.request, data)

        async def answer(messages: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
            caller = None
            with self._span(name, context) as span:
                try:
                    try:
                        caller = self._admit(context, name, method)
                    except (_Refused, _TooMany):
                        # A client that still writes would not see the refusal.
                        with suppress(TimeoutError):
                            async with asyncio.timeout(_FIRST_SECONDS):
                                await anext(messages, None)
                        raise
                    async for made in method.run(caller, asked(messages)):
                        yield made.SerializeToString()
                except Exception as error:  # noqa: BLE001  what went wrong is not told outside
                    await self._refuse(context, name, caller, error, span)
                self._ended(name, span)

        return answer

    # --------------------------------------------------------------------------------------------

    def _admit(self, context: Any, name: str, method: Method | None) -> Caller:
        found = mtls.peer(context.auth_context(), self._trust_domain)
        if found is None:
            raise _Refused("the peer proved no identity of this trust domain")
        peer, expires = found
        # A connection outlives the identity it was made with.
        if self._clock() >= expires:
            raise _Refused(f"{peer}: its certificate has expired since it connected")
        if not self._rates.take(str(peer)):
            raise _TooMany
        if method is None:
            raise _Refused(f"{peer}: there is no method {name[:200]}")
        caller = self._policy.caller(peer)
        if not method.allowed(caller):
            raise _Refused(f"{peer}: the issuance policy does not allow this")
        return caller

    def _span(self, name: str, context: Any) -> AbstractContextManager[Span]:
        known = name.rpartition("/")[2] if name in self._methods else "unknown"
        parent = spans.parent_of(context.invocation_metadata())
        return spans.span(self._tracer, f"nucleus.issuer/{known}", parent)

    def _ended(self, name: str, span: Span) -> None:
        span.set_attribute(spans.OUTCOME, "ok")
        self._counted(name, "ok")

    async def _refuse(
        self, context: Any, name: str, caller: Caller | None, error: Exception, span: Span
    ) -> NoReturn:
        span.set_attribute(spans.OUTCOME, "refused")
        stranger = caller is None or not caller.known
        why = str(error) if isinstance(error, NucleusError | _Refused) else repr(error)
        who: WorkloadId | str = "a stranger" if caller is None else caller.id
        self._log(shown_safely(f"refused {name[:200]} for {who}: {why[:500]}"))
        self._counted(name if name in self._methods else "unknown", "refused")
        if isinstance(error, _TooMany):
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "More calls than one caller may make: come again later.",
                ((refusals.CODE, refusals.RATE),),
            )
        elif stranger or isinstance(error, _Refused):
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, refusals.STRANGER)
        elif isinstance(error, NucleusError):
            await context.abort(
                refusals.status_of(error), error.message, ((refusals.CODE, error.code),)
            )
        else:
            await context.abort(grpc.StatusCode.INTERNAL, "failed")
        raise AssertionError("abort raises")


def anybody(_: Caller) -> bool:
    """Whoever has an identity of this trust domain."""
    return True


def known(caller: Caller) -> bool:
    """Whoever the policy names."""
    return caller.known


def operator(right: str) -> Allowed:
    """Whoever has this right."""
    return lambda caller: right in caller.rights


def _parsed(kind: type[M], data: bytes) -> M:
    message = kind()
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise CredentialError("service.malformed", "The message is not well formed.") from error
    return message
