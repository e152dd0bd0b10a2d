"""Law: an approver elsewhere is asked at the address that this host's operator wrote down, and is
believed by the key that the bundle lists: what comes back is a signed approval of just this call.

The protocol is small (docs/spec/approvers.md): 201 an approval, 202 where to look again and where a
person can answer, 403 no. A courier holds no key. It carries what waits on the desk there, and what
is answered back; what was answered here meanwhile is withdrawn there.
"""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from nucleus import shapes
from nucleus.home import Home
from nucleus_issuer import files
from nucleus_issuer.desk import check_answer
from nucleus_issuer.store import Store
from nucleus_tokens import approvals, chain
from nucleus_tokens.errors import CallerError, NucleusError, WorldError
from nucleus_tokens.names import OPERATIONS
from nucleus_verifier.ports import PendingRequest

FILE: Final = "approvers.toml"
POLL_SECONDS: Final = 1.0
_BYTES: Final = 64 * 1024
_SECONDS: Final = 10.0
_LOCAL: Final = frozenset(("127.0.0.1", "localhost", "[::1]"))


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """An approver of another host. `name` is its key's id in the bundle."""

    name: str
    url: str
    secret: str = field(repr=False)  # by which it knows us


@dataclass(frozen=True, slots=True)
class Reply:
    """What it said: an approval, a no, or where to look again."""

    approval: bytes | None = None
    denied: str | None = None
    poll: str = ""
    user: str = ""


def read(config: Path) -> tuple[Elsewhere, ...]:
    """The approvers that the operator wrote down. Raises CallerError `approvers.file`,
    WorldError."""
    path = config / FILE
    try:
        text = files.read(path, secret=False, most=_BYTES).decode("utf-8")
        value = tomllib.loads(text)
        if set(value) - {"version", "approver"} or value.get("version") != 1:
            raise ValueError("version")
        return tuple(_elsewhere(config, each) for each in value.get("approver", []))
    except (ValueError, TypeError, KeyError) as error:
        raise CallerError(
            "approvers.file",
            f"{path} lists approvers, each with a name, an https url and a secret_file: {error}.",
        ) from error


def _elsewhere(config: Path, value: Any) -> Elsewhere:
    table = {k: str(v) for k, v in (shapes.table(value) or {}).items() if type(v) is str}
    if value != table or set(table) != {"name", "url", "secret_file"}:
        raise ValueError("fields")
    if not private(table["url"]):
        raise ValueError("url")
    secret = files.read(config / table["secret_file"], secret=True, most=_BYTES).decode().strip()
    return Elsewhere(table["name"], table["url"].rstrip("/"), secret)


def private(url: str) -> bool:
    """Whether nobody on the way reads or changes what goes to this address: https, or this host."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition(":")[0] or parts.netloc
    local = parts.scheme == "http" and (host in _LOCAL or parts.netloc in _LOCAL)
    return (parts.scheme == "https" or local) and bool(parts.netloc) and "@" not in parts.netloc


class Courier:
    """Carries between one desk and the approvers elsewhere."""

    def __init__(
        self,
        place: Home,
        store: Store,
        approvers: tuple[Elsewhere, ...],
        tell: Callable[[str], None],
    ) -> None:
        self._store = store
        self._bundle = place.keyring().bundle()
        self._approvers = approvers
        self._tell = tell
        self._asked: dict[tuple[str, str], str] = {}  # (request, approver) -> where to look again
        self._over = threading.Event()

    def run(self) -> None:
        """Until `stop`."""
        while not self._over.is_set():
            self.once()
            self._over.wait(POLL_SECONDS)

    def stop(self) -> None:
        """End `run`; may be called from another thread."""
        self._over.set()

    def once(self) -> int:
        """Carry what there is, once; how many were answered. An approver who does not answer, or
        whose answer is not one, is passed over."""
        waiting = {each.id: each for each in self._store.requests()}
        answered = 0
        for who in self._approvers:
            for id_, request in waiting.items():
                try:
                    answered += self._carry(who, request)
                except NucleusError as error:
                    self._tell(f"{who.name} on {id_}: {error}")
            for (id_, name), poll in list(self._asked.items()):
                if name == who.name and id_ not in waiting:
                    del self._asked[id_, name]
                    self._take_away(who, poll)
        return answered

    def _carry(self, who: Elsewhere, request: PendingRequest) -> bool:
        key = (request.id, who.name)
        poll = self._asked.get(key)
        if poll is None:
            reply = send(who, "POST", "/requests", spelled(request))
            self._asked[key] = reply.poll
            if reply.user:
                self._tell(f"{request.id} can be answered at {reply.user}")
        elif not poll:
            return False  # it was refused before
        else:
            reply = send(who, "GET", poll, None)
        if reply.denied is not None:
            self._asked[key] = ""
            self._store.settle(request.id, approval=None, reason=f"{who.name}: {reply.denied}")
            return True
        if reply.approval is None:
            return False
        self._asked[key] = ""
        given = approvals.parse(reply.approval)
        if given.approver != who.name or given.digest is None:
            raise CallerError("approval.other", "It is not this approver's word on this one call.")
        check_answer(given, request, self._bundle)
        self._store.settle(request.id, approval=reply.approval)
        return True

    def _take_away(self, who: Elsewhere, poll: str) -> None:
        if poll:
            try:
                send(who, "DELETE", poll, None)
            except NucleusError as error:
                self._tell(f"{who.name}: {error}")


def spelled(request: PendingRequest) -> dict[str, Any]:
    """A request as it travels."""
    return {
        "call_digest": request.call_digest,
        "cell": request.cell,
        "created": request.created,
        "expires": request.expires,
        "id": request.id,
        "obligations": [list(each) for each in request.obligations],
        "operation": OPERATIONS[request.operation],
        "rid": request.rid,
        "shown": request.shown,
        "tid": request.tid,
        "tool": request.tool,
        "v": 1,
    }


def send(who: Elsewhere, method: str, path: str, body: Any) -> Reply:
    """One exchange. No redirect is followed. Raises WorldError `approver.*`."""
    parts = urlsplit(who.url)
    try:
        if parts.scheme == "https":
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                parts.netloc, timeout=_SECONDS, context=ssl.create_default_context()
            )
        else:
            connection = http.client.HTTPConnection(parts.netloc, timeout=_SECONDS)
        try:
            headers = {"Authorization": f"Bearer {who.secret}", "Content-Type": "application/json"}
            data = None if body is None else json.dumps(body)
            connection.request(method, parts.path + path, data, headers)
            answer = connection.getresponse()
            status, said = answer.status, answer.read(_BYTES)
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as error:
        raise WorldError("approver.unreachable", f"{who.url} does not answer.") from error
    return _reply(who, status, said)


def _reply(who: Elsewhere, status: int, said: bytes) -> Reply:
    try:
        value = shapes.table(json.loads(said or b"{}")) or {}
        match status:
            case 201:
                return Reply(approval=chain.from_text(str(value["approval"])))
            case 202:
                poll, user = str(value["poll"]), str(value.get("user", ""))
                # Where to look again is a path of the place that was asked, and nowhere else.
                if (
                    not poll.startswith("/requests/")
                    or not poll.isascii()
                    or not poll.isprintable()
                ):
                    raise ValueError("poll")
                parts, ours = urlsplit(user), urlsplit(who.url)
                same = (parts.scheme, parts.netloc) == (ours.scheme, ours.netloc)
                return Reply(poll=poll, user=user if same and user.isprintable() else "")
            case 403:
                return Reply(denied=str(value.get("denied", ""))[:512] or "denied")
            case 204 | 410:
                return Reply()
            case _:
                raise ValueError("status")
    except (ValueError, KeyError, RecursionError, NucleusError) as error:
        raise WorldError("approver.answer", f"{who.url} gave no answer we know.") from error
