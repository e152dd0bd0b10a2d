"""Law: inside a cell, standard input and output are joined to the proxy's tools, byte for byte.

What an MCP client inside starts as its server. It is run in the cell, by Python alone; it holds
nothing and knows nothing: whoever is inside may speak on that road.
"""

from __future__ import annotations

import os
import socket
import sys
import threading

ADDRESS = ("127.0.0.1", 3129)


def out(far: socket.socket) -> None:
    """What the client says."""
    try:
        while data := os.read(0, 65536):
            far.sendall(data)
        far.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the proxy has ended; the other direction says so


def main() -> int:
    """Until either side ends. The proxy's first line is for its own clients and is left out."""
    try:
        far = socket.create_connection(ADDRESS)
    except OSError as error:
        sys.stderr.write(f"nucleus: nobody answers at {ADDRESS}: {error}\n")
        return 2
    lines = far.makefile("rb")
    if not lines.readline().startswith(b'{"jsonrpc":'):
        return 2
    threading.Thread(target=out, args=(far,), daemon=True).start()
    while data := lines.read1(65536):
        view = memoryview(data)
        while view:
            view = view[os.write(1, view) :]
    return 0


if __name__ == "__main__":
    sys.exit(main())
