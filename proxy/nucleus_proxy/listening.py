"""Law: a client that listens to many servers hears each of them under its own subscription.

`subscriptions/listen` of the new era, before servers of both: of an old one, what it says by itself
is passed on to whoever listens for that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from nucleus_proxy import merging, wire
from nucleus_proxy.http.streams import SUBSCRIPTION
from nucleus_proxy.member import Member
from nucleus_proxy.wire import Frame, Key

MOST_LISTENING: Final = 16
_FLAGS: Final = {
    "notifications/tools/list_changed": "toolsListChanged",
    "notifications/prompts/list_changed": "promptsListChanged",
    "notifications/resources/list_changed": "resourcesListChanged",
}
_UPDATED: Final = "notifications/resources/updated"


class Listening:
    """What one client listens to. `say` gives it a line."""

    def __init__(self, say: Callable[[bytes], None]) -> None:
        self._say = say
        self._open: dict[Key, tuple[Frame, dict[str, Any]]] = {}

    def listen(self, frame: Frame, members: Sequence[Member]) -> None:
        """Begin, and say what is listened to."""
        wanted = frame.params.get("notifications")
        if type(wanted) is not dict or len(self._open) >= MOST_LISTENING:
            self._say(wire.error(frame.id, wire.INVALID_PARAMS, "This cannot be listened to."))
            return
        kept: dict[str, Any] = {flag: True for flag in _FLAGS.values() if wanted.get(flag) is True}
        uris = wanted.get("resourceSubscriptions")
        known: list[str] = []
        for member in members:
            theirs: list[str] = []
            for uri in uris if type(uris) is list else ():
                found = merging.owner([member.name], "uri", uri)
                if found is not None:
                    theirs.append(found[1])
                    known.append(uri)
            self._tell(member, frame, kept, theirs)
        if known:
            kept["resourceSubscriptions"] = known
        self._open[frame.key] = (frame, kept)
        self._notify(frame, "notifications/subscriptions/acknowledged", {"notifications": kept})

    def _tell(self, member: Member, frame: Frame, kept: dict[str, Any], uris: list[str]) -> None:
        if member.new:
            params = {**frame.params, "notifications": {**kept, "resourceSubscriptions": uris}}
            # It is answered when it ends, and what it says before that we hear as it comes.
            member.quietly(frame.method, params)
        else:
            for uri in uris:
                member.quietly("resources/subscribe", {"uri": uri})

    def cancelled(self, key: Key) -> None:
        """The client listens no more."""
        self._open.pop(key, None)

    def tells(self, member: Member, method: str, params: dict[str, Any]) -> bool:
        """Pass on what a server says to whoever listens for it; whether it is of that kind."""
        if method == "notifications/subscriptions/acknowledged":
            return True  # of a question that we asked
        if method not in _FLAGS and method != _UPDATED:
            return False
        uri = merging.prefixed(member.name, "uri", params.get("uri"))
        for frame, kept in list(self._open.values()):
            if method in _FLAGS and _FLAGS[method] in kept:
                self._notify(frame, method, {})
            elif method == _UPDATED and uri in kept.get("resourceSubscriptions", ()):
                self._notify(frame, method, {"uri": uri})
        return True

    def _notify(self, frame: Frame, method: str, params: dict[str, Any]) -> None:
        about = {**params, "_meta": {SUBSCRIPTION: frame.id}}
        self._say(wire.notification(method, about))
