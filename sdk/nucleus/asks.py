"""Law: what a tool of the SDK sends, and how its answer is read, is said once for sync and async.

Each function makes the request of one of the proxy's tools. Nothing here does anything.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from nucleus import shapes
from nucleus.handles import CommandOutput, FileHandle, Label, NetResponse, Result, Text, Written
from nucleus_tokens import labels
from nucleus_tokens.errors import CallerError, WorldError

T = TypeVar("T")
PathLike = str | os.PathLike[str]
Content = str | Text | bytes

LABEL = "nucleus/label"
EXPOSURE = "nucleus/exposure"
DECISION = "nucleus/decision"
REFERENCE = "nucleus/ref"


@dataclass(frozen=True, slots=True)
class Answered:
    """A tool's result: its fields and what the proxy says of them."""

    fields: Mapping[str, Any]
    label: Label
    exposure: frozenset[str]
    decision: int  # the record of the trace that let it run
    reference: str = ""  # by which the proxy knows the whole result again

    def ref(self, name: str) -> str:
        """The reference to one field of it."""
        return f"{self.reference}#/{name}" if self.reference else ""

    def text(self, name: str) -> str:
        return self._field(name, str)

    def number(self, name: str) -> int:
        return self._field(name, int)

    def flag(self, name: str) -> bool:
        return self._field(name, bool)

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(map(str, shapes.items(self.fields.get(name)) or ()))

    def rows(self, name: str) -> tuple[dict[str, Any], ...]:
        found = map(shapes.table, shapes.items(self.fields.get(name)) or ())
        return tuple(row for row in found if row is not None)

    def _field(self, name: str, kind: type[T]) -> T:
        value = self.fields.get(name)
        if type(value) is not kind:
            raise WorldError("proxy.answer", f"The proxy's answer has no {name}.")
        return value


@dataclass(frozen=True, slots=True)
class Declared:
    """What a guarded function says it does. It runs on this side: see `guarding`."""

    operation: str
    selectors: Mapping[str, str]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ask(Generic[T]):
    """One call of a tool of the proxy, and how its result is read; or, with `declared`, of a
    function of the program's own."""

    tool: str
    args: dict[str, Any]
    read: Callable[[Answered], T]
    declared: Declared | None = None
    refs: Mapping[str, str] = field(default_factory=dict[str, str])  # argument's pointer -> value


def answered(result: Mapping[str, Any]) -> Answered:
    """The parts of a tool's result. What has no label is as bad as can be."""
    meta = shapes.table(result.get("_meta")) or {}
    bits = (shapes.table(meta.get(LABEL)) or {}).get("bits")
    known = type(bits) is int and labels.valid(bits)
    decision = meta.get(DECISION)
    return Answered(
        shapes.table(result.get("structuredContent")) or {},
        Label(bits if type(bits) is int and known else labels.TOP),
        frozenset(map(str, shapes.items(meta.get(EXPOSURE)) or ())),
        decision if type(decision) is int else 0,
        shapes.text(meta.get(REFERENCE)) or "",
    )


# Files ------------------------------------------------------------------------------------------


def read(path: PathLike, offset: int | None, limit: int | None) -> Ask[FileHandle]:
    return Ask("fs_read", _given(path=_path(path), offset=offset, limit=limit), _file)


def _file(got: Answered) -> FileHandle:
    next_ = got.fields.get("next")
    return FileHandle(
        got.text("content"),
        got.label,
        got.exposure,
        path=got.text("path"),
        size=got.number("size"),
        sha256=shapes.text(got.fields.get("sha256")),
        next=next_ if type(next_) is int else None,
        ref=got.ref("content"),
    )


def read_bytes(path: PathLike) -> Ask[bytes]:
    args = {"path": _path(path), "encoding": "base64"}
    return Ask("fs_read", args, lambda got: base64.b64decode(got.text("content")))


def write(path: PathLike, content: Content) -> Ask[Written]:
    args: dict[str, Any] = {"path": _path(path)}
    if isinstance(content, bytes):
        args["base64"] = base64.b64encode(content).decode()
    else:
        args["content"] = content
    return _ask("fs_write", args, _written)


def edit(path: PathLike, old: str | Text, new: str | Text, every: bool) -> Ask[Written]:
    args = {"path": _path(path), "old": old, "new": new}
    return _ask("fs_edit", {**args, "all": True} if every else args, _written)


def _written(got: Answered) -> Written:
    replaced = got.fields.get("replaced")
    return Written(
        got.text("path"),
        got.number("size"),
        got.text("sha256"),
        got.fields.get("created") is True,
        replaced if type(replaced) is int else 0,
    )


def glob(pattern: str, directory: PathLike) -> Ask[tuple[str, ...]]:
    args = {"directory": _path(directory), "pattern": pattern}
    return Ask("fs_glob", args, lambda got: got.texts("paths"))


def grep(
    text: str, directory: PathLike, names: str | None, ignore_case: bool
) -> Ask[tuple[dict[str, Any], ...]]:
    args = _given(
        directory=_path(directory), text=text, glob=names, ignore_case=ignore_case or None
    )
    return Ask("fs_grep", args, lambda got: got.rows("matches"))


# Network ----------------------------------------------------------------------------------------


REDIRECTS = 5


def fetch(
    url: str,
    method: str | None = None,
    accept: str | None = None,
    body: str | Text | None = None,
    content_type: str | None = None,
) -> Ask[NetResponse]:
    args = _given(
        url=str(url),
        method=method,
        accept=accept,
        body=body,
        content_type=content_type,
    )
    return _ask("net_fetch", args, _response)


def follow(asked: Ask[NetResponse], got: NetResponse) -> Ask[NetResponse] | None:
    """Where a redirect leads is another call, judged like any other; a body is not sent twice."""
    if got.redirect is None or asked.args.get("method") not in (None, "GET", "HEAD"):
        return None
    return Ask("net_fetch", {**asked.args, "url": got.redirect}, _response)


def _response(got: Answered) -> NetResponse:
    encoded = shapes.text(got.fields.get("base64"))
    text = shapes.text(got.fields.get("text"))
    body = base64.b64decode(encoded) if encoded is not None else (text or "").encode()
    return NetResponse(
        text if text is not None else body.decode("utf-8", "replace"),
        got.label,
        got.exposure,
        url=got.text("url"),
        status=got.number("status"),
        headers={k: str(v) for k, v in (shapes.table(got.fields.get("headers")) or {}).items()},
        body=body,
        redirect=shapes.text(got.fields.get("redirect")),
        ref="" if text is None else got.ref("text"),
    )


def search(query: str) -> Ask[Result]:
    return Ask("net_search", {"query": query}, result)


# Git and commands -------------------------------------------------------------------------------


def git(tool: str, **args: Any) -> Ask[Result]:
    return _ask(f"git_{tool}", _given(**args), result)


def run(
    argv: Sequence[str], cwd: PathLike | None, stdin: str | None, seconds: int | None
) -> Ask[CommandOutput]:
    if isinstance(argv, str):
        raise CallerError(
            "call.arguments", "A command is a list of words.", hint="A shell is another tool: bash."
        )
    args = _given(argv=[*map(str, argv)], cwd=_maybe(cwd), stdin=stdin, seconds=seconds)
    return Ask("exec_run", args, _output)


def bash(
    script: str, cwd: PathLike | None, stdin: str | None, seconds: int | None
) -> Ask[CommandOutput]:
    args = _given(script=script, cwd=_maybe(cwd), stdin=stdin, seconds=seconds)
    return Ask("exec_bash", args, _output)


def _output(got: Answered) -> CommandOutput:
    return CommandOutput(
        got.text("stdout"),
        got.label,
        got.exposure,
        code=got.number("code"),
        stderr=got.text("stderr"),
        truncated=got.flag("truncated"),
        timed_out=got.flag("timed_out"),
        set_aside=got.texts("set_aside"),
        ref=got.ref("stdout"),
    )


def spawn(
    agent: str, task: str | Text, directory: PathLike | None, caveats: Sequence[list[Any]] | None
) -> Ask[CommandOutput]:
    args = _given(agent=agent, task=task, directory=_maybe(directory), caveats=caveats)
    return _ask("agent_spawn", args, _said)


def _said(got: Answered) -> CommandOutput:
    return CommandOutput(
        got.text("output"),
        got.label,
        got.exposure,
        code=got.number("code"),
        stderr="",
        truncated=got.flag("truncated"),
        timed_out=got.flag("timed_out"),
        set_aside=got.texts("set_aside"),
        ref=got.ref("output"),
    )


def result(got: Answered) -> Result:
    """A result as it is."""
    return Result(got.fields, got.label, got.exposure)


def _ask(tool: str, args: Mapping[str, Any], read: Callable[[Answered], T]) -> Ask[T]:
    """A call in which a text of the proxy's goes back by reference, so that it keeps its label."""
    return Ask(
        tool,
        {name: str(v) if isinstance(v, Text) else v for name, v in args.items()},
        read,
        refs={f"/{name}": v.ref for name, v in args.items() if isinstance(v, Text) and v.ref},
    )


def _given(**args: Any) -> dict[str, Any]:
    """What was given; a tool's own defaults are the proxy's affair."""
    return {name: value for name, value in args.items() if value is not None}


def _path(path: PathLike) -> str:
    return os.fspath(path)


def _maybe(path: PathLike | None) -> str | None:
    return None if path is None else os.fspath(path)
