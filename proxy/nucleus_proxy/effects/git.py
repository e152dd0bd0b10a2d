"""Law: what leaves a repository, and what enters its history, is what the call was judged for.

Reading shows only paths that every scope admits. A commit is made by plumbing, on the branch that
was judged, of admitted paths only; no hook runs. A push sends one commit, from a clean mirror, to
one branch of a remote that the operator named; never by force.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from nucleus_proxy.answers import Granted
from nucleus_proxy.binding import BoundCall
from nucleus_proxy.effects import cells
from nucleus_proxy.effects.forge import Forge
from nucleus_proxy.effects.gitcell import Repository, branch_of
from nucleus_proxy.effects.opening import Root
from nucleus_proxy.effects.pushing import Transport, mirrored
from nucleus_proxy.native import (
    Effect,
    FileLabels,
    NativeTool,
    NoFileLabels,
    Param,
    Tools,
    Value,
)
from nucleus_proxy.remotes import Remote
from nucleus_proxy.toolrules import ToolBinding
from nucleus_proxy.work import Runner
from nucleus_tokens import flow, labelling, labels, lattice
from nucleus_tokens.authority import Authority
from nucleus_tokens.errors import CallerError
from nucleus_tokens.patterns import under
from nucleus_verifier import resources
from nucleus_verifier.choosing import SelectorRule
from nucleus_verifier.facts import Selector

SHOWN: Final = 1000  # paths of one status or diff
DIFF_CHARS: Final = 2 * 1024 * 1024
_NOTHING: Final = "0" * 40
_REPO: Final = Param("string", "the repository's directory; '.' is the workspace")
_REMOTE: Final = Param("string", "a remote's name in the operator's policy")

Work = Callable[[Granted], Any]


def tools(
    root: Root,
    *,
    runner: Runner,
    remotes: Mapping[str, Remote],
    transport: Transport,
    forge: Forge,
    author: tuple[str, str] = ("agent", "agent@localhost"),
    labels: FileLabels | None = None,
) -> Tools:
    """The tools of git. `author` is the name and address that stand in a commit; `labels` knows
    what a repository's files hold."""
    kept = labels or NoFileLabels()
    effects = _Git(root, runner, remotes, transport, forge, author, kept)
    repo = SelectorRule("/repo", "path")
    remote = SelectorRule("/remote", "id")
    sent = partial(_sent, remotes)
    whole = partial(_whole, root)
    rows = (
        _row("git_status", lattice.READ_FILES, "What changed in a repository.",
             {"repo": _REPO}, (repo,), effects.status, whole),
        _row("git_diff", lattice.READ_FILES, "The changes of a repository as a diff.",
             {"repo": _REPO, "staged": Param("boolean", "of the index", optional=True)},
             (repo,), effects.diff, whole),
        _row("git_commit", lattice.GIT_COMMIT, "Commit paths on the current branch.",
             {"repo": _REPO, "message": Param("string", "the commit's message"),
              "paths": Param("strings", "what to commit, from the repository's directory")},
             (repo, SelectorRule("/paths", "path", base="/repo")),
             effects.commit, partial(_on_branch, root)),
        _row("git_push", lattice.GIT_PUSH, "Push a branch to a remote.",
             {"repo": _REPO, "remote": _REMOTE, "branch": Param("string", "the branch")},
             (repo, remote, SelectorRule("/branch", "ref")), effects.push,
             lambda call: sent(whole(call))),
        _row("git_create_pr", lattice.CREATE_PR, "Ask for a branch to be merged.",
             {"repo": _REPO, "remote": _REMOTE, "head": Param("string", "the branch to merge"),
              "base": Param("string", "the branch to merge it into"),
              "title": Param("string", "one line"), "body": Param("string", "the description")},
             (repo, remote, SelectorRule("/head", "ref"), SelectorRule("/base", "ref")),
             effects.create_pr, sent),
    )  # fmt: skip
    return {row.binding.tool: row for row in rows}


def _row(
    name: str,
    operation: int,
    says: str,
    params: dict[str, Param],
    rules: tuple[SelectorRule, ...],
    run: Effect,
    refine: Callable[[BoundCall], BoundCall],
) -> NativeTool:
    chosen = {rule.pointer for rule in rules}
    free = frozenset(f"/{param}" for param in params if f"/{param}" not in chosen)
    made = ToolBinding(name, operation, flow.default_sink(operation), rules, free)
    return NativeTool(made, says, params, run, refine)


# What a call is, before it is judged -----------------------------------------------------------


def _whole(root: Root, call: BoundCall) -> BoundCall:
    """A repository is looked at whole or not at all: its history holds what its paths held."""
    return replace(call, within=partial(_admitted_whole, root.path))


def _admitted_whole(root: str, call: BoundCall, authority: Authority) -> BoundCall:
    tops = cells.subtrees(root, authority)
    paths = call.resources.get("path")
    if paths is None or not all(any(under(top, path) for top in tops) for path in paths):
        return replace(call, resources={**call.resources, "path": None})
    return call


def _on_branch(root: Root, call: BoundCall) -> BoundCall:
    """A commit goes to the branch that is checked out now; it will go nowhere else."""
    repo = next((s.value for s in call.selectors if s.pointer == "/repo"), None)
    branch = None if repo is None else branch_of(root, repo)
    touched = {**call.resources, "ref": None if branch is None else (branch,)}
    return _whole(root, replace(call, resources=touched))


def _sent(remotes: Mapping[str, Remote], call: BoundCall) -> BoundCall:
    """A remote is a host to the kernel: the one that the operator's policy gives it."""
    remote = remotes.get(call.args["remote"])
    host = None if remote is None else remote.host
    selectors = tuple(
        Selector("/remote", "host", host) if s.pointer == "/remote" else s for s in call.selectors
    )
    known = None if host is None else (host,)
    return replace(call, selectors=selectors, resources={**call.resources, "host": known})


# What runs -------------------------------------------------------------------------------------


class _Git:
    def __init__(
        self,
        root: Root,
        runner: Runner,
        remotes: Mapping[str, Remote],
        transport: Transport,
        forge: Forge,
        author: tuple[str, str],
        labels: FileLabels,
    ) -> None:
        self._root = root
        self._runner = runner
        self._remotes = remotes
        self._transport = transport
        self._forge = forge
        self._author = author
        self._labels = labels

    def _used(self, granted: Granted, cell: str) -> dict[str, Any]:
        call = granted.call
        granted.permit.use(operation=call.operation, call_digest=call.digest, cell=cell)
        args: dict[str, Any] = call.args
        return args

    async def _label(self, repo: Repository) -> int:
        """Of what git says of a repository: names and lines of anything that was written there."""
        held = await asyncio.to_thread(self._labels.held, (repo.path,))
        return labels.join(_LABEL, held)

    def _repository(self, granted: Granted) -> Repository:
        return Repository(self._root, self._runner, granted)

    async def status(self, granted: Granted, cell: str) -> Value:
        self._used(granted, cell)
        repo = self._repository(granted)
        done = await repo.git(
            "status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames",
            "--ignore-submodules=all",
        )  # fmt: skip
        entries = []
        for part in done.stdout.split(b"\0"):
            text = part.decode("utf-8", "replace")
            if len(text) > 3 and repo.admits(text[3:]):
                entries.append({"path": text[3:], "index": text[0], "worktree": text[1]})
        branch = await asyncio.to_thread(branch_of, self._root, repo.path)
        structured = {"branch": branch, "entries": entries[:SHOWN]}
        lines = [f"{e['index']}{e['worktree']} {e['path']}" for e in entries[:SHOWN]]
        return Value(structured, "\n".join([f"## {branch}", *lines]), await self._label(repo))

    async def diff(self, granted: Granted, cell: str) -> Value:
        args = self._used(granted, cell)
        repo = self._repository(granted)
        plain = [
            "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames",
            "--ignore-submodules=all",
        ]  # fmt: skip
        if args.get("staged", False):
            plain.append("--cached")
        listed = await repo.git("diff", *plain, "--name-only", "-z")
        names = repo.admitted(listed.stdout)
        text = ""
        if names:
            shown = await repo.git("diff", *plain, "--", *names[:SHOWN])
            text = shown.stdout.decode("utf-8", "replace")
        truncated = len(names) > SHOWN or len(text) > DIFF_CHARS
        text = text[:DIFF_CHARS]
        label = await self._label(repo)
        return Value({"diff": text, "truncated": truncated}, text, label)

    async def commit(self, granted: Granted, cell: str) -> Value:
        args = self._used(granted, cell)
        repo = self._repository(granted)
        (branch,) = granted.call.resources["ref"] or ("",)
        if not args["paths"] or not args["message"].strip():
            raise CallerError("git.arguments", "A commit has paths and a message.")
        # The paths as they were judged, from the repository's directory.
        pointers = [f"/paths/{number}" for number in range(len(args["paths"]))]
        paths = [str(granted.call.resolved[pointer]) for pointer in pointers]
        inside = [path[len(repo.path) + 1 :] or "." for path in paths if under(repo.path, path)]
        if len(inside) != len(paths):
            raise CallerError("git.outside", "A path does not lie in the repository.")
        listed = await repo.git(
            "ls-files", "-z", "-m", "-o", "-d", "--exclude-standard", "--", *inside
        )
        names = sorted(set(repo.admitted(listed.stdout)))
        if names:  # to git, an empty list of paths is all of them
            await repo.git(
                "add", "-A", "--pathspec-from-file=-", "--pathspec-file-nul",
                writes=True, stdin=b"".join(name.encode() + b"\0" for name in names),
            )  # fmt: skip
        tree = _line(await repo.git("write-tree", writes=True))
        ref = f"refs/heads/{branch}"
        parent = _line(await repo.git("rev-parse", "--verify", "-q", ref, codes=(0, 1)))
        await self._same_scope(repo, parent, tree)
        name, address = self._author
        who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER")
               for what, value in (("NAME", name), ("EMAIL", address))}  # fmt: skip
        above = ("-p", parent) if parent else ()
        commit = _line(
            await repo.git(
                "commit-tree", tree, *above, "-F", "-",
                writes=True, stdin=args["message"].encode(), env=who,
            )
        )  # fmt: skip
        await repo.git("update-ref", ref, commit, parent or _NOTHING, writes=True)
        return Value({"branch": branch, "commit": commit}, f"{branch} is at {commit}.", _LABEL)

    async def _same_scope(self, repo: Repository, parent: str, tree: str) -> None:
        """What was in the index before counts as well: all of a commit must be admitted."""
        if parent:
            changed = await repo.git("diff-tree", "-r", "-z", "--name-only", parent, tree)
        else:
            changed = await repo.git("ls-tree", "-r", "-z", "--name-only", tree)
        names = [part for part in changed.stdout.split(b"\0") if part]
        if not names:
            raise CallerError("git.nothing", "There is nothing to commit in these paths.")
        if len(repo.admitted(changed.stdout)) != len(names):
            raise CallerError(
                "git.outside", "The index holds changes of paths that this call may not touch."
            )

    async def push(self, granted: Granted, cell: str) -> Value:
        args = self._used(granted, cell)
        remote, branch = self._remote(args), resources.ref(args["branch"])
        if branch is None:
            raise CallerError("git.arguments", "A push is of a branch, by its name.")
        async with mirrored(self._repository(granted), self._runner, branch) as mirror:
            await self._transport.push(mirror, remote, branch)
            commit = mirror.commit
        structured = {"remote": args["remote"], "branch": branch, "commit": commit}
        return Value(structured, f"Pushed {commit} to {branch} of {args['remote']}.", _LABEL)

    async def create_pr(self, granted: Granted, cell: str) -> Value:
        args = self._used(granted, cell)
        head, base = resources.ref(args["head"]), resources.ref(args["base"])
        if head is None or base is None:
            raise CallerError("git.arguments", "A pull request is from a branch to a branch.")
        made = await self._forge.create_pr(
            self._remote(args), head, base, args["title"], args["body"]
        )
        structured = {"url": made.url, "number": made.number}
        return Value(structured, f"Pull request {made.number}: {made.url}", labelling.HTTP_RESPONSE)

    def _remote(self, args: dict[str, Any]) -> Remote:
        remote = self._remotes.get(args["remote"])
        if remote is None:
            raise CallerError(
                "git.remote", "The operator's policy names no such remote.",
                hint="Remotes stand under [remotes] in the policy file.",
            )  # fmt: skip
        return remote


_LABEL: Final = labels.join(labelling.EXISTING_FILE, labelling.TOOL_RESPONSE)


def _line(done: Any) -> str:
    text: str = done.stdout.decode("ascii", "replace").strip()
    return text
