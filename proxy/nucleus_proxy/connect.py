"""Law: beside the agent each call is signed, and nothing that signs leaves this process.

`nucleus mcp connect`: between an agent's MCP client and the socket of `nucleus mcp serve`. For each
call, read and list, and for what opens a conversation, it appends a request and the holder's proof
to the token and puts the credential into `_meta`. Everything else passes as it is. It knows no
policy and grants nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nucleus_proxy import methods, wire
from nucleus_proxy.link import Line
from nucleus_proxy.wire import ANSWER_BYTES, FRAME_BYTES, BadFrame, Frame, Reader, Writer
from nucleus_tokens import header, holding
from nucleus_tokens.chain import UnverifiedToken
from nucleus_tokens.errors import CallerError, CredentialError, NucleusError, WorldError

Clock = Callable[[], int]


@dataclass(frozen=True, slots=True)
class Hello:
    """Who answers at the socket, by its own word: a request bound to a liar is refused there."""

    instance: str
    audience: str


class Signer:
    """The holder's side of one connection."""

    def __init__(
        self,
        token: UnverifiedToken,
        private: bytes,
        hello: Hello,
        clock: Clock,
        draw: Callable[[int], bytes],
    ) -> None:
        """`private` is the holder's Ed25519 seed, 32 bytes; `clock` gives unix seconds."""
        self._token = token
        self._private = private
        self._hello = hello
        self._clock = clock
        self._draw = draw

    def sign(self, frame: Frame) -> Frame:
        """The frame with its credential; the same frame if it needs none. Raises CredentialError
        `call.params`, or `call.too_large`: the other side would read no further."""
        params = frame.params
        if frame.kind != "request" or frame.method not in methods.SIGNED:
            return frame
        tool, args = methods.judged_as(frame.method, params)
        if type(tool) is not str or type(args) is not dict:
            raise CredentialError("call.params", "A call names a tool and has an object.")
        credential = holding.request(
            self._token,
            self._private,
            tool=tool,
            args=args,
            time=self._clock(),
            nonce=self._draw(16).hex(),
            instance=self._hello.instance,
        )
        meta = params.get("_meta")
        signed = {**(meta if type(meta) is dict else {}), methods.CREDENTIAL: credential}
        made = frame.altered("params", {**params, "_meta": signed})
        if len(made.raw) > FRAME_BYTES:
            raise CredentialError(
                "call.too_large", f"A call has at most {FRAME_BYTES} bytes with its credential."
            )
        return made


async def hello(reader: Reader) -> Hello:
    """The first line of the serving side. Raises WorldError `connect.hello`."""
    try:
        frame = wire.parse(await wire.read_line(reader))
    except BadFrame as error:
        raise WorldError("connect.hello", "Nobody we know answers at the socket.") from error
    instance, audience = frame.params.get("instance"), frame.params.get("audience")
    if frame.method != methods.HELLO or type(instance) is not str or type(audience) is not str:
        raise WorldError("connect.hello", "Nobody we know answers at the socket.")
    return Hello(instance, audience)


async def run_connect(
    path: Path,
    token: UnverifiedToken,
    private: bytes,
    *,
    reader: Reader,
    writer: Writer,
    clock: Clock,
    draw: Callable[[int], bytes],
) -> None:
    """Join an agent's streams to the socket at `path` until either ends.

    Raises WorldError `connect.socket` or `connect.hello`, CallerError `connect.key` or
    `connect.audience`, CredentialError for a token that cannot be read.
    """
    if len(private) != 32:
        raise CallerError("connect.key", "A holder's key is 32 bytes.")
    try:
        far_reader, far_writer = await asyncio.open_unix_connection(path, limit=ANSWER_BYTES)
    except OSError as error:
        raise WorldError("connect.socket", f"Nobody listens at {path}: {error}.") from error
    try:
        there = await hello(far_reader)
        if header.parse(token.identifier).aud != there.audience:
            raise CallerError(
                "connect.audience",
                f"The token is for another audience than {there.audience}.",
                hint="Exchange it at the issuer for one that this verifier accepts.",
            )
        signer = Signer(token, private, there, clock, draw)
        near, far = Line(writer), Line(far_writer)
        out = asyncio.ensure_future(_sign_out(reader, near, far, signer))
        back = asyncio.ensure_future(_pass_back(far_reader, near))
        try:
            await asyncio.wait({out, back}, return_when=asyncio.FIRST_COMPLETED)
            if out.done() and not back.done():
                # The agent said all it had to say; what was asked may still be answered.
                if far_writer.can_write_eof():
                    far_writer.write_eof()
                await back
        finally:
            out.cancel()
            back.cancel()
            await asyncio.gather(out, back, return_exceptions=True)
    finally:
        far_writer.close()


async def _sign_out(reader: Reader, near: Line, far: Line, signer: Signer) -> None:
    while True:
        try:
            line = await wire.read_line(reader)
            if not line:
                return
            frame = wire.parse(line)
        except BadFrame as error:
            await near.send(wire.error(error.id, error.rpc, error.message))
            if error.code == "wire.too_large":
                return
            continue
        try:
            signed = signer.sign(frame)
        except NucleusError as error:
            await near.send(wire.error(frame.id, wire.INVALID_PARAMS, error.message))
        else:
            await far.send(signed.raw)


async def _pass_back(reader: Reader, near: Line) -> None:
    try:
        while line := await wire.read_line(reader):
            await near.send(line.removesuffix(b"\n"))
    except BadFrame:
        return
