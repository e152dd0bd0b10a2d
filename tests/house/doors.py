"""Finds every place in our source that could touch the world: files, processes, sockets.

It reads syntax trees, so it sees what a file says and not what it does: a name bound to another
name, or `getattr` with a computed string, would pass. That is why the modules that give such
power are listed by import as well: to use `os.open` under any name, `os` must be imported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.house.source import tree

# Modules that give nothing but such power: importing one is a door.
MODULES = frozenset(
    ("subprocess", "socket", "socketserver", "shutil", "tempfile", "sqlite3", "ctypes", "mmap",
     "fcntl", "pty", "tty", "termios", "multiprocessing", "http.client", "http.server",
     "urllib.request", "ftplib", "smtplib", "imaplib", "poplib", "telnetlib", "xmlrpc", "ssl",
     "glob", "fileinput", "linecache", "zipfile", "tarfile", "dbm", "shelve", "curses",
     "webbrowser", "select", "selectors", "signal", "resource", "posix", "_posixsubprocess", "grpc",
     "aiohttp", "spiffe", "requests", "httpx", "dns", "requests_unixsocket", "code", "codeop")
)  # fmt: skip
# Of modules that do other things too: the names that touch the world.
CALLS = {
    "os": frozenset(
        ("open", "read", "write", "pread", "pwrite", "fdopen", "dup", "dup2", "pipe", "pipe2",
         "rename", "replace", "link", "symlink", "unlink", "remove", "rmdir", "mkdir", "makedirs",
         "removedirs", "renames", "truncate", "ftruncate", "chmod", "fchmod", "chown", "fchown",
         "lchown", "utime", "mkfifo", "mknod", "listdir", "scandir", "walk", "fwalk", "stat",
         "lstat", "fstat", "readlink", "access", "chdir", "fchdir", "chroot", "umask", "sendfile",
         "splice", "copy_file_range", "memfd_create", "fsync", "fdatasync", "sync", "setxattr",
         "getxattr", "system", "popen", "fork", "forkpty", "kill", "killpg", "waitpid", "putenv",
         "unsetenv", "environ", "getenv", "urandom", "getrandom", "setuid", "setgid", "setsid",
         "posix_spawn", "posix_spawnp", "execv", "execve", "execvp", "execvpe",
         "execl", "execle", "execlp",
         "execlpe", "spawnv", "spawnve", "spawnl", "spawnle", "spawnlp", "spawnvp", "startfile",
         "eventfd", "inotify_init", "pidfd_open", "unshare", "setns", "isatty", "ttyname")
    ),
    "os.path": frozenset(("realpath", "exists", "isfile", "isdir", "islink", "getsize", "lexists")),
    "asyncio": frozenset(
        ("create_subprocess_exec", "create_subprocess_shell", "open_connection", "start_server",
         "open_unix_connection", "start_unix_server")
    ),
    "io": frozenset(("open", "FileIO", "open_code")),
    "builtins": frozenset(("open",)),
    "importlib": frozenset(("import_module",)),
}  # fmt: skip
# Methods that only files, paths, processes and event loops have.
METHODS = frozenset(
    ("read_text", "read_bytes", "write_text", "write_bytes", "touch", "iterdir", "rglob", "unlink",
     "mkdir", "rmdir", "symlink_to", "hardlink_to", "readlink", "chmod", "lchmod", "rename",
     "samefile", "is_file", "is_dir", "is_symlink", "is_socket", "exists", "expanduser", "absolute",
     "create_connection", "create_server", "create_datagram_endpoint", "create_unix_connection",
     "create_unix_server", "subprocess_exec", "subprocess_shell", "connect_read_pipe",
     "connect_write_pipe", "sock_connect", "sock_sendall", "sendto", "connect_ex", "lstat",
     "add_reader", "add_writer", "send_signal", "terminate", "getaddrinfo", "run_in_executor")
)  # fmt: skip
BUILTINS = frozenset(("open", "exec", "eval", "compile", "__import__", "input", "breakpoint"))


def doors(path: Path) -> set[str]:
    """What a file names that could touch the world."""
    return set(_found(tree(path)))


def _found(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _module(alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from _module(node.module)
            for alias in node.names:
                yield from _module(f"{node.module}.{alias.name}")
                if alias.name in CALLS.get(node.module, ()):
                    yield f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Attribute):
            owner = _dotted(node.value)
            if node.attr in CALLS.get(owner, ()):
                yield f"{owner}.{node.attr}"
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in BUILTINS:
                yield node.func.id
            elif isinstance(node.func, ast.Attribute):
                if node.func.attr in METHODS and _dotted(node.func.value) not in CALLS:
                    yield f".{node.func.attr}"
                elif node.func.attr == "open" and _has_mode(node):
                    yield ".open"


def _has_mode(node: ast.Call) -> bool:
    """path.open("rb"), and not the open() of a store or a mediator."""
    first = node.args[0] if node.args else None
    return isinstance(first, ast.Constant) and isinstance(first.value, str)


def _module(name: str) -> Iterator[str]:
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        head = ".".join(parts[:length])
        if head in MODULES:
            yield head


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = _dotted(node.value)
        return f"{owner}.{node.attr}" if owner else ""
    return ""
