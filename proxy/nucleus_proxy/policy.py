"""Law: the operator's file says what each tool is; what it does not say is denied.

A policy file is TOML with a published schema (docs/spec/policy.md). An unknown key anywhere, a
wrong type or a name nobody knows refuses the whole file: a misspelt restriction must not become
none. It can bind tools, add exposure and demand approvals. It can permit nothing that a token does
not.
"""

from __future__ import annotations

import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, NoReturn

from nucleus_proxy import agents as agent_rules
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
from nucleus_proxy.rules import Believed, ResultRule
from nucleus_proxy.servers import ServerSpec
from nucleus_tokens import flow, label_names, names
from nucleus_tokens.caveats import BUDGET_UNITS
from nucleus_tokens.errors import CallerError, WorldError
from nucleus_tokens.exposure import PRIVATE_DATA, UNTRUSTED_CONTENT
from nucleus_verifier.choosing import SELECTOR_KINDS, SelectorRule
from nucleus_verifier.facts import Policy

MOST_BYTES: Final = 1024 * 1024
# Where no wall stands the agent may see anything the user can: nothing starts cleaner than this.
NO_WALL: Final = PRIVATE_DATA | UNTRUSTED_CONTENT


@dataclass(frozen=True, slots=True)
class ToolBinding:
    """What one tool of the server is, in the kernel's terms."""

    tool: str
    operation: int
    sink: int
    selectors: tuple[SelectorRule, ...] = ()
    payload: frozenset[str] = frozenset()
    # Of the payload: the value by which an argument says what it says by being left out.
    defaults: Mapping[str, str] = field(default_factory=dict)
    adds: int = 0
    costs: Mapping[str, int] = field(default_factory=dict)
    trusted_sink: bool = False
    verbs: frozenset[str] = frozenset()  # words of which the prompt must hold one
    scan: frozenset[str] = frozenset()  # free texts whose links and addresses need evidence
    results: tuple[ResultRule, ...] = ()
    label: str = ""  # the kind of node a result is; empty: by the operation


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


def _bad(where: str, why: str) -> NoReturn:
    raise CallerError("policy.value", f"The policy file, {where}: {why}.")


def _keys(where: str, table: Any, *allowed: str) -> dict[str, Any]:
    if type(table) is not dict:
        _bad(where, "a table is needed")
    for key in table:
        if key not in allowed:
            raise CallerError(
                "policy.unknown_key",
                f"The policy file, {where}: unknown key {key!r}.",
                hint=f"Known are {', '.join(allowed)}.",
            )
    return table


def _text(where: str, value: Any) -> str:
    if type(value) is not str or not value or "\0" in value or len(value) > 4096:
        _bad(where, "a text is needed")
    if not unicodedata.is_normalized("NFC", value):
        _bad(where, "the text is not in Unicode normal form C")
    return value


def _texts(where: str, value: Any) -> tuple[str, ...]:
    if type(value) is not list:
        _bad(where, "a list of texts is needed")
    return tuple(_text(where, item) for item in value)


def _flag(where: str, value: Any) -> bool:
    if type(value) is not bool:
        _bad(where, "true or false is needed")
    return value


def _count(where: str, value: Any, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        _bad(where, f"a whole number from {low} to {high} is needed")
    return value


def _pointer(where: str, value: Any) -> str:
    """RFC 6901, without the pointer to everything: a tool's arguments are named one by one."""
    text = _text(where, value)
    if not text.startswith("/") or text.replace("~0", "").replace("~1", "").count("~"):
        _bad(where, f"{text!r} is not a JSON pointer such as '/path'")
    return text


def _policy(value: dict[str, Any], base: Path) -> PolicyFile:
    _keys(
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
            _bad("gate", "it is 'ask' or 'evidence'")
    quorum = {
        names.operation(op): _count(f"quorum.{op}", needed, 1, 16)
        for op, needed in _keys("quorum", value.get("quorum", {}), *names.OPERATIONS).items()
    }
    methods = _keys("methods", value.get("methods", {}), "open")
    opened = frozenset(_texts("methods.open", methods.get("open", [])))
    for method in sorted(opened - OPENABLE):
        _bad("methods.open", f"{method!r} is not one of {', '.join(sorted(OPENABLE))}")
    tools = value.get("tools", {})
    if type(tools) is not dict:
        _bad("tools", "a table is needed")
    egress = egress_rules.parse(value.get("egress", {}), base)
    search = None
    if "search" in value:
        search = search_rules.parse(value["search"], egress.secrets, egress.private)
    resources, prompts = (_contents(key, value.get(key, {})) for key in ("resources", "prompts"))
    for found, needed in ((resources, RESOURCE_METHODS), (prompts, PROMPT_METHODS)):
        opened |= needed if found else frozenset()
    return PolicyFile(
        verifier=Policy(
            gate=gate,
            obligations=names.obligation_bits(_texts("obligations", value.get("obligations", []))),
            quorum=quorum,
        ),
        server=server_rules.parse("server", value.get("server", {}), base, egress),
        servers=server_rules.parse_all(value.get("servers", {}), base, egress),
        wall=_wall(value["wall"]) if "wall" in value else None,
        tools={_text("tools", name): _tool(name, table) for name, table in tools.items()},
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


def _contents(where: str, value: Any) -> dict[str, ToolBinding]:
    """What resources are by their URIs' templates, and prompts by their names."""
    if type(value) is not dict:
        _bad(where, "a table is needed")
    return {_text(where, name): _tool(name, table, where) for name, table in value.items()}


def _workspace(value: Any, base: Path) -> Workspace:
    table = _keys("workspace", value, "root", "shows")
    if "root" not in table:
        _bad("workspace", "it needs a 'root'")
    shows = NO_WALL
    if "shows" in table:
        shows = names.exposure_bits(_texts("workspace.shows", table["shows"]))
    return Workspace(str(base / _text("workspace.root", table["root"])), shows)


def _wall(value: Any) -> Wall:
    table = _keys("wall", value, "id", "shows")
    if sorted(table) != ["id", "shows"]:
        _bad("wall", "it needs both 'id' and 'shows'")
    return Wall(
        _text("wall.id", table["id"]), names.exposure_bits(_texts("wall.shows", table["shows"]))
    )


def _tool(name: str, value: Any, kind: str = "tools") -> ToolBinding:
    where = f"{kind}.{name}"
    table = _keys(
        where, value,
        "operation", "sink", "selectors", "payload", "adds", "costs", "trusted_sink",
        "verbs", "scan", "results", "label",
    )  # fmt: skip
    if "operation" not in table:
        _bad(where, "it needs an 'operation'")
    operation = names.operation(table["operation"])
    sink = label_names.sink(table["sink"]) if "sink" in table else flow.default_sink(operation)
    selectors = table.get("selectors", {})
    if type(selectors) is not dict:
        _bad(f"{where}.selectors", "a table is needed")
    rules = tuple(_selector(f"{where}.selectors", p, rule) for p, rule in selectors.items())
    free = _texts(f"{where}.payload", table.get("payload", []))
    payload = frozenset(_pointer(f"{where}.payload", p) for p in free)
    declared = [*(rule.pointer for rule in rules), *payload]
    for pointer in declared:
        if declared.count(pointer) > 1 or any(p.startswith(pointer + "/") for p in declared):
            _bad(where, f"{pointer!r} is named twice, or one name contains another")
    for rule in rules:
        if rule.base and rule.base not in {r.pointer for r in rules if r.kind == "path"}:
            _bad(where, f"the base {rule.base!r} is not a path selector of this tool")
        if rule.base and next(r for r in rules if r.pointer == rule.base).base:
            _bad(where, f"the base {rule.base!r} has a base of its own")
    scan = frozenset(_texts(f"{where}.scan", table.get("scan", [])))
    if not scan <= payload:
        _bad(f"{where}.scan", "only arguments of the payload are scanned")
    label = table.get("label", "")
    if "label" in table and label not in label_names.NODE_KINDS:
        _bad(f"{where}.label", f"it is one of {', '.join(label_names.NODE_KINDS)}")
    verbs = _texts(f"{where}.verbs", table.get("verbs", []))
    units = [unit for unit in BUDGET_UNITS if unit != "calls"]  # every call counts as one
    costs = _keys(f"{where}.costs", table.get("costs", {}), *units)
    return ToolBinding(
        tool=name,
        operation=operation,
        sink=sink,
        selectors=rules,
        payload=payload,
        adds=names.exposure_bits(_texts(f"{where}.adds", table.get("adds", []))),
        costs={u: _count(f"{where}.costs.{u}", n, 0, 2**53 - 1) for u, n in costs.items()},
        trusted_sink=_flag(f"{where}.trusted_sink", table.get("trusted_sink", False)),
        verbs=frozenset(verb.lower() for verb in verbs),
        scan=scan,
        results=result_rules.results(f"{where}.results", table.get("results", []), _pointer),
        label=label,
    )


def _selector(where: str, pointer: str, value: Any) -> SelectorRule:
    pointer = _pointer(where, pointer)
    table = {"kind": value} if type(value) is str else value
    _keys(f"{where}.{pointer}", table, "kind", "base", "optional", "of", "least")
    kind = table.get("kind")
    if kind not in SELECTOR_KINDS:
        _bad(f"{where}.{pointer}", f"a kind is one of {', '.join(SELECTOR_KINDS)}")
    if "base" in table and kind != "path":
        _bad(f"{where}.{pointer}", "only a path has a base")
    if ("of" in table and kind != "id") or ("least" in table and kind != "choice"):
        _bad(f"{where}.{pointer}", "only an id has an 'of', and only a choice a 'least'")
    return SelectorRule(
        pointer,
        kind,
        _pointer(f"{where}.{pointer}", table["base"]) if "base" in table else "",
        _flag(f"{where}.{pointer}", table.get("optional", False)),
        _text(f"{where}.{pointer}.of", table["of"]) if "of" in table else "",
        _text(f"{where}.{pointer}.least", table["least"]) if "least" in table else "",
    )
