"""Law: which effects a proxy has is said here, once, for every road that leads to it.

The rows of the proxy's own tools, put together from what the operator's policy file says. What is
missing from a host (a work cell's program, say) is missing from the list, never replaced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from nucleus_proxy import native
from nucleus_proxy.answers import Granted
from nucleus_proxy.effects import exec, fs, git, net, spawn  # noqa: A004  it is what it is called
from nucleus_proxy.effects.forge import HttpForge
from nucleus_proxy.effects.opening import Root
from nucleus_proxy.effects.pushing import GitTransport
from nucleus_proxy.egress import compose
from nucleus_proxy.egress.dial import client_tls
from nucleus_proxy.egress.resolving import SystemResolver
from nucleus_proxy.egress.search import HttpSearch
from nucleus_proxy.egress.secrets import Credential, Secret
from nucleus_proxy.filelabels import FileLabels
from nucleus_proxy.flowstate import FlowState
from nucleus_proxy.live import Live
from nucleus_proxy.native import NativeTool, Tools, Value
from nucleus_proxy.policy import PolicyFile, Workspace
from nucleus_proxy.remotes import Remote
from nucleus_proxy.sessions import GUARD_PREFIX
from nucleus_proxy.work import Done, Work
from nucleus_tokens.errors import CallerError
from nucleus_vmhost import work as work_of
from nucleus_vmhost.bubblewrap import Bubblewrap
from nucleus_vmhost.vm.working import Inside

Draw = Callable[[int], bytes]
_GOES_ON: Final = ("exec_", "git_", "net_", spawn.NAME)
_SH: Final = ("sh", "-c")  # what every image has
_ASKED_ONCE: Final = "git_create_pr"
ROOTS: Final = Path("/etc/ssl/certs/ca-certificates.crt")


def tools(
    policy: PolicyFile,
    *,
    draw: Draw,
    roots: Path = ROOTS,
    labels: FlowState | None = None,
    secrets: Mapping[str, Secret] | None = None,
) -> Tools:
    """The proxy's own tools over the policy's workspace. `draw(n)` gives n random bytes; `roots`
    is the PEM file of those whose certificates are believed; `labels` knows those of files;
    `secrets` are those that `secret_names` says, without which the tools can be judged and not
    run. Raises WorldError when the workspace or the roots cannot be opened."""
    if policy.workspace is None:
        return {}
    root, shows = Root(policy.workspace.root), policy.workspace.shows
    made: dict[str, NativeTool] = {}
    cells = Cells(Bubblewrap())
    known = secrets or {}
    kept = None if labels is None else file_labels(policy, labels)
    made |= fs.tools(root, draw=draw, labels=kept)
    made |= exec.tools(root, runner=cells, shows=shows, draw=draw, labels=kept)
    made |= git.tools(
        root,
        runner=cells,
        remotes=policy.remotes,
        transport=GitTransport(partial(_git_login, known), roots),
        forge=HttpForge(partial(_forge_login, known), client_tls(roots)),
        labels=kept,
    )
    client = compose.fetcher(policy.egress, resolver=SystemResolver(), roots=roots)
    provider = None
    if policy.search is not None:
        secret = known.get(policy.search.secret)
        provider = HttpSearch(policy.search, client.dialer, policy.egress.limits, secret)
    outside = net.tools(client, provider)
    made[net.FETCH] = outside[net.FETCH]
    if provider is not None:
        made[net.SEARCH] = outside[net.SEARCH]
    return made


def watched(tools: Tools, live: Live) -> Tools:
    """The same tools; those that go on for a while are decided again while they run. (Not
    git_create_pr: what it asks a forge for cannot be called back.)"""
    goes_on = {n: t for n, t in tools.items() if n.startswith(_GOES_ON) and n != _ASKED_ONCE}
    return {**tools, **live.tools(goes_on)}


def within(
    tools: Tools,
    policy: PolicyFile,
    inside: Inside,
    *,
    draw: Draw,
    live: Live,
    labels: FileLabels,
) -> Tools:
    """The same tools, for an agent in a machine: its commands run there, and files are written
    into its copy as well; those that a sub-agent wrote, when it has answered."""
    if policy.workspace is None:
        return tools
    root, shows = Root(policy.workspace.root), policy.workspace.shows
    commands = exec.tools(
        root, runner=InMachine(inside), shows=shows, draw=draw, labels=labels, shell=_SH
    )

    def also(tool: NativeTool, then: Callable[[Granted, Value], Awaitable[None]]) -> NativeTool:
        async def run(granted: Granted, cell: str) -> Value:
            value = await tool.run(granted, cell)
            await then(granted, value)
            return value

        return replace(tool, run=run)

    async def wrote(granted: Granted, _: Value) -> None:
        await inside.wrote((granted.call.resolved["/path"],))

    async def caught_up(_: Granted, value: Value) -> None:
        await inside.caught_up(value.structured["wrote"])

    after = {"fs_write": wrote, "fs_edit": wrote, spawn.NAME: caught_up}
    writing = {name: also(tools[name], then) for name, then in after.items() if name in tools}
    return {**tools, **live.tools(commands), **writing}


def secret_names(policy: PolicyFile) -> frozenset[str]:
    """The secrets that the proxy's own tools go out with."""
    found = {remote.secret for remote in policy.remotes.values() if remote.secret}
    return frozenset(found | ({policy.search.secret} if policy.search is not None else set()))


def _git_login(secrets: Mapping[str, Secret], remote: Remote) -> Credential | None:
    secret = _secret(secrets, remote)
    return None if secret is None else Credential.basic(remote.user, secret)


def _forge_login(secrets: Mapping[str, Secret], remote: Remote) -> Credential | None:
    secret = _secret(secrets, remote)
    return None if secret is None else Credential(remote.header, remote.prefix, secret)


def _secret(secrets: Mapping[str, Secret], remote: Remote) -> Secret | None:
    if not remote.secret:
        return None
    if remote.secret not in secrets:
        raise CallerError("secret.source", f"The secret {remote.secret} comes from nowhere.")
    return secrets[remote.secret]


def file_labels(policy: PolicyFile, labels: FlowState) -> FileLabels:
    """What is known of files: what was written here, and what the operator says of the rest."""
    believed = policy.believed
    return FileLabels(labels, trusted=believed.trusted_files, secret=believed.secret_files)


def at(policy: PolicyFile, workspace: Path) -> PolicyFile:
    """The policy with this workspace, which shows what the file says of its own."""
    if policy.workspace is None:
        return replace(policy, workspace=Workspace(str(workspace)))
    return replace(policy, workspace=replace(policy.workspace, root=str(workspace)))


def with_tools(policy: PolicyFile, ours: Tools) -> PolicyFile:
    """The policy of a session: our own tools, and of the file's those that name a guarded
    function. No server stands behind a session, so what a server's tools are says nothing here."""
    guarded = {n: row for n, row in policy.tools.items() if n.startswith(GUARD_PREFIX)}
    return native.bound(replace(policy, tools=guarded), ours)


class InMachine:
    """The machine of one agent, as the proxy asks for commands to be run in it."""

    def __init__(self, inside: Inside) -> None:
        self._inside = inside

    @property
    def name(self) -> str:
        return self._inside.name

    async def run(self, work: Work) -> Done:
        return _done(await self._inside.run(work))


def _done(done: work_of.Done) -> Done:
    return Done(done.code, done.stdout, done.stderr, done.truncated, done.timed_out)


class Cells:
    """The wall's work cells, as the proxy asks for them. The two never import each other: what
    one means by an ended cell is put into the other's words here."""

    def __init__(self, built_by: Bubblewrap) -> None:
        self._built_by = built_by

    @property
    def name(self) -> str:
        return self._built_by.name

    async def run(self, work: Work) -> Done:
        return _done(await self._built_by.run(work))

    def opened(self, work: Work) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
        return self._built_by.opened(work)
