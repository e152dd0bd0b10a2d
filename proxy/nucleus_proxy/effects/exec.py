"""Law: a command runs in a work cell that shows what its call was judged for, and nowhere else.

The cell has no network and no route, so a command is no way out; what it could read is what is
mounted. There is no shell unless the call is for one.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from nucleus_proxy import commands
from nucleus_proxy.answers import Granted
from nucleus_proxy.binding import BoundCall
from nucleus_proxy.effects import cells
from nucleus_proxy.effects.opening import Root
from nucleus_proxy.native import FileLabels, NativeTool, NoFileLabels, Param, Tools, Value
from nucleus_proxy.toolrules import ToolBinding
from nucleus_proxy.work import OUTPUT_BYTES, SECONDS, Commands, Done, Work
from nucleus_tokens import flow, labelling, labels, lattice, projection
from nucleus_tokens.authority import Authority
from nucleus_tokens.errors import CallerError
from nucleus_tokens.patterns import under
from nucleus_verifier.choosing import SelectorRule

MOST_SECONDS: Final = 3600
_SHELL: Final = ("/bin/bash", "--noprofile", "--norc", "-c")
_PARAMS: Final = {
    "cwd": Param("string", "where it runs; the workspace if left out", optional=True),
    "stdin": Param("string", "text for its standard input", optional=True),
    "seconds": Param("integer", "how long it may run", optional=True),
}


def tools(
    root: Root,
    *,
    runner: Commands,
    shows: int,
    draw: Callable[[int], bytes],
    labels: FileLabels | None = None,
    shell: tuple[str, ...] = _SHELL,
) -> Tools:
    """The tools of commands. `shows` are the exposure bits of what the workspace holds, `shell`
    is what a script is given to."""
    commander = Commander(root, runner, labels or NoFileLabels(), draw, shell)
    rows = []
    for name, says, param, what in (
        ("exec_run", "Run a command in the workspace, without a shell.", "argv",
         Param("strings", "the program and its arguments")),
        ("exec_bash", "Run a shell script in the workspace.", "script",
         Param("string", f"the script, for {shell[0]}")),
    ):  # fmt: skip
        made = ToolBinding(
            name,
            lattice.RUN_BASH,
            flow.default_sink(lattice.RUN_BASH),
            (SelectorRule(f"/{param}", "argv"), SelectorRule("/cwd", "path", optional=True)),
            frozenset(("/stdin", "/seconds")),
        )
        params = {param: what, **_PARAMS}
        refine = partial(_refined, root.path, shows)
        rows.append(NativeTool(made, says, params, commander.run, refine))
    return {row.binding.tool: row for row in rows}


def _refined(root: str, shows: int, call: BoundCall) -> BoundCall:
    """The call as it is in a cell: sealed, and without a host or a ref that it could reach. Its
    words are every command in them."""
    argv = call.args.get("argv")
    cmd = None if argv is None else commands.known(argv)
    resources = {**call.resources, "cmd": cmd, "host": (), "ref": ()}
    operation = call.operation
    return replace(
        call,
        resources=resources,
        records=projection.raises(operation, True, shows),
        projects=projection.projects(operation, False, True, shows),
        within=partial(_within, root),
    )


def _within(root: str, call: BoundCall, authority: Authority) -> BoundCall:
    """The paths of a command are all that its cell will show: the kernel judges each of them."""
    cwd = call.resources.get("path")
    shown = cells.subtrees(root, authority)
    inside = cwd is not None and all(any(under(top, at) for top in shown) for at in cwd)
    paths = shown if shown and (inside or not cwd) else None
    return replace(call, resources={**call.resources, "path": paths})


class Commander:
    """Runs commands for one workspace."""

    def __init__(
        self,
        root: Root,
        runner: Commands,
        labels: FileLabels,
        draw: Callable[[int], bytes],
        shell: tuple[str, ...] = _SHELL,
    ) -> None:
        self._shell = shell
        self._root = root
        self._runner = runner
        self._labels = labels
        self._draw = draw

    async def run(self, granted: Granted, cell: str) -> Value:
        """Run the command that was decided."""
        permit, call = granted.permit, granted.call
        permit.use(operation=call.operation, call_digest=call.digest, cell=cell)
        args = call.args
        argv = tuple(args["argv"]) if "argv" in args else (*self._shell, args["script"])
        seconds = args.get("seconds", int(SECONDS))
        if not 1 <= seconds <= MOST_SECONDS or not all(argv[:1]) or any("\0" in w for w in argv):
            raise CallerError(
                "exec.arguments", f"A command has words, and 1 to {MOST_SECONDS} seconds."
            )
        shown = call.resources["path"] or ()
        view = await asyncio.to_thread(cells.view, self._root, shown, granted.authority)
        label = labels.join(granted.call.label, labelling.EXISTING_FILE | labelling.TOOL_RESPONSE)
        # It reads what it is shown, and says or writes what it likes of it.
        label = labels.join(label, self._labels.held((*view.readable, *view.writable)))
        if view.writable:
            # Before it runs: whatever it leaves behind is not known to be better than this.
            self._labels.ran(view.writable, label)
        said: str = call.resolved.get("/cwd") or ""
        cwd = said or await asyncio.to_thread(_folder, shown)
        work = Work(
            argv=argv,
            cwd=cwd,
            readable=view.readable,
            writable=view.writable,
            masked=view.masked,
            stdin=args.get("stdin", "").encode(),
            seconds=float(seconds),
            output_bytes=OUTPUT_BYTES,
        )
        try:
            done = await self._runner.run(work)
        finally:
            aside = await asyncio.to_thread(
                cells.set_aside, self._root, view, granted.authority, self._draw(4).hex()
            )
        return _value(done, aside, label)


def _folder(shown: Sequence[str]) -> str:
    """Where a command runs that says nothing: what is shown may be files alone."""
    return next(filter(os.path.isdir, shown), "/tmp")  # noqa: S108  the cell's own


def _value(done: Done, aside: tuple[str, ...], label: int) -> Value:
    out, err = (data.decode("utf-8", "replace") for data in (done.stdout, done.stderr))
    structured: dict[str, Any] = {
        "code": done.code,
        "stdout": out,
        "stderr": err,
        "truncated": done.truncated,
        "timed_out": done.timed_out,
        "set_aside": list(aside),
    }
    lines = [out, err, f"exit code {done.code}"]
    if done.timed_out:
        lines.append("It was ended: it took too long.")
    if done.truncated:
        lines.append("It was ended: it wrote too much.")
    lines += [f"Set aside, because it may not be written by a command: {path}" for path in aside]
    return Value(structured, "\n".join(line for line in lines if line), label)
