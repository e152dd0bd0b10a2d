"""What stands behind `nucleus mcp`: one server, or those of a client's configuration."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nucleus import mcpconfig
from nucleus.cli import inputs
from nucleus.cli.console import note, safe
from nucleus.home import Home
from nucleus.vault import Vault
from nucleus_proxy import policy as policies
from nucleus_proxy.egress import compose
from nucleus_proxy.egress.dial import Dialer
from nucleus_proxy.egress.resolving import SystemResolver
from nucleus_proxy.policy import PolicyFile
from nucleus_proxy.servers import ServerSpec

NO_WALL = (
    "nucleus: no wall stands here: only what goes through this proxy is mediated. A process of "
    "this user can go around it."
)
NO_CELL = (
    "nucleus: the policy file has the server run outside of a cell: it reads, writes and sends "
    "what this user can."
)


def policy(path: Path, place: Home, config: Path | None) -> PolicyFile:
    """The policy file, with the servers of a client's configuration if there is one."""
    rules = policies.load(path)
    if config is not None:
        found = mcpconfig.load(config)
        rules = mcpconfig.many(
            rules, found, lambda name: Vault.secrets(place).get(name), config.absolute().parent,
            lambda line: note(safe(line)),
        )  # fmt: skip
    rules = mcpconfig.with_secrets(rules)
    if rules.wall is None:
        note(NO_WALL)
    if any(spec.danger_outside_cell for spec in specs(rules)):
        note(NO_CELL)
    return rules


def specs(rules: PolicyFile) -> tuple[ServerSpec, ...]:
    """The servers that will be served."""
    return tuple(rules.servers.values()) or (rules.server,)


def dialer(rules: PolicyFile, roots: Path) -> Dialer | None:
    """The road to servers behind HTTP, if there are any. Raises WorldError `net.roots`."""
    if not any(spec.url for spec in specs(rules)):
        return None
    return compose.fetcher(rules.egress, resolver=SystemResolver(), roots=roots).dialer


def given(
    rules: PolicyFile, place: Home, secrets: Sequence[str], passed: Sequence[str]
) -> PolicyFile:
    """The policy, with what the server's environment holds besides: kept secrets, and variables of
    ours. Neither is in any list of arguments."""
    if not secrets and not passed:
        return rules
    more = {name: os.environ[name] for name in passed if name in os.environ}
    if secrets:
        more |= Vault.secrets(place).environment(inputs.pairs(secrets, "--secret"))
    return replace(rules, server=replace(rules.server, env={**rules.server.env, **more}))
