"""What `nucleus audit` does beyond looking: asks servers, puts them behind the proxy and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nucleus.audit.facts import Place, Server, Tool
    from nucleus.audit.live import Answer
    from nucleus.audit.walking import Found
    from nucleus.home import Home

Answers = Sequence[tuple["Server", "Answer"]]


def asked(read: Found) -> Answers:
    """What every server lists, or why it was not asked."""
    import asyncio

    from nucleus.audit import live
    from nucleus.audit.facts import Server
    from nucleus.cli.console import note, safe
    from nucleus.composing import Cells
    from nucleus_vmhost.bubblewrap import Bubblewrap

    servers = [f for f in read.facts if isinstance(f, Server) and not f.disabled]
    answers = asyncio.run(live.ask_all(servers, Cells(Bubblewrap()), read.root.resolve()))
    for server, answer in answers:
        if isinstance(answer, str):
            note(f"nucleus: {safe(server.name)} was not asked: {safe(answer)}")
    return answers


def answered(read: Found, answers: Answers) -> Found:
    """What was read, with what the servers said."""
    from nucleus.audit import live

    read.facts = live.with_tools(read.facts, answers)
    return read


def fix(place: Home, read: Found, answers: Answers, token: Path | None, home: str | None) -> int:
    """Every file with servers, rewritten."""
    import sys
    from shutil import which

    from nucleus.audit import fixing
    from nucleus.cli.console import DENIED, OK, note, safe, say
    from nucleus_tokens.errors import CallerError, NucleusError

    if token is None or not token.is_file():
        raise CallerError(
            "audit.token",
            "Say which token the servers get.",
            hint="nucleus audit --suggest > profile.md; then nucleus token issue --profile FILE "
            "--sub agent --bearer -o agent.token; then nucleus audit --fix --token agent.token",
        )
    place.tree_of(token.read_text(encoding="utf-8").strip())  # believed here, or nothing is done
    fixer = fixing.Fixer(place, fixing.program(which("nucleus"), home, sys.executable))
    by_file: dict[str, list[tuple[Server, Answer]]] = {}
    for server, answer in answers:
        by_file.setdefault(server.place.path, []).append((server, answer))
    code = OK
    for name, pairs in sorted(by_file.items()):
        tools: dict[str, tuple[Tool, ...] | str] = {s.name: answer for s, answer in pairs}
        try:
            done = fixer.fix(
                real(read, pairs[0][0].place), [replace(s, tools=None) for s, _ in pairs], tools,
                token=token.resolve(), workspace=read.root.resolve(),
            )  # fmt: skip
        except NucleusError as error:
            note(f"nucleus: {safe(name)}: {safe(error.message)} [{error.code}]")
            code = DENIED
            continue
        for each in done.mediated:
            outside = " (outside of a cell: it is fetched, or reaches a network)"
            say(f"{safe(name)}: {safe(each)} is behind nucleus mcp"
                + (outside if each in done.outside else ""))  # fmt: skip
            for tool in done.denied.get(each, ()):
                note(
                    f"nucleus: {safe(each)}: {safe(tool)} is denied; its policy says how to bind it"
                )
        for each in done.moved:
            say(f"{safe(name)}: a credential is kept as {each}")
        for each, why in done.left.items():
            note(f"nucleus: {safe(name)}: {safe(each)} stays as it is: {safe(why)}")
    return code


def unfix(place: Home, read: Found) -> int:
    """Every file that was rewritten, as it was."""
    from nucleus.audit import fixing
    from nucleus.audit.facts import Server
    from nucleus.cli.console import DENIED, OK, note, safe, say

    fixer = fixing.Fixer(place, ("nucleus",))
    code = OK
    names = {f.place.path: f.place for f in read.facts if isinstance(f, Server)}
    for name, where in sorted(names.items()):
        done = fixer.unfix(real(read, where))
        if done is None:
            continue
        for each in done.mediated:
            say(f"{safe(name)}: {safe(each)} is as it was")
        for each, why in done.left.items():
            note(f"nucleus: {safe(name)}: {safe(each)} is not put back: {safe(why)}")
            code = DENIED
    return code


def real(read: Found, place: Place) -> Path:
    """Where a file of the report stands."""
    if place.path.startswith("~/"):
        return Path.home() / place.path[2:]
    return read.root / place.path
