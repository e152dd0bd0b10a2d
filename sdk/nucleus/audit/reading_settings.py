"""Law: what an agent may do without asking, out of each client's settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from nucleus.audit.facts import Fact, Settings, Text
from nucleus.audit.reading_json import Source, servers
from nucleus.shapes import items, table, text

# client -> (keys of a switch, values that turn the questions off)
_BYPASS: Final[dict[str, tuple[tuple[tuple[str, ...], tuple[Any, ...]], ...]]] = {
    "claude-code": (
        (("permissions", "defaultMode"), ("bypassPermissions",)),
        (("defaultMode",), ("bypassPermissions",)),
        (("enableAllProjectMcpServers",), (True,)),
        (("skipDangerousModePermissionPrompt",), (True,)),
    ),
    "vscode": (
        (("chat.tools.autoApprove",), (True,)),
        (("chat.tools.global.autoApprove",), (True,)),
        (("chat.tools.edits.autoApprove", "**/*"), (True,)),
    ),
    "gemini-cli": (
        (("autoAccept",), (True,)),
        (("tools", "autoAccept"), (True,)),
        (("general", "defaultApprovalMode"), ("yolo",)),
    ),
    "codex": ((("approval_policy",), ("never",)),),
    "cursor": ((("yoloMode",), (True,)), (("approvalMode",), ("unrestricted",))),
    "cline": ((("autoApprovalEnabled",), (True,)),),
    "opencode": ((("permission",), ("allow",)),),
}
_UNCONFINED: Final[dict[str, tuple[tuple[tuple[str, ...], tuple[Any, ...]], ...]]] = {
    "claude-code": (
        (("sandbox", "enabled"), (False,)),
        (("sandbox", "enableWeakerNestedSandbox"), (True,)),
    ),
    "gemini-cli": ((("tools", "sandbox"), (False,)), (("sandbox",), (False,))),
    "codex": ((("sandbox_mode",), ("danger-full-access",)),),
}


def read(source: Source, client: str) -> Iterator[Fact]:
    """The servers and the settings of one file."""
    yield from servers(source, client)
    if client == "claude-code":
        for folder in table(source.get("projects")) or {}:
            yield from servers(source, client, under=("projects", folder))
    if client == "opencode":
        yield from servers(Source(source.path, {"mcpServers": source.get("mcp")}, None, ""), client)
    settings = Settings(
        client,
        source.place(),
        allow=tuple(_allow(source, client)),
        deny=source.texts("permissions", "deny"),
        bypass=tuple(_switches(source, _BYPASS.get(client, ()))),
        unconfined=tuple(_switches(source, _UNCONFINED.get(client, ()))),
        hooks=tuple(_hooks(source)),
        env=tuple(
            (name, Text(value, source.place("env", name)))
            for name, value in (table(source.get("env")) or {}).items()
            if type(value) is str
        ),
    )
    if settings.allow or settings.bypass or settings.unconfined or settings.hooks or settings.env:
        yield settings


def _switches(source: Source, known: Any) -> Iterator[Text]:
    for keys, values in known:
        value = source.get(*keys)
        # Of one type: 1 is not True here.
        if any(type(value) is type(each) and value == each for each in values):
            yield Text(f"{'.'.join(keys)} = {str(value).lower()}", source.place(*keys))


def _allow(source: Source, client: str) -> Iterator[Text]:
    """What is allowed, in the words of Claude Code: `Bash(git status)`, `WebFetch`, `Read(…)`."""
    if client in ("claude-code", "generic"):
        yield from source.texts("permissions", "allow")
    elif client == "cursor":
        for each in source.texts("permissions", "allow"):
            yield Text(each.text.replace("Shell(", "Bash("), each.place)
    elif client == "gemini-cli":
        for keys in (("tools", "allowed"), ("allowedTools",), ("autoApprovedTools",)):
            for each in source.texts(*keys):
                name = each.text.replace("run_shell_command", "Bash").replace("ShellTool", "Bash")
                yield Text(name.replace("web_fetch", "WebFetch"), each.place)
    elif client == "vscode":
        keys = ("chat.tools.terminal.autoApprove",)
        for pattern, on in (table(source.get(*keys)) or {}).items():
            approved = on is True or (table(on) or {}).get("approve") is True
            if approved:
                everything = pattern.strip("/^$") in (".*", ".+", "", ".", "[\\s\\S]*")
                said = "Bash(*)" if everything else f"Bash({pattern.strip('/^$')}:*)"
                yield Text(said, source.place(*keys, pattern))


def _hooks(source: Source) -> Iterator[Text]:
    """Commands under `hooks`, however they are nested."""
    todo: list[tuple[Any, int]] = [(source.get("hooks"), 0)]
    while todo:
        value, depth = todo.pop()
        if depth > 8:
            continue
        for each in items(value) or ():
            todo.append((each, depth + 1))
        found = table(value) or {}
        command = text(found.get("command"))
        if command:
            yield Text(command, source.place("hooks", what=f"hooks/{command}"))
        todo += [(each, depth + 1) for key, each in found.items() if key != "command"]
