"""Law: of the OpenAI-shaped API these endpoints and fields pass: inline content, client's tools.

Not here, because each would make the provider act or remember for the agent: hosted tools, remote
MCP, connectors, URLs and file ids, stored responses and conversations, background work, batches,
files, webhooks, metadata.
"""

from __future__ import annotations

from typing import Final

from nucleus_proxy.egress.fields import (
    Check,
    anything,
    by_kind,
    each,
    flag,
    inline,
    maybe,
    number,
    one_of,
    table,
    tagged,
    text,
    whole,
)

_KIND = text  # a tag that `tagged` has judged
_IMAGE = table(("url",), url=inline, detail=text)
_PART: Final[dict[str, Check]] = {
    "text": table(type=_KIND, text=text),
    "refusal": table(type=_KIND, refusal=text),
    "image_url": table(("image_url",), type=_KIND, image_url=_IMAGE),
    "input_audio": table(type=_KIND, input_audio=table(data=text, format=text)),
    "file": table(type=_KIND, file=table(("file_data",), file_data=inline, filename=text)),
}
_CONTENT = maybe(by_kind(texts=text, lists=each(tagged("type", _PART))))
_CALL = tagged(
    "type",
    {
        "function": table(
            ("id",), id=text, type=_KIND, index=whole, function=table(name=text, arguments=text)
        )
    },
)
_MESSAGE = table(
    ("role",),
    role=one_of("system", "developer", "user", "assistant", "tool"),
    content=_CONTENT, name=text, tool_call_id=text, tool_calls=each(_CALL), refusal=maybe(text),
    reasoning_content=text,
)  # fmt: skip
_FUNCTION = table(("name",), name=text, description=text, parameters=anything, strict=maybe(flag))
_CHOICE = by_kind(
    texts=one_of("none", "auto", "required"),
    tables=table(("type",), type=one_of("function"), name=text, function=table(name=text)),
)
_FORMAT = tagged(
    "type",
    {
        "text": table(type=_KIND),
        "json_object": table(type=_KIND),
        "json_schema": table(
            type=_KIND, json_schema=table(name=text, description=text, schema=anything,
                                          strict=maybe(flag)),
            name=text, description=text, schema=anything, strict=maybe(flag),
        ),
    },
)  # fmt: skip

CHAT: Final = table(
    ("model", "messages"),
    model=text, messages=each(_MESSAGE), max_tokens=whole, max_completion_tokens=whole,
    temperature=number, top_p=number, n=whole, stream=flag,
    stream_options=maybe(table(include_usage=flag, include_obfuscation=flag)),
    stop=maybe(by_kind(texts=text, lists=each(text))), presence_penalty=number,
    frequency_penalty=number, logit_bias=anything, logprobs=flag, top_logprobs=whole, seed=number,
    response_format=_FORMAT, parallel_tool_calls=flag, tool_choice=_CHOICE,
    tools=each(tagged("type", {"function": table(type=_KIND, function=_FUNCTION)})),
    reasoning_effort=text, verbosity=text, modalities=each(one_of("text")),
    store=one_of(False), service_tier=one_of("auto", "default"), prompt_cache_key=text,
)  # fmt: skip

_INPUT_PART: Final[dict[str, Check]] = {
    "input_text": table(type=_KIND, text=text),
    "output_text": table(type=_KIND, text=text, annotations=each(anything), logprobs=anything),
    "refusal": table(type=_KIND, refusal=text),
    "summary_text": table(type=_KIND, text=text),
    "reasoning_text": table(type=_KIND, text=text),
    "input_image": table(("image_url",), type=_KIND, image_url=inline, detail=text),
    "input_file": table(("file_data",), type=_KIND, file_data=inline, filename=text),
}
_INPUT_CONTENT = by_kind(texts=text, lists=each(tagged("type", _INPUT_PART)))
_ITEM: Final[dict[str, Check]] = {
    "message": table(
        type=_KIND, id=text, role=one_of("system", "developer", "user", "assistant"),
        content=_INPUT_CONTENT, status=text,
    ),
    "function_call": table(
        type=_KIND, id=text, call_id=text, name=text, arguments=text, status=text
    ),
    "function_call_output": table(
        type=_KIND, id=text, call_id=text, output=_INPUT_CONTENT, status=text
    ),
    # The model's own thoughts, sealed by the provider, in the request itself.
    "reasoning": table(
        type=_KIND, id=text, summary=each(tagged("type", _INPUT_PART)),
        content=maybe(each(tagged("type", _INPUT_PART))), encrypted_content=maybe(text),
        status=text,
    ),
}  # fmt: skip

RESPONSES: Final = table(
    ("model", "input"),
    model=text, instructions=maybe(text), max_output_tokens=whole, temperature=number, top_p=number,
    input=by_kind(texts=text, lists=each(tagged("type", _ITEM, missing="message"))),
    stream=flag, stream_options=maybe(table(include_obfuscation=flag)),
    tools=each(tagged("type", {"function": table(
        type=_KIND, name=text, description=maybe(text), parameters=anything, strict=maybe(flag))})),
    tool_choice=_CHOICE, parallel_tool_calls=flag, text=table(format=_FORMAT, verbosity=text),
    reasoning=maybe(table(effort=maybe(text), summary=maybe(text))),
    include=each(one_of("reasoning.encrypted_content", "message.output_text.logprobs")),
    # The provider keeps a response unless it is told not to.
    store=one_of(False), service_tier=one_of("auto", "default"), prompt_cache_key=text,
    top_logprobs=whole, truncation=text,
)  # fmt: skip

EMBEDDINGS: Final = table(
    ("model", "input"),
    model=text, input=by_kind(texts=text, lists=each(text)), dimensions=whole,
    encoding_format=one_of("float", "base64"),
)  # fmt: skip
