"""Law: whoever starts a service is told when it serves, in the one way that systemd knows too.

`sd_notify(3)`: a datagram to the socket that NOTIFY_SOCKET names; nothing where it names none.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import Final

VARIABLE: Final = "NOTIFY_SOCKET"
READY: Final = b"READY=1"


def ready() -> None:
    """This process serves."""
    where = os.environ.get(VARIABLE, "")
    if where[:1] not in ("/", "@"):
        return
    # Nobody waits for it: it serves all the same.
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.connect("\0" + where[1:] if where[0] == "@" else where)
        sock.send(READY)
