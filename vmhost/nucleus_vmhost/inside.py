"""Law: nothing runs in a cell before this file has seen, from inside, that the cell is one.

It is run in the cell by path, by Python alone, before the work: it closes what was inherited,
looks for what should not be there, sets limits, puts Landlock and, beside a pump, a second filter
on top, says so on its status pipe, and becomes the work. Any doubt ends the cell. Whatever it
imports every cell waits for: typing alone would take longer than all the rest.
"""

import ctypes
import marshal
import os
import resource
import stat
import sys
import warnings  # noqa: F401  os.execvpe wants it, when Landlock no longer shows it

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket as Socket
    from typing import Any, NoReturn

_PR_SET_DUMPABLE, _PR_SET_SECCOMP, _FILTER = 4, 22, 2
_CREATE, _ADD, _RESTRICT = 444, 445, 446  # landlock_*, the same on every architecture
_PATH_BENEATH = 1
_TIOCSCTTY = 0x540E
# Rights by the Landlock ABI that brought them: 1, REFER 2, TRUNCATE 3, IOCTL_DEV 5.
_RIGHTS = ((1, 0x1FFF), (2, 1 << 13), (3, 1 << 14), (5, 1 << 15))
_READ = 1 << 0 | 1 << 2 | 1 << 3  # execute, read a file, list a folder
_LIST = 1 << 3
_OF_FILES = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15
_SCOPES = 1 << 0 | 1 << 1  # ABI 6: abstract unix sockets, signals
LEAST_ABI = 2
FAILED = 125


class NotACell(Exception):
    """The sentence for whoever started this."""


_libc = ctypes.CDLL(None, use_errno=True)


def _syscall(number: int, *args: "Any") -> int:
    answer: int = _libc.syscall(ctypes.c_long(number), *args)
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return answer


# What should not be there ---------------------------------------------------------------------


def verify(config: "dict[str, Any]") -> None:
    """Raises NotACell for the first thing that is not as it should be."""
    with open("/proc/self/status", encoding="utf-8", errors="replace") as file:
        said = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        if int(said.get(name, "1"), 16):
            raise NotACell(f"it has capabilities ({name} {said.get(name)})")
    if said.get("NoNewPrivs") != "1" or said.get("Seccomp") != "2":
        raise NotACell("no_new_privs or the system call filter is missing")
    with open("/proc/net/dev", encoding="utf-8", errors="replace") as file:
        cards = {line.split(":")[0].strip() for line in file if ":" in line}
    if cards != {"lo"}:
        raise NotACell(f"its network namespace is not empty: {sorted(cards)}")
    if os.getppid() != 1:
        raise NotACell("it shares the machine's processes")
    for path in ("/", "/dev", "/proc", *config["read"]):
        if not os.statvfs(path).f_flag & os.ST_RDONLY:
            raise NotACell(f"{path} can be written")
    for path in config["hide"]:
        _verify_hidden(path)


def _verify_hidden(path: str) -> None:
    found = os.lstat(path)
    if stat.S_ISDIR(found.st_mode):
        if os.statvfs(path).f_flag & os.ST_RDONLY and not os.listdir(path):
            return
    elif stat.S_ISREG(found.st_mode) and found.st_size == 0:
        if os.statvfs(path).f_flag & os.ST_RDONLY:
            return
    raise NotACell(f"{path} is not hidden")


# Further layers -------------------------------------------------------------------------------


def limit(limits: dict[str, int]) -> None:
    for name, most in limits.items():
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        given = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (given, given))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def landlock(read: list[str], write: list[str], devices: list[str]) -> None:
    """Files beneath `read` and `write` and nothing else, also for whatever is started later."""
    try:
        abi = _syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    except OSError as error:
        raise NotACell(f"Landlock is missing ({error.strerror})") from error
    if abi < LEAST_ABI:
        raise NotACell(f"Landlock is too old (ABI {abi}, needed {LEAST_ABI})")
    every = 0
    for since, bits in _RIGHTS:
        every |= bits if abi >= since else 0
    wants = (ctypes.c_uint64 * 3)(every, 0, _SCOPES if abi >= 6 else 0)
    ruleset = _syscall(_CREATE, wants, ctypes.c_size_t(24), ctypes.c_uint32(0))
    _allow(ruleset, "/", _LIST)
    for path in read:
        _allow(ruleset, path, _READ)
    for path in devices:
        _allow(ruleset, path, every & (_READ | _OF_FILES))
    for path in write:
        _allow(ruleset, path, every)
    _syscall(_RESTRICT, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    if not stat.S_ISDIR(os.fstat(fd).st_mode):
        rights &= _OF_FILES
    rule = ctypes.create_string_buffer(
        rights.to_bytes(8, sys.byteorder) + fd.to_bytes(4, sys.byteorder), 12
    )
    _syscall(_ADD, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint32(0))
    os.close(fd)


def second_filter(program: bytes) -> None:
    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]

    code = ctypes.create_string_buffer(program, len(program))
    loaded = Program(len(program) // 8, ctypes.addressof(code))
    if _libc.prctl(_PR_SET_SECCOMP, _FILTER, ctypes.byref(loaded), 0, 0):
        raise NotACell("the second system call filter was not taken")


# The way out ----------------------------------------------------------------------------------


def pump(routes: dict[int, str], status: int) -> None:
    """Return in a child process; the parent stays, joins loopback ports to sockets, and ends as
    the child ends. The sockets are all it can reach, and the child cannot reach into it."""
    import _socket

    listening = []
    for port, path in routes.items():
        # The raw ones: what `socket` and `threading` take to load, the work shall not wait for.
        raw = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
        raw.bind(("127.0.0.1", port))
        raw.listen(128)
        listening.append((raw, path))
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    child = os.fork()
    if child == 0:
        for raw, _ in listening:
            raw.close()
        return
    os.close(status)
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    serve({raw.detach(): path for raw, path in listening})
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)


def serve(listening: dict[int, str]) -> None:
    """Join whoever comes to these listeners to their sockets, in threads."""
    import socket
    import threading

    def copy(source: "Socket", sink: "Socket") -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for end in (source, sink):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # already closed by its other side

    def join(near: "Socket", path: str) -> None:
        with near, socket.socket(socket.AF_UNIX) as far:
            try:
                far.connect(path)
            except OSError:
                return  # the proxy has ended: nothing leaves
            back = threading.Thread(target=copy, args=(far, near), daemon=True)
            back.start()
            copy(near, far)
            back.join()

    def accept(listener: "Socket", path: str) -> None:
        while True:
            near, _ = listener.accept()
            try:
                threading.Thread(target=join, args=(near, path), daemon=True).start()
            except RuntimeError:
                near.close()  # the cell has used up its processes

    for number, path in listening.items():
        listener = socket.socket(fileno=number)
        threading.Thread(target=accept, args=(listener, path), daemon=True).start()


def main(config_fd: int) -> "NoReturn":
    with open(config_fd, "rb", closefd=True) as file:
        config: dict[str, Any] = marshal.loads(file.read())  # noqa: S302  sealed by our own starter
    status: int = config["status"]
    try:
        for number, fd in enumerate(config["streams"]):
            os.dup2(fd, number)
        os.closerange(3, status)
        os.closerange(status + 1, 1 << 20)
        verify(config)
        limit(config["limits"])
        if config["routes"]:
            pump(config["routes"], status)
        if config["terminal"]:
            import fcntl

            os.setsid()
            fcntl.ioctl(0, _TIOCSCTTY, 0)
        landlock(config["allowed"], config["write"], config["devices"])
        if config["filter"]:
            second_filter(config["filter"])
    except (NotACell, OSError, ValueError) as error:
        os.write(status, f"-{error}".encode()[:1000])
        os._exit(FAILED)
    os.set_inheritable(status, False)
    os.write(status, b"+")
    argv: list[str] = config["argv"]
    try:
        os.execvpe(argv[0], argv, config["env"])  # noqa: S606  what this file is for
    except OSError as error:
        os.write(2, f"nucleus: {argv[0]}: {error.strerror}\n".encode())
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)


if __name__ == "__main__":
    main(int(sys.argv[1]))
