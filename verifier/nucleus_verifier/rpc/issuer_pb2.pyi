from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Holder(_message.Message):
    __slots__ = ("spiffe", "key", "bearer")
    SPIFFE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    BEARER_FIELD_NUMBER: _ClassVar[int]
    spiffe: str
    key: bytes
    bearer: bool
    def __init__(self, spiffe: _Optional[str] = ..., key: _Optional[bytes] = ..., bearer: _Optional[bool] = ...) -> None: ...

class IssueRequest(_message.Message):
    __slots__ = ("idempotency_key", "sub", "holder", "audience", "profile", "ttl", "depth", "caveats", "obligations", "memo", "subject_token", "subject_token_type")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    SUB_FIELD_NUMBER: _ClassVar[int]
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    AUDIENCE_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    CAVEATS_FIELD_NUMBER: _ClassVar[int]
    OBLIGATIONS_FIELD_NUMBER: _ClassVar[int]
    MEMO_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_TOKEN_TYPE_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    sub: str
    holder: Holder
    audience: str
    profile: str
    ttl: int
    depth: int
    caveats: _containers.RepeatedScalarFieldContainer[str]
    obligations: _containers.RepeatedScalarFieldContainer[str]
    memo: str
    subject_token: str
    subject_token_type: str
    def __init__(self, idempotency_key: _Optional[str] = ..., sub: _Optional[str] = ..., holder: _Optional[_Union[Holder, _Mapping]] = ..., audience: _Optional[str] = ..., profile: _Optional[str] = ..., ttl: _Optional[int] = ..., depth: _Optional[int] = ..., caveats: _Optional[_Iterable[str]] = ..., obligations: _Optional[_Iterable[str]] = ..., memo: _Optional[str] = ..., subject_token: _Optional[str] = ..., subject_token_type: _Optional[str] = ...) -> None: ...

class ExchangeRequest(_message.Message):
    __slots__ = ("token", "statement")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_FIELD_NUMBER: _ClassVar[int]
    token: str
    statement: bytes
    def __init__(self, token: _Optional[str] = ..., statement: _Optional[bytes] = ...) -> None: ...

class Minted(_message.Message):
    __slots__ = ("token", "tid", "rid", "exp")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    TID_FIELD_NUMBER: _ClassVar[int]
    RID_FIELD_NUMBER: _ClassVar[int]
    EXP_FIELD_NUMBER: _ClassVar[int]
    token: str
    tid: str
    rid: str
    exp: int
    def __init__(self, token: _Optional[str] = ..., tid: _Optional[str] = ..., rid: _Optional[str] = ..., exp: _Optional[int] = ...) -> None: ...

class RegisterAudienceRequest(_message.Message):
    __slots__ = ("audience", "akid", "public")
    AUDIENCE_FIELD_NUMBER: _ClassVar[int]
    AKID_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_FIELD_NUMBER: _ClassVar[int]
    audience: str
    akid: str
    public: bytes
    def __init__(self, audience: _Optional[str] = ..., akid: _Optional[str] = ..., public: _Optional[bytes] = ...) -> None: ...

class RegisterAudienceResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetTrustBundleRequest(_message.Message):
    __slots__ = ("audience",)
    AUDIENCE_FIELD_NUMBER: _ClassVar[int]
    audience: str
    def __init__(self, audience: _Optional[str] = ...) -> None: ...

class TrustBundle(_message.Message):
    __slots__ = ("audience", "issuers", "approvers", "audience_keys", "digest", "lease_millis")
    class Issuer(_message.Message):
        __slots__ = ("iss", "kid", "public")
        ISS_FIELD_NUMBER: _ClassVar[int]
        KID_FIELD_NUMBER: _ClassVar[int]
        PUBLIC_FIELD_NUMBER: _ClassVar[int]
        iss: str
        kid: str
        public: bytes
        def __init__(self, iss: _Optional[str] = ..., kid: _Optional[str] = ..., public: _Optional[bytes] = ...) -> None: ...
    class Approver(_message.Message):
        __slots__ = ("id", "key", "operations", "releases")
        ID_FIELD_NUMBER: _ClassVar[int]
        KEY_FIELD_NUMBER: _ClassVar[int]
        OPERATIONS_FIELD_NUMBER: _ClassVar[int]
        RELEASES_FIELD_NUMBER: _ClassVar[int]
        id: str
        key: bytes
        operations: _containers.RepeatedScalarFieldContainer[str]
        releases: bool
        def __init__(self, id: _Optional[str] = ..., key: _Optional[bytes] = ..., operations: _Optional[_Iterable[str]] = ..., releases: _Optional[bool] = ...) -> None: ...
    class AudienceKey(_message.Message):
        __slots__ = ("akid", "public")
        AKID_FIELD_NUMBER: _ClassVar[int]
        PUBLIC_FIELD_NUMBER: _ClassVar[int]
        akid: str
        public: bytes
        def __init__(self, akid: _Optional[str] = ..., public: _Optional[bytes] = ...) -> None: ...
    AUDIENCE_FIELD_NUMBER: _ClassVar[int]
    ISSUERS_FIELD_NUMBER: _ClassVar[int]
    APPROVERS_FIELD_NUMBER: _ClassVar[int]
    AUDIENCE_KEYS_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    LEASE_MILLIS_FIELD_NUMBER: _ClassVar[int]
    audience: str
    issuers: _containers.RepeatedCompositeFieldContainer[TrustBundle.Issuer]
    approvers: _containers.RepeatedCompositeFieldContainer[TrustBundle.Approver]
    audience_keys: _containers.RepeatedCompositeFieldContainer[TrustBundle.AudienceKey]
    digest: bytes
    lease_millis: int
    def __init__(self, audience: _Optional[str] = ..., issuers: _Optional[_Iterable[_Union[TrustBundle.Issuer, _Mapping]]] = ..., approvers: _Optional[_Iterable[_Union[TrustBundle.Approver, _Mapping]]] = ..., audience_keys: _Optional[_Iterable[_Union[TrustBundle.AudienceKey, _Mapping]]] = ..., digest: _Optional[bytes] = ..., lease_millis: _Optional[int] = ...) -> None: ...

class Issued(_message.Message):
    __slots__ = ("tid", "rid0", "sub", "aud", "iat", "exp", "holder", "header", "memo", "ancestors", "revoked")
    TID_FIELD_NUMBER: _ClassVar[int]
    RID0_FIELD_NUMBER: _ClassVar[int]
    SUB_FIELD_NUMBER: _ClassVar[int]
    AUD_FIELD_NUMBER: _ClassVar[int]
    IAT_FIELD_NUMBER: _ClassVar[int]
    EXP_FIELD_NUMBER: _ClassVar[int]
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    MEMO_FIELD_NUMBER: _ClassVar[int]
    ANCESTORS_FIELD_NUMBER: _ClassVar[int]
    REVOKED_FIELD_NUMBER: _ClassVar[int]
    tid: str
    rid0: str
    sub: str
    aud: str
    iat: int
    exp: int
    holder: str
    header: str
    memo: str
    ancestors: _containers.RepeatedScalarFieldContainer[str]
    revoked: bool
    def __init__(self, tid: _Optional[str] = ..., rid0: _Optional[str] = ..., sub: _Optional[str] = ..., aud: _Optional[str] = ..., iat: _Optional[int] = ..., exp: _Optional[int] = ..., holder: _Optional[str] = ..., header: _Optional[str] = ..., memo: _Optional[str] = ..., ancestors: _Optional[_Iterable[str]] = ..., revoked: _Optional[bool] = ...) -> None: ...

class ListRequest(_message.Message):
    __slots__ = ("limit", "after")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    limit: int
    after: str
    def __init__(self, limit: _Optional[int] = ..., after: _Optional[str] = ...) -> None: ...

class ListResponse(_message.Message):
    __slots__ = ("tokens", "next")
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    tokens: _containers.RepeatedCompositeFieldContainer[Issued]
    next: str
    def __init__(self, tokens: _Optional[_Iterable[_Union[Issued, _Mapping]]] = ..., next: _Optional[str] = ...) -> None: ...

class TreeRequest(_message.Message):
    __slots__ = ("tid", "token")
    TID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    tid: str
    token: str
    def __init__(self, tid: _Optional[str] = ..., token: _Optional[str] = ...) -> None: ...

class Revocation(_message.Message):
    __slots__ = ("seq", "rid", "tid", "at", "by", "reason")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    RID_FIELD_NUMBER: _ClassVar[int]
    TID_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    seq: int
    rid: str
    tid: str
    at: int
    by: str
    reason: str
    def __init__(self, seq: _Optional[int] = ..., rid: _Optional[str] = ..., tid: _Optional[str] = ..., at: _Optional[int] = ..., by: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class Node(_message.Message):
    __slots__ = ("rid", "parent", "who", "delegated", "dead", "revoked", "revokers")
    RID_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    WHO_FIELD_NUMBER: _ClassVar[int]
    DELEGATED_FIELD_NUMBER: _ClassVar[int]
    DEAD_FIELD_NUMBER: _ClassVar[int]
    REVOKED_FIELD_NUMBER: _ClassVar[int]
    REVOKERS_FIELD_NUMBER: _ClassVar[int]
    rid: str
    parent: str
    who: str
    delegated: bool
    dead: bool
    revoked: Revocation
    revokers: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, rid: _Optional[str] = ..., parent: _Optional[str] = ..., who: _Optional[str] = ..., delegated: _Optional[bool] = ..., dead: _Optional[bool] = ..., revoked: _Optional[_Union[Revocation, _Mapping]] = ..., revokers: _Optional[_Iterable[str]] = ...) -> None: ...

class TreeResponse(_message.Message):
    __slots__ = ("issued", "nodes")
    ISSUED_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    issued: Issued
    nodes: _containers.RepeatedCompositeFieldContainer[Node]
    def __init__(self, issued: _Optional[_Union[Issued, _Mapping]] = ..., nodes: _Optional[_Iterable[_Union[Node, _Mapping]]] = ...) -> None: ...

class RevokeRequest(_message.Message):
    __slots__ = ("rid", "token", "preimage", "prefix", "reason")
    RID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PREIMAGE_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    rid: str
    token: str
    preimage: bytes
    prefix: str
    reason: str
    def __init__(self, rid: _Optional[str] = ..., token: _Optional[str] = ..., preimage: _Optional[bytes] = ..., prefix: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class RevokeEvent(_message.Message):
    __slots__ = ("recorded", "effective")
    class Recorded(_message.Message):
        __slots__ = ("entry", "wanted")
        ENTRY_FIELD_NUMBER: _ClassVar[int]
        WANTED_FIELD_NUMBER: _ClassVar[int]
        entry: Revocation
        wanted: str
        def __init__(self, entry: _Optional[_Union[Revocation, _Mapping]] = ..., wanted: _Optional[str] = ...) -> None: ...
    class Effective(_message.Message):
        __slots__ = ("seq",)
        SEQ_FIELD_NUMBER: _ClassVar[int]
        seq: int
        def __init__(self, seq: _Optional[int] = ...) -> None: ...
    RECORDED_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_FIELD_NUMBER: _ClassVar[int]
    recorded: RevokeEvent.Recorded
    effective: RevokeEvent.Effective
    def __init__(self, recorded: _Optional[_Union[RevokeEvent.Recorded, _Mapping]] = ..., effective: _Optional[_Union[RevokeEvent.Effective, _Mapping]] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("confirmed_seq", "number")
    CONFIRMED_SEQ_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    confirmed_seq: int
    number: int
    def __init__(self, confirmed_seq: _Optional[int] = ..., number: _Optional[int] = ...) -> None: ...

class WatchEvent(_message.Message):
    __slots__ = ("snapshot", "entries", "heartbeat")
    class Snapshot(_message.Message):
        __slots__ = ("seq", "entries", "last")
        SEQ_FIELD_NUMBER: _ClassVar[int]
        ENTRIES_FIELD_NUMBER: _ClassVar[int]
        LAST_FIELD_NUMBER: _ClassVar[int]
        seq: int
        entries: _containers.RepeatedCompositeFieldContainer[WatchEvent.Entry]
        last: bool
        def __init__(self, seq: _Optional[int] = ..., entries: _Optional[_Iterable[_Union[WatchEvent.Entry, _Mapping]]] = ..., last: _Optional[bool] = ...) -> None: ...
    class Entries(_message.Message):
        __slots__ = ("entries", "seq")
        ENTRIES_FIELD_NUMBER: _ClassVar[int]
        SEQ_FIELD_NUMBER: _ClassVar[int]
        entries: _containers.RepeatedCompositeFieldContainer[WatchEvent.Entry]
        seq: int
        def __init__(self, entries: _Optional[_Iterable[_Union[WatchEvent.Entry, _Mapping]]] = ..., seq: _Optional[int] = ...) -> None: ...
    class Entry(_message.Message):
        __slots__ = ("seq", "rid")
        SEQ_FIELD_NUMBER: _ClassVar[int]
        RID_FIELD_NUMBER: _ClassVar[int]
        seq: int
        rid: bytes
        def __init__(self, seq: _Optional[int] = ..., rid: _Optional[bytes] = ...) -> None: ...
    class Heartbeat(_message.Message):
        __slots__ = ("number", "seq", "lease_millis", "bundle_digest")
        NUMBER_FIELD_NUMBER: _ClassVar[int]
        SEQ_FIELD_NUMBER: _ClassVar[int]
        LEASE_MILLIS_FIELD_NUMBER: _ClassVar[int]
        BUNDLE_DIGEST_FIELD_NUMBER: _ClassVar[int]
        number: int
        seq: int
        lease_millis: int
        bundle_digest: bytes
        def __init__(self, number: _Optional[int] = ..., seq: _Optional[int] = ..., lease_millis: _Optional[int] = ..., bundle_digest: _Optional[bytes] = ...) -> None: ...
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    snapshot: WatchEvent.Snapshot
    entries: WatchEvent.Entries
    heartbeat: WatchEvent.Heartbeat
    def __init__(self, snapshot: _Optional[_Union[WatchEvent.Snapshot, _Mapping]] = ..., entries: _Optional[_Union[WatchEvent.Entries, _Mapping]] = ..., heartbeat: _Optional[_Union[WatchEvent.Heartbeat, _Mapping]] = ...) -> None: ...

class Obligation(_message.Message):
    __slots__ = ("id", "why")
    ID_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    id: str
    why: str
    def __init__(self, id: _Optional[str] = ..., why: _Optional[str] = ...) -> None: ...

class ApprovalRequest(_message.Message):
    __slots__ = ("id", "created", "expires", "tid", "rid", "cell", "operation", "tool", "call_digest", "obligations", "shown")
    ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    TID_FIELD_NUMBER: _ClassVar[int]
    RID_FIELD_NUMBER: _ClassVar[int]
    CELL_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    TOOL_FIELD_NUMBER: _ClassVar[int]
    CALL_DIGEST_FIELD_NUMBER: _ClassVar[int]
    OBLIGATIONS_FIELD_NUMBER: _ClassVar[int]
    SHOWN_FIELD_NUMBER: _ClassVar[int]
    id: str
    created: int
    expires: int
    tid: str
    rid: str
    cell: str
    operation: int
    tool: str
    call_digest: str
    obligations: _containers.RepeatedCompositeFieldContainer[Obligation]
    shown: str
    def __init__(self, id: _Optional[str] = ..., created: _Optional[int] = ..., expires: _Optional[int] = ..., tid: _Optional[str] = ..., rid: _Optional[str] = ..., cell: _Optional[str] = ..., operation: _Optional[int] = ..., tool: _Optional[str] = ..., call_digest: _Optional[str] = ..., obligations: _Optional[_Iterable[_Union[Obligation, _Mapping]]] = ..., shown: _Optional[str] = ...) -> None: ...

class ApprovalId(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class ApprovalStatus(_message.Message):
    __slots__ = ("request", "status", "reason", "approval")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    request: ApprovalRequest
    status: str
    reason: str
    approval: bytes
    def __init__(self, request: _Optional[_Union[ApprovalRequest, _Mapping]] = ..., status: _Optional[str] = ..., reason: _Optional[str] = ..., approval: _Optional[bytes] = ...) -> None: ...

class ListApprovalsRequest(_message.Message):
    __slots__ = ("everything",)
    EVERYTHING_FIELD_NUMBER: _ClassVar[int]
    everything: bool
    def __init__(self, everything: _Optional[bool] = ...) -> None: ...

class ListApprovalsResponse(_message.Message):
    __slots__ = ("requests",)
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    requests: _containers.RepeatedCompositeFieldContainer[ApprovalStatus]
    def __init__(self, requests: _Optional[_Iterable[_Union[ApprovalStatus, _Mapping]]] = ...) -> None: ...

class ApproveRequest(_message.Message):
    __slots__ = ("id", "approval")
    ID_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    id: str
    approval: bytes
    def __init__(self, id: _Optional[str] = ..., approval: _Optional[bytes] = ...) -> None: ...

class DenyRequest(_message.Message):
    __slots__ = ("id", "reason")
    ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    id: str
    reason: str
    def __init__(self, id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class AllotRequest(_message.Message):
    __slots__ = ("tid", "state", "parts")
    class Part(_message.Message):
        __slots__ = ("counter", "limit", "spent", "amount")
        COUNTER_FIELD_NUMBER: _ClassVar[int]
        LIMIT_FIELD_NUMBER: _ClassVar[int]
        SPENT_FIELD_NUMBER: _ClassVar[int]
        AMOUNT_FIELD_NUMBER: _ClassVar[int]
        counter: str
        limit: int
        spent: int
        amount: int
        def __init__(self, counter: _Optional[str] = ..., limit: _Optional[int] = ..., spent: _Optional[int] = ..., amount: _Optional[int] = ...) -> None: ...
    TID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    tid: str
    state: str
    parts: _containers.RepeatedCompositeFieldContainer[AllotRequest.Part]
    def __init__(self, tid: _Optional[str] = ..., state: _Optional[str] = ..., parts: _Optional[_Iterable[_Union[AllotRequest.Part, _Mapping]]] = ...) -> None: ...

class AllotResponse(_message.Message):
    __slots__ = ("given",)
    GIVEN_FIELD_NUMBER: _ClassVar[int]
    given: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, given: _Optional[_Iterable[int]] = ...) -> None: ...
