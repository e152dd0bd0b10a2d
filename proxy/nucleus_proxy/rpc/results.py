"""Law: what MCP says as a result is a result here, and what it says as an error is a status.

The same words in another envelope: codes, sentences, hints and labels as the one road gave them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import grpc

from nucleus_proxy import wire
from nucleus_proxy.methods import (
    DECISION,
    EXPOSURE,
    FAILURE,
    LABEL,
    LABELS,
    REFERENCE,
    REFUSAL,
)
from nucleus_proxy.rpc import tools_pb2 as pb
from nucleus_tokens.errors import NucleusError, WorldError
from nucleus_verifier.decision import REFUSED

_STATUS: Final = {
    wire.PARSE_ERROR: grpc.StatusCode.INVALID_ARGUMENT,
    wire.INVALID_REQUEST: grpc.StatusCode.INVALID_ARGUMENT,
    wire.INVALID_PARAMS: grpc.StatusCode.INVALID_ARGUMENT,
}


class NotAnswered(Exception):
    """What ends an RPC without a result: its status, stable code and one sentence."""

    def __init__(self, status: grpc.StatusCode, code: str, sentence: str, hint: str = "") -> None:
        super().__init__(sentence)
        self.status, self.code = status, code
        self.says = f"{sentence} {hint}".strip()

    @classmethod
    def of(cls, error: NucleusError) -> NotAnswered:
        """An error of ours, by who is to blame."""
        world = isinstance(error, WorldError)
        status = grpc.StatusCode.UNAVAILABLE if world else grpc.StatusCode.INVALID_ARGUMENT
        return cls(status, error.code, error.message, error.hint)

    @classmethod
    def ended(cls) -> NotAnswered:
        """The proxy said nothing more."""
        return cls.of(WorldError("tools.ended", "The proxy ended this call."))

    @classmethod
    def read(cls, error: Mapping[str, Any]) -> NotAnswered:
        """An error of JSON-RPC, as the proxy spells it."""
        data = error.get("data")
        said: Mapping[str, Any] = data if isinstance(data, dict) else {}
        code = _text(said, "code")
        status = _STATUS.get(error["code"], grpc.StatusCode.UNAVAILABLE)
        if "step" in said or code == REFUSED:
            status = grpc.StatusCode.PERMISSION_DENIED
        return cls(status, code, _text(error, "message"))


def result(content: Mapping[str, Any]) -> pb.Result:
    """The result of a tools/call."""
    meta = content.get("_meta", {})
    made = pb.Result()
    if REFUSAL in meta:
        made.refused.CopyFrom(_refused(meta[REFUSAL]))
    elif FAILURE in meta:
        said = meta[FAILURE]
        made.failed.code = _text(said, "code")
        made.failed.sentence = _text(said, "sentence")
        made.failed.hint = _text(said, "hint")
    else:
        made.value.text = _plain(content["content"][0]["text"])
        made.value.structured = wire.spell(content["structuredContent"])
        made.value.is_error = content.get("isError") is True
    if DECISION in meta:
        made.seen.decision = meta[DECISION]
        made.seen.exposure.extend(meta[EXPOSURE])
        made.seen.reference = meta.get(REFERENCE, "")
        if LABEL in meta:
            made.seen.label = wire.spell(meta[LABEL])
        if LABELS in meta:
            made.seen.labels = wire.spell(meta[LABELS])
    return made


def tool(listed: Mapping[str, Any]) -> pb.Tool:
    """A tool as MCP lists it."""
    return pb.Tool(
        name=listed["name"],
        description=listed["description"],
        input_schema=wire.spell(listed["inputSchema"]),
    )


def _refused(said: Mapping[str, Any]) -> pb.Refused:
    return pb.Refused(
        code=_text(said, "code"),
        sentence=_text(said, "sentence"),
        hint=_text(said, "hint"),
        step=said.get("step", 0),
        caveat=_text(said, "caveat"),
        added_by=_text(said, "added_by"),
        obligations=[_plain(each) for each in said.get("obligations", ())],
        repairs=wire.spell(said["repairs"]) if "repairs" in said else b"",
    )


def _text(said: Mapping[str, Any], name: str) -> str:
    return _plain(said.get(name, ""))


def _plain(text: str) -> str:
    """What protobuf takes for text: a lone surrogate is none; JSON beside it has it in full."""
    return text.encode("utf-8", "replace").decode("utf-8")
