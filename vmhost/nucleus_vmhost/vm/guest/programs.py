"""Law: what the host orders runs as the agent, its streams joined to the host's, and of a program
that has ended, or that the host wants no more, nothing runs on.

Programs are started one after the other and run beside each other. With the agent's own ends all
that is the agent's; with one that ran beside it, its group.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import signal
import socket
import struct
import termios
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from nucleus_vmhost.vm.guest.names import (
    AGENT_UID,
    CONNECT,
    GRPC_SOCKET,
    HOME,
    LINE,
    PROXY_NAMES,
    PROXY_PORT,
    RUN,
    STDERR,
    STDIN,
    STDOUT,
    TOOLS_PORT,
)  # fmt: skip

_PIECE: Final = 65536


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


class Programs:
    """Those that the host orders, on the sockets of these services."""

    def __init__(self, listening: Mapping[str, socket.socket], children: Children) -> None:
        self._listening, self._children = listening, children
        self._terminal = -1  # of the agent

    def serve(self) -> None:
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
            outer, inner = self._joints(order.get("terminal"))
            pid = self._children.start(partial(_start, order, inner))
            for fd in {*inner}:
                os.close(fd)
            for work, args in (
                (self._ending, (connection, pid, streams, outer, order.get("beside"))),
                (self._dropped, (connection, pid)),
            ):
                threading.Thread(target=work, args=args, daemon=True).start()

    def _joints(
        self, terminal: dict[str, Any] | None
    ) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """Our ends of a program's streams, and its own; -1 for one that we have already."""
        pipes = [os.pipe() for _ in range(3)]
        outer = [pipes[0][1], pipes[1][0], pipes[2][0]]
        inner = [pipes[0][0], pipes[1][1], pipes[2][1]]
        if terminal is not None:
            ours, theirs = os.openpty()
            os.chown(theirs, AGENT_UID, AGENT_UID)
            if self._terminal >= 0:
                os.close(self._terminal)
            self._terminal = os.dup(ours)
            self.size(terminal)
            left = {0: ours, 1 if terminal["streams"][1] else 2: os.dup(ours)}
            for number in (n for n in range(3) if terminal["streams"][n]):
                os.close(outer[number])
                os.close(inner[number])
                outer[number], inner[number] = left.get(number, -1), theirs
        return (outer[0], outer[1], outer[2]), (inner[0], inner[1], inner[2])

    def size(self, said: dict[str, Any]) -> dict[str, Any]:
        """The agent's terminal has another size."""
        packed = struct.pack("HHHH", said["rows"], said["columns"], 0, 0)
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, packed)
        return {}

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


def become(uid: int) -> None:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def _start(order: dict[str, Any], streams: tuple[int, int, int]) -> None:
    """Become the agent. Does not return."""
    try:
        terminal = order.get("terminal") is not None
        for number, fd in enumerate(streams):
            os.dup2(fd, number)
        os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        os.setsid()
        if terminal:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        for number in (signal.SIGPIPE, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        os.chdir(order["cwd"])
        become(AGENT_UID)
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
        "NUCLEUS_TOOLS_GRPC": f"unix://{GRPC_SOCKET}",
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
    with contextlib.suppress(OSError):  # the host hears no more; or nobody has the terminal
        if source >= 0 and os.isatty(source):
            while data := os.read(source, _PIECE):
                sink.sendall(data)
        while source >= 0 and os.splice(source, sink.fileno(), _PIECE):
            pass
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
    if source >= 0:
        os.close(source)


def _end_all() -> None:
    """Nothing of the agent outlives its first program."""
    become(AGENT_UID)
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
