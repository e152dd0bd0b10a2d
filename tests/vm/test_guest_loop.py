"""The guest's own loop moves what asyncio's would: both ways at once, against who does not read,
and to the end."""

from __future__ import annotations

import hashlib
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from nucleus_vmhost.vm.guest.loop import Turns
from nucleus_vmhost.vm.pumps import Line, Pumps
from nucleus_vmhost.vm.streams import WINDOW, Side

LONG = 60


def echo(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        while data := connection.recv(65536):
            connection.sendall(data)


def said(path: Path, data: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(LONG)
        connection.connect(str(path))

        def all_of_it() -> None:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)

        sending = threading.Thread(target=all_of_it)
        sending.start()
        heard = b"".join(iter(lambda: connection.recv(65536), b""))
        sending.join(LONG)
        return heard


def test_megabytes_go_both_ways_on_several_streams_and_the_end_is_told(tmp_path: Path) -> None:
    sent = [hashlib.sha256(bytes([n])).digest() * (n + 1) * WINDOW for n in range(2)]
    loop, over = Turns(), list[object]()
    near, far = socket.socketpair()
    host = Pumps(Line(near.detach()), Side.HOST, {"echo": tmp_path / "service"}, loop)
    guest = Pumps(Line(far.detach()), Side.GUEST, {}, loop)
    with (
        socket.socket(socket.AF_UNIX) as service,
        socket.socket(socket.AF_UNIX) as seen,
        ThreadPoolExecutor() as others,
    ):
        for server, name in ((service, "service"), (seen, "seen")):
            server.bind(str(tmp_path / name))
            server.listen()
        guest.listen(seen, "echo")
        for end in (host, guest):
            end.begin(over.append)
        echoing = [others.submit(echo, service) for _ in sent]
        saying = [others.submit(said, tmp_path / "seen", one) for one in sent]
        # Whoever is done says so, that the loop turns once more.
        wake, woken = socket.socketpair()
        loop.add_reader(woken.fileno(), lambda: None)
        for future in saying:
            future.add_done_callback(lambda _: wake.send(b"."))
        while not all(future.done() for future in saying):
            loop.turn()
        assert [future.result() for future in saying] == sent
        for served in echoing:
            served.result(LONG)
        loop.remove_reader(woken.fileno())
        host.close()
        while not over:
            loop.turn()
        assert over == [None]
        guest.close()
        wake.close()
        woken.close()


def test_who_was_called_first_may_end_the_other() -> None:
    loop, called = Turns(), list[int]()
    pairs = [socket.socketpair() for _ in range(2)]
    readers = [ours.fileno() for ours, _ in pairs]

    def first_of(fd: int) -> None:
        called.append(fd)
        for each in readers:
            loop.remove_reader(each)

    for (_, theirs), fd in zip(pairs, readers, strict=True):
        theirs.send(b"x")
        loop.add_reader(fd, partial(first_of, fd))
    loop.turn()
    assert len(called) == 1
    for pair in pairs:
        for end in pair:
            end.close()
