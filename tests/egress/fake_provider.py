"""A fake model provider: the two API shapes as far as a route passes them, on loopback.

Named as a fake: no real provider can be had in a test. It checks the credential, remembers every
request whole, counts tokens by words and answers or streams as the real ones do. A test can make it
lie, stop, echo or go on for ever.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.egress.far import far


@dataclass
class Provider:
    """What it was asked, and how it shall behave."""

    key: str
    port: int = 0
    asked: list[dict[str, Any]] = field(default_factory=list)
    words: list[str] = field(default_factory=lambda: ["one ", "two ", "three"])
    usage: dict[str, Any] | None = None  # told instead of the truth
    endless: bool = False
    hold: asyncio.Event | None = None  # a stream waits for it after its first word
    echo: bool = False  # it says back what it was sent, credential and all
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:]) if v}
        raw = await reader.readexactly(int(headers.get("content-length", "0")))
        body = json.loads(raw) if raw else None
        self.asked.append({"method": method, "path": path, "headers": headers, "body": body})
        given = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        if given != self.key:
            await self.whole(writer, 401, {"error": {"message": "bad key", "type": "auth"}})
        elif self.echo:
            await self.whole(writer, 200, {"headers": headers, "content": f"key {given} end"})
        elif self.status != 200:
            await self.whole(writer, self.status, {"error": {"message": "no", "type": "x"}})
        elif body is None:
            await self.whole(
                writer, 200, {"object": "list", "data": [{"id": "m", "object": "model"}]}
            )
        elif body.get("stream"):
            await self.stream(writer, path, body)
        else:
            await self.whole(writer, 200, self.answer(path, body))

    def told(self, body: dict[str, Any], shape: str) -> dict[str, Any]:
        if self.usage is not None:
            return self.usage
        words_in, words_out = len(json.dumps(body).split()), len(self.words)
        if shape == "chat":
            return {
                "prompt_tokens": words_in, "completion_tokens": words_out,
                "total_tokens": words_in + words_out,
            }  # fmt: skip
        return {"input_tokens": words_in, "output_tokens": words_out}

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        text = "".join(self.words)
        if path.endswith("/chat/completions"):
            message = {"role": "assistant", "content": text}
            return {
                "id": "c1", "object": "chat.completion", "created": 1, "model": body["model"],
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": self.told(body, "chat"),
            }  # fmt: skip
        if path.endswith("/responses"):
            part = {"type": "output_text", "text": text, "annotations": []}
            return {
                "id": "r1", "object": "response", "created_at": 1, "model": body["model"],
                "status": "completed", "parallel_tool_calls": True, "tool_choice": "auto",
                "tools": [], "usage": {**self.told(body, "r"), "total_tokens": 0,
                    "input_tokens_details": {"cached_tokens": 0},
                    "output_tokens_details": {"reasoning_tokens": 0}},
                "output": [{"id": "m1", "type": "message", "role": "assistant",
                            "status": "completed", "content": [part]}],
            }  # fmt: skip
        if path.endswith("/embeddings"):
            return {
                "object": "list", "model": body["model"],
                "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}],
                "usage": {"prompt_tokens": 3, "total_tokens": 3},
            }  # fmt: skip
        if path.endswith("/count_tokens"):
            return {"input_tokens": 7}
        return {
            "id": "m1", "type": "message", "role": "assistant", "model": body["model"],
            "content": [{"type": "text", "text": text}], "stop_reason": "end_turn",
            "stop_sequence": None, "usage": self.told(body, "m"),
        }  # fmt: skip

    async def whole(self, writer: asyncio.StreamWriter, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        more = "".join(f"{key}: {text}\r\n" for key, text in self.headers.items())
        writer.write(
            f"HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\n{more}"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        await writer.drain()

    async def stream(self, writer: asyncio.StreamWriter, path: str, body: dict[str, Any]) -> None:
        more = "".join(f"{key}: {text}\r\n" for key, text in self.headers.items())
        writer.write(
            f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{more}"
            "Transfer-Encoding: chunked\r\n\r\n".encode()
        )
        chat = path.endswith("/chat/completions")

        async def event(value: dict[str, Any]) -> None:
            name = "" if chat else f"event: {value['type']}\n"
            data = f"{name}data: {json.dumps(value)}\n\n".encode()
            writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            await writer.drain()

        def piece(word: str) -> dict[str, Any]:
            if chat:
                return {
                    "id": "c1", "object": "chat.completion.chunk", "created": 1,
                    "model": body["model"],
                    "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}],
                }  # fmt: skip
            delta = {"type": "text_delta", "text": word}
            return {"type": "content_block_delta", "index": 0, "delta": delta}

        if not chat:
            usage = {**self.told(body, "m"), "output_tokens": 1}
            message = {**self.answer(path, body), "content": [], "usage": usage}
            await event({"type": "message_start", "message": message})
            block = {"type": "text", "text": ""}
            await event({"type": "content_block_start", "index": 0, "content_block": block})
        for i, word in enumerate(self.words):
            await event(piece(word))
            if i == 0 and self.hold is not None:
                await self.hold.wait()
        while self.endless:
            await event(piece("and on " * 100))
        if chat:
            done = piece("")
            done["choices"][0] = {"index": 0, "delta": {}, "finish_reason": "stop"}
            await event(done)
            if (body.get("stream_options") or {}).get("include_usage"):
                await event({**piece(""), "choices": [], "usage": self.told(body, "chat")})
            writer.write(b"e\r\ndata: [DONE]\n\n\r\n")
        else:
            await event({"type": "content_block_stop", "index": 0})
            usage = {"output_tokens": self.told(body, "m")["output_tokens"]}
            end = {"stop_reason": "end_turn", "stop_sequence": None}
            await event({"type": "message_delta", "delta": end, "usage": usage})
            await event({"type": "message_stop"})
        writer.write(b"0\r\n\r\n")
        await writer.drain()


@asynccontextmanager
async def provider(key: str, **behaviour: Any) -> AsyncIterator[Provider]:
    """A fake provider while the block runs."""
    made = Provider(key, **behaviour)
    async with far(made.serve) as site:
        made.port = site.port
        yield made
