"""Red team: a command that runs another one, past a scope over commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from nucleus_proxy import commands
from nucleus_proxy.effects import exec as effect
from nucleus_vmhost.bubblewrap import Bubblewrap
from tests.proxy.native_stage import NativeStage
from tests.support import world

# Each would run curl where only its first word was looked at, or where words can be hidden.
WRAPPED = [
    ["env", "curl", "x"],
    ["env", "-i", "A=1", "curl", "x"],
    ["/usr/bin/env", "env", "curl", "x"],
    ["env", "-S", "cu\\rl x"],
    ["env", "--split-string=cu\\rl x"],
    ["env", "PATH=.", "true"],
    ["env", "LD_PRELOAD=./x.so", "true"],
    ["nohup", "curl", "x"],
    ["nohup", "setsid", "env", "curl", "x"],
    ["busybox", "sh", "-c", "c''url x"],
    ["xargs", "cu'r'l"],
    ["xargs", "-I{}", "sh", "-c", "c''url {}"],
    ["find", ".", "-exec", "cu'r'l", ";"],
    ["find", ".", "-execdir", "./x", ";"],
    ["awk", 'BEGIN{system("c" "url x")}'],
    ["gawk", 'BEGIN{"c" "url"|getline}'],
    ["mawk", "-f", "x.awk"],
    ["git", "-c", "core.fsmonitor=./x", "status"],
    ["git", "-ccore.pager=./x", "log"],
    ["git", "--exec-path=.", "status"],
    ["git", "--config-env=core.editor=X", "commit"],
    ["git", "grep", "-O./x", "a"],
    ["git", "submodule", "foreach", "c''url"],
    ["git", "rebase", "--exec", "c''url", "HEAD"],
    ["git", "clone", "ext::sh -c c''url"],
    ["git", "config", "alias.x", "!c''url"],
    ["sh", "-c", "c''url x"],
    ["bash", "-lc", "c''url x"],
    ["bash", "--rcfile", "x", "-i"],
    ["dash"],
    ["bash", "-"],
    ["python3", "-c", "import os; os.system('c'+'url')"],
    ["python3.11", "-Ic", "1"],
    ["/usr/bin/python3", "-"],
    ["python3"],
    ["python3", "-m", "pdb", "-c", "1", "x.py"],
    ["perl", "-e", "exec 'c'.'url'"],
    ["perl", "-ne", "exec"],
    ["ruby", "-e", "exec"],
    ["node", "-e", "1"],
    ["node", "--eval=1"],
    ["node", "-r", "./x", "y.js"],
    ["php", "-r", "1;"],
    ["lua", "-e", "1"],
    ["sed", "1e c''url", "x"],
    ["tar", "--to-command=./x", "-xf", "y"],
    ["tar", "-I./x", "-xf", "y"],
    ["vim", "-c", "!c''url"],
    ["ssh", "-oProxyCommand=./x", "h"],
    ["timeout", "-x"],
    ["sudo", "curl"],
    ["strace", "curl"],
    ["/lib64/ld-linux-x86-64.so.2", "/usr/bin/c-u-r-l"],
    ["watch", "c''url"],
]  # fmt: skip
PLAIN = [
    ["make", "test"],
    ["python3", "x.py"],
    ["python3", "-m", "pytest", "-q"],
    ["bash", "x.sh"],
    ["git", "status"],
    ["find", ".", "-name", "*.py"],
    ["awk", "{print $1}", "x"],
    ["sed", "--sandbox", "s/a/b/", "x"],
    ["tar", "-xf", "y"],
    ["ls"],
]  # fmt: skip


def admitted(argv: list[str], *caveats: list[object]) -> bool:
    from nucleus_tokens.authority import scope_admits

    found = commands.known(argv)
    authority = world.opened(world.mint(world.all_levels(), *caveats)).prefix.authority
    return found is not None and all(scope_admits(s, found) for _, s in authority.scopes)


@pytest.mark.parametrize("argv", [w for w in WRAPPED if w != ["timeout", "-x"]])
def test_no_wrapper_runs_what_is_blocked(argv: list[str]) -> None:
    assert not admitted(argv, ["cmd", "not", [["curl"]]])


@pytest.mark.parametrize("argv", WRAPPED)
def test_no_wrapper_runs_more_than_what_is_allowed(argv: list[str]) -> None:
    """The first word is allowed, and does not make the rest allowed."""
    name = argv[0].rpartition("/")[2]
    if admitted(argv, ["cmd", "in", sorted({(argv[0],), (name,)})]):
        assert argv == ["timeout", "-x"]


@pytest.mark.parametrize("argv", PLAIN)
def test_what_names_its_program_is_known(argv: list[str]) -> None:
    assert admitted(argv, ["cmd", "not", [["curl"]]])
    assert admitted(argv, ["cmd", "in", [argv[:2]]])
    assert not admitted(argv, ["cmd", "in", [["other"]]])


async def test_a_shell_script_meets_no_scope_over_commands(tmp_path: Path) -> None:
    stage = NativeStage(tmp_path)
    stage.tools |= effect.tools(stage.root, runner=Bubblewrap(), shows=1, draw=stage.draw)
    stage.rebind()
    token = stage.everywhere(["cmd", "not", [["curl"]]])
    assert await stage.code(token, "exec_bash", {"script": "true"}) == "scope.unknown"
    for argv in (["env", "curl"], ["sh", "-c", "true"]):
        code = await stage.code(token, "exec_run", {"argv": argv})
        assert code in ("scope.outside", "scope.unknown")
    assert await stage.code(token, "exec_run", {"argv": ["true"]}) == "ok"
