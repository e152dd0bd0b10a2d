"""Law: the first process starts what the host orders, as the agent, and ends the machine with
its channel.

It is root inside a machine that holds nothing of worth. It listens for the guest half alone; each
service is one socket and one thread, and serves one connection after the other. Programs are
started so, and run beside each other.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import json
import os
import resource
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from nucleus_vmhost.vm.guest import half
from nucleus_vmhost.vm.guest.names import (
    AGENT_UID,
    CLAIM,
    CONNECT,
    HALF_UID,
    HOME,
    INSIDE,
    LINE,
    PING,
    PORT,
    PROXY_NAMES,
    PROXY_PORT,
    READY,
    RUN,
    STDERR,
    STDIN,
    STDOUT,
    TOOLS_PORT,
)  # fmt: skip

_ADD_ENTROPY: Final = 0x40085203
_RESEED: Final = 0x5207
_PIECE: Final = 65536
_TRIES: Final = 2000


class Children:
    """Who has ended, and how. Orphans are ours as well, and nobody asks for them."""

    def __init__(self) -> None:
        self._ended: dict[int, int | None] = {}
        self._news = threading.Condition()

    def start(self, child: Callable[[], None]) -> int:
        """A new process that runs `child` and never comes back."""
        with self._news:
            pid = os.fork()
            if pid:
                self._ended[pid] = None
                return pid
        try:
            child()
        finally:
            os._exit(126)

    def reap(self, last: int) -> None:
        """Until the child `last` has ended."""
        while True:
            pid, status = os.wait()
            with self._news:
                if pid in self._ended:
                    self._ended[pid] = os.waitstatus_to_exitcode(status)
                    self._news.notify_all()
            if pid == last:
                return

    def wait(self, pid: int) -> int:
        """A child's exit code; negative is the signal that ended it."""
        with self._news:
            while (code := self._ended[pid]) is None:
                self._news.wait()
            del self._ended[pid]
            return code

    def kill(self, pid: int) -> None:
        """End a child that runs, with its group."""
        with self._news:
            if self._ended.get(pid, 0) is None:
                os.kill(pid, signal.SIGKILL)
                _kill_group(pid)


class First:
    """What the host may order."""

    def __init__(self) -> None:
        os.makedirs(half.FIRST, 0o700)
        os.makedirs(half.AGENT, 0o755, exist_ok=True)
        self._listening = {name: _listener(f"{half.FIRST}/{name}.sock") for name in INSIDE}
        for path in (half.FIRST, half.AGENT, *half.FIRST.iterdir()):
            os.chown(path, HALF_UID, HALF_UID)
        self._children = Children()

    def serve(self) -> None:
        """Start the guest half and serve, until it ends."""
        port = _port()
        told, ready = os.pipe()

        def child() -> None:
            _become(HALF_UID)
            os.close(told)
            for listener in self._listening.values():
                listener.close()
            half.main(port, ready)

        pid = self._children.start(child)
        os.close(port)
        os.close(ready)
        for name, answer in ((PING, _ping), (CLAIM, _claim)):
            threading.Thread(target=self._answering, args=(name, answer), daemon=True).start()
        threading.Thread(target=self._running, daemon=True).start()
        if os.read(told, 1):
            sys.stdout.write(f"{READY}\n")
            sys.stdout.flush()
        self._children.reap(pid)

    def _answering(self, name: str, answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        while True:
            connection, _ = self._listening[name].accept()
            with connection, connection.makefile("rwb") as lines:
                try:
                    said = json.loads(lines.readline(LINE))
                    answered = answer(said)
                except (OSError, ValueError, KeyError, TypeError) as error:
                    answered = {"error": str(error)}
                try:
                    lines.write(json.dumps(answered).encode() + b"\n")
                    lines.flush()
                except OSError:
                    continue  # the host has gone; the half will end, and we with it

    def _running(self) -> None:
        """Start one program after the other as the agent, its streams joined to the host's."""
        while True:
            connection, _ = self._listening[RUN].accept()
            streams: list[socket.socket] = []
            try:
                with connection.makefile("rb") as lines:
                    order = json.loads(lines.readline(LINE))
                streams += [self._listening[name].accept()[0] for name in (STDIN, STDOUT, STDERR)]
                os.makedirs(order["cwd"], exist_ok=True)
                if order.get("own"):
                    os.chown(order["cwd"], AGENT_UID, AGENT_UID)
            except (OSError, ValueError, KeyError, TypeError) as error:
                _answer(connection, {"error": str(error)}, streams)
                continue
            pipes = [os.pipe() for _ in streams]
            inner = (pipes[0][0], pipes[1][1], pipes[2][1])
            pid = self._children.start(partial(_start, order, inner))
            for fd in inner:
                os.close(fd)
            outer = (pipes[0][1], pipes[1][0], pipes[2][0])
            for work, args in (
                (self._ending, (connection, pid, streams, outer, order.get("beside"))),
                (self._dropped, (connection, pid)),
            ):
                threading.Thread(target=work, args=args, daemon=True).start()

    def _dropped(self, connection: socket.socket, pid: int) -> None:
        """Whoever wants it no more closes its end."""
        with contextlib.suppress(OSError):
            if not connection.recv(1):
                self._children.kill(pid)

    def _ending(
        self,
        connection: socket.socket,
        pid: int,
        streams: list[socket.socket],
        outer: tuple[int, int, int],
        beside: bool,
    ) -> None:
        """Move its bytes and say how it ended. With it ends its group; unless it ran beside the
        agent, everything of the agent."""
        moving = [
            threading.Thread(target=move, args=args, daemon=True)
            for move, args in (
                (_carry, (streams[0], outer[0])),
                (_emit, (outer[1], streams[1])),
                (_emit, (outer[2], streams[2])),
            )
        ]
        for thread in moving:
            thread.start()
        code = self._children.wait(pid)
        if beside:
            _kill_group(pid)
        else:
            self._children.wait(self._children.start(_end_all))
        for thread in moving[1:]:
            thread.join()
        with contextlib.suppress(OSError):
            streams[0].shutdown(socket.SHUT_RDWR)
        moving[0].join()
        _answer(connection, {"code": code if code >= 0 else 128 - code}, streams)


def _answer(connection: socket.socket, said: dict[str, Any], streams: list[socket.socket]) -> None:
    """The last of a program's connections."""
    for stream in streams:
        stream.close()
    with contextlib.suppress(OSError):
        connection.sendall(json.dumps(said).encode() + b"\n")
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _listener(path: str) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.bind(path)
    made.listen(8)
    return made


def _port() -> int:
    """The channel's port, which is the half's from now on."""
    for _ in range(_TRIES):
        for place in glob.glob("/sys/class/virtio-ports/*"):
            with open(f"{place}/name", encoding="ascii") as file:
                if file.read().strip() == PORT:
                    return os.open(f"/dev/{os.path.basename(place)}", os.O_RDWR | os.O_NONBLOCK)
        time.sleep(0.01)
    raise SystemExit("there is no channel")


def _become(uid: int) -> None:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def _ping(said: dict[str, Any]) -> dict[str, Any]:
    return {"said": said, "network": sorted(os.listdir("/sys/class/net"))}


def _claim(said: dict[str, Any]) -> dict[str, Any]:
    """A copy becomes one machine: its clock is right, and its randomness nobody else's."""
    entropy = bytes.fromhex(said["entropy"])
    time.clock_settime_ns(time.CLOCK_REALTIME, said["time"])
    with open("/dev/urandom", "wb", buffering=0) as device:
        packed = struct.pack("ii", len(entropy) * 8, len(entropy)) + entropy
        fcntl.ioctl(device, _ADD_ENTROPY, packed)
        fcntl.ioctl(device, _RESEED)
    return {}


def _start(order: dict[str, Any], streams: tuple[int, int, int]) -> None:
    """Become the agent. Does not return."""
    try:
        for number, fd in enumerate(streams):
            os.dup2(fd, number)
        os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        os.setsid()
        for number in (signal.SIGPIPE, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        os.chdir(order["cwd"])
        _become(AGENT_UID)
        argv, env = order["argv"], {**_environment(), **order["env"]}
        os.environ["PATH"] = env["PATH"]
        os.execvpe(argv[0], argv, env)  # noqa: S606  what this is for
    except OSError as error:
        os.write(2, f"nucleus: {order['argv'][0]}: {error.strerror}\n".encode())
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)


def _environment() -> dict[str, str]:
    return {
        "HOME": HOME,
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "TMPDIR": "/tmp",  # noqa: S108  the machine's own
        "LANG": "C.UTF-8",
        "NUCLEUS_MCP": CONNECT,
        "NUCLEUS_TOOLS": f"127.0.0.1:{TOOLS_PORT}",
        **dict.fromkeys(PROXY_NAMES, f"http://127.0.0.1:{PROXY_PORT}"),
    }


def _carry(source: socket.socket, sink: int) -> None:
    """Bytes from the host to a program, until either ends."""
    try:
        while data := source.recv(_PIECE):
            view = memoryview(data)
            while view:
                view = view[os.write(sink, view) :]
    except OSError:
        pass  # the program reads no more
    os.close(sink)


def _emit(source: int, sink: socket.socket) -> None:
    """What a program says, to the host."""
    try:
        while os.splice(source, sink.fileno(), _PIECE):
            pass
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the host hears no more
    os.close(source)


def _end_all() -> None:
    """Nothing of the agent outlives its first program."""
    _become(AGENT_UID)
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)


def main() -> None:
    """Serve. The end of the first process ends the machine."""
    sys.stdin.close()
    First().serve()
