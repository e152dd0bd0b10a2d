"""Law: the operator's file says what each tool is; what it does not say is denied.

A policy file is TOML with a published schema (docs/spec/policy.md). An unknown key anywhere, a
wrong type or a name nobody knows refuses the whole file: a misspelt restriction must not become
none. It can bind tools, add exposure and demand approvals. It can permit nothing that a token does
not.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

from nucleus_proxy import agents as agent_rules
from nucleus_proxy import fields, merging, shipped, toolrules
from nucleus_proxy import remotes as remote_rules
from nucleus_proxy import rules as result_rules
from nucleus_proxy import servers as server_rules
from nucleus_proxy.agents import AgentSpec
from nucleus_proxy.egress import rules as egress_rules
from nucleus_proxy.egress import search as search_rules
from nucleus_proxy.egress.rules import Egress
from nucleus_proxy.egress.search import SearchSpec
from nucleus_proxy.methods import OPENABLE, PROMPT_METHODS, RESOURCE_METHODS
from nucleus_proxy.remotes import Remote
from nucleus_proxy.rules import Believed
from nucleus_proxy.servers import ServerSpec
from nucleus_proxy.toolrules import ToolBinding
from nucleus_tokens import names
from nucleus_tokens.errors import CallerError, WorldError
from nucleus_tokens.exposure import PRIVATE_DATA, UNTRUSTED_CONTENT
from nucleus_tokens.limits import APPROVALS_PER_CALL
from nucleus_verifier.facts import Policy

MOST_BYTES: Final = 1024 * 1024
# Where no wall stands the agent may see anything the user can: nothing starts cleaner than this.
NO_WALL: Final = PRIVATE_DATA | UNTRUSTED_CONTENT


@dataclass(frozen=True, slots=True)
class Wall:
    """The operator's word that a wall stands between the agent and the world."""

    id: str
    shows: int  # exposure bits of what is visible inside


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where the proxy's own tools work: they open nothing outside `root`."""

    root: str
    shows: int = NO_WALL  # exposure bits of what it holds


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """One validated policy file."""

    verifier: Policy
    server: ServerSpec
    wall: Wall | None
    tools: Mapping[str, ToolBinding]
    opened: frozenset[str] = frozenset()
    workspace: Workspace | None = None
    remotes: Mapping[str, Remote] = field(default_factory=dict)
    believed: Believed = field(default_factory=Believed)
    egress: Egress = field(default_factory=Egress)
    search: SearchSpec | None = None
    agents: Mapping[str, AgentSpec] = field(default_factory=dict)
    servers: Mapping[str, ServerSpec] = field(default_factory=dict)  # many, in place of one
    resources: Mapping[str, ToolBinding] = field(default_factory=dict)  # by their URIs' templates
    prompts: Mapping[str, ToolBinding] = field(default_factory=dict)


def load(path: Path) -> PolicyFile:
    """Read a policy file. Raises WorldError `policy.unreadable`, else as `parse`."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise WorldError("policy.unreadable", f"The policy file {path} cannot be read.") from error
    return parse(data, base=path.parent)


def parse(data: bytes, *, base: Path | None = None) -> PolicyFile:
    """The policy of TOML bytes; a relative `cwd` starts at `base`.

    Raises CallerError `policy.syntax`, `policy.version`, `policy.unknown_key` or `policy.value`.
    """
    try:
        if len(data) > MOST_BYTES:
            raise ValueError(f"it is longer than {MOST_BYTES} bytes")
        value = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise CallerError("policy.syntax", f"The policy file is not TOML: {error}.") from error
    if value.get("version") != 1 or type(value["version"]) is not int:
        raise CallerError("policy.version", "The policy file must say `version = 1`.")
    try:
        return _policy(value, base or Path("/"))
    except ValueError as error:  # of the tables of names
        raise CallerError("policy.value", f"The policy file: {error}.") from error


def _policy(value: dict[str, Any], base: Path) -> PolicyFile:
    fields.keys(
        "top level", value,
        "version", "gate", "obligations", "quorum", "wall", "server", "servers", "methods", "tools",
        "workspace", "remotes", "resources", "prompts",
        "evidence", "files", "egress", "agents", "search",
    )  # fmt: skip
    gate: Literal["ask", "evidence"] = "ask"
    match value.get("gate", "ask"):
        case "ask":
            pass
        case "evidence":
            gate = "evidence"
        case _:
            fields.bad("gate", "it is 'ask' or 'evidence'")
    quorum = {
        names.operation(op): fields.count(f"quorum.{op}", needed, 1, APPROVALS_PER_CALL)
        for op, needed in fields.keys("quorum", value.get("quorum", {}), *names.OPERATIONS).items()
    }
    methods = fields.keys("methods", value.get("methods", {}), "open")
    opened = frozenset(fields.texts("methods.open", methods.get("open", [])))
    for method in sorted(opened - OPENABLE):
        fields.bad("methods.open", f"{method!r} is not one of {', '.join(sorted(OPENABLE))}")
    egress = egress_rules.parse(value.get("egress", {}), base)
    server = server_rules.parse("server", value.get("server", {}), base, egress)
    servers = server_rules.parse_all(value.get("servers", {}), base, egress)
    search = None
    if "search" in value:
        search = search_rules.parse(value["search"], egress.secrets, egress.private)
    resources, prompts = (_contents(key, value.get(key, {})) for key in ("resources", "prompts"))
    for found, needed in ((resources, RESOURCE_METHODS), (prompts, PROMPT_METHODS)):
        opened |= needed if found else frozenset()
    return PolicyFile(
        verifier=Policy(
            gate=gate,
            obligations=names.obligation_bits(
                fields.texts("obligations", value.get("obligations", []))
            ),
            quorum=quorum,
        ),
        server=server,
        servers=servers,
        wall=_wall(value["wall"]) if "wall" in value else None,
        tools=_tools(value.get("tools", {}), server, servers),
        opened=opened,
        workspace=_workspace(value["workspace"], base) if "workspace" in value else None,
        remotes=remote_rules.parse(value.get("remotes", {}), egress.secrets, egress.private),
        believed=result_rules.believed(value.get("evidence", {}), value.get("files", {}), base),
        egress=egress,
        search=search,
        agents=agent_rules.parse(value.get("agents", {}), base),
        resources=resources,
        prompts=prompts,
    )


def _tools(
    value: Any, server: ServerSpec, servers: Mapping[str, ServerSpec]
) -> dict[str, ToolBinding]:
    """What the shipped bindings say, and what the file itself says, which stands."""
    found = dict(shipped.binding(server.binding).tools) if server.binding else {}
    for name, spec in servers.items():
        for tool in shipped.binding(spec.binding).tools.values() if spec.binding else ():
            merged = merging.prefixed(name, "name", tool.tool)
            found[merged] = replace(tool, tool=merged)
    for name, table in fields.table("tools", value).items():
        found[fields.text("tools", name)] = toolrules.tool(name, table)
    return found


def _contents(where: str, value: Any) -> dict[str, ToolBinding]:
    """What resources are by their URIs' templates, and prompts by their names."""
    return {
        fields.text(where, name): toolrules.tool(name, table, where)
        for name, table in fields.table(where, value).items()
    }


def _workspace(value: Any, base: Path) -> Workspace:
    table = fields.keys("workspace", value, "root", "shows")
    if "root" not in table:
        fields.bad("workspace", "it needs a 'root'")
    shows = NO_WALL
    if "shows" in table:
        shows = names.exposure_bits(fields.texts("workspace.shows", table["shows"]))
    return Workspace(str(base / fields.text("workspace.root", table["root"])), shows)


def _wall(value: Any) -> Wall:
    table = fields.keys("wall", value, "id", "shows")
    if sorted(table) != ["id", "shows"]:
        fields.bad("wall", "it needs both 'id' and 'shows'")
    return Wall(
        fields.text("wall.id", table["id"]),
        names.exposure_bits(fields.texts("wall.shows", table["shows"])),
    )
