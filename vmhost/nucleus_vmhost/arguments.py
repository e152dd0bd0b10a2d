"""Law: what bubblewrap is told, in the order in which it does it; nothing of it is in an argument
list that others on the machine can read.
"""

from __future__ import annotations

import functools
import glob
import importlib.util
import marshal
import os
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nucleus_vmhost import opening
from nucleus_vmhost.mounts import How, Mount
from nucleus_vmhost.opening import Descriptors
from nucleus_vmhost.work import Work

HOME: Final = "/home/agent"
ID: Final = "1000"
OURS: Final = "/run/nucleus"
LAUNCHER: Final = f"{OURS}/inside.pyc"
# Beside a pump: `nucleus mcp connect` for those inside, and where it leads.
CONNECT: Final = f"{OURS}/mcp"
PROXY_PORT: Final = 3128
TOOLS_PORT: Final = 3129
IDENTITY_PORT: Final = 3130
GRPC_PORT: Final = 3131
_HERE: Final = Path(__file__).resolve().parent
_LINKS: Final = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
# Of /etc what programs need to run, and nothing that names people, hosts or secrets.
_ETC: Final = (
    "alternatives", "ca-certificates.conf", "fonts", "inputrc", "java-*-openjdk", "ld.so.cache",
    "ld.so.conf", "ld.so.conf.d", "localtime", "magic", "magic.mime", "mime.types", "pki/tls/certs",
    "pki/ca-trust", "protocols", "python3*", "services", "ssl/certs", "ssl/openssl.cnf",
    "terminfo", "timezone",
)  # fmt: skip
_FILES: Final = {
    "/etc/passwd": f"agent:x:{ID}:{ID}::{HOME}:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
    "/etc/group": f"agent:x:{ID}:\nnogroup:x:65534:\n",
    "/etc/hosts": "127.0.0.1 localhost cell\n::1 localhost\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
_PROXY_NAMES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
_EMPTY_BYTES: Final = "4096"


@dataclass(frozen=True, slots=True)
class Masked:
    """The same work with more hidden."""

    work: Work
    masked: tuple[str, ...]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.work, name)


def environment(work: Work, routes: Collection[int]) -> dict[str, str]:
    """All of it. `routes` are the loopback ports that lead out."""
    made = {
        "HOME": HOME,
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "TMPDIR": "/tmp",  # noqa: S108  the cell's own
        "LANG": "C.UTF-8",
    }
    if PROXY_PORT in routes:
        way = f"http://127.0.0.1:{PROXY_PORT}"
        made |= dict.fromkeys(_PROXY_NAMES, way)
    if TOOLS_PORT in routes:
        made |= {"NUCLEUS_MCP": CONNECT, "NUCLEUS_TOOLS": f"127.0.0.1:{TOOLS_PORT}"}
    if IDENTITY_PORT in routes:
        # A cell has no unix sockets; the standard knows both.
        made["SPIFFE_ENDPOINT_SOCKET"] = f"tcp://127.0.0.1:{IDENTITY_PORT}"
    if GRPC_PORT in routes:
        # gRPC would ask the proxy for HTTP to lead it there; `no_proxy` would mean more than that.
        made |= {"NUCLEUS_TOOLS_GRPC": f"127.0.0.1:{GRPC_PORT}", "no_grpc_proxy": "127.0.0.1"}
    return made | dict(work.env)


def python() -> str:
    """The interpreter that starts a cell: ours."""
    return os.path.realpath(sys.executable)


def interpreter() -> str | None:
    """The folder of the Python that starts a cell, where the system folders do not hold it."""
    prefix = os.path.realpath(sys.base_prefix)
    return None if prefix == "/usr" or prefix.startswith("/usr/") else prefix


def options(
    work: Work,
    placed: list[Mount],
    keep: Descriptors,
    *,
    sockets: Mapping[str, int],
    tmp_bytes: int,
    seccomp: int,
) -> list[str]:
    """Everything but the command. `sockets`: where inside, and the open socket.

    Raises WorldError `wall.mount`, `wall.moved`.
    """
    said = [
        "--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts",
        "--unshare-cgroup", "--disable-userns", "--uid", ID, "--gid", ID, "--hostname", "cell",
        "--new-session", "--die-with-parent", "--cap-drop", "ALL", "--clearenv",
        *_system(keep), "--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev",
    ]  # fmt: skip
    size = str(tmp_bytes)
    said += ["--perms", "1777", "--size", size, "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]  # noqa: S108
    said += ["--perms", "1777", "--size", size, "--tmpfs", "/tmp"]  # noqa: S108
    said += ["--perms", "0700", "--size", size, "--tmpfs", HOME]
    said += ["--dir", "/var", "--symlink", "/tmp", "/var/tmp", "--dir", OURS]  # noqa: S108
    # Copies in the root that is read-only in the end: each mount would cost half a millisecond.
    for path, text in _FILES.items():
        said += _file(keep.keep(opening.sealed(text.encode(), "etc")), path, "0444")
    said += _file(keep.keep(opening.sealed(_launcher(), "launcher")), LAUNCHER, "0444")
    if sockets:
        said += _file(keep.keep(opening.sealed(_script(), "connect")), CONNECT, "0555")
    for path, fd in sockets.items():
        said += ["--ro-bind-fd", str(fd), path]
    if (prefix := interpreter()) is not None:
        said += ["--ro-bind", prefix, prefix]
    for mount in placed:
        said += _mount(mount)
    return [*said, "--remount-ro", "/", "--chdir", work.cwd, "--seccomp", str(seccomp)]


def _mount(mount: Mount) -> list[str]:
    match mount.how:
        case How.READ:
            return ["--ro-bind-fd", str(mount.fd), mount.path]
        case How.WRITE | How.PIN:
            return ["--bind-fd", str(mount.fd), mount.path]
        case How.HIDE if mount.is_dir:
            empty = ["--perms", "0555", "--size", _EMPTY_BYTES, "--tmpfs", mount.path]
            return [*empty, "--remount-ro", mount.path]
        case How.HIDE:
            return ["--ro-bind", str(_HERE / "nothing"), mount.path]


def _system(keep: Descriptors) -> list[str]:
    said = ["--ro-bind", "/usr", "/usr"]
    for path in _LINKS:
        if os.path.islink(path):
            said += ["--symlink", os.readlink(path), path]
        elif os.path.isdir(path):
            said += ["--ro-bind", path, path]
    for pattern in _ETC:
        for path in sorted(glob.glob(f"/etc/{pattern}")):
            if os.path.isdir(path):
                said += ["--ro-bind-try", path, path]
            elif os.access(path, os.R_OK):
                said += _file(keep.keep(os.open(path, os.O_RDONLY | os.O_CLOEXEC)), path, "0444")
    return said


@functools.cache
def _launcher() -> bytes:
    """`inside.py` as the interpreter would keep it, so that no cell compiles it again."""
    path = _HERE / "inside.py"
    code = compile(path.read_bytes(), "inside.py", "exec", dont_inherit=True)
    return importlib.util.MAGIC_NUMBER + bytes(12) + marshal.dumps(code)


def _file(fd: int, path: str, mode: str) -> list[str]:
    return ["--perms", mode, "--file", str(fd), path]


def seen(work: Work, placed: list[Mount], *, routes: bool) -> dict[str, list[str]]:
    """What the launcher checks and what Landlock allows."""
    read = [m.path for m in placed if m.how is How.READ]
    write = [m.path for m in placed if m.how is How.WRITE]
    system = [path for path in ("/usr", *_LINKS) if os.path.isdir(path)]
    if routes:
        prefix = interpreter()
        system += [CONNECT] if prefix is None else [CONNECT, prefix]
    return {
        "read": read,
        "hide": [m.path for m in placed if m.how is How.HIDE],
        "allowed": [*system, "/etc", "/proc", *read],
        "write": [*write, "/tmp", "/dev/shm", HOME],  # noqa: S108
        "devices": ["/dev"],
    }


def _script() -> bytes:
    text = (_HERE / "connect.py").read_text(encoding="ascii")
    return f"#!{python()} -IS\n{text}".encode()
