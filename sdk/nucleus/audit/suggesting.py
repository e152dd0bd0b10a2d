"""Law: what is suggested is ready to paste, and permits what the tools that were seen need.

A profile (levels, each no higher than a tool demands, with the obligations that ν adds), for each
client the list of tools to allow, and for each server the line that would mediate it.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from nucleus.audit import knowing, scrubbing
from nucleus.audit.facts import Fact, Server
from nucleus.audit.findings import Group
from nucleus.audit.rules_servers import is_mediated
from nucleus_tokens import lattice, names

BLOCKED: Final = ("**/.ssh/**", "**/.aws/**", "**/.env", "**/.env.*", "**/credentials*")
_LOOKING: Final = frozenset((0, 4, 5))  # reads, globs, greps


def levels(groups: Iterable[Group]) -> dict[str, str]:
    """What the known tools need: looking always, all else with evidence. Opaque ones get none."""
    found: dict[str, str] = {}
    for group in groups:
        for holder in group.holders:
            if holder.sure:
                for name in holder.operations:
                    if name != "run_bash":
                        looking = names.operation(name) in _LOOKING
                        found[name] = "always" if looking else "low_risk"
    return dict(sorted(found.items(), key=lambda pair: names.operation(pair[0])))


def profile(
    name: str,
    given: Mapping[str, str],
    *,
    ttl: int = 3600,
    why: Sequence[str] = (),
    blocked: Sequence[str] = BLOCKED,
    micro_usd: int = 1_000_000,
    tokens: int = 55_000,
) -> str:
    """A profile in TOML, as `nucleus token issue --profile FILE` reads it."""
    packed = names.pack_levels(given)
    asked = names.obligation_names(lattice.nu(packed, 0))
    lines = [f"# {_plain(line)}" for line in why]
    lines += [
        f"name = {json.dumps(name)}",
        'description = "What was seen to be needed, and no more"',
        f"ttl_seconds = {ttl}",
        f"obligations = {json.dumps(list(asked))}",
        f"blocked_paths = {json.dumps(list(BLOCKED))}",
        "",
        "[levels]",
        *(f'{operation} = "{level}"' for operation, level in given.items() if level != "never"),
        "",
        "[budget]",
        f'usd = "{Decimal(micro_usd) / 1_000_000:f}"',
        f"tokens_in = {tokens - tokens // 11}",
        f"tokens_out = {tokens // 11}",
    ]
    return "\n".join(lines) + "\n"


def allow_list(client: str, servers: Sequence[Server]) -> dict[str, Any] | None:
    """The tools of known servers that only look, in the client's own words; None for a client that
    has no such list."""
    looking: dict[str, list[str]] = {}
    for server in servers:
        for tool in server.tools or ():
            kind = knowing.tool(tool.name, tool.annotations)
            if kind.operations <= _LOOKING and not kind.adds:
                looking.setdefault(server.name, []).append(tool.name)
    if client == "claude-code":
        rules = [f"mcp__{server}__{tool}" for server, tools in looking.items() for tool in tools]
        return {"permissions": {"allow": sorted(rules), "deny": [f"Read({p})" for p in BLOCKED]}}
    if client == "gemini-cli":
        return {"mcpServers": {name: {"includeTools": tools, "trust": False}
                               for name, tools in looking.items()}}  # fmt: skip
    if client in ("cline", "amazon-q"):
        return {"mcpServers": {name: {"alwaysAllow": tools} for name, tools in looking.items()}}
    if client == "codex":
        return {"mcp_servers": {name: {"enabled_tools": tools} for name, tools in looking.items()}}
    if client == "cursor":
        rules = [f"Mcp({server}:{tool})" for server, tools in looking.items() for tool in tools]
        return {"permissions": {"allow": sorted(rules)}}
    return None


def command(server: Server) -> str:
    """The line that would mediate a server. A credential in it is left out: it is to be moved."""
    scrub = scrubbing.of(server.env, server.args)
    words = ["nucleus", "mcp", "--token", "agent.token", "--policy", f"{server.name}.toml", "--"]
    return shlex.join([*words, *map(scrub.text, server.argv)])


def text(facts: Sequence[Fact], groups: Sequence[Group]) -> str:
    """All of it, as Markdown."""
    servers = [f for f in facts if isinstance(f, Server) and not f.disabled]
    parts = ["## A profile", "", "```toml", profile("audited", levels(groups)).rstrip(), "```"]
    for client in sorted({server.client for server in servers}):
        mine = [server for server in servers if server.client == client]
        listed = allow_list(client, mine)
        parts += ["", f"## {client}"]
        if listed is not None and any(server.tools for server in mine):
            parts += [
                "",
                "Tools that only look:",
                "",
                "```json",
                json.dumps(listed, indent=2),
                "```",
            ]
        for server in mine:
            if is_mediated(server):
                parts += ["", f"{_plain(server.name)} is behind the proxy."]
            elif not server.command:
                parts += ["", f"{_plain(server.name)} is remote: `nucleus mcp` starts servers."]
            else:
                parts += [
                    "",
                    f"{_plain(server.name)}:",
                    "",
                    "```sh",
                    _plain(command(server)),
                    "```",
                ]
    return "\n".join(parts) + "\n"


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() and c != "`" else "?" for c in text)
