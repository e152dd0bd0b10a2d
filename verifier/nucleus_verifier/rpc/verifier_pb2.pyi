from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CheckRequest(_message.Message):
    __slots__ = ("credential", "method", "host", "target", "body", "body_hidden", "media", "peer")
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    BODY_HIDDEN_FIELD_NUMBER: _ClassVar[int]
    MEDIA_FIELD_NUMBER: _ClassVar[int]
    PEER_FIELD_NUMBER: _ClassVar[int]
    credential: str
    method: str
    host: str
    target: str
    body: bytes
    body_hidden: bool
    media: str
    peer: str
    def __init__(self, credential: _Optional[str] = ..., method: _Optional[str] = ..., host: _Optional[str] = ..., target: _Optional[str] = ..., body: _Optional[bytes] = ..., body_hidden: _Optional[bool] = ..., media: _Optional[str] = ..., peer: _Optional[str] = ...) -> None: ...

class CheckResponse(_message.Message):
    __slots__ = ("admitted", "refused", "waiting")
    ADMITTED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    admitted: Admitted
    refused: Refused
    waiting: Waiting
    def __init__(self, admitted: _Optional[_Union[Admitted, _Mapping]] = ..., refused: _Optional[_Union[Refused, _Mapping]] = ..., waiting: _Optional[_Union[Waiting, _Mapping]] = ...) -> None: ...

class Admitted(_message.Message):
    __slots__ = ("seq", "tool", "sub", "rid")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    TOOL_FIELD_NUMBER: _ClassVar[int]
    SUB_FIELD_NUMBER: _ClassVar[int]
    RID_FIELD_NUMBER: _ClassVar[int]
    seq: int
    tool: str
    sub: str
    rid: str
    def __init__(self, seq: _Optional[int] = ..., tool: _Optional[str] = ..., sub: _Optional[str] = ..., rid: _Optional[str] = ...) -> None: ...

class Refused(_message.Message):
    __slots__ = ("code", "sentence", "hint")
    CODE_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    code: str
    sentence: str
    hint: str
    def __init__(self, code: _Optional[str] = ..., sentence: _Optional[str] = ..., hint: _Optional[str] = ...) -> None: ...

class Waiting(_message.Message):
    __slots__ = ("request", "obligations", "hint")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    OBLIGATIONS_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    request: str
    obligations: _containers.RepeatedScalarFieldContainer[str]
    hint: str
    def __init__(self, request: _Optional[str] = ..., obligations: _Optional[_Iterable[str]] = ..., hint: _Optional[str] = ...) -> None: ...
