from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListRequest(_message.Message):
    __slots__ = ("after",)
    AFTER_FIELD_NUMBER: _ClassVar[int]
    after: str
    def __init__(self, after: _Optional[str] = ...) -> None: ...

class ListResponse(_message.Message):
    __slots__ = ("tools", "next")
    TOOLS_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    tools: _containers.RepeatedCompositeFieldContainer[Tool]
    next: str
    def __init__(self, tools: _Optional[_Iterable[_Union[Tool, _Mapping]]] = ..., next: _Optional[str] = ...) -> None: ...

class Tool(_message.Message):
    __slots__ = ("name", "description", "input_schema")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    INPUT_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    input_schema: bytes
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., input_schema: _Optional[bytes] = ...) -> None: ...

class CallRequest(_message.Message):
    __slots__ = ("tool", "arguments", "no_wait", "references")
    class ReferencesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TOOL_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    NO_WAIT_FIELD_NUMBER: _ClassVar[int]
    REFERENCES_FIELD_NUMBER: _ClassVar[int]
    tool: str
    arguments: bytes
    no_wait: bool
    references: _containers.ScalarMap[str, str]
    def __init__(self, tool: _Optional[str] = ..., arguments: _Optional[bytes] = ..., no_wait: _Optional[bool] = ..., references: _Optional[_Mapping[str, str]] = ...) -> None: ...

class CallEvent(_message.Message):
    __slots__ = ("waiting", "result")
    WAITING_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    waiting: Waiting
    result: Result
    def __init__(self, waiting: _Optional[_Union[Waiting, _Mapping]] = ..., result: _Optional[_Union[Result, _Mapping]] = ...) -> None: ...

class Waiting(_message.Message):
    __slots__ = ("message",)
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    message: str
    def __init__(self, message: _Optional[str] = ...) -> None: ...

class Result(_message.Message):
    __slots__ = ("value", "refused", "failed", "seen")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    value: Value
    refused: Refused
    failed: Failed
    seen: Seen
    def __init__(self, value: _Optional[_Union[Value, _Mapping]] = ..., refused: _Optional[_Union[Refused, _Mapping]] = ..., failed: _Optional[_Union[Failed, _Mapping]] = ..., seen: _Optional[_Union[Seen, _Mapping]] = ...) -> None: ...

class Value(_message.Message):
    __slots__ = ("text", "structured", "is_error")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    STRUCTURED_FIELD_NUMBER: _ClassVar[int]
    IS_ERROR_FIELD_NUMBER: _ClassVar[int]
    text: str
    structured: bytes
    is_error: bool
    def __init__(self, text: _Optional[str] = ..., structured: _Optional[bytes] = ..., is_error: _Optional[bool] = ...) -> None: ...

class Refused(_message.Message):
    __slots__ = ("code", "sentence", "hint", "step", "caveat", "added_by", "obligations", "repairs")
    CODE_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    CAVEAT_FIELD_NUMBER: _ClassVar[int]
    ADDED_BY_FIELD_NUMBER: _ClassVar[int]
    OBLIGATIONS_FIELD_NUMBER: _ClassVar[int]
    REPAIRS_FIELD_NUMBER: _ClassVar[int]
    code: str
    sentence: str
    hint: str
    step: int
    caveat: str
    added_by: str
    obligations: _containers.RepeatedScalarFieldContainer[str]
    repairs: bytes
    def __init__(self, code: _Optional[str] = ..., sentence: _Optional[str] = ..., hint: _Optional[str] = ..., step: _Optional[int] = ..., caveat: _Optional[str] = ..., added_by: _Optional[str] = ..., obligations: _Optional[_Iterable[str]] = ..., repairs: _Optional[bytes] = ...) -> None: ...

class Failed(_message.Message):
    __slots__ = ("code", "sentence", "hint")
    CODE_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    code: str
    sentence: str
    hint: str
    def __init__(self, code: _Optional[str] = ..., sentence: _Optional[str] = ..., hint: _Optional[str] = ...) -> None: ...

class Seen(_message.Message):
    __slots__ = ("decision", "exposure", "label", "reference", "labels")
    DECISION_FIELD_NUMBER: _ClassVar[int]
    EXPOSURE_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    decision: int
    exposure: _containers.RepeatedScalarFieldContainer[str]
    label: bytes
    reference: str
    labels: bytes
    def __init__(self, decision: _Optional[int] = ..., exposure: _Optional[_Iterable[str]] = ..., label: _Optional[bytes] = ..., reference: _Optional[str] = ..., labels: _Optional[bytes] = ...) -> None: ...
