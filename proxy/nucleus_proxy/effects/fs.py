"""Law: a file is read or replaced whole, under a permit, at the path that was judged.

A write goes to a new file beside the old one and takes its place in one step: nobody sees half of
it, and a link or a file with other names that stands there is replaced, never written through.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import dataclasses
import hashlib
import os
import stat
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

from nucleus_proxy.answers import Granted
from nucleus_proxy.effects import opening, previewing, searching
from nucleus_proxy.effects.opening import Root
from nucleus_proxy.later import obliging
from nucleus_proxy.native import FileLabels, NativeTool, NoFileLabels, Param, Tools, Value
from nucleus_proxy.offload import Offload
from nucleus_proxy.toolrules import ToolBinding
from nucleus_tokens import flow, labelling, lattice
from nucleus_tokens.errors import CallerError, WorldError
from nucleus_verifier.choosing import SelectorRule

READ_BYTES: Final = 4 * 1024 * 1024  # given back by one read
FILE_BYTES: Final = 256 * 1024 * 1024  # of a file that is read at all, since it is read whole
SECONDS: Final = 30.0
_CHUNK: Final = 1024 * 1024
_TEMPORARY: Final = ".nucleus-"

T = TypeVar("T")
Draw = Callable[[int], bytes]


async def timed(work: Callable[[], T]) -> T:
    """In a thread, for so long; raises WorldError `fs.timeout` after that."""
    try:
        return await asyncio.wait_for(asyncio.to_thread(work), SECONDS)
    except TimeoutError as error:
        raise WorldError("fs.timeout", "The file system did not answer in time.") from error


def tools(
    root: Root, *, draw: Draw, labels: FileLabels | None = None, offload: Offload = timed
) -> Tools:
    """The tools of files. `draw(n)` gives n random bytes, for the names of temporary files.
    `offload` keeps the file system off the event loop; where one client is served `inline` is
    faster, and waits as long as the file system does."""
    kept = labels or NoFileLabels()
    rows = (
        _tool(
            "fs_read", lattice.READ_FILES, "Read a file of the workspace.",
            {
                "path": Param("string", "the file"),
                "offset": Param("integer", "first byte, from 0", optional=True),
                "limit": Param("integer", "most bytes to read", optional=True),
                "encoding": Param("string", "utf-8 (default) or base64", optional=True),
            },
            "/path", partial(_read, root, kept), offload,
        ),
        _tool(
            "fs_write", lattice.WRITE_FILES, "Write a whole file of the workspace.",
            {
                "path": Param("string", "the file"),
                "content": Param("string", "the text", optional=True),
                "base64": Param("string", "or the bytes, in base64", optional=True),
            },
            "/path", partial(_write, root, kept, draw), offload,
        ),
        _tool(
            "fs_edit", lattice.EDIT_FILES, "Replace text in a file of the workspace.",
            {
                "path": Param("string", "the file"),
                "old": Param("string", "text that stands there exactly once"),
                "new": Param("string", "text to put in its place"),
                "all": Param("boolean", "replace every occurrence", optional=True),
            },
            "/path", partial(_edit, root, kept, draw), offload,
        ),
        _tool(
            "fs_glob", lattice.GLOB_SEARCH, "Find files by name.",
            {
                "directory": Param("string", "where to look; '.' is the workspace"),
                "pattern": Param("string", "'*' within a segment, '**' for any segments"),
            },
            "/directory", partial(_glob, root, kept), offload,
        ),
        _tool(
            "fs_grep", lattice.GREP_SEARCH, "Find a literal text in files.",
            {
                "directory": Param("string", "where to look; '.' is the workspace"),
                "text": Param("string", "the text, literally"),
                "glob": Param("string", "only in files of these names", optional=True),
                "ignore_case": Param("boolean", "letters in any case", optional=True),
            },
            "/directory", partial(_grep, root, kept), offload,
        ),
    )  # fmt: skip
    shown = previewing.of_writes(root)
    return {
        row.binding.tool: dataclasses.replace(row, preview=shown.get(row.binding.tool))
        for row in rows
    }


def _tool(
    name: str,
    operation: int,
    says: str,
    params: dict[str, Param],
    selector: str,
    work: Callable[[Granted], Value],
    offload: Offload,
) -> NativeTool:
    async def run(granted: Granted, cell: str) -> Value:
        permit, call = granted.permit, granted.call
        permit.use(operation=call.operation, call_digest=call.digest, cell=cell)
        return await offload(partial(work, granted))

    free = frozenset(f"/{param}" for param in params if f"/{param}" != selector)
    rule = SelectorRule(selector, "path")
    made = ToolBinding(name, operation, flow.default_sink(operation), (rule,), free)
    changes = operation in (lattice.WRITE_FILES, lattice.EDIT_FILES)
    if changes:
        return NativeTool(made, says, params, run, obliging)
    return NativeTool(made, says, params, run)


# Reading --------------------------------------------------------------------------------------


def _read(root: Root, labels: FileLabels, granted: Granted) -> Value:
    args, path = granted.call.args, granted.call.resolved["/path"]
    offset, limit = args.get("offset", 0), args.get("limit", READ_BYTES)
    encoding = args.get("encoding", "utf-8")
    if offset < 0 or limit < 1 or encoding not in ("utf-8", "base64"):
        raise CallerError(
            "fs.arguments", "An offset is 0 or more, a limit 1 or more, an encoding one of two."
        )
    with root.parent(path) as (directory, name), opening.opened(directory, name) as (fd, found):
        if found.st_size > FILE_BYTES:
            raise CallerError("fs.too_large", f"A file of at most {FILE_BYTES} bytes is read.")
        # The label belongs to the whole content, so the whole is read even for a part.
        data, digest = contents(fd, found, offset, min(limit, READ_BYTES))
    end = offset + len(data)
    if encoding == "utf-8":
        text, data = _text(data, whole=end >= found.st_size)
        end = offset + len(data)
    else:
        text = base64.b64encode(data).decode("ascii")
    structured: dict[str, Any] = {
        "path": path,
        "content": text,
        "encoding": encoding,
        "size": found.st_size,
        "next": end if end < found.st_size else None,
        "sha256": digest.hex(),
    }
    return Value(structured, text, labels.of(path, digest))


def contents(fd: int, found: os.stat_result, offset: int, limit: int) -> tuple[bytes, bytes]:
    """(the part asked for, SHA-256 of the whole file)."""
    digest, kept, at = hashlib.sha256(), bytearray(), 0
    while chunk := os.read(fd, min(_CHUNK, max(4096, found.st_size + 1))):
        digest.update(chunk)
        start, end = max(offset - at, 0), offset + limit - at
        if end > 0:
            kept += chunk[start:end]
        at += len(chunk)
    return bytes(kept), digest.digest()


def _text(data: bytes, *, whole: bool) -> tuple[str, bytes]:
    """UTF-8; a part may end inside a character, which then belongs to the next part."""
    try:
        return data.decode("utf-8"), data
    except UnicodeDecodeError as error:
        if not whole and error.reason == "unexpected end of data" and error.start > 0:
            data = data[: error.start]
            return data.decode("utf-8"), data
        raise CallerError(
            "fs.not_text", "The file is not UTF-8 text.", hint='Ask for encoding "base64".'
        ) from error


# Writing --------------------------------------------------------------------------------------


def _write(root: Root, labels: FileLabels, draw: Draw, granted: Granted) -> Value:
    args, path = granted.call.args, granted.call.resolved["/path"]
    if ("content" in args) == ("base64" in args):
        raise CallerError("fs.arguments", "A write has either a content or a base64.")
    if "content" in args:
        data = _utf8(args["content"])
    else:
        try:
            data = base64.b64decode(args["base64"], validate=True)
        except (binascii.Error, ValueError) as error:
            raise CallerError("fs.arguments", "The base64 is not base64.") from error
    with root.parent(path, make=True) as (directory, name):
        before = _standing(directory, name)
        digest = hashlib.sha256(data).digest()
        labels.wrote(path, digest, granted.call.label)
        replace(directory, name, data, before, draw)
    structured = {
        "path": path,
        "size": len(data),
        "sha256": digest.hex(),
        "created": before is None,
    }
    done = "Created" if before is None else "Wrote"
    return Value(structured, f"{done} {path} ({len(data)} bytes).", granted.call.label)


def _utf8(text: str) -> bytes:
    return text.encode("utf-8")


def _edit(root: Root, labels: FileLabels, draw: Draw, granted: Granted) -> Value:
    args, path = granted.call.args, granted.call.resolved["/path"]
    old, new = _utf8(args["old"]), _utf8(args["new"])
    if not old:
        raise CallerError("fs.arguments", "There is nothing to replace.")
    with root.parent(path) as (directory, name):
        with opening.opened(directory, name) as (fd, found):
            if found.st_size > READ_BYTES:
                raise CallerError("fs.too_large", f"An edit takes at most {READ_BYTES} bytes.")
            data, before = contents(fd, found, 0, READ_BYTES)
        count = data.count(old)
        if count == 0:
            raise CallerError("fs.no_match", "The old text does not stand in the file.")
        if count > 1 and not args.get("all", False):
            raise CallerError(
                "fs.many_matches",
                f"The old text stands there {count} times.",
                hint="Give more of its surroundings, or all = true.",
            )
        changed = data.replace(old, new)
        digest = hashlib.sha256(changed).digest()
        # What is written is as tainted as what stood there before.
        label = granted.call.label | labels.of(path, before)
        labels.wrote(path, digest, label)
        replace(directory, name, changed, found, draw)
    structured = {"path": path, "replaced": count, "size": len(changed), "sha256": digest.hex()}
    return Value(structured, f"Replaced {count} in {path}.", label)


def _standing(directory: int, name: str) -> os.stat_result | None:
    """What stands where a file is to be written; None for nothing."""
    try:
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise opening.refusal(error, name) from error
    if stat.S_ISREG(found.st_mode):
        return found
    opening.regular(found, name)
    return found


def replace(
    directory: int,
    name: str,
    data: bytes,
    before: os.stat_result | None,
    draw: Draw,
    *,
    runs: bool | None = None,
) -> None:
    """Put `data` at `name` in one step. `runs` says whether it may be run; left out, that stays.
    Raises CallerError `fs.changed` when what stands there is not `before` any more, WorldError
    `fs.failed`."""
    mode = 0o644 if before is None else stat.S_IMODE(before.st_mode) & 0o777
    if runs is not None:
        mode = mode & ~0o111 | ((mode & 0o444) >> 2 if runs else 0)
    temporary = f"{_TEMPORARY}{draw(8).hex()}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(temporary, flags, 0o600, dir_fd=directory)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            if not _same(before, _standing(directory, name)):
                raise CallerError("fs.changed", f"{name!r} was changed meanwhile.")
            os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            os.unlink(temporary, dir_fd=directory)
            raise
        os.fsync(directory)
    except OSError as error:
        raise opening.refusal(error, name) from error


def _same(before: os.stat_result | None, now: os.stat_result | None) -> bool:
    if before is None or now is None:
        return before is now
    fields = ("st_dev", "st_ino", "st_size", "st_mtime_ns")
    return all(getattr(before, field) == getattr(now, field) for field in fields)


# Searching ------------------------------------------------------------------------------------


def _glob(root: Root, labels: FileLabels, granted: Granted) -> Value:
    args, path = granted.call.args, granted.call.resolved["/directory"]
    found = searching.glob(root, path, args["pattern"], granted.authority)
    structured = {"paths": found.items, "truncated": found.truncated}
    # A name is as tainted as what was written under it: the same hand chose it.
    label = labelling.EXISTING_FILE | labels.held([f"{path}/{name}" for name in found.items])
    return Value(structured, "\n".join(found.items), label)


def _grep(root: Root, labels: FileLabels, granted: Granted) -> Value:
    args, path = granted.call.args, granted.call.resolved["/directory"]
    found = searching.grep(
        root,
        path,
        args["text"],
        args.get("glob", "**"),
        granted.authority,
        ignore_case=args.get("ignore_case", False),
    )
    lines = [f"{m['path']}:{m['line']}: {m['text']}" for m in found.items]
    structured = {"matches": found.items, "truncated": found.truncated}
    return Value(structured, "\n".join(lines), found.label(labels))
