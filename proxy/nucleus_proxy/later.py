"""Law: what would run later, somewhere else, is not written without a person's word.

A hook, a pipeline, an editor's task, a shell's start-up file or an agent's instructions is a file
to write today and a command tomorrow, outside of every cell. These places are one table. A write
to one through the proxy's own tools owes an approval; work cells show them read-only.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from nucleus_proxy.binding import BoundCall
from nucleus_tokens.patterns import MATCHERS

PLACES: Final[tuple[str, ...]] = (
    # git runs what stands here, or is told here what to run
    "**/.git", "**/.gitmodules", "**/.gitattributes", "**/.gitconfig", "**/.config/git",
    "**/.husky", "**/.pre-commit-config.yaml", "**/lefthook.yml", "**/lefthook.yaml",
    # pipelines
    "**/.github", "**/.gitlab", "**/.gitlab-ci.yml", "**/.gitea", "**/.forgejo", "**/.circleci",
    "**/.buildkite", "**/.drone.yml", "**/.travis.yml", "**/.woodpecker*", "**/.ci",
    "**/azure-pipelines*.yml", "**/bitbucket-pipelines.yml", "**/appveyor.yml", "**/Jenkinsfile",
    # editors
    "**/.vscode", "**/.idea", "**/.fleet", "**/.zed", "**/*.code-workspace", "**/.devcontainer",
    "**/.exrc", "**/.vimrc", "**/.nvimrc", "**/.nvim.lua", "**/.dir-locals.el", "**/.emacs",
    # shells, and what a directory does when it is entered
    "**/.bashrc", "**/.bash_profile", "**/.bash_login", "**/.bash_logout", "**/.bash_aliases",
    "**/.profile", "**/.zshrc", "**/.zshenv", "**/.zprofile", "**/.zlogin", "**/.config/fish",
    "**/.envrc", "**/.mise.toml", "**/mise.toml", "**/.tool-versions", "**/.direnv",
    # what installers and interpreters read before anything else
    "**/.npmrc", "**/.yarnrc", "**/.yarnrc.yml", "**/.pnpmfile.cjs", "**/.pypirc", "**/pip.conf",
    "**/sitecustomize.py", "**/usercustomize.py", "**/*.pth", "**/.pythonrc", "**/.cargo",
    "**/.ssh", "**/.config/systemd", "**/.config/autostart", "**/crontab",
    # what agents take as their instructions
    "**/AGENTS.md", "**/AGENT.md", "**/CLAUDE.md", "**/.claude", "**/GEMINI.md", "**/.gemini",
    "**/.cursorrules", "**/.cursor", "**/.windsurfrules", "**/.windsurf", "**/.clinerules",
    "**/.aider.conf.yml", "**/.codex", "**/.mcp.json", "**/.roo", "**/.kiro",
    # ours
    "**/.nucleus", "**/nucleus.toml",
)  # fmt: skip

# Of a git directory: what names a program, or leads elsewhere.
GIT_PLACES: Final = (
    "config", "config.worktree", "hooks", "modules", "worktrees", "info/attributes",
    "info/grafts", "objects/info/alternates", "objects/info/http-alternates", "commondir",
    "gitdir", "remotes", "branches", "rebase-merge", "rebase-apply", "sequencer",
)  # fmt: skip
_GIT: Final = "**/.git"
_WITH_GIT_OPEN: Final = (
    *(place for place in PLACES if place != _GIT),
    *(f"{_GIT}/{place}" for place in GIT_PLACES),
)
_BLOCKS: Final = MATCHERS["path"].blocks


def runs_later(path: str, *, git_open: bool = False) -> bool:
    """Whether what stands at a resolved path is run, or obeyed, later. In whatever case: a file
    system may not tell them apart. With `git_open` the data of a git directory is not."""
    if git_open and ".git" in path.split("/"):
        return _BLOCKS(_WITH_GIT_OPEN, f"{path}/")
    return _BLOCKS(PLACES, f"{path}/")


def obliging(call: BoundCall) -> BoundCall:
    """The call under an obligation where it would write to such a place."""
    paths = call.resources.get("path") or ()
    if any(type(path) is str and runs_later(path) for path in paths):
        return replace(call, obliged=True)
    return call
