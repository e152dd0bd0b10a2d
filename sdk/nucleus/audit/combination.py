"""Law: what one agent has together is judged together: the three legs, and who brings each.

A client's servers and the settings beside them are one agent's. An agent that works in a folder
reads the folder. What stands behind `nucleus mcp` is gated there and completes nothing here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from nucleus.audit import commands, knowing, packages
from nucleus.audit.facts import Fact, Place, Server, Settings
from nucleus.audit.findings import Finding, Group, Holder
from nucleus.audit.knowing import Kind, kind
from nucleus.audit.making import finding
from nucleus.audit.rules_servers import behind, is_mediated
from nucleus.audit.rules_settings import is_everything, split
from nucleus_tokens import exposure

# Clients whose agent reads the folder that it was started in, whatever else it is given.
_READS_FOLDER: Final = frozenset(
    ("claude-code", "cursor", "vscode", "windsurf", "gemini-cli", "codex", "cline", "zed",
     "opencode", "amazon-q", "copilot-cli")
)  # fmt: skip
LEG_NAMES: Final = {
    exposure.PRIVATE_DATA: "private data",
    exposure.UNTRUSTED_CONTENT: "untrusted content",
    exposure.EXFIL_VECTOR: "a way out",
}


def groups(facts: Iterable[Fact]) -> tuple[Group, ...]:
    """Every agent that is configured, with all it has."""
    found: dict[tuple[str, str], list[Holder]] = {}
    for fact in facts:
        if isinstance(fact, Server) and not fact.disabled:
            key = fact.client, _folder(fact.place.path)
            found.setdefault(key, []).extend(_server(fact))
        elif isinstance(fact, Settings):
            key = fact.client, _folder(fact.place.path)
            found.setdefault(key, []).extend(_settings(fact))
    made: list[Group] = []
    for (client, folder), holders in sorted(found.items()):
        if holders and client in _READS_FOLDER:
            place = replace(holders[0].place, what="workspace")
            reads = kind("read_files")
            holders.insert(
                0, Holder("the workspace", place, reads.legs, {1: "read_files"}, reads.names)
            )
        if holders:
            made.append(Group(client, folder, tuple(holders)))
    return tuple(made)


def _folder(path: str) -> str:
    """Whose configuration it is: the folder above `.cursor`, `.vscode` and the like."""
    parts = path.split("/")[:-1]
    while parts and parts[-1].startswith(".") and parts[-1] not in (".", ".."):
        parts.pop()
    return "/".join(parts) or "."


def _server(server: Server) -> Iterator[Holder]:
    real = behind(server)
    known = packages.known(real.argv, real.url)
    mediated = is_mediated(server)
    if server.tools is None:
        found = knowing.OPAQUE if known is None else known
        why = knowing.by_leg((name, kind(name, fixed=found.fixed)) for name in found.names)
        for leg in (1, 2, 4):
            if found.adds & leg:
                why.setdefault(leg, "its content")
        yield Holder(
            server.name, server.place, found.legs, why, found.names, known is not None, mediated
        )
        return
    sources = [(tool.name, knowing.tool(tool.name, tool.annotations)) for tool in server.tools]
    told = [(name, each) for name, each in sources if each is not knowing.OPAQUE]
    found = knowing.together(each for _, each in told)
    yield Holder(
        server.name, server.place, found.legs, knowing.by_leg(told), found.names, True, mediated
    )
    # Of a server that is known, a tool whose name says nothing does nothing worse than the rest.
    dark = [name for name, each in sources if each is knowing.OPAQUE]
    if dark and known is None:
        name = f"{server.name}: {', '.join(dark[:3])}{' …' if len(dark) > 3 else ''}"
        legs: dict[int, str] = dict.fromkeys((1, 2, 4), "nobody knows")
        yield Holder(name, server.place, knowing.OPAQUE.legs, legs, (), False, mediated)


def _settings(settings: Settings) -> Iterator[Holder]:
    for rule in settings.allow:
        found = _allowed(rule.text)
        if found is not None and found.legs:
            names = found.names
            why: Mapping[int, str] = {
                leg: ", ".join(names) for leg in (1, 2, 4) if found.legs & leg
            }
            yield Holder(rule.text, rule.place, found.legs, why, names)
    if any("bypassPermissions" in switch.text for switch in settings.bypass):
        switch = settings.bypass[0]
        legs = knowing.OPAQUE.legs
        yield Holder(
            switch.text, switch.place, legs, dict.fromkeys((1, 2, 4), "run_bash"), ("run_bash",)
        )


def _allowed(rule: str) -> Kind | None:
    """What a rule that asks nobody amounts to. A command that is named is taken for what it is
    called; that a test runner runs the project's code is for the sandbox."""
    tool, inside = split(rule)
    match tool:
        case "Bash" if is_everything(inside):
            return knowing.OPAQUE
        case "Bash":
            words = (inside or "").replace(":*", " ").replace("*", " ").split()
            first = words[0].rpartition("/")[2] if words else ""
            if first in commands.SENDING:
                return kind("web_fetch")
            if words[:2] == ["git", "push"]:
                return kind("git_push")
            if words[:2] in (["gh", "pr"], ["gh", "issue"], ["gh", "api"], ["gh", "gist"]):
                return kind("create_pr", adds=exposure.UNTRUSTED_CONTENT)
            return None
        case "WebFetch" if is_everything(inside):
            return kind("web_fetch")
        case "WebFetch":
            return kind("web_fetch", fixed=True)
        case "WebSearch":
            return kind("web_search", fixed=True)
        case "Read" | "Grep" | "Glob":
            return kind("read_files")
        case _:
            return None


def judge(group: Group) -> Iterator[Finding]:
    """The uninhabitable state, at what completes it."""
    last = _last(group, group.holders)
    if exposure.complete(group.legs) and last is not None:
        yield finding(
            "uninhabitable-state", replace(last.place, what=f"{group.client}/{group.folder}"), "",
            f"{group.client} in {group.folder}: " + "; ".join(
                f"{name} through {_bringers(group, leg, sure=True)}"
                for leg, name in LEG_NAMES.items()
            ) + ".",
        )  # fmt: skip
    elif exposure.complete(group.possible):
        unknown = [h for h in group.holders if not h.sure and not h.mediated]
        yield finding(
            "possible-uninhabitable-state",
            replace(unknown[0].place, what=f"{group.client}/{group.folder}"), "",
            f"{group.client} in {group.folder}: nobody knows what "
            + ", ".join(h.name for h in unknown[:6]) + (" does." if len(unknown) == 1 else " do."),
        )  # fmt: skip


def _last(group: Group, holders: tuple[Holder, ...]) -> Holder | None:
    """Where the third leg comes in: the first way out."""
    ways = [h for h in holders if h.legs & exposure.EXFIL_VECTOR and h.sure and not h.mediated]
    return ways[0] if ways else None


def _bringers(group: Group, leg: int, *, sure: bool) -> str:
    found = [
        h.name for h in group.holders if h.legs & leg and not h.mediated and (h.sure or not sure)
    ]
    return ", ".join(found[:4]) + (f" and {len(found) - 4} more" if len(found) > 4 else "")


def place_of(group: Group) -> Place:
    """Where an agent is configured."""
    return group.holders[0].place
