"""Law: the streams of a program in a microVM are joined to ours byte for byte, and none of ours
is anything else to it than bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import threading
from typing import Final

from nucleus_vmhost.vm.session import Program

_PIECE: Final = 65536


async def carried(program: Program, streams: tuple[int, int, int]) -> int:
    """Carry until the program ends, and all that it said; its exit code."""
    stop, stopping = os.pipe2(os.O_CLOEXEC)
    feeding = threading.Thread(target=_feed, args=(streams[0], program.stdin, stop), daemon=True)
    leaving = [
        threading.Thread(target=_leave, args=(sock, fd), daemon=True)
        for sock, fd in ((program.stdout, streams[1]), (program.stderr, streams[2]))
    ]
    for sock in (program.stdin, program.stdout, program.stderr):
        sock.setblocking(True)
    for thread in (feeding, *leaving):
        thread.start()
    try:
        code = await program.ended
        for thread in leaving:
            await asyncio.to_thread(thread.join)
        return code
    finally:
        os.close(stopping)
        for sock in (program.stdin, program.stdout, program.stderr):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        program.ended.cancel()
        await asyncio.gather(program.ended, return_exceptions=True)
        await asyncio.to_thread(feeding.join)
        for sock in (program.stdin, program.stdout, program.stderr):
            sock.close()
        os.close(stop)


def _feed(source: int, sink: socket.socket, stop: int) -> None:
    try:
        while True:
            ready, _, _ = select.select([source, stop], [], [])
            if stop in ready:
                return
            data = os.read(source, _PIECE)
            if not data:
                sink.shutdown(socket.SHUT_WR)
                return
            sink.sendall(data)
    except OSError:
        return  # the program reads no more


def _leave(source: socket.socket, sink: int) -> None:
    try:
        while data := source.recv(_PIECE):
            view = memoryview(data)
            while view:
                view = view[os.write(sink, view) :]
    except OSError:
        # Nobody hears it here: the program is told so.
        with contextlib.suppress(OSError):
            source.shutdown(socket.SHUT_RDWR)
