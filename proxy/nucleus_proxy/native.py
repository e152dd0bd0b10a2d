"""Law: a tool of the proxy's own is one row: what it is to the kernel, what it takes, what runs.

The rows come from the effects' modules; whoever composes the proxy merges them. A call of one is
judged by the same binding rules as a call of anybody's MCP server, and its arguments are checked
for their types before it is judged, so that an effect meets nothing it does not expect.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Protocol

from nucleus_proxy import binding
from nucleus_proxy.answers import Granted
from nucleus_proxy.binding import BoundCall
from nucleus_proxy.policy import PolicyFile
from nucleus_proxy.toolrules import ToolBinding
from nucleus_tokens import labelling, labels
from nucleus_tokens.errors import CallerError, CredentialError

# Lists of texts and of lists are the only structures that arguments of ours have.
Kind = Literal["string", "integer", "boolean", "strings", "lists"]
_TYPES: Final[Mapping[str, type]] = {"string": str, "integer": int, "boolean": bool}


@dataclass(frozen=True, slots=True)
class Param:
    """One argument: its kind, what it means, and whether it may be left out."""

    kind: Kind
    says: str
    optional: bool = False

    def admits(self, value: Any) -> bool:
        """Whether a value is of this kind; True is no integer."""
        if self.kind == "strings":
            return type(value) is list and all(type(item) is str for item in value)
        if self.kind == "lists":
            return type(value) is list and all(type(item) is list for item in value)
        return type(value) is _TYPES[self.kind]

    def schema(self) -> dict[str, Any]:
        """JSON Schema."""
        if self.kind == "strings":
            return {"type": "array", "items": {"type": "string"}, "description": self.says}
        if self.kind == "lists":
            return {"type": "array", "items": {"type": "array"}, "description": self.says}
        return {"type": self.kind, "description": self.says}


@dataclass(frozen=True, slots=True)
class Value:
    """What an effect gives back. `label` is the packed label of what it holds, `saw` the exposure
    that came while it ran; a command that ran and failed is `ok`: it ran."""

    structured: dict[str, Any]
    text: str
    label: int = labelling.TOOL_RESPONSE
    ok: bool = True
    saw: int = 0


# (the call under its permit, the wall's cell): the permit is used before anything else happens.
Effect = Callable[[Granted, str], Awaitable[Value]]


def as_bound(call: BoundCall) -> BoundCall:
    """Nothing to refine."""
    return call


@dataclass(frozen=True, slots=True)
class NativeTool:
    """One row. `refine` finishes the binding before each decision; it runs in a thread."""

    binding: ToolBinding
    says: str
    params: Mapping[str, Param]
    run: Effect
    refine: Callable[[BoundCall], BoundCall] = as_bound
    preview: Callable[[BoundCall], str] | None = None  # what it would change, for who is asked

    def listed(self) -> dict[str, Any]:
        """The tool as MCP lists it."""
        return {
            "name": self.binding.tool,
            "description": self.says,
            "inputSchema": {
                "type": "object",
                "properties": {name: p.schema() for name, p in self.params.items()},
                "required": [name for name, p in self.params.items() if not p.optional],
                "additionalProperties": False,
            },
        }

    def bind(self, args: dict[str, Any], cwd: str) -> BoundCall:
        """The call resolved. Raises CredentialError `call.arguments`."""
        for name, value in args.items():
            if name not in self.params or not self.params[name].admits(value):
                wanted = self.params[name].kind if name in self.params else "no such argument"
                raise CredentialError(
                    "call.arguments",
                    f"The argument {name!r} of {self.binding.tool} does not fit: {wanted}.",
                )
        for name, param in self.params.items():
            if name not in args and not param.optional:
                raise CredentialError(
                    "call.arguments", f"{self.binding.tool} needs the argument {name!r}."
                )
        bound = binding.bind(self.binding.tool, args, self.binding, binding.Hints(), cwd)
        return replace(self.refine(bound), preview=self.preview)


Tools = Mapping[str, NativeTool]


class FileLabels(Protocol):
    """Who knows the labels of files, by path and by the SHA-256 of their content."""

    def of(self, path: str, digest: bytes) -> int:
        """The packed label of this content at this path."""
        ...

    def wrote(self, path: str, digest: bytes, label: int) -> None:
        """Remember a label; called before the content becomes visible."""
        ...

    def ran(self, writable: Sequence[str], label: int) -> None:
        """Somebody else's code is about to run that may write at or under these paths: content
        there that nobody wrote through us is no better than this label."""
        ...

    def held(self, paths: Sequence[str]) -> int:
        """The join of what is known of all files at or under these paths."""
        ...


class NoFileLabels:
    """Nobody remembers: every file was there before, and nobody vouches for it."""

    def of(self, path: str, digest: bytes) -> int:
        return labelling.EXISTING_FILE

    def wrote(self, path: str, digest: bytes, label: int) -> None:
        return None

    def ran(self, writable: Sequence[str], label: int) -> None:
        return None

    def held(self, paths: Sequence[str]) -> int:
        return labels.BOTTOM


def bound(policy: PolicyFile, tools: Tools) -> PolicyFile:
    """The policy with our own tools named in it. Raises CallerError `policy.value` where the
    file binds one of their names itself."""
    for name in sorted(tools.keys() & policy.tools.keys()):
        raise CallerError("policy.value", f"The policy file, tools.{name}: this name is ours.")
    ours = {name: tool.binding for name, tool in tools.items()}
    return replace(policy, tools={**policy.tools, **ours})
