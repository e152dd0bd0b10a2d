"""Law: to read by a name is a call: the same caveats, the same decision, the same record.

Resources and prompts. `resources/read` and `prompts/get` are judged as tools of these names, with
the arguments `{"uri": …}` and `{"name": …, "arguments": {…}}`. What a resource is the operator says
by its URI's template, what a prompt is by its name; of what nobody said, nothing is known but that
it is read, so that whoever is held to paths does not get it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import quote, unquote

from nucleus_proxy import binding, resolve
from nucleus_proxy.binding import BoundCall, Hints
from nucleus_proxy.toolrules import ToolBinding
from nucleus_tokens import flow
from nucleus_tokens.authority import Authority, args_admit
from nucleus_tokens.exposure import PRIVATE_DATA, UNTRUSTED_CONTENT
from nucleus_tokens.lattice import READ_FILES
from nucleus_verifier.choosing import chosen

READ: Final = "resources/read"
GET: Final = "prompts/get"
_NAME: Final = re.compile(r"\{(\+?)([A-Za-z_][A-Za-z0-9_]*)\*?\}")
_BROKEN: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Template:
    """A URI template (RFC 6570, levels 1 and 2): `{x}` is one segment, `{+x}` may hold slashes."""

    text: str
    names: tuple[str, ...]
    pattern: re.Pattern[str]

    @classmethod
    def of(cls, text: str) -> Template:
        """Any text is one; what looks like no expression stands for itself."""
        made, at = "", 0
        names: list[str] = []
        for found in _NAME.finditer(text):
            made += re.escape(text[at : found.start()])
            made += "(.+)" if found[1] else "([^/?#]+)"
            names.append(found[2])
            at = found.end()
        return cls(text, tuple(names), re.compile(made + re.escape(text[at:])))

    @property
    def literal(self) -> str:
        """What every URI of it begins with."""
        return self.text.partition("{")[0]

    def match(self, uri: str) -> dict[str, str | None] | None:
        """The values in a URI, None for one without one reading; None if it is not of this."""
        found = self.pattern.fullmatch(uri)
        if found is None:
            return None
        return {name: _plain(value) for name, value in zip(self.names, found.groups(), strict=True)}

    def filled(self, values: Mapping[str, Any]) -> str | None:
        """The URI of these values, if there is one for each name."""
        if any(type(values.get(name)) is not str for name in self.names):
            return None
        return _NAME.sub(
            lambda m: quote(values[m[2]], safe="/:?#[]@!$&'()*+,;=" if m[1] else ""), self.text
        )


def _plain(value: str) -> str | None:
    """A value without its escapes. One that is escaped twice, or badly, has several readings."""
    if _BROKEN.search(value):
        return None
    made = unquote(value, errors="replace")
    return None if "%" in made or "\ufffd" in made or "\0" in made else made


@dataclass(frozen=True, slots=True)
class Content:
    """What the operator's file says of resources and prompts."""

    resources: tuple[tuple[Template, ToolBinding], ...] = ()
    prompts: Mapping[str, ToolBinding] = field(default_factory=dict)

    def resource(self, uri: str) -> tuple[ToolBinding, dict[str, str | None]]:
        """What a resource is, by the first template that it is of."""
        for template, bound in self.resources:
            values = template.match(uri)
            if values is not None:
                return replace(bound, tool=READ), values
        return _unknown(READ), {}

    def prompt(self, name: str) -> ToolBinding:
        """What a prompt is."""
        found = self.prompts.get(name)
        return _unknown(GET) if found is None else replace(found, tool=GET)

    def bind(self, method: str, args: dict[str, Any], cwd: str = "/") -> BoundCall:
        """A read as a call."""
        if method == GET:
            bound = self.prompt(args["name"])
            return binding.bind(GET, args, bound, Hints(), cwd)
        bound, values = self.resource(args["uri"])
        made = binding.bind(READ, args, replace(bound, selectors=()), Hints(), cwd)

        def path(_: Any, value: Any) -> str | None:
            return resolve.path(value, None if type(value) is str and value[:1] != "/" else "/")

        selectors, touched = chosen(bound.selectors, values, path, bound.trusted_sink)
        if bound.selectors:
            # The template says what the URI chooses; the URI itself chooses nothing more.
            return replace(made, selectors=tuple(selectors), resources=touched)
        return made


def _unknown(tool: str) -> ToolBinding:
    return ToolBinding(
        tool, READ_FILES, flow.default_sink(READ_FILES), adds=PRIVATE_DATA | UNTRUSTED_CONTENT
    )


def may_fit(authority: Authority, template: Template) -> bool:
    """Whether some URI of a template could pass the rules on `/uri`."""
    for arg in (arg for _, arg in authority.args if arg.tool in ("*", READ)):
        rules = [(op, operand) for pointer, op, operand in arg.rules if pointer == "/uri"]
        if not rules:
            return False  # a closed world without it
        for op, operand in rules:
            if op in ("equals", "one-of"):
                choices = [operand] if op == "equals" else operand
                if not any(type(c) is str and template.match(c) is not None for c in choices):
                    return False
            elif op == "prefix" and not (
                operand.startswith(template.literal) or template.literal.startswith(operand)
            ):
                return False
    return True


def may_get(authority: Authority, name: str) -> bool:
    """Whether some arguments of a prompt could pass its rules."""
    return all(
        args_admit(named, GET, {"name": name}, {})
        for _, arg in authority.args
        if arg.tool in ("*", GET)
        for named in [arg._replace(rules=tuple(r for r in arg.rules if r[0] == "/name"))]
    )
