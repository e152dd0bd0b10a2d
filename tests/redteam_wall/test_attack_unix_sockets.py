"""Red team: out of the cell by a unix socket of the machine."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from tests.redteam_wall.attacks import attack


@contextlib.contextmanager
def listening(address: str, kind: int = socket.SOCK_STREAM) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, kind) as made:
        made.bind(address)
        if kind == socket.SOCK_STREAM:
            made.listen()
        made.setblocking(False)
        yield made


async def test_an_abstract_socket_is_not_reached() -> None:
    name = f"nucleus-test-{os.getpid()}"
    with listening("\0" + name):
        await attack(f"""
            for kind in (1, 2, 5):
                attempt("abstract", lambda: socket.socket(1, kind).connect("\\0{name}"))
        """)


async def test_a_socket_in_a_shown_folder_is_not_reached(tmp_path: Path) -> None:
    """A read-only mount does not stop connect(2): the folder of a workspace may hold one."""
    path = f"{tmp_path}/s"
    with listening(path) as server:
        for access in ("readable", "writable"):
            await attack(
                f'attempt("path", lambda: socket.socket(1, 1).connect("{path}"))',
                **{access: (str(tmp_path),)},
            )
        with contextlib.suppress(BlockingIOError):
            server.accept()
            raise AssertionError("somebody connected")


async def test_a_pair_cannot_be_pointed_at_another_socket(tmp_path: Path) -> None:
    """socketpair(2) of datagrams gives a socket that can be sent, or connected, anywhere."""
    path = f"{tmp_path}/d"
    with listening(path, socket.SOCK_DGRAM) as server:
        await attack(
            f"""
            attempt("dgram", lambda: socket.socketpair(1, 2))
            for kind in (1, 5):
                a, b = socket.socketpair(1, kind)
                attempt("connect", lambda: a.connect("{path}"))
                try: a.sendto(b"x", "{path}")  # ignored: it goes to the other end
                except OSError: pass
            """,
            readable=(str(tmp_path),),
        )
        with contextlib.suppress(BlockingIOError):
            server.recv(1)
            raise AssertionError("something arrived")
