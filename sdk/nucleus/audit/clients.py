"""Law: a file is recognised by its name and folder alone; what is not listed here is not opened.

One table from names to readers. Where a client keeps a user's own configuration stands below it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from nucleus.audit import reading_json, reading_settings, reading_text
from nucleus.audit.facts import Fact, Instructions, NucleusPolicy, Place

Reader = Callable[[str, str], Iterator[Fact]]  # the path as it is shown, and the text


def _json(client: str) -> Reader:
    def read(path: str, raw: str) -> Iterator[Fact]:
        source, wrong = reading_json.json(path, raw)
        yield from wrong
        if source is not None:
            yield from reading_settings.read(source, client)

    return read


def _toml(client: str) -> Reader:
    def read(path: str, raw: str) -> Iterator[Fact]:
        source, wrong = reading_json.toml(path, raw)
        yield from wrong
        if source is not None:
            yield from reading_settings.read(source, client)

    return read


def _devcontainer(path: str, raw: str) -> Iterator[Fact]:
    source, wrong = reading_json.json(path, raw)
    yield from wrong
    if source is not None:
        yield reading_text.devcontainer(source)
        yield from reading_json.servers(source, "vscode")


def _instructions(path: str, raw: str) -> Iterator[Fact]:
    yield Instructions(Place(path), raw)


def _dockerfile(path: str, raw: str) -> Iterator[Fact]:
    yield reading_text.dockerfile(path, raw)


def _env(path: str, raw: str) -> Iterator[Fact]:
    yield reading_text.env_file(path, raw, ignored=False)


def _policy(path: str, raw: str) -> Iterator[Fact]:
    # Other programs have files of these names too.
    if re.search(r"^version\s*=", raw, re.MULTILINE) and re.search(
        r"^\[+(?:tools|wall|server|egress|workspace|remotes|methods|quorum)\b", raw, re.MULTILINE
    ):
        yield NucleusPolicy(Place(path), raw)


# File name -> (the end its folder must have, or "" for any; the reader).
_NAMES: Final[dict[str, tuple[tuple[str, Reader], ...]]] = {
    "claude_desktop_config.json": (("", _json("claude-desktop")),),
    ".mcp.json": (("", _json("claude-code")),),
    ".claude.json": (("", _json("claude-code")),),
    "settings.json": (
        (".claude", _json("claude-code")),
        (".gemini", _json("gemini-cli")),
        (".vscode", _json("vscode")),
        (".zed", _json("zed")),
        ("zed", _json("zed")),
        ("Code/User", _json("vscode")),
    ),
    "settings.local.json": ((".claude", _json("claude-code")),),
    "managed-settings.json": (("", _json("claude-code")),),
    "mcp.json": (
        (".cursor", _json("cursor")),
        (".vscode", _json("vscode")),
        (".roo", _json("cline")),
        (".amazonq", _json("amazon-q")),
        ("Code/User", _json("vscode")),
        ("", _json("generic")),
    ),
    "cli.json": ((".cursor", _json("cursor")),),
    "cli-config.json": ((".cursor", _json("cursor")),),
    "permissions.json": ((".cursor", _json("cursor")),),
    "mcp_config.json": (("", _json("windsurf")),),
    "mcp-config.json": ((".copilot", _json("copilot-cli")), ("", _json("generic"))),
    "mcp_servers.json": (("", _json("generic")),),
    "cline_mcp_settings.json": (("", _json("cline")),),
    "mcp_settings.json": (("", _json("cline")),),
    "opencode.json": (("", _json("opencode")),),
    "opencode.jsonc": (("", _json("opencode")),),
    "gemini-extension.json": (("", _json("gemini-cli")),),
    "config.toml": ((".codex", _toml("codex")),),
    "devcontainer.json": (("", _devcontainer),),
    ".devcontainer.json": (("", _devcontainer),),
    "copilot-instructions.md": (("", _instructions),),
    "policy.toml": (("", _policy),),
    "nucleus.toml": (("", _policy),),
    "SKILL.md": (("", _instructions),),
}
for _name in ("CLAUDE.md", "CLAUDE.local.md", "AGENTS.md", "GEMINI.md", "AGENT.md", ".cursorrules",
              ".windsurfrules", ".clinerules", ".goosehints", ".roorules"):  # fmt: skip
    _NAMES[_name] = (("", _instructions),)

# Instructions that are whole folders.
_FOLDERS: Final = re.compile(
    r"(?:^|/)(?:\.cursor/rules|\.windsurf/(?:rules|workflows)|\.clinerules|\.roo/rules[^/]*|"
    r"\.claude/(?:commands|agents|skills|rules)|\.github/(?:instructions|prompts|agents|chatmodes)|"
    r"\.gemini/commands|\.codex/prompts|\.amazonq/rules)(?:/|$)"
)
_TEXTS: Final = (".md", ".mdc", ".txt", ".toml")
_EXAMPLES: Final = re.compile(r"(?:example|sample|template|dist|defaults?|schema)$", re.IGNORECASE)

# Of a user, below the home folder; {app} is where programs keep their settings.
USERS: Final = (
    ".claude.json", ".claude/settings.json", ".claude/settings.local.json", ".claude/CLAUDE.md",
    ".cursor/mcp.json", ".cursor/cli-config.json", ".codeium/windsurf/mcp_config.json",
    ".gemini/settings.json", ".gemini/GEMINI.md", ".codex/config.toml", ".codex/AGENTS.md",
    ".copilot/mcp-config.json",
    "Library/Application Support/Claude/claude_desktop_config.json",
    ".config/Claude/claude_desktop_config.json",
    "AppData/Roaming/Claude/claude_desktop_config.json",
    "Library/Application Support/Code/User/mcp.json", ".config/Code/User/mcp.json",
    "Library/Application Support/Code/User/settings.json", ".config/Code/User/settings.json",
    ".config/zed/settings.json", ".config/opencode/opencode.json",
)  # fmt: skip
# What an agent obeys or is set up by: to write there is to steer the next run.
OBEYED: Final = re.compile(
    r"(?:^|/)(?:CLAUDE\.md|AGENTS\.md|GEMINI\.md|\.cursorrules|\.windsurfrules|\.mcp\.json|"
    r"\.claude|\.cursor|\.gemini|\.codex|\.vscode|\.github)(?:/|$|\*)"
)


def reader(folder: str, name: str) -> Reader | None:
    """Who reads a file, if anybody does. `folder` is its path with slashes, without a last one."""
    rows = _NAMES.get(name)
    if rows is not None:
        for end, found in rows:
            if not end or folder == end or folder.endswith("/" + end):
                return found
        return None
    if name.startswith(".env"):
        kind = name[4:]
        if (not kind or kind[0] in ".-_") and not _EXAMPLES.search(kind):
            return _env
        return None
    if name.endswith((".yml", ".yaml")):
        return reading_text.workflow if folder.endswith(".github/workflows") else None
    if name.startswith(("Dockerfile", "Containerfile")) or name.endswith(".Dockerfile"):
        return _dockerfile if not name.endswith((".md", ".dockerignore")) else None
    if name.endswith(_TEXTS) and "." in folder and _FOLDERS.search(folder):
        return _instructions
    if name.endswith(".toml") and (folder == ".nucleus" or folder.endswith("/.nucleus")):
        return _policy
    return None
