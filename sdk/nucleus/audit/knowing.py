"""Law: what a tool is, in the kernel's thirteen operations; what nobody knows is opaque.

The three legs come from the kernel's own table (`projection`): here stands only which operations a
server or a tool amounts to. A name is read strictly: the most dangerous reading of it counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from nucleus_tokens import names, projection
from nucleus_tokens.exposure import ALL, PRIVATE_DATA, UNTRUSTED_CONTENT
from nucleus_tokens.lattice import NETWORK, READS, RUN_BASH, with_level


class Kind(NamedTuple):
    """What something amounts to. `fixed` says that a person chose the one host it reaches, so
    that its requests lead nowhere an attacker could listen; `adds` are labels beyond the
    operations' own."""

    operations: frozenset[int]
    adds: int = 0
    fixed: bool = False

    @property
    def legs(self) -> int:
        bits = self.adds
        for operation in self.operations:
            bits |= projection.projects(operation, self.fixed, False, 0)
        return bits

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(names.OPERATIONS[op] for op in sorted(self.operations))


OPAQUE: Final = Kind(frozenset((RUN_BASH,)))


def kind(*operations: str, adds: int = 0, fixed: bool = False) -> Kind:
    return Kind(frozenset(names.operation(op) for op in operations), adds, fixed)


_FILES: Final = kind("read_files", "write_files", "edit_files", "glob_search", "grep_search")
_BROWSER: Final = kind("web_fetch", "run_bash")
_FETCH: Final = kind("web_fetch")
_SEARCH: Final = kind("web_search")
_NOTHING: Final = kind()
# A forge: what is private there, what strangers write there, and a place to publish.
_FORGE: Final = kind("read_files", "git_push", "create_pr", adds=UNTRUSTED_CONTENT)
# Mail, chat and tickets: private, written by strangers, and sent.
_MAIL: Final = kind("read_files", "create_pr", adds=PRIVATE_DATA | UNTRUSTED_CONTENT)
_DATABASE: Final = kind("read_files", "grep_search")
_SHELL: Final = kind("run_bash")
_CLOUD: Final = kind("read_files", "manage_pods")
_DOCS: Final = kind("web_fetch", fixed=True)

# Packages by name, as npm, PyPI and container registries know them.
SERVERS: Final[Mapping[str, Kind]] = {
    "@modelcontextprotocol/server-filesystem": _FILES,
    "@modelcontextprotocol/server-everything": _NOTHING,
    "@modelcontextprotocol/server-memory": kind("read_files", "write_files"),
    "@modelcontextprotocol/server-sequential-thinking": _NOTHING,
    "@modelcontextprotocol/server-github": _FORGE,
    "@modelcontextprotocol/server-gitlab": _FORGE,
    "@modelcontextprotocol/server-slack": _MAIL,
    "@modelcontextprotocol/server-postgres": _DATABASE,
    "@modelcontextprotocol/server-sqlite": _DATABASE,
    "@modelcontextprotocol/server-redis": _DATABASE,
    "@modelcontextprotocol/server-puppeteer": _BROWSER,
    "@modelcontextprotocol/server-brave-search": _SEARCH,
    "@modelcontextprotocol/server-google-maps": _DOCS,
    "@modelcontextprotocol/server-gdrive": _MAIL,
    "@modelcontextprotocol/server-everart": _DOCS,
    "@playwright/mcp": _BROWSER,
    "@executeautomation/playwright-mcp-server": _BROWSER,
    "@browserbasehq/mcp": _BROWSER,
    "@upstash/context7-mcp": _DOCS,
    "@notionhq/notion-mcp-server": _MAIL,
    "@supabase/mcp-server-supabase": kind("read_files", "run_bash"),
    "@stripe/mcp": kind("read_files", "create_pr"),
    "@sentry/mcp-server": kind("read_files", adds=UNTRUSTED_CONTENT),
    "@azure/mcp": _CLOUD,
    "@cloudflare/mcp-server-cloudflare": _CLOUD,
    "@wonderwhy-er/desktop-commander": _SHELL,
    "firecrawl-mcp": _FETCH,
    "tavily-mcp": _SEARCH,
    "exa-mcp-server": _SEARCH,
    "mcp-remote": OPAQUE,
    "mcp-server-commands": _SHELL,
    "mcp-shell": _SHELL,
    "mcp-server-git": kind("read_files", "write_files", "git_commit"),
    "mcp-server-fetch": _FETCH,
    "mcp-server-time": _NOTHING,
    "mcp-server-sqlite": _DATABASE,
    "mcp-server-filesystem": _FILES,
    "mcp-server-sentry": kind("read_files", adds=UNTRUSTED_CONTENT),
    "mcp-server-docker": _SHELL,
    "mcp-server-kubernetes": kind("read_files", "manage_pods"),
    "mcp-atlassian": _MAIL,
    "postgres-mcp": _DATABASE,
    "duckduckgo-mcp-server": _SEARCH,
    "awslabs.aws-documentation-mcp-server": _DOCS,
    "ghcr.io/github/github-mcp-server": _FORGE,
    "github-mcp-server": _FORGE,
    "mcp/filesystem": _FILES,
    "mcp/git": kind("read_files", "write_files", "git_commit"),
    "mcp/github": _FORGE,
    "mcp/fetch": _FETCH,
    "mcp/postgres": _DATABASE,
    "mcp/sqlite": _DATABASE,
    "mcp/time": _NOTHING,
    "mcp/puppeteer": _BROWSER,
    "mcp/slack": _MAIL,
    "mcp/brave-search": _SEARCH,
}
# Services at addresses of their own.
HOSTS: Final[Mapping[str, Kind]] = {
    "api.githubcopilot.com": _FORGE,
    "mcp.atlassian.com": _MAIL,
    "mcp.linear.app": _MAIL,
    "mcp.notion.com": _MAIL,
    "mcp.slack.com": _MAIL,
    "mcp.sentry.dev": kind("read_files", adds=UNTRUSTED_CONTENT),
    "mcp.stripe.com": kind("read_files", "create_pr"),
    "mcp.context7.com": _DOCS,
    "mcp.deepwiki.com": _DOCS,
    "learn.microsoft.com": _DOCS,
    "docs.mcp.cloudflare.com": _DOCS,
}

# Words of a tool's name, the most dangerous reading first.
_WORDS: Final = (
    ("run_bash", "bash shell sh exec execute eval terminal command cmd powershell script python "
                 "sql process code run ssh console evaluate"),
    ("git_push", "push"),
    ("spawn_agent", "agent subagent spawn delegate"),
    ("manage_pods", "pod pods deploy kubectl container containers cluster scale terraform"),
    ("create_pr", "pr pull_request send email mail publish post upload share tweet reply comment "
                  "message notify invite issue merge release webhook pay transfer"),
    ("web_search", "websearch web_search"),
    ("web_fetch", "fetch http https url browse browser navigate crawl scrape download request web "
                  "goto extract"),
    ("git_commit", "commit"),
    ("edit_files", "edit patch update modify replace rename move delete remove sed"),
    ("write_files", "write create save insert append set add put make mkdir store checkout reset "
                    "init"),
    ("glob_search", "glob ls list find tree dir directory branch branches"),
    ("grep_search", "grep search query rg lookup"),
    ("read_files", "read get view show cat open status diff log describe history load info count"),
)  # fmt: skip
_MARKS: Final = tuple((operation, frozenset(text.split())) for operation, text in _WORDS)


def words(name: str) -> list[str]:
    """`gitPush-force` is git, push, force."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return [word for word in re.split(r"[^a-z0-9]+", spaced.lower()) if word]


def tool(name: str, annotations: Mapping[str, Any] | None = None) -> Kind:
    """What a tool amounts to by its name. What the server says of it can only make it more."""
    found = words(name)
    known = {*found, "_".join(found)} | {
        "_".join(pair) for pair in zip(found, found[1:], strict=False)
    }
    for operation, marks in _MARKS:
        if known & marks:
            number = names.operation(operation)
            return Kind(frozenset((number,)), _said(number, annotations or {}))
    return OPAQUE


def _said(operation: int, annotations: Mapping[str, Any]) -> int:
    if annotations.get("openWorldHint") is True and with_level(operation, 2) & (READS | NETWORK):
        return UNTRUSTED_CONTENT
    return 0


def together(kinds: Iterable[Kind]) -> Kind:
    """What several amount to. Fixed only if all are."""
    given = list(kinds)
    operations = frozenset[int]().union(*(each.operations for each in given))
    adds = 0
    for each in given:
        adds |= each.adds
    return Kind(operations, adds, bool(given) and all(each.fixed for each in given))


def by_leg(sources: Iterable[tuple[str, Kind]]) -> dict[int, str]:
    """For each leg what brings it, in words."""
    found: dict[int, list[str]] = {}
    for name, each in sources:
        for leg in (1, 2, 4):
            if each.legs & leg and name not in found.setdefault(leg, []):
                found[leg].append(name)
    return {
        leg: ", ".join(items[:4]) + ("…" if len(items) > 4 else "") for leg, items in found.items()
    }


ALL_LEGS: Final = ALL
