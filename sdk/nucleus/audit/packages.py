"""Law: which package a command starts, and whether it is the same one tomorrow."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from nucleus.audit.knowing import HOSTS, SERVERS, Kind

_RUNNERS: Final = {
    "npx": "npm", "bunx": "npm", "pnpx": "npm", "npm": "npm", "pnpm": "npm", "yarn": "npm",
    "uvx": "pypi", "pipx": "pypi", "uv": "pypi", "docker": "image", "podman": "image",
}  # fmt: skip
# Options that are followed by a value, so that the value is not taken for the package.
_WITH_VALUE: Final = {
    "npm": frozenset(("-c", "--call", "--registry", "--prefix", "-w", "--workspace")),
    "pypi": frozenset(("--with", "--python", "-p", "--index-url", "-i", "--directory", "--project",
                       "--extra-index-url", "--index", "--spec", "--refresh-package")),
    "image": frozenset(("-e", "--env", "-v", "--volume", "--mount", "--name", "-p", "--publish",
                        "--network", "--net", "-u", "--user", "-w", "--workdir", "--env-file",
                        "--entrypoint", "--add-host", "-l", "--label", "--memory", "-m", "--cpus",
                        "--platform", "--pull", "--cap-add", "--cap-drop", "--security-opt",
                        "--device", "--tmpfs", "--ulimit", "--pids-limit", "--gpus", "--pid",
                        "--ipc", "--userns")),
}  # fmt: skip
_FROM: Final = ("--package", "--from", "-p")


class Package(NamedTuple):
    """A package and where it comes from. `pinned` says that its bytes cannot change unseen."""

    registry: str  # npm, pypi or image
    name: str
    version: str
    pinned: bool


def base(command: str) -> str:
    """`/usr/bin/npx` and `npx.cmd` are npx."""
    name = re.split(r"[/\\]", command)[-1].lower()
    return re.sub(r"\.(?:exe|cmd|bat|ps1)$", "", name)


def of(argv: tuple[str, ...]) -> Package | None:
    """The package that a command fetches and starts, if it fetches one."""
    if argv and base(argv[0]) == "cmd" and len(argv) > 2 and argv[1].lower() in ("/c", "/k"):
        argv = argv[2:]
    if not argv:
        return None
    runner = base(argv[0])
    registry = _RUNNERS.get(runner)
    if registry is None:
        return None
    rest = list(argv[1:])
    if registry == "image":
        if not rest or rest[0] not in ("run", "container"):
            return None
    elif runner in ("npm", "pnpm", "yarn", "uv", "pipx"):
        verbs = {"npm": ("exec", "x"), "pnpm": ("dlx",), "yarn": ("dlx",), "pipx": ("run",),
                 "uv": ("x", "tool", "run")}[runner]  # fmt: skip
        if not rest or rest[0] not in verbs or (rest[0] == "run" and runner == "uv"):
            return None
    while rest and rest[0] in ("run", "exec", "x", "dlx", "tool", "container"):
        rest.pop(0)
    named = _named(rest, registry)
    return None if named is None else _split(registry, named)


def _named(rest: list[str], registry: str) -> str | None:
    skip = False
    for index, word in enumerate(rest):
        if skip:
            skip = False
            continue
        option, equals, value = word.partition("=")
        if registry != "image" and option in _FROM and option != "-p":
            return value if equals else (rest[index + 1] if index + 1 < len(rest) else None)
        if registry == "npm" and option == "-p":
            return rest[index + 1] if index + 1 < len(rest) else None
        if word.startswith("-"):
            skip = not equals and word in _WITH_VALUE[registry]
            continue
        return word
    return None


def _split(registry: str, spec: str) -> Package | None:
    if registry == "npm":
        name, at, version = spec.rpartition("@")
        if not at or not name:
            name, version = spec, ""
        if "/" in name and not name.startswith("@"):  # a git address: what it is now
            return Package(registry, name, version, bool(re.fullmatch(r"[0-9a-f]{40}", version)))
        if name.startswith((".", "/", "~")):
            return None
        return Package(
            registry, name, version, bool(re.fullmatch(r"v?\d+\.\d+\.\d+[\w.+-]*", version))
        )
    if registry == "pypi":
        if spec.startswith(("git+", "http://", "https://")):
            commit = re.search(r"@([0-9a-f]{40})(?:$|#)", spec)
            return Package(registry, spec, commit[1] if commit else "", bool(commit))
        if spec.startswith((".", "/", "~")):
            return None
        found = re.fullmatch(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*(?:(==|@)\s*(.+)|(.*))", spec)
        if found is None:
            return None
        version = found[3] or ""
        return Package(
            registry,
            found[1] if found[1] in SERVERS else re.sub(r"[-_.]+", "-", found[1]).lower(),
            version, bool(re.fullmatch(r"\d+(?:\.\d+)+[\w.]*", version)),
        )  # fmt: skip
    name, at, digest = spec.partition("@")
    path, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        path, tag = name, ""
    pinned = bool(at and digest.startswith("sha256:")) or bool(re.search(r"\d", tag))
    return Package("image", path, digest or tag, pinned)


def known(argv: tuple[str, ...], url: str) -> Kind | None:
    """What the server is, if its package, program or address is known."""
    package = of(argv)
    if package is not None:
        return SERVERS.get(package.name)
    if url:
        host = re.sub(r"^[a-z]+://", "", url.lower()).partition("/")[0].rpartition("@")[2]
        return HOSTS.get(host.partition(":")[0])
    for word in argv[:3]:
        name = re.sub(r"\.(?:py|js|mjs|ts)$", "", base(word))
        if name in SERVERS:
            return SERVERS[name]
    # `node …/node_modules/@scope/name/dist/index.js`, `python -m mcp_server_git`
    for word in argv[1:3]:
        found = re.search(r"node_modules/((?:@[^/]+/)?[^/]+)/", word)
        name = found[1] if found else word.replace("_", "-")
        if name in SERVERS:
            return SERVERS[name]
    return None


def lookalike(package: Package) -> str | None:
    """The well-known package whose name this one's could be mistaken for."""
    if package.name in SERVERS or package.registry == "image" or "://" in package.name:
        return None
    mine = _folded(package.name)
    for name in SERVERS:
        if (name.startswith("@") or package.registry == "pypi") and "/" not in name[1:]:
            pass
        if name.startswith(("mcp/", "ghcr.io/")):
            continue
        theirs = _folded(name)
        if len(theirs) >= 8 and (mine == theirs or _one_off(mine, theirs)):
            return name
    return None


def _folded(name: str) -> str:
    """Without what the eye passes over: separators, and digits that look like letters."""
    flat = name.lower().translate(str.maketrans("01358", "olesb"))
    return re.sub(r"[-_.@/]", "", flat)


def _one_off(a: str, b: str) -> bool:
    """At most one letter added, left out or changed, or two exchanged."""
    if abs(len(a) - len(b)) > 1:
        return False
    start = 0
    while start < min(len(a), len(b)) and a[start] == b[start]:
        start += 1
    rest_a, rest_b = a[start:], b[start:]
    if len(a) == len(b):
        swapped = rest_a[:2] == rest_b[:2][::-1] and rest_a[2:] == rest_b[2:]
        return rest_a[1:] == rest_b[1:] or swapped
    longer, shorter = (rest_a, rest_b) if len(a) > len(b) else (rest_b, rest_a)
    return longer[1:] == shorter
