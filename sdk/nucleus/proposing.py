"""Law: a proposal reads a server's tools as a stranger's claims: a name or a hint can make a tool
more dangerous, never less; what nobody can tell is left out, and says so.

From what a server lists of itself to the `tools` of a policy file, with a reason for each line. A
person reads it; nothing here is in force before that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from nucleus.audit import drafting, hidden, knowing
from nucleus.audit.drafting import comment, toml_key, toml_text
from nucleus.audit.facts import Tool
from nucleus.lookalikes import unusual
from nucleus.shapes import items, table, text
from nucleus_proxy.shipped import Shipped
from nucleus_tokens import names
from nucleus_tokens.exposure import PRIVATE_DATA, UNTRUSTED_CONTENT
from nucleus_tokens.lattice import NETWORK, READS, with_level

_FORMATS: Final[Mapping[str, str]] = {
    "uri": "url", "url": "url", "email": "email", "date": "date", "date-time": "date",
    "hostname": "host",
}  # fmt: skip
_NAMED: Final[Mapping[str, str]] = {
    **drafting.SELECTORS,
    **dict.fromkeys(("channel", "room"), "member"),
    **dict.fromkeys(("user", "username", "assignee", "owner", "repo", "repository"), "slug"),
    **dict.fromkeys(("iban", "account", "payee"), "payee"),
    **dict.fromkeys(("date", "day", "start_date", "start_time", "due_date"), "date"),
    **dict.fromkeys(("password",), "credential"),
    **dict.fromkeys(("command", "sql", "query_string"), "text"),
}
_WRITTEN: Final = frozenset(("content", "contents", "text", "body", "message", "title",
                             "description", "subject", "comment"))  # fmt: skip
_FREE: Final = drafting.FREE | _WRITTEN
_MAIL: Final = frozenset(("mail", "email", "send", "message", "sms", "notify", "tweet", "reply"))
_RISEN: Final = names.operation("manage_pods")


@dataclass(frozen=True, slots=True)
class Proposed:
    """What one tool would be, as TOML; of a tool that is left out only the reason."""

    tool: str
    lines: tuple[str, ...]
    bound: bool


@dataclass(frozen=True, slots=True)
class Proposal:
    """All of a server's tools, and what a person should know before believing them."""

    shipped: str
    tools: tuple[Proposed, ...]
    warnings: tuple[str, ...] = field(default=())

    @property
    def denied(self) -> tuple[str, ...]:
        """The tools that are left out."""
        return tuple(each.tool for each in self.tools if not each.bound)

    def toml(self, about: str) -> str:
        """The policy file."""
        lines = [
            f"# Proposed for {comment(about)}. Read it: each tool is what it says here.",
            "# docs/bindings.md has the keys. What is not bound is denied.",
            "version = 1",
            'gate = "ask"',
            "",
            "[server]",
        ]
        if self.shipped:
            lines.append(f"binding = {toml_text(self.shipped)}")
        for each in self.tools:
            lines += ["", *each.lines]
        return "\n".join(lines) + "\n"


def propose(tools: Iterable[Tool], shipped: Shipped | None) -> Proposal:
    """The proposal for what a server lists. `shipped` is the binding of its package, if there is
    one: its tools are taken over as they stand there."""
    made: list[Proposed] = []
    warnings: list[str] = []
    seen: set[str] = set()
    for tool in tools:
        warnings += _warnings(tool)
        if tool.name in seen:
            warnings.append(f"{comment(tool.name)} is listed twice")
            continue
        seen.add(tool.name)
        if shipped is not None and tool.name in shipped.tools:
            continue
        if shipped is not None and tool.name in shipped.unbound:
            why = shipped.unbound[tool.name]
            made.append(_left_out(tool.name, f"denied by the shipped binding: {why}"))
        else:
            made.append(_one(tool))
            warnings += _contradictions(tool)
    missing = sorted(set(shipped.tools) - seen) if shipped is not None else []
    warnings += [f"{name} is in the shipped binding, and the server has it not" for name in missing]
    name = "" if shipped is None else shipped.name
    return Proposal(name, tuple(made), tuple(dict.fromkeys(warnings)))


# One tool ---------------------------------------------------------------------------------------


def _one(tool: Tool) -> Proposed:
    kind = knowing.tool(tool.name, tool.annotations)
    if kind is knowing.OPAQUE:
        return _left_out(tool.name, "its name does not tell what it does, so it is denied")
    (operation,) = kind.operations
    because = "by its name"
    reads = with_level(operation, 2) & (READS | NETWORK) != 0
    if reads and _admits_change(tool):
        operation, reads = _RISEN, False
        because = "its name reads, but the server says that it changes something"
    lines = [f"[tools.{toml_key(tool.name)}]", _line("operation", names.OPERATIONS[operation])]
    lines[-1] += f"  # {because}"
    outward = names.OPERATIONS[operation] in ("create_pr", "git_push")
    if outward and _MAIL & set(knowing.words(tool.name)):
        lines.append(_line("sink", "email_send") + "  # it speaks to people")
    adds = kind.adds | UNTRUSTED_CONTENT | (PRIVATE_DATA if reads else 0)
    lines.append(
        "adds = [" + ", ".join(map(toml_text, names.exposure_names(adds))) + "]"
        "  # whose text it returns, and whose data, nobody knows here"
    )
    return Proposed(tool.name, (*lines, *_arguments(tool, outward)), True)


def _arguments(tool: Tool, outward: bool) -> list[str]:
    needed = items(tool.schema.get("required")) or []
    lines: list[str] = []
    payload: list[str] = []
    scan: list[str] = []
    for name, schema in (table(tool.schema.get("properties")) or {}).items():
        pointer = "/" + name.replace("~", "~0").replace("/", "~1")
        rule, why = _selector(name, table(schema) or {})
        if rule is not None:
            if name not in needed:
                rule += ", optional = true"
            if 'kind = "path"' in rule and name != drafting.BASE and drafting.BASE in needed:
                rule += f', base = "/{drafting.BASE}"'
            lines.append(f"selectors.{toml_text(pointer)} = {{ {rule} }}  # {why}")
        elif name.lower() in _FREE:
            payload.append(toml_text(pointer))
            if outward and name.lower() in _WRITTEN:
                scan.append(toml_text(pointer))
        else:
            lines.append(
                f"# {comment(name)}: nobody can tell what it chooses, so it is asked about"
            )
    if payload:
        lines.append(f"payload = [{', '.join(payload)}]  # free text, or sizes and the like")
    if scan:
        lines.append(f"scan = [{', '.join(scan)}]  # links and addresses in it need evidence")
    return lines


def _selector(name: str, schema: Mapping[str, Any]) -> tuple[str | None, str]:
    """(the rule inside its braces, why), for an argument that chooses what is acted on."""
    low = name.lower()
    if schema.get("type") == "boolean":
        return (None, "") if low in _FREE else ('kind = "flag"', "false needs nobody's word")
    if items(schema.get("enum")):
        return (
            (None, "") if low in _FREE else ('kind = "choice"', "one of few: a word of the user's")
        )
    inner = table(schema.get("items")) or schema
    form = _FORMATS.get(text(inner.get("format")) or "")
    if form is not None:
        return f"kind = {toml_text(form)}", "by its format"
    kind = _NAMED.get(name) or _NAMED.get(low)
    if kind is not None:
        return f"kind = {toml_text(kind)}", "by its name"
    words = knowing.words(name)
    if words and words[-1] in ("id", "ids", "number") and low not in _FREE:
        of = "_".join(words[:-1]) or "record"
        return f'kind = "id", of = {toml_text(of)}', "it names one of many"
    return None, ""


def _line(key: str, value: str) -> str:
    return f"{key} = {toml_text(value)}"


def _left_out(name: str, why: str) -> Proposed:
    return Proposed(name, (f"# {comment(name)}: {comment(why)}",), False)


# What a person should know ------------------------------------------------------------------------


def _admits_change(tool: Tool) -> bool:
    said = tool.annotations
    return said.get("destructiveHint") is True or said.get("readOnlyHint") is False


def _contradictions(tool: Tool) -> list[str]:
    kind = knowing.tool(tool.name, {})
    if kind is knowing.OPAQUE:
        return []
    reads = all(with_level(op, 2) & (READS | NETWORK) for op in kind.operations)
    if reads or tool.annotations.get("readOnlyHint") is not True:
        return []
    return [f"{comment(tool.name)}: the server says that it only reads; its name does not"]


def _warnings(tool: Tool) -> list[str]:
    name = comment(tool.name)
    found = [f"{name}: {each}" for each in unusual(tool.name)]
    for what, said in _texts(tool):
        for each in (hidden.characters(said), hidden.steering(said, everywhere=True)):
            if each:
                found.append(f"{name}, {what}: {each}")
        if hidden.encoded(said):
            found.append(f"{name}, {what}: a long text that nobody can read")
    return found


def _texts(tool: Tool) -> Iterable[tuple[str, str]]:
    yield "its description", tool.description
    yield "its name", tool.name
    for name, schema in (table(tool.schema.get("properties")) or {}).items():
        yield f"the argument {comment(name)}", name
        said = text((table(schema) or {}).get("description"))
        if said:
            yield f"the argument {comment(name)}", said
