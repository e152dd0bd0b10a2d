"""Law: a command is known by every program it names; a program in an argument makes it unknown.

A `cmd` scope compares words. A command that runs another one named in its words is taken apart,
and each is judged; one that carries a program as text (a shell's -c, awk's system) or gets it from
somewhere else (xargs, a debugger) is not known, and a scope over commands denies it.

What a permitted program does with the files it finds is not seen here: the cell is its boundary.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

Words = tuple[str, ...]

_SHELLS: Final = frozenset(
    ("sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "fish", "csh", "tcsh", "rbash", "pwsh")
)
# An interpreter by its base name without a version: the flags that carry a program.
_INLINE: Final = {
    "python": "cm", "pypy": "cm", "perl": "eEMmIx", "ruby": "erI", "node": "eprc", "nodejs": "eprc",
    "deno": "", "bun": "e", "php": "rBREFdaf", "lua": "el", "luajit": "el", "Rscript": "e",
    "tclsh": "", "wish": "", "expect": "c", "guile": "ce", "julia": "eEL", "osascript": "e",
    "R": "e", "groovy": "e", "scala": "e", "elixir": "e", "erl": "e", "ghc": "e", "ocaml": "e",
}  # fmt: skip
_INLINE_LONG: Final = frozenset(
    ("--eval", "--print", "--require", "--import", "--loader", "--experimental-loader", "--command",
     "--init-file", "--rcfile", "--execute", "--run")
)  # fmt: skip
_MODULES: Final = frozenset(("code", "pdb", "timeit", "cProfile", "profile", "trace", "runpy"))
# What runs a command of its own making, whatever its words are.
_OPAQUE: Final = frozenset(
    ("xargs", "parallel", "watch", "script", "ssh", "scp", "sftp", "rsync", "socat", "nc", "ncat",
     "sudo", "doas", "su", "runuser", "chroot", "unshare", "nsenter", "bwrap", "firejail", "docker",
     "podman", "systemd-run", "at", "batch", "crontab", "gdb", "lldb", "strace", "ltrace", "perf",
     "vim", "vi", "view", "ex", "ed", "nvim", "emacs", "nano", "less", "more", "man",
     "eval", "exec", "source", ".", "command", "builtin", "coproc", "trap", "flock", "entr",
     "screen", "tmux", "expect", "dc", "m4", "run-parts", "start-stop-daemon",
     "setpriv", "capsh", "prlimit", "taskset", "chrt", "numactl", "fakeroot", "proot")
)  # fmt: skip
# Wrappers that run the rest of their words, and how many words they take first.
_PREFIX: Final = {"nohup": 0, "setsid": 0, "busybox": 0, "toybox": 0, "time": 0}
_AWK: Final = frozenset(("awk", "gawk", "mawk", "nawk", "original-awk", "busybox-awk"))
_FIND: Final = frozenset(("-exec", "-execdir", "-ok", "-okdir", "-fprintf", "-fprint", "-fls"))
_TAR: Final = ("--to-command", "--use-compress-program", "--checkpoint-action", "--rsh-command",
               "--rmt-command", "--info-script", "--new-volume-script", "-I", "-F")  # fmt: skip
_GIT: Final = ("-c", "--config-env", "--exec-path", "-p", "--paginate", "--upload-pack",
               "--receive-pack", "--exec", "-x", "--extcmd", "-O", "--open-files-in-pager",
               "--ext-diff", "--textconv", "--editor", "-u", "--template")  # fmt: skip
_GIT_WORDS: Final = frozenset(
    ("foreach", "difftool", "mergetool", "filter-branch", "run", "rebase", "bisect", "send-email",
     "instaweb", "web--browse", "config", "daemon", "shell", "hook", "maintenance")
)  # fmt: skip
_VERSION: Final = re.compile(r"[0-9.]+$")
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_MOST: Final = 8  # wrappers around wrappers


def known(argv: Sequence[str]) -> tuple[Words, ...] | None:
    """Every command in a command, outermost first; None where one of them is not known."""
    found: list[Words] = []
    words = tuple(argv)
    for _ in range(_MOST):
        if not words or not words[0]:
            return None
        found.append(words)
        name = words[0].rpartition("/")[2]
        if name == "env":
            inner = _after_env(words[1:])
            if inner is None:
                return None
        elif name in _PREFIX:
            inner = words[1:]
            if inner and inner[0].startswith("-"):
                return None
        else:
            return None if _carries(name, words[1:]) else tuple(found)
        if not inner:
            return tuple(found)
        words = inner
    return None


def _after_env(words: Words) -> Words | None:
    """What `env` runs: assignments are skipped, and of its flags only those that take nothing."""
    at = 0
    while at < len(words) and words[at] in ("-i", "-", "--ignore-environment", "-0", "--null"):
        at += 1
    while at < len(words) and _ASSIGNMENT.match(words[at]):
        # A preloaded library or a start-up file is a program as well.
        if words[at].startswith(("LD_", "BASH_ENV=", "ENV=", "PYTHON", "PERL", "RUBY", "NODE_",
                                 "GIT_", "PATH=", "PAGER=", "EDITOR=", "VISUAL=")):  # fmt: skip
            return None
        at += 1
    if at < len(words) and words[at].startswith("-"):
        return None
    return words[at:]


def _carries(name: str, words: Words) -> bool:
    """Whether a program gets a program to run that its words do not name."""
    bare = _VERSION.sub("", name) or name
    if bare in _OPAQUE or name in _OPAQUE or bare.startswith(("ld-linux", "ld-musl", "ld.so")):
        return True
    if bare in _SHELLS:
        return _inline(words, "cso") or not any(_is_file(word) for word in words)
    if bare in _INLINE:
        if bare in ("python", "pypy") and _module(words):
            return False
        return _inline(words, _INLINE[bare]) or not any(_is_file(word) for word in words)
    if bare in _AWK:
        text = " ".join(words)
        return any(part in text for part in ("system", "|", "getline", "@", "-f", "-i", "-l", "-E"))
    if bare in ("find", "gfind"):
        return any(word in _FIND for word in words)
    if bare in ("sed", "gsed"):
        return "--sandbox" not in words  # GNU sed runs commands with `e`
    if bare in ("tar", "gtar", "bsdtar"):
        return any(word.startswith(_TAR) for word in words)
    if bare == "git":
        return _GIT_WORDS.intersection(words) != set() or any(
            word.startswith(_GIT) or "ext::" in word for word in words
        )
    return False


def _inline(words: Words, flags: str) -> bool:
    """Whether a flag before the first file carries a program, also among others as in -lc."""
    for word in words:
        if word.startswith("--"):
            if word.partition("=")[0] in _INLINE_LONG:
                return True
        elif word.startswith("-") and word != "-":
            if any(flag in word[1:] for flag in flags):
                return True
        else:
            return word == "-"
    return False


def _module(words: Words) -> bool:
    """`python -m NAME`, which names what runs unless NAME itself takes a program."""
    return len(words) > 1 and words[0] == "-m" and words[1].partition(".")[0] not in _MODULES


def _is_file(word: str) -> bool:
    return not word.startswith("-")
