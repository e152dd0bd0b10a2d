"""Random calls, and random caveats that have something to say about them.

Everything is drawn from one `random.Random`: seeded for bulk, Hypothesis's own for shrinking. A
caveat is made for a call it usually admits, since caveats drawn blindly deny nearly everything.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any, Final

from nucleus_tokens import names
from nucleus_verifier.facts import Call, Selector
from tests.algebra import reference as algebra
from tests.support import world
from tests.support.reference_caveats import MAY_TOUCH
from tests.support.world import NOW

KINDS: Final = (
    "exp", "nbf", "cap", "only", "path", "host", "cmd", "ref", "tool", "arg", "budget",
    "exposure", "approve", "delegate", "link",
)  # fmt: skip
UNITS: Final = ("calls", "micro_usd", "tokens", "bytes_out")
LABELS: Final = tuple(label.pack() for label in algebra.labels(algebra.PROVS[:8]))

RESOLVED: Final = (
    "/", "/srv", "/srv/data", "/srv/data/a.txt", "/srv/data/b/c/d.txt", "/srv/database",
    "/srv/data-x/a.txt", "/srv/Data/a.txt", "/srv/ünïcode/日本.txt", "/srv/unïcode/é",
    "/etc/passwd", "/home/u/.ssh/id_rsa", "/srv/data/.env", "/srv/ data/a b", "/srv/da*a/a.txt",
)  # fmt: skip
UNRESOLVED: Final = (
    "/srv/data/../../etc/passwd", "/srv/data/./a.txt", "/srv//data/a.txt", "srv/data/a.txt",
    "/srv/data/", "", "..", "//", "/.", "/srv/data/a\0.txt", "/srv/data/..",
)  # fmt: skip
PATH_PATTERNS: Final = (
    "/", "/srv", "/srv/data", "/srv/*", "/srv/**", "/srv/data/*", "/srv/data/**/d.txt", "**/*.txt",
    "/**/.ssh/**", "**/.env", "/srv/ünïcode", "/srv/d*/a.txt", "/home", "/etc", "/srv/**/c/**",
)  # fmt: skip
HOSTS: Final = (
    "example.org", "api.example.org", "evil-example.org", "example.org.evil.net", "10.0.0.1",
    "example.org:8443", "api.example.org:443", "git.example.org", "[::1]", "[::1]:8080",
)  # fmt: skip
BAD_HOSTS: Final = (
    "EXAMPLE.org",
    "example.org:99999",
    "[x]",
    "::1",
    "user@example.org",
    "example.org.",
    "",
    "a..b",
    "exämple.org",
)
HOST_PATTERNS: Final = (
    "example.org", "*.example.org", "api.example.org", "example.org:8443", "10.0.0.1", "*.org",
    "evil-example.org", "*.evil.net", "[::1]", "example.org:443",
)  # fmt: skip
COMMANDS: Final = (
    ("git", "status"), ("git", "push", "--force"), ("ls",), ("/usr/bin/sudo", "ls"),
    ("env", "sudo", "rm", "-rf", "x"), ("python3", "-c", "pass"), ("rm", "-rf", "x"), ("Git",),
    ("env", "-S", "sudo rm x"), ("rm", "-rf", "/"),
)  # fmt: skip
COMMAND_PATTERNS: Final = (
    ["git"], ["git", "status"], ["ls"], ["sudo"], ["rm", "-rf"], ["env"], ["python3", "-c"],
    ["push", "--force"], ["/usr/bin/sudo"], ["rm", "-rf", "/"],
)  # fmt: skip
REFS: Final = (
    "refs/heads/main", "refs/heads/feature/x", "refs/heads/feature/x/y", "refs/tags/v1", "main",
    "refs/heads/fëature", "refs/heads/main2",
)  # fmt: skip
REF_PATTERNS: Final = (
    "refs/heads/main", "refs/heads/*", "refs/heads/**", "refs/heads/feature/*", "refs/**", "**",
    "refs/heads/f*", "refs/tags/*",
)  # fmt: skip
TOOL_PATTERNS: Final = ("fs.*", "*", "fs.read", "net.*", "git.*", "**", "x.*", "*.run", "fs/*")
PATTERNS: Final[dict[str, tuple[Any, ...]]] = {
    "path": PATH_PATTERNS,
    "host": HOST_PATTERNS,
    "cmd": COMMAND_PATTERNS,
    "ref": REF_PATTERNS,
    "tool": TOOL_PATTERNS,
}
VALUES: Final[dict[str, tuple[Any, ...]]] = {
    "path": RESOLVED,
    "host": HOSTS,
    "cmd": COMMANDS,
    "ref": REFS,
}
TOOLS: Final = {
    "read_files": ("fs.read", "fs/read", "x.lesen-ü"),
    "write_files": ("fs.write",),
    "edit_files": ("fs.edit",),
    "run_bash": ("shell.run",),
    "glob_search": ("fs.glob",),
    "grep_search": ("fs.grep",),
    "web_search": ("net.search",),
    "web_fetch": ("net.fetch", "net.fetch2"),
    "git_commit": ("git.commit",),
    "git_push": ("git.push",),
    "create_pr": ("git.pr",),
    "manage_pods": ("pods.apply",),
    "spawn_agent": ("agent.spawn",),
}
# Those that touch the rarer kinds of resource more often than others.
OPERATIONS: Final = (
    *names.OPERATIONS,
    *["run_bash"] * 5,
    *["git_push", "git_commit", "create_pr"] * 2,
)
SCALARS: Final = (
    0,
    1,
    5,
    -3,
    7.5,
    True,
    None,
    "",
    "abc",
    "abcdef",
    "日本",
    "/srv/data/a.txt",
    10**9,
)


def random_call(r: Random) -> Call:
    """A call as a proxy would make it: well formed, of any operation, mostly resolved."""
    operation = r.choice(OPERATIONS)
    resources: dict[str, tuple[Any, ...] | None] = {}
    args: dict[str, Any] = {}
    selectors = []
    for kind in MAY_TOUCH[operation].split():
        if kind in ("host", "ref") and operation == "run_bash" and r.random() < 0.5:
            resources[kind] = ()
            continue
        value = r.choice(VALUES[kind])
        resources[kind] = (value,)
        args[kind] = list(value) if isinstance(value, tuple) else value
        if kind == "path" and r.random() < 0.25:
            args[kind] = "/srv/link"  # a symlink: the proxy resolved it
        selectors.append(Selector(f"/{kind}", kind, value))
    if r.random() < 0.5:
        args["n"] = r.choice((0, 1, 5, 99))
        selectors += [Selector("/n", "amount", args["n"])] * (r.random() < 0.5)
    if r.random() < 0.4:
        args["opts"] = {"dest": r.choice(RESOLVED), "tags": ["a", r.choice(SCALARS)]}
        selectors += [Selector("/opts/dest", "id", args["opts"]["dest"])] * (r.random() < 0.3)
    return world.call(
        r.choice(TOOLS[operation]),
        operation,
        args,
        resources=resources,
        selectors=selectors if r.random() < 0.95 else (),
        costs={u: r.choice((0, 1, 5)) for u in UNITS[1:] if r.random() < 0.7},
    )


def varied(r: Random, home: Call) -> Call:
    """The call with some of it changed, sometimes into what no honest proxy hands over."""
    call = home
    if r.random() < 0.2:
        kind = r.choice([*MAY_TOUCH[names.OPERATIONS[home.operation]].split()])
        call = replace(call, resources={**call.resources, kind: _values(r, kind)})
    if r.random() < 0.08:
        call = replace(call, args=_changed_args(r, home.args))
    if r.random() < 0.05:
        call = replace(call, tool=r.choice(TOOLS[r.choice(names.OPERATIONS)]))
    if r.random() < 0.12:
        call = replace(call, projects=r.randrange(8))
    if r.random() < 0.25:
        observed, ttl = r.choice(((0, 0), (NOW - 10, 3600), (NOW - 4000, 3600)))
        call = replace(call, label=r.choice(LABELS), observed=observed, ttl=ttl)
    if r.random() < 0.1:
        call = replace(call, sink=r.choice((*range(len(algebra.SINKS)), -1, 19, 31)))
    if r.random() < 0.05:
        call = replace(call, costs={u: r.choice((-1, 0, 10**7)) for u in UNITS})
    if r.random() < 0.02:
        call = replace(call, operation=r.choice((-1, 13, 99, r.randrange(13))))
    if r.random() < 0.02:
        call = replace(call, bad_declassification=True)
    return call


def _values(r: Random, kind: str) -> tuple[Any, ...] | None:
    chance = r.random()
    if chance < 0.08:
        return None
    if chance < 0.16:
        return ()
    if chance < 0.35 and kind == "path":
        return (r.choice(UNRESOLVED),)
    if chance < 0.35 and kind == "host":
        return (r.choice(BAD_HOSTS),)
    if chance < 0.5:
        return (r.choice(VALUES[kind]), r.choice(VALUES[kind]))
    return (r.choice(VALUES[kind]),)


def _changed_args(r: Random, args: dict[str, Any]) -> Any:
    changed = dict(args)
    chance = r.random()
    if chance < 0.05:
        return r.choice(([], {}, [1, {"n": 2}]))
    if chance < 0.3 and changed:
        del changed[r.choice(sorted(changed))]
    elif chance < 0.5:
        changed[r.choice(("extra", "force", "N", "a/b", "~x"))] = r.choice(SCALARS)
    elif chance < 0.7 and "opts" in changed:
        changed["opts"] = {**changed["opts"], r.choice(("dest", "sub")): r.choice(({}, [], "x"))}
    elif changed and "n" in changed and r.random() < 0.5:
        changed["n"] = {0: False, 1: True}.get(changed["n"], float(changed["n"]))
    elif changed:
        changed[r.choice(sorted(changed))] = r.choice(SCALARS)
    return changed


# Caveats --------------------------------------------------------------------------------------


def random_caveat(r: Random, kind: str, home: Call) -> list[Any]:
    """A caveat of this kind which the home call often passes. `delegate` needs a key: not here."""
    operation = names.OPERATIONS[home.operation]
    if kind == "exp":
        return [
            "exp",
            NOW
            + (r.choice((0, 0, 1, -1, -100)) if r.random() < 0.1 else r.choice((600, 1800, 3000))),
        ]
    if kind == "nbf":
        return [
            "nbf",
            NOW + (r.choice((61, 61, 600)) if r.random() < 0.1 else r.choice((-600, 0, 59, 60))),
        ]
    if kind in ("cap", "only"):
        # A list: a set would say in which order levels are drawn, another one in each process.
        chosen = [op for op in names.OPERATIONS if r.random() < 0.3]
        said = {op: r.choice(names.LEVELS) for op in chosen}
        if r.random() < 0.93:
            said[operation] = r.choice(("low_risk", "always", "always"))
        return [kind, said]
    if kind == "arg":
        return _arg(r, home)
    if kind == "budget":
        return ["budget", r.choice(UNITS), r.choice((0, 1, 5, 50, 50, 50, 50, 10**6, 10**6))]
    if kind == "exposure":
        return ["exposure", sorted({leg for leg in names.EXPOSURES if r.random() < 0.9})]
    if kind == "approve":
        chosen = {op for op in names.OPERATIONS if r.random() < 0.15}
        return ["approve", sorted(chosen | ({operation} if r.random() < 0.4 else set()))]
    if kind == "link":
        return ["link", r.randbytes(16).hex()]
    return _scope(r, kind, home)


def _scope(r: Random, kind: str, home: Call) -> list[Any]:
    pool = PATTERNS[kind]
    sense = "in" if r.random() < 0.7 else "not"
    values = (home.tool,) if kind == "tool" else home.resources.get(kind) or ()
    chosen = [r.choice(pool) for _ in range(r.choice((0, 1, 1, 2, 3)))]
    if sense == "in":
        if r.random() < 0.92:
            chosen += [_around(r, kind, value) for value in values]
    elif r.random() < 0.75:
        # What blocks the home call shows little: keep what leaves it alone, mostly.
        chosen = [p for p in chosen if not any(_near(kind, p, value) for value in values)]
    unique = {tuple(p) if kind == "cmd" else p for p in chosen}
    return [kind, sense, [list(p) if kind == "cmd" else p for p in sorted(unique)]]


def _around(r: Random, kind: str, value: Any) -> Any:
    """A pattern this value matches."""
    if kind == "cmd":
        return list(value[: r.randint(1, len(value))])
    if kind == "host":
        return r.choice((value, value if "[" in value else "*." + value.split(".", 1)[-1]))
    if kind == "tool":
        return r.choice((value, "**"))
    if kind == "path":
        exact = value if "*" not in value else "/srv"
        parent = value.rpartition("/")[0]
        return r.choice((exact, parent if "*" not in parent and parent else "/", "/srv/**", "/"))
    return r.choice((value, "**", value.rpartition("/")[0] + "/*" if "/" in value else "*"))


def _near(kind: str, pattern: Any, value: Any) -> bool:
    """Roughly whether they have to do with each other."""
    parts = pattern if kind == "cmd" else [pattern.replace("*", "").strip("/.")]
    whole = " ".join(value) if kind == "cmd" else value
    return any(part in whole for part in parts)


def _arg(r: Random, home: Call) -> list[Any]:
    tool = r.choice(("*", "*", home.tool, home.tool, "other"))
    rules: dict[str, list[Any]] = {}
    for key, value in home.args.items():
        if r.random() < 0.03:
            continue
        if isinstance(value, dict) and r.random() < 0.5:
            rules |= {f"/{key}/{k}": _rule(r, v) for k, v in value.items()}
        else:
            rules[f"/{key}"] = _rule(r, value)
    if r.random() < 0.08:
        rules[r.choice(("/extra", "/a~1b", "/~0x", "/opts/tags/1"))] = r.choice(
            (["any"], ["length", 0, 3])
        )
    if r.random() < 0.03:
        rules = {"": ["any"]}
    return ["arg", tool, rules]


def _rule(r: Random, value: Any) -> list[Any]:
    """A rule this value mostly satisfies."""
    if r.random() < 0.35 or value is None:
        return ["any"]
    if r.random() < 0.03:
        return r.choice((["equals", "nothing"], ["range", 100, None], ["length", 50, 60]))
    if isinstance(value, str):
        choices: list[list[Any]] = [
            ["equals", value],
            ["one-of", ["other", value]],
            ["prefix", value[:2]],
            ["length", 0, len(value)],
        ]
        if value.startswith("/") and "*" not in value:
            choices += [["subpath", value], ["subpath", "/"], ["subpath", "/srv"]]
        return r.choice(choices)
    if isinstance(value, bool):
        return ["equals", value]
    if isinstance(value, int):
        return r.choice(
            (["equals", value], ["range", 0, 1000], ["range", None, value], ["one-of", [value]])
        )
    return ["length", 0, 10]
