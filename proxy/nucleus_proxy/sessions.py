"""Law: a connection holds its session's token, and lets it ask, narrow and hand on; never widen.

What a client of the proxy's own tools may say beside calling them: what it has seen, what would
become of a call, narrower caveats, a sub-agent with a connection of its own, and functions of its
own that run under a decision. The connection is private, so it is the proof (`held`); the key that
signs delegations was made on this side and stays here.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol

from nucleus_proxy import binding, toolcall, wire
from nucleus_proxy.answers import Granted, Presented, Refusal, Withdrawn
from nucleus_proxy.binding import BoundCall, Hints
from nucleus_proxy.effects.handing import hand_over
from nucleus_proxy.mediator import Mediator
from nucleus_proxy.methods import DECISION, EXPOSURE
from nucleus_proxy.native import Tools
from nucleus_proxy.toolrules import ToolBinding
from nucleus_proxy.toolserver import ToolServer
from nucleus_proxy.waiting import Caller
from nucleus_proxy.wire import FRAME_BYTES, Frame
from nucleus_tokens import crypto, flow, holding, names, writing
from nucleus_tokens.errors import CallerError, CredentialError, NucleusError
from nucleus_verifier.choosing import SELECTOR_KINDS, SelectorRule

GUARD_PREFIX: Final = "guard:"
MOST_SESSIONS: Final = 64  # of sub-agents, below one connection
_TRACE_BATCH: Final = 200


@dataclass(frozen=True, slots=True)
class Held:
    """The token of a session and its holder's key. Neither leaves this process."""

    text: str = field(repr=False)
    private: bytes = field(repr=False)


class Host(Protocol):
    """What a session may ask about itself. Called in a thread."""

    def about(self, text: str) -> dict[str, Any]:
        """Token id, revocation id, cell, expiry and so on; raises CredentialError for a token
        that this host's verifier would refuse."""
        ...

    def narrowed(self, text: str) -> dict[str, Any]:
        """`about`, for the token that takes the place of the session's."""
        ...

    def seen(self, text: str) -> list[str]:
        """The exposure of the session, by name."""
        ...

    def explain(self, text: str, build: Callable[[], BoundCall]) -> dict[str, Any]:
        """What would become of a call now."""
        ...

    def trace(self, tid: str, after: int, most: int) -> list[str]:
        """Lines of the trace about this token's tree, `after` that many of them."""
        ...


class SessionServer(ToolServer):
    """One session: the proxy's own tools, and the session itself."""

    def __init__(
        self,
        *,
        connection: socket.socket,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        mediator: Mediator,
        tools: Tools,
        held: Held,
        host: Host,
        cwd: str,
        draw: Callable[[int], bytes],
        log: Callable[[str], None],
    ) -> None:
        """`connection` is what the streams stand on: a descriptor is sent through it."""
        super().__init__(
            reader=reader,
            writer=writer,
            mediator=mediator,
            tools=tools,
            held=held.text,
            cwd=cwd,
            log=log,
            private=held.private,
        )
        # Nothing may stand in the buffer when a descriptor is sent with a line.
        writer.transport.set_write_buffer_limits(0)
        self._connection = connection
        self._token = held
        self._host = host
        self._draw = draw
        self._running: dict[int, Granted] = {}
        self._below: set[asyncio.Task[None]] = set()
        self._methods: dict[str, Callable[[Frame], Awaitable[dict[str, Any] | None]]] = {
            "nucleus/open": self._opened,
            "nucleus/explain": self._explain,
            "nucleus/exposure": self._exposure,
            "nucleus/attenuate": self._attenuate,
            "nucleus/delegate": self._delegate,
            "nucleus/guard": self._guard,
            "nucleus/guarded": self._guarded,
            "nucleus/trace": self._trace,
        }

    async def run(self) -> None:
        """Until the client ends. Sessions of sub-agents end by themselves, or with the process."""
        await super().run()
        if self._below:
            await asyncio.wait(self._below)

    async def _other(self, frame: Frame) -> None:
        method = self._methods.get(frame.method)
        if method is None:
            await super()._other(frame)
        else:
            self._spawn(self._answered(frame, method(frame)))

    async def _answered(self, frame: Frame, work: Awaitable[dict[str, Any] | None]) -> None:
        try:
            content = await work
            if content is not None:
                await self._answer(frame, content)
        except NucleusError as error:
            data = {"code": error.code, "hint": error.hint}
            code = wire.INVALID_PARAMS
            if not isinstance(error, CallerError | CredentialError):
                code = wire.WORLD_FAILED
            await self._client.send(wire.error(frame.id, code, error.message, data))

    # About the session ------------------------------------------------------------------------

    async def _opened(self, _: Frame) -> dict[str, Any]:
        return await asyncio.to_thread(self._host.about, self._token.text)

    async def _exposure(self, _: Frame) -> dict[str, Any]:
        return {"exposure": await asyncio.to_thread(self._host.seen, self._token.text)}

    async def _explain(self, frame: Frame) -> dict[str, Any]:
        build = self._bound(frame)
        return await asyncio.to_thread(self._host.explain, self._token.text, build)

    async def _trace(self, frame: Frame) -> dict[str, Any]:
        after = frame.params.get("from", 0)
        if type(after) is not int or after < 0:
            raise _bad("from", "a whole number from 0")
        about = await asyncio.to_thread(self._host.about, self._token.text)
        work = partial(self._host.trace, str(about["tid"]), after, _TRACE_BATCH)
        return {"lines": await asyncio.to_thread(work)}

    # Narrowing and handing on -----------------------------------------------------------------

    async def _attenuate(self, frame: Frame) -> dict[str, Any]:
        token = holding.attenuate(holding.read_token(self._token.text), *_caveats(frame))
        text = writing.write_credential(token)
        about = await asyncio.to_thread(self._host.narrowed, text)
        # From here on nobody has the wider one: it was never anywhere else.
        self._token = Held(text, self._token.private)
        self._held = text
        return about

    async def _delegate(self, frame: Frame) -> dict[str, Any] | None:
        """Hand a narrower token to a key that is made here, and a connection to whoever asked."""
        if len(self._below) >= MOST_SESSIONS:
            raise CallerError("session.too_many", f"{MOST_SESSIONS} sub-agents have sessions here.")
        to, purpose = _text(frame, "to"), frame.params.get("purpose", "")
        depth = frame.params.get("depth", 0)
        private = self._draw(crypto.KEY_BYTES)
        token = holding.attenuate(holding.read_token(self._token.text), *_caveats(frame))
        token = holding.delegate(
            token,
            self._token.private,
            to=to,
            key=crypto.public_of(private),
            purpose=purpose,
            depth=depth,
        )
        held = Held(writing.write_credential(token), private)
        # Asked of the verifier now, so that the sub-agent does not start with what is refused.
        about = await asyncio.to_thread(self._host.about, held.text)
        ours, theirs = socket.socketpair()
        try:
            server = await self._beside(ours, held)
            task = asyncio.create_task(server.run())
            self._below.add(task)
            task.add_done_callback(self._below.discard)
            if frame.id is not None:
                raw = wire.result(frame.id, {**about, "connection": True})
                await self._client.send_descriptor(raw, self._connection, theirs.fileno())
        finally:
            theirs.close()
        return None

    async def _beside(self, connection: socket.socket, held: Held) -> SessionServer:
        reader, writer = await asyncio.open_unix_connection(sock=connection, limit=FRAME_BYTES + 1)
        return SessionServer(
            connection=connection,
            reader=reader,
            writer=writer,
            mediator=self._mediator,
            tools=self._tools,
            held=held,
            host=self._host,
            cwd=self._cwd,
            draw=self._draw,
            log=self._log,
        )

    # Functions of the agent's own -------------------------------------------------------------

    async def _guard(self, frame: Frame) -> dict[str, Any] | None:
        caller = self._callers[frame.key] = Caller(waits=toolcall.waits(frame.params))
        try:
            done = await self._mediator.call(
                Presented(self._token.text, "held"),
                self._bound(frame),
                progress=self._progress(frame),
                caller=caller,
            )
        finally:
            del self._callers[frame.key]
        match done:
            case Withdrawn():
                return None
            case Refusal():
                return done.result(new_era=False)
            case Granted():
                hand_over(done, self._mediator.wall)
                self._running[done.permit.seq] = done
                seen = list(names.exposure_names(done.exposure))
                return {"content": [], "_meta": {DECISION: done.permit.seq, EXPOSURE: seen}}

    async def _guarded(self, frame: Frame) -> dict[str, Any]:
        seq, ok = frame.params.get("decision"), frame.params.get("ok")
        granted = self._running.pop(seq, None) if type(seq) is int else None
        if granted is None or type(ok) is not bool:
            raise CallerError("guard.unknown", "No function that was let run has this decision.")
        await self._mediator.outcome(granted, ok=ok, result=b"")
        return {}

    def _bound(self, frame: Frame) -> Callable[[], BoundCall]:
        """How the call in these parameters is resolved. Raises CredentialError."""
        name, args = _text(frame, "name"), frame.params.get("arguments")
        if type(args) is not dict:
            raise _bad("arguments", "an object")
        tool = self._tools.get(name)
        if tool is not None:
            return partial(tool.bind, args, self._cwd)
        if not name.startswith(GUARD_PREFIX):
            return partial(binding.unclassified, name, args)
        # The operator's word is worth more than the program's own.
        row = self._mediator.policy.tools.get(name)
        if row is None:
            row = _declared(name, args, frame.params.get("declared"))
        return partial(binding.bind, name, args, row, Hints(), self._cwd)


def _declared(name: str, args: dict[str, Any], said: Any) -> ToolBinding:
    """What a guarded function says it does. Whoever lies here fools a program of his own."""
    if type(said) is not dict or sorted(said) != ["labels", "operation", "selectors"]:
        raise _bad("declared", "labels, operation and selectors")
    chosen = said["selectors"]
    if type(chosen) is not dict or any(kind not in SELECTOR_KINDS for kind in chosen.values()):
        raise _bad("selectors", f"kinds: {', '.join(SELECTOR_KINDS)}")
    try:
        operation = names.operation(said["operation"])
        adds = names.exposure_bits(said["labels"])
    except (ValueError, TypeError) as error:
        raise _bad("declared", str(error)) from error
    rules = tuple(SelectorRule(_pointer(key), kind) for key, kind in chosen.items())
    free = frozenset(_pointer(key) for key in args if key not in chosen)
    sink = flow.default_sink(operation)
    return ToolBinding(name, operation, sink, selectors=rules, payload=free, adds=adds)


def _pointer(key: str) -> str:
    return "/" + key.replace("~", "~0").replace("/", "~1")


def _caveats(frame: Frame) -> list[list[Any]]:
    given = frame.params.get("caveats", [])
    if type(given) is not list or any(type(each) is not list for each in given):
        raise _bad("caveats", "a list of arrays")
    return given


def _text(frame: Frame, name: str) -> str:
    value = frame.params.get(name)
    if type(value) is not str or not 0 < len(value) <= 256 or not value.isprintable():
        raise _bad(name, "a short text")
    return value


def _bad(name: str, wanted: str) -> CredentialError:
    return CredentialError("session.params", f"The parameter {name!r} does not fit: {wanted}.")
