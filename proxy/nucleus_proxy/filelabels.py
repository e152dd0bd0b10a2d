"""Law: a content keeps the label it was written with, wherever it is read again.

By the SHA-256 of the content, so a copy, a rename or a checkout is the same content. What somebody
else's code may have written has the label that it ran under. What was there before is Internal,
Untrusted and Suggestive, unless the operator's file vouches for its path.
"""

from __future__ import annotations

from collections.abc import Sequence

from nucleus_proxy.flowstate import FlowState
from nucleus_tokens import labelling, labels
from nucleus_tokens.authority import scope_admits
from nucleus_tokens.caveats import Scope


class FileLabels:
    """The labels of the files of one host."""

    def __init__(
        self, state: FlowState, *, trusted: Sequence[str] = (), secret: Sequence[str] = ()
    ) -> None:
        """`trusted` and `secret` are patterns of paths that the operator calls so."""
        self._state = state
        self._trusted = Scope("path", True, tuple(trusted))
        self._secret = Scope("path", True, tuple(secret))

    def of(self, path: str, digest: bytes) -> int:
        """The packed label of this content (SHA-256) at this resolved path. Raises WorldError."""
        secret = labelling.SECRET_VALUE if scope_admits(self._secret, (path,)) else labels.BOTTOM
        known = self._state.content(digest)
        if known is not None:
            # Also at a path that is trusted: the label belongs to what was written there.
            return labels.join(secret, known)
        marked = self._state.marked(path)
        if marked is not None:
            return labels.join(secret, labels.join(labelling.EXISTING_FILE, marked))
        if scope_admits(self._trusted, (path,)):
            return labels.join(secret, labelling.FILE_READ)
        return labels.join(secret, labelling.EXISTING_FILE)

    def wrote(self, path: str, digest: bytes, label: int) -> None:
        """Remember a content before it becomes visible. Raises WorldError: then write nothing."""
        self._state.wrote(path, digest, label)

    def ran(self, writable: Sequence[str], label: int) -> None:
        """Remember that code runs which may write anything at or under these paths, under the
        ceiling `label`. Before it starts. Raises WorldError: then start nothing."""
        for path in writable:
            self._state.mark(path, label)

    def held(self, paths: Sequence[str]) -> int:
        """The join of everything known of files at or under these paths: what somebody else's
        code, which reads whatever it is shown, could carry over into what it writes or says."""
        joined = labels.BOTTOM
        for path in paths:
            joined = labels.join(joined, self._state.under(path))
        return joined
