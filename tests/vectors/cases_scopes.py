"""The valid vectors about scopes, levels and arguments, and the calls that the others share."""

from __future__ import annotations

from typing import Any

from tests.vectors.frozen import allow, deny, token
from tests.vectors.writer import Chain

OUT: dict[str, Any] = {"resources": {"path": ["/srv/secret/a.txt"]}}
SUBPATH: list[Any] = ["path", "in", ["/srv/data"]]


def levels(**given: str) -> list[Any]:
    return ["only", given]


def _call(
    operation: str, tool: str, sink: str, args: Any, resources: dict[str, Any], *selected: list[Any]
) -> dict[str, Any]:
    legs: dict[str, list[str]] = {
        "web_fetch": ["untrusted_content", "exfil_vector"],
        "git_push": ["exfil_vector"],
        "run_bash": ["private_data", "untrusted_content", "exfil_vector"],
    }
    projects = legs.get(operation, [])
    return {
        "args": args,
        "operation": operation,
        "projects": projects,
        "records": projects,
        "resources": resources,
        "selectors": list(selected),
        "sink": sink,
        "tool": tool,
    }


def fetch(host: str) -> dict[str, Any]:
    return _call(
        "web_fetch", "net.fetch", "http_egress", {"host": host}, {"host": [host]},
        ["/host", "host", host],
    )  # fmt: skip


def bash(*argv: str) -> dict[str, Any]:
    made = _call(
        "run_bash", "shell.run", "bash_exec", {"argv": list(argv)}, {"cmd": [list(argv)]},
        ["/argv", "cmd", list(argv)],
    )  # fmt: skip
    return {**made, "projects": [], "records": []}


def push(ref: str) -> dict[str, Any]:
    return _call(
        "git_push", "git.push", "git_push", {"ref": ref},
        {"host": ["git.example.org"], "path": ["/srv/data"], "ref": [ref]}, ["/ref", "ref", ref],
    )  # fmt: skip


def write(path: str, content: str = "x") -> dict[str, Any]:
    return _call(
        "write_files", "fs.write", "workspace_write", {"content": content, "path": path},
        {"path": [path]}, ["/path", "path", path],
    )  # fmt: skip


def scopes(add: Any) -> None:
    path = token(SUBPATH)
    add("path-in", path, allow(), "A path without a star admits what lies below it.")
    add(
        "path-in-outside", path, deny(10, "scope.outside", ("caveat", 1)),
        "Another directory.", call=OUT,
    )  # fmt: skip
    add(
        "path-in-sibling", path, deny(10, "scope.outside", ("caveat", 1)),
        "/srv/data does not admit /srv/database: paths match by segment, not by string.",
        call={"resources": {"path": ["/srv/database"]}},
    )  # fmt: skip
    add(
        "path-unresolved", path, deny(10, "scope.outside", ("caveat", 1)),
        "A path with `..` in it was not resolved: it matches nothing, whatever it starts with.",
        call={"resources": {"path": ["/srv/data/../secret"]}},
    )  # fmt: skip
    add(
        "path-unknown", path, deny(10, "scope.unknown", ("caveat", 1)),
        "A scope whose resource is not known denies; a missing value is not an empty list.",
        call={"resources": {}},
    )  # fmt: skip
    add(
        "path-disjoint", token(SUBPATH, ["path", "in", ["/srv/docs"]]),
        deny(10, "scope.outside", ("caveat", 2)),
        "Two scopes both hold, so nothing passes. Intersecting pattern strings once gave a list "
        "that permitted /etc/passwd.",
    )  # fmt: skip
    add(
        "path-empty", token(["path", "in", []]), deny(10, "scope.outside", ("caveat", 1)),
        "An empty list permits nothing. Read as `no restriction` it would permit everything.",
    )  # fmt: skip
    add(
        "path-glob", token(["path", "in", ["/srv/**/b.txt", "/srv/*/a.txt"]]), allow(),
        "`*` stays within one segment.",
    )  # fmt: skip
    add(
        "path-glob-segment", token(["path", "in", ["/srv/*"]]),
        deny(10, "scope.outside", ("caveat", 1)), "`*` does not cross a slash.",
    )  # fmt: skip
    add(
        "path-not", token(["path", "not", ["/srv/**/*.KEY"]]),
        deny(10, "scope.outside", ("caveat", 1)),
        "Blocked patterns ignore case: a case-insensitive file system opens both spellings.",
        call={"resources": {"path": ["/srv/data/x.key"]}},
    )  # fmt: skip
    add(
        "path-unicode", token(["path", "in", ["/srv/caf\u00e9"]]), allow(),
        "Strings are UTF-8 in NFC, written as they are and not as \\u escapes.",
        call={"resources": {"path": ["/srv/caf\u00e9/men\u00fc"]}},
    )  # fmt: skip
    ceil = [levels(web_fetch="always")]
    host = token(["host", "in", ["*.example.org", "example.com:8443"]], ceil=ceil)
    add("host-wildcard", host, allow(), "`*.` admits names below.", call=fetch("a.example.org"))
    add(
        "host-wildcard-itself", host, deny(10, "scope.outside", ("caveat", 1)),
        "`*.example.org` is not example.org.", call=fetch("example.org"),
    )  # fmt: skip
    add(
        "host-suffix", host, deny(10, "scope.outside", ("caveat", 1)),
        "A suffix without the dot is another domain.", call=fetch("badexample.org"),
    )  # fmt: skip
    add(
        "host-case", host, deny(10, "scope.outside", ("caveat", 1)),
        "Hosts arrive in lower case; anything else was not resolved.", call=fetch("A.example.org"),
    )  # fmt: skip
    add(
        "host-port", host, deny(10, "scope.outside", ("caveat", 1)),
        "A pattern with a port does not admit the host without it.", call=fetch("example.com"),
    )  # fmt: skip
    ceil = [levels(run_bash="always")]
    cmd = token(["cmd", "in", [["git", "status"]]], ceil=ceil)
    add("cmd-prefix", cmd, allow(), "The vector starts with these words.",
        call=bash("git", "status", "-s"))  # fmt: skip
    add(
        "cmd-word", cmd, deny(10, "scope.outside", ("caveat", 1)),
        "Words are compared whole: `status` does not admit `statusx`.",
        call=bash("git", "statusx"),
    )  # fmt: skip
    add(
        "cmd-not", token(["cmd", "not", [["sudo"]]], ceil=ceil),
        deny(10, "scope.outside", ("caveat", 1)),
        "A blocked program is blocked behind another one and by any path.",
        call=bash("env", "/usr/bin/sudo", "id"),
    )  # fmt: skip
    ref = token(["ref", "in", ["refs/heads/topic/*"]], ceil=[levels(git_push="always")])
    add("ref-in", ref, allow(), "One segment below.", call=push("refs/heads/topic/a"))
    add(
        "ref-outside", ref, deny(10, "scope.outside", ("caveat", 1)), "Another ref.",
        call=push("refs/heads/main"),
    )  # fmt: skip
    tool = token(["tool", "in", ["fs.*"]])
    add("tool-in", tool, allow(), "`tool` applies to every call.")
    add(
        "tool-outside", tool, deny(10, "scope.outside", ("caveat", 1)), "Another tool.",
        call={"tool": "mail.read"},
    )  # fmt: skip
    add(
        "cap", token(["cap", {"write_files": "never"}]), allow(),
        "`cap` leaves the dimensions it does not name as they were.",
    )  # fmt: skip
    add(
        "cap-named", token(["cap", {"read_files": "never"}]), deny(9, "level.never"),
        "`cap` meets the one it names.",
    )  # fmt: skip
    add(
        "cap-cannot-raise", token(["cap", {"write_files": "always"}]), deny(9, "level.never"),
        "A level above the ceiling raises nothing: levels meet.", call=write("/srv/data/a.txt"),
    )  # fmt: skip
    add(
        "only", token(["only", {"write_files": "always"}]), deny(9, "level.never"),
        "`only` sets what it does not name to never: here that is everything the ceiling had.",
    )  # fmt: skip


def arguments(add: Any) -> None:
    def arg(**rules: Any) -> Chain:
        return token(["arg", "fs.read", {f"/{k.replace('_', '/')}": v for k, v in rules.items()}])

    outside = deny(10, "scope.arguments", ("caveat", 1))
    add("arg-equals", arg(path=["equals", "/srv/data/a.txt"]), allow(), "The exact string.")
    add(
        "arg-equals-type", arg(path=["any"], n=["equals", 1]), outside,
        "1 and true are two values to a tool, though equal in some languages.",
        call={"args": {"n": True, "path": "/srv/data/a.txt"}},
    )  # fmt: skip
    add("arg-one-of", arg(path=["one-of", ["/a", "/srv/data/a.txt"]]), allow(), "One of them.")
    add(
        "arg-prefix", arg(path=["prefix", "/srv/d"]), allow(), "A string prefix, and no more: no "
        "evidence about paths.",
    )  # fmt: skip
    add(
        "arg-subpath", arg(path=["subpath", "/srv/dat"]), outside,
        "subpath goes by segment.",
    )  # fmt: skip
    add(
        "arg-subpath-link", arg(path=["subpath", "/srv/data"]), outside,
        "subpath is judged on what the path resolved to: a link inside leads out by its name.",
        call={"selectors": [["/path", "path", "/etc/passwd"]]},
    )  # fmt: skip
    add(
        "arg-subpath-relative", arg(path=["subpath", "/srv/data"]), allow(),
        "And so a path that was spelled otherwise is inside where it resolved to.",
        call={"args": {"path": "a.txt"}},
    )  # fmt: skip
    add(
        "arg-range", arg(path=["any"], n=["range", 1, None]), allow(), "A bound may be absent.",
        call={"args": {"n": 1, "path": "x"}},
    )  # fmt: skip
    add(
        "arg-range-string", arg(path=["any"], n=["range", 1, None]), outside,
        "A number in a string is not in a range.", call={"args": {"n": "5", "path": "x"}},
    )  # fmt: skip
    add(
        "arg-length", arg(path=["length", None, 3]), outside, "Characters of a string, counted.",
    )  # fmt: skip
    add(
        "arg-missing", arg(path=["any"], n=["range", 0, 9]), outside,
        "A rule on an argument that is not there denies; it is not vacuously true.",
    )  # fmt: skip
    add(
        "arg-unnamed", arg(path=["any"]), outside,
        "Once a tool has an arg caveat, an argument that no rule names is denied: new parameters "
        "of a tool do not slip past old tokens.",
        call={"args": {"follow": True, "path": "/srv/data/a.txt"}},
    )  # fmt: skip
    add(
        "arg-nested", arg(path=["any"], o_a=["equals", None]), allow(), "A pointer into an object.",
        call={"args": {"o": {"a": None}, "path": "x"}},
    )  # fmt: skip
    add(
        "arg-nested-unnamed", arg(path=["any"], o_a=["equals", None]), outside,
        "The world is closed inside objects too.",
        call={"args": {"o": {"a": None, "b": 1}, "path": "x"}},
    )  # fmt: skip
    add(
        "arg-other-tool", token(["arg", "fs.write", {"/path": ["equals", "x"]}]), allow(),
        "Rules for another tool say nothing here.",
    )  # fmt: skip
    add(
        "arg-every-tool", token(["arg", "*", {"/path": ["equals", "x"]}]),
        deny(10, "scope.arguments", ("caveat", 1)), "`*` is every tool.",
    )  # fmt: skip
    add(
        "arg-pointer-escape", token(["arg", "*", {"/a~1b~0": ["equals", 1], "/path": ["any"]}]),
        allow(), "RFC 6901: ~1 is a slash and ~0 a tilde, in this order.",
        call={"args": {"a/b~": 1, "path": "x"}},
    )  # fmt: skip
