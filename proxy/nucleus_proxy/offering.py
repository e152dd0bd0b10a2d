"""Law: a list of what can be read shows what no certain refusal meets, and completes to no other.

The answers of a server to resources/list, resources/templates/list, prompts/list and
completion/complete, for whoever asked: judged by the same credential as the reads that follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from nucleus_proxy import content, listing
from nucleus_proxy.content import GET, READ, Content, Template
from nucleus_proxy.toolrules import ToolBinding
from nucleus_tokens.authority import rule_admits
from nucleus_verifier.authenticate import VerifiedCredential
from nucleus_verifier.ports import Snapshot

_MEMBERS: Final[Mapping[str, str]] = {
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
    "prompts/list": "prompts",
}
# Whose answers are looked through, and what is asked for by a name.
FILTERED: Final = frozenset(_MEMBERS) | {"completion/complete"}
NAMED: Final = frozenset(("completion/complete", "resources/subscribe"))


@dataclass(frozen=True, slots=True)
class Offering:
    """What one credential may see now."""

    credential: VerifiedCredential
    snapshot: Snapshot
    rules: Content

    def admits(self, method: str, params: Mapping[str, Any]) -> bool:
        """Whether a request about a name may be passed on."""
        if method == "resources/subscribe":
            return self._resource(params.get("uri"))
        if method != "completion/complete":
            return True
        ref = params.get("ref")
        if type(ref) is not dict:
            return False
        if ref.get("type") == "ref/prompt":
            return self._prompt(ref.get("name"))
        return self._template(ref.get("uri")) or self._resource(ref.get("uri"))

    def filtered(
        self, method: str, params: Mapping[str, Any], result: dict[str, Any]
    ) -> dict[str, Any]:
        """A server's answer, without what would be denied."""
        if method == "completion/complete":
            return self._completed(params, result)
        member = _MEMBERS[method]
        items = result.get(member)
        kept = [
            each
            for each in (items if type(items) is list else ())
            if type(each) is dict and self._shows(method, each)
        ]
        private = {"cacheScope": "private"} if {"cacheScope", "resultType"} & result.keys() else {}
        return {**result, member: kept, **private}

    def _shows(self, method: str, item: Mapping[str, Any]) -> bool:
        match method:
            case "resources/list":
                return self._resource(item.get("uri"))
            case "prompts/list":
                return self._prompt(item.get("name"))
            case _:
                return self._template(item.get("uriTemplate"))

    def _resource(self, uri: Any) -> bool:
        if type(uri) is not str:
            return False
        bound = self.rules.bind(READ, {"uri": uri})
        return not listing.never(self.credential, bound, self.snapshot)

    def _template(self, text: Any) -> bool:
        if type(text) is not str:
            return False
        template = Template.of(text)
        known = [b for t, b in self.rules.resources if _meet(t, template)]
        bound = known[0] if known else self.rules.resource("")[0]
        return self._ever(READ, bound) and content.may_fit(
            self.credential.prefix.authority, template
        )

    def _prompt(self, name: Any) -> bool:
        if type(name) is not str:
            return False
        bound = self.rules.prompt(name)
        return self._ever(GET, bound) and content.may_get(self.credential.prefix.authority, name)

    def _ever(self, tool: str, bound: ToolBinding) -> bool:
        return listing.would_ever(self.credential, listing.called(bound, tool), self.snapshot)

    def _completed(self, params: Mapping[str, Any], result: dict[str, Any]) -> dict[str, Any]:
        completion = result.get("completion")
        values = completion.get("values") if type(completion) is dict else None
        if type(completion) is not dict or type(values) is not list:
            return result
        kept = [each for each in values if type(each) is str and self._completes(params, each)]
        rest = {k: v for k, v in completion.items() if k != "total" or len(kept) == len(values)}
        return {**result, "completion": {**rest, "values": kept}}

    def _completes(self, params: Mapping[str, Any], value: str) -> bool:
        ref, argument = params.get("ref"), params.get("argument")
        name = argument.get("name") if type(argument) is dict else None
        if type(ref) is not dict or type(name) is not str:
            return False
        if ref.get("type") == "ref/prompt":
            pointer = "/arguments/" + name.replace("~", "~0").replace("/", "~1")
            return all(
                rule_admits(op, operand, value)
                for _, arg in self.credential.prefix.authority.args
                if arg.tool in ("*", GET)
                for at, op, operand in arg.rules
                if at == pointer
            )
        context = params.get("context")
        given = context.get("arguments") if type(context) is dict else None
        known = given if type(given) is dict else {}
        uri = Template.of(str(ref.get("uri"))).filled({**known, name: value})
        return uri is None or self._resource(uri)


def _meet(one: Template, other: Template) -> bool:
    """Whether two templates may have a URI in common."""
    return one.literal.startswith(other.literal) or other.literal.startswith(one.literal)
