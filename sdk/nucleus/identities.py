"""Law: who is behind a wall is said by the host's identity service; this process, which performs
what the agent wants, has no key of the trust domain and makes no document.

`nucleus identity serve` lists in its registry who may start walls. Where it does not run, or does
not list us, an agent has no SPIFFE identity, and everything else is as it was.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from nucleus import shapes

if TYPE_CHECKING:
    from nucleus.home import Home

VARIABLE: Final = "SPIFFE_ENDPOINT_SOCKET"
SOCKET: Final = "identity.sock"  # in the folder of an agent's sockets
_SERVICE: Final = "walls.sock"
_SCHEME: Final = "unix://"
_SECONDS: Final = 5.0
_LINE: Final = 4096
_BACKLOG: Final = 64


class Identity:
    """That of one wall, while its connection lives. `id` is the wall's own SPIFFE ID, which the
    agent does not have: inside it is `id`/agent."""

    def __init__(self, service: Path, kind: str, id_: str, connection: socket.socket) -> None:
        self.id = id_
        self._service, self._kind, self._connection = service, kind, connection

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._connection.close()

    def listening(self, folder: Path) -> None:
        """Whoever connects to `identity.sock` in this folder is answered as the agent. Raises
        OSError."""
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(os.fspath(folder / SOCKET))
            made.listen(_BACKLOG)
            socket.send_fds(self._connection, [b"+"], [made.fileno()])

    def of(self, name: str) -> str:
        """The SPIFFE ID of another wall of ours."""
        return f"{self.id.rpartition('/')[0]}/{name}"

    def beside(self, name: str, log: Callable[[str], None]) -> Identity | None:
        """The identity of another wall of ours."""
        return asked(self._service, self._kind, name, log)


def service(place: Home, environ: Mapping[str, str]) -> Path:
    """Where the identity service is asked: beside the Workload API that was named, or in the
    home."""
    given = environ.get(VARIABLE, "")
    named = given.removeprefix(_SCHEME)
    folder = Path(named).parent if given != named else place.state / "identity"
    return folder / _SERVICE


def asked(service: Path, kind: str, name: str, log: Callable[[str], None]) -> Identity | None:
    """The identity of a wall of this kind; None where there is none. It blocks."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(_SECONDS)
    why = "it does not speak as it should"
    try:
        connection.connect(os.fspath(service))
        connection.sendall(json.dumps({"kind": kind, "name": name}).encode())
        said = shapes.table(json.loads(connection.recv(_LINE))) or {}
        if "id" in said:
            return Identity(service, kind, str(said["id"]), connection)
        why = str(said["error"])
    except FileNotFoundError:
        why = ""  # nobody set one up
    except OSError as error:
        why = error.strerror or str(error)
    except (ValueError, KeyError):
        pass
    connection.close()
    if why:
        log(f"the agent has no SPIFFE identity: {service}: {why}")
    return None
