"""Law: the first process starts what the host orders, as the agent, and ends the machine with
its channel.

It is root inside a machine that holds nothing of worth. It listens for the guest half alone; each
service is one socket and one thread, and serves one connection after the other.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import glob
import json
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from nucleus_vmhost.vm.guest import half
from nucleus_vmhost.vm.guest.names import (
    BY_VSOCK,
    CHANNEL_PORT,
    CLAIM,
    HALF_UID,
    INSIDE,
    LINE,
    PING,
    PORT,
    READY,
    SIZE,
)
from nucleus_vmhost.vm.guest.programs import Children, Programs, become

_ADD_ENTROPY: Final = 0x40085203
_RESEED: Final = 0x5207
_PIECE: Final = 65536
_TRIES: Final = 2000


class First:
    """What the host may order."""

    def __init__(self) -> None:
        os.makedirs(half.FIRST, 0o700)
        os.makedirs(half.AGENT, 0o755, exist_ok=True)
        self._listening = {name: _listener(f"{half.FIRST}/{name}.sock") for name in INSIDE}
        for path in (half.FIRST, half.AGENT, *half.FIRST.iterdir()):
            os.chown(path, HALF_UID, HALF_UID)
        self._children = Children()
        self._programs = Programs(self._listening, self._children)

    def serve(self) -> None:
        """Start the guest half and serve, until it ends."""
        port = _port()
        told, ready = os.pipe()

        def child() -> None:
            become(HALF_UID)
            os.close(told)
            for listener in self._listening.values():
                listener.close()
            half.main(port, ready)

        pid = self._children.start(child)
        os.close(port)
        os.close(ready)
        for name, answer in ((PING, _ping), (CLAIM, _claim), (SIZE, self._programs.size)):
            threading.Thread(target=self._answering, args=(name, answer), daemon=True).start()
        threading.Thread(target=self._programs.serve, daemon=True).start()
        if os.read(told, 1):
            sys.stdout.write(f"{READY}\n")
            sys.stdout.flush()
        self._children.reap(pid)

    def _answering(self, name: str, answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        # Woken, this thread waits until the half has said all: each change of process is dear.
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        while True:
            connection, _ = self._listening[name].accept()
            with connection:
                try:
                    answered = answer(json.loads(_line(connection)))
                except (OSError, ValueError, KeyError, TypeError) as error:
                    answered = {"error": str(error)}
                with contextlib.suppress(OSError):  # the host has gone; the half ends, and we
                    connection.sendall(json.dumps(answered).encode() + b"\n")


def _listener(path: str) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.bind(path)
    made.listen(8)
    return made


def _line(connection: socket.socket) -> str:
    said = b""
    while not said.endswith(b"\n") and len(said) < LINE and (more := connection.recv(_PIECE)):
        said += more
    return said.decode()


def _port() -> int:
    """The channel's port, or what takes its one connection: the half's from now on."""
    with open("/proc/cmdline", encoding="ascii") as file:
        if BY_VSOCK in file.read().split():
            taking = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
            taking.bind((socket.VMADDR_CID_ANY, CHANNEL_PORT))
            taking.listen(1)
            return taking.detach()
    for _ in range(_TRIES):
        for place in glob.glob("/sys/class/virtio-ports/*"):
            with open(f"{place}/name", encoding="ascii") as file:
                if file.read().strip() == PORT:
                    return os.open(f"/dev/{os.path.basename(place)}", os.O_RDWR | os.O_NONBLOCK)
        time.sleep(0.01)
    raise SystemExit("there is no channel")


@functools.cache
def _random() -> int:
    return os.open("/dev/urandom", os.O_WRONLY | os.O_CLOEXEC)


def _ping(said: dict[str, Any]) -> dict[str, Any]:
    return {"said": said, "network": sorted(os.listdir("/sys/class/net"))}


def _claim(said: dict[str, Any]) -> dict[str, Any]:
    """A copy becomes one machine: its clock is right, and its randomness nobody else's."""
    entropy = bytes.fromhex(said["entropy"])
    time.clock_settime_ns(time.CLOCK_REALTIME, said["time"])
    packed = struct.pack("ii", len(entropy) * 8, len(entropy)) + entropy
    fcntl.ioctl(_random(), _ADD_ENTROPY, packed)
    fcntl.ioctl(_random(), _RESEED)
    return {}


def main() -> None:
    """Serve. The end of the first process ends the machine."""
    sys.stdin.close()
    First().serve()
