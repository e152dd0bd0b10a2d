"""Law: of the Anthropic-shaped API these endpoints and fields pass: inline content, client's tools.

Not here, because each would make the provider act or remember for the agent: server tools (web
search, web fetch, code execution), MCP servers, URL and file sources, containers, files, batches,
skills, metadata.
"""

from __future__ import annotations

from typing import Final

from nucleus_proxy.egress.fields import (
    Check,
    anything,
    by_kind,
    each,
    flag,
    number,
    one_of,
    table,
    tagged,
    text,
    whole,
)

_KIND = text  # a tag that `tagged` has judged
_CACHE = table(("type",), type=one_of("ephemeral"), ttl=one_of("5m", "1h"))
_BASE64 = table(("data",), type=_KIND, media_type=text, data=text)
_TEXT = table(type=_KIND, text=text, cache_control=_CACHE)
_IMAGE = table(
    ("source",), type=_KIND, source=tagged("type", {"base64": _BASE64}), cache_control=_CACHE
)
_PLAIN = table(("data",), type=_KIND, media_type=one_of("text/plain"), data=text)
_INNER = table(type=_KIND, content=by_kind(texts=text, lists=each(tagged("type", {"text": _TEXT}))))
_DOCUMENT = table(
    ("source",), type=_KIND, title=text, context=text, cache_control=_CACHE,
    source=tagged("type", {"base64": _BASE64, "text": _PLAIN, "content": _INNER}),
    citations=table(enabled=flag),
)  # fmt: skip
_RESULT = by_kind(
    texts=text,
    lists=each(tagged("type", {"text": _TEXT, "image": _IMAGE, "document": _DOCUMENT})),
)
_BLOCK: Final[dict[str, Check]] = {
    "text": _TEXT,
    "image": _IMAGE,
    "document": _DOCUMENT,
    "tool_use": table(
        ("id", "name"), type=_KIND, id=text, name=text, input=anything, cache_control=_CACHE
    ),
    "tool_result": table(
        ("tool_use_id",), type=_KIND, tool_use_id=text, content=_RESULT, is_error=flag,
        cache_control=_CACHE,
    ),
    "thinking": table(type=_KIND, thinking=text, signature=text),
    "redacted_thinking": table(type=_KIND, data=text),
}  # fmt: skip
_TOOL = table(
    ("name", "input_schema"), type=_KIND, name=text, description=text, input_schema=anything,
    cache_control=_CACHE, strict=flag,
)  # fmt: skip
_COMMON: Final[dict[str, Check]] = {
    "model": text,
    "messages": each(
        table(
            ("role", "content"), role=one_of("user", "assistant"),
            content=by_kind(texts=text, lists=each(tagged("type", _BLOCK))),
        )
    ),
    "system": by_kind(texts=text, lists=each(tagged("type", {"text": _TEXT}))),
    "tools": each(tagged("type", {"custom": _TOOL}, missing="custom")),
    "tool_choice": table(
        ("type",), type=one_of("auto", "any", "tool", "none"), name=text,
        disable_parallel_tool_use=flag,
    ),
    "thinking": table(
        ("type",), type=one_of("enabled", "disabled", "adaptive"), budget_tokens=whole,
    ),
}  # fmt: skip

MESSAGES: Final = table(
    ("model", "messages", "max_tokens"),
    **_COMMON, max_tokens=whole, stop_sequences=each(text), stream=flag, temperature=number,
    top_p=number, top_k=whole,
)  # fmt: skip
COUNT: Final = table(("model", "messages"), **_COMMON)
