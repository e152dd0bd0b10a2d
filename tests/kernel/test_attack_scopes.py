"""Somebody reaches beside the scope: with dots, links, look-alikes, wrappers, ports and cases."""

from __future__ import annotations

from typing import Any

import pytest

from nucleus_verifier.decision import Allow
from nucleus_verifier.facts import Call, Selector
from tests.support import world
from tests.support.judging import denied, judge

ANY = world.mint()


def passes(caveat: list[Any], call: Call) -> bool:
    decision = judge(world.narrow(world.mint(world.all_levels()), caveat), call)
    if isinstance(decision, Allow):
        return True
    return getattr(decision, "step", 13) > 10


def reads(caveat: list[Any], path: Any) -> bool:
    return passes(caveat, world.call("fs.read", "read_files", resources={"path": (path,)}))


def runs(caveat: list[Any], *argv: str) -> bool:
    return passes(caveat, world.bash(*argv, projects=0))


def fetches(caveat: list[Any], host: str) -> bool:
    return passes(caveat, world.fetch(host))


def pushes(caveat: list[Any], ref: str) -> bool:
    return passes(caveat, world.push(ref))


# Paths ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/srv/out/../etc/passwd",
        "/srv/out/../../etc/passwd",
        "/srv/out/..",
        "/srv/out/./a",
        "/srv/out/.",
        "/srv/out//a",
        "/srv/out/",
        "srv/out/a",
        "./srv/out/a",
        "~/a",
        "",
        "/srv/out/a\0.txt",
        "/srv/out/" + "a/" * 200 + "a",
        "/srv/out/" + "a" * 5000,
        None,
        5,
        b"/srv/out/a",
        ["/srv/out/a"],
    ],
)
@pytest.mark.parametrize(
    "caveat", [["path", "in", ["/"]], ["path", "not", ["/etc"]], ["path", "in", ["**"]]]
)
def test_what_is_not_resolved_is_not_judged(path: Any, caveat: list[Any]) -> None:
    """Dots and doubled slashes are the proxy's to resolve; here they are a refusal, even where
    everything is permitted."""
    assert not reads(caveat, path)


@pytest.mark.parametrize(
    "path",
    [
        "/srv/output-x",
        "/srv/out.txt",
        "/srv/ou",
        "/srv",
        "/",
        "/SRV/out",
        "/srv/Out/a",
        "/x/srv/out",
    ],
)
def test_a_prefix_is_not_a_parent(path: str) -> None:
    assert not reads(["path", "in", ["/srv/out"]], path)


@pytest.mark.parametrize(
    "path", ["/srv/out", "/srv/out/a", "/srv/out/a/b/c", "/srv/out/..a", "/srv/out/…"]
)
def test_what_lies_below_passes(path: str) -> None:
    assert reads(["path", "in", ["/srv/out"]], path)


@pytest.mark.parametrize(
    ("pattern", "path", "inside"),
    [
        ("/srv/*", "/srv/a", True),
        ("/srv/*", "/srv/a/b", False),
        ("/srv/*", "/srv", False),
        ("/srv/**", "/srv", True),
        ("/srv/**", "/srv/a/b", True),
        ("/srv/**", "/srvx/a", False),
        ("/srv/*.txt", "/srv/a.txt", True),
        ("/srv/*.txt", "/srv/a.txt.sh", False),
        ("/srv/*.txt", "/srv/a/b.txt", False),
        ("/srv/**/b/*.txt", "/srv/a/x/b/c.txt", True),
        ("/srv/**/b/*.txt", "/srv/b/c.txt", True),
        ("/srv/**/b/*.txt", "/srv/a/xb/c.txt", False),
        ("**/a", "/x/y/a", True),
        ("/srv/a*b*c", "/srv/aXbYc", True),
        ("/srv/a*b*c", "/srv/acb", False),
        ("/srv/a*a", "/srv/a", False),
        ("/srv/[ab]", "/srv/a", False),
        ("/srv/[ab]", "/srv/[ab]", True),
        ("/srv/a?", "/srv/ab", False),
        ("/srv/a.b", "/srv/axb", False),
        ("/srv/\\*", "/srv/\\x", True),
    ],
)
def test_wildcards_stay_in_their_segment(pattern: str, path: str, inside: bool) -> None:
    assert reads(["path", "in", [pattern]], path) == inside


@pytest.mark.parametrize(
    "path",
    [
        "/home/u/.ssh/id_rsa",
        "/home/u/.SSH/id_rsa",
        "/home/u/.Ssh/ID_RSA",
        "/HOME/u/.ssh/id_rsa",
        "/home/u/.ssh",
    ],
)
@pytest.mark.parametrize(
    "pattern", ["/**/.ssh/**", "**/.ssh", "/home/*/.ssh", "/home/u/.ssh", "/home"]
)
def test_what_is_blocked_is_blocked_in_every_case_and_below(path: str, pattern: str) -> None:
    assert not reads(["path", "not", [pattern]], path)


def test_case_folding_blocks_what_a_file_system_may_fold() -> None:
    assert not reads(["path", "not", ["/straße"]], "/STRASSE/a")
    assert not reads(["path", "not", ["/kelvin"]], "/\u212aelvin")
    # Allowing folds nothing.
    assert not reads(["path", "in", ["/srv/Data"]], "/srv/data/a")


def test_an_empty_list_permits_nothing() -> None:
    """`in []` is nothing, not everything; `not []` blocks nothing."""
    for kind, call in (
        ("path", world.read()),
        ("host", world.fetch()),
        ("cmd", world.bash("ls")),
        ("ref", world.push()),
        ("tool", world.read()),
    ):
        denied(judge(world.narrow(ANY, [kind, "in", []]), call), 10, "scope.outside")
        assert passes([kind, "not", []], call)


@pytest.mark.parametrize("unknown", [{}, {"path": None}])
def test_what_is_not_known_is_outside(unknown: dict[str, Any]) -> None:
    call = world.read(resources=unknown)
    for caveat in (["path", "in", ["/"]], ["path", "not", ["/etc"]], ["path", "in", []]):
        denied(judge(world.narrow(ANY, caveat), call), 10, "scope.unknown")


def test_one_path_outside_is_enough() -> None:
    call = world.read(resources={"path": ("/srv/a", "/etc/passwd", "/srv/b")})
    denied(judge(world.narrow(ANY, ["path", "in", ["/srv"]]), call), 10, "scope.outside")


def test_a_binding_that_names_more_than_its_operation_may_touch() -> None:
    """A download that also writes a file is held against path scopes, though web_fetch is not."""
    call = world.fetch(resources={"host": ("example.org",), "path": ("/etc/cron.d/x",)})
    denied(judge(world.narrow(ANY, ["path", "not", ["/etc"]]), call), 10, "scope.outside")
    unknown = world.fetch(resources={"host": ("example.org",), "path": None})
    denied(judge(world.narrow(ANY, ["path", "not", ["/etc"]]), unknown), 10, "scope.unknown")


def test_a_link_judged_by_what_it_leads_to() -> None:
    """Inside as an argument, outside as a resource."""
    link = world.call(
        "fs.read",
        "read_files",
        {"path": "/srv/out/link"},
        resources={"path": ("/etc/passwd",)},
        selectors=[Selector("/path", "path", "/etc/passwd")],
    )
    denied(judge(world.narrow(ANY, ["path", "in", ["/srv/out"]]), link), 10, "scope.outside")
    rule = ["arg", "fs.read", {"/path": ["subpath", "/srv/out"]}]
    denied(judge(world.narrow(ANY, rule), link), 10, "scope.arguments")


# Hosts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "evil-example.org",
        "evilexample.org",
        "example.org.evil.net",
        "example.orgx",
        "xample.org",
        "example.org:99999",
        "example.org:0",
        "example.org:080",
        "example.org:",
        "example.org.",
        "example.org..",
        ".example.org",
        "EXAMPLE.ORG",
        "user@example.org",
        "user:pass@example.org",
        "evil.net/example.org",
        "evil.net#example.org",
        "evil.net?example.org",
        "evil.net\\example.org",
        "example.org%00.evil.net",
        "example.org\0",
        "exаmple.org",  # a Cyrillic letter
        "example。org",
        "http://example.org",
        " example.org",
        "",
        "a:000001" + "1" * 5000,
    ],
)
@pytest.mark.parametrize("pattern", ["example.org", "*.example.org"])
def test_a_host_that_only_looks_right(host: str, pattern: str) -> None:
    assert not fetches(["host", "in", [pattern]], host)


@pytest.mark.parametrize(
    ("pattern", "host", "inside"),
    [
        ("example.org", "example.org", True),
        ("example.org", "example.org:8443", True),
        ("example.org", "api.example.org", False),
        ("*.example.org", "api.example.org", True),
        ("*.example.org", "a.b.example.org:443", True),
        ("*.example.org", "example.org", False),
        ("example.org:443", "example.org:443", True),
        ("example.org:443", "example.org:8443", False),
        ("example.org:443", "example.org", False),
        ("example.org:443", "example.org:4430", False),
        ("[::1]", "[::1]:8080", True),
        ("[::1]:80", "[::1]:8080", False),
        ("10.0.0.1", "10.0.0.10", False),
        ("10.0.0.1", "110.0.0.1", False),
    ],
)
def test_hosts_and_ports(pattern: str, host: str, inside: bool) -> None:
    assert fetches(["host", "in", [pattern]], host) == inside


@pytest.mark.parametrize(
    ("pattern", "host"),
    [
        ("evil.net", "evil.net:8443"),
        ("evil.net:443", "evil.net:443"),
        ("evil.net:443", "evil.net"),
        ("*.evil.net", "a.evil.net:1"),
        ("[::1]", "[::1]"),
        ("[::1]", "[::1]:8080"),
        ("evil.net", "EVIL.net"),
        ("evil.net", "evil.net."),
        ("evil.net", "user@evil.net"),
    ],
)
def test_a_blocked_host_stays_blocked(pattern: str, host: str) -> None:
    assert not fetches(["host", "not", [pattern]], host)


def test_another_port_than_the_blocked_one_is_free() -> None:
    assert fetches(["host", "not", ["evil.net:443"]], "evil.net:80")


# Commands and refs ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "argv",
    [
        ("sudo", "x"),
        ("/usr/bin/sudo", "x"),
        ("./sudo", "x"),
        ("env", "sudo", "x"),
        ("env", "-i", "A=1", "/bin/sudo", "x"),
        ("env", "-S", "sudo x"),
        ("sh", "-c", "sudo x"),
        ("sh", "-c", "true; /usr/bin/sudo x"),
        ("xargs", "-a", "list", "sudo"),
        ("nice", "-n", "1", "nohup", "timeout", "9", "sudo"),
        ("git", "-c", "alias.x=! sudo x", "x"),
    ],
)
@pytest.mark.parametrize("blocked", [["sudo"], ["/usr/bin/sudo"]])
def test_a_wrapper_does_not_hide_a_blocked_program(
    argv: tuple[str, ...], blocked: list[str]
) -> None:
    assert not runs(["cmd", "not", [blocked]], *argv)


@pytest.mark.parametrize(
    "argv",
    [
        ("rm", "-rf", "/"),
        ("rm", "-v", "-rf", "--", "/"),
        ("/bin/rm", "-rf", "/"),
        ("env", "rm", "-rf", "/"),
        ("sh", "-c", "rm -rf /"),
    ],
)
def test_blocked_words_in_their_order(argv: tuple[str, ...]) -> None:
    assert not runs(["cmd", "not", [["rm", "-rf", "/"]]], *argv)


@pytest.mark.parametrize("argv", [("-rf", "rm"), ("rm",), ("/bin/rm", "x", "f")])
def test_words_in_another_order_are_another_command(argv: tuple[str, ...]) -> None:
    """Over-blocking is safe; blocking everything that has the words in it is not what was said."""
    assert runs(["cmd", "not", [["rm", "-rf"]]], *argv)
    assert not runs(["cmd", "not", [["rm", "-rf"]]], *argv, "rm", "-rf")


@pytest.mark.parametrize(
    "argv",
    [
        ("git", "push"),
        ("git-status",),
        ("/opt/evil/git", "status"),
        ("env", "git", "status"),
        ("git",),
        ("GIT", "status"),
    ],
)
def test_an_allowed_command_is_these_words_at_the_start(argv: tuple[str, ...]) -> None:
    """Another program of the same name in another place is another program."""
    assert not runs(["cmd", "in", [["git", "status"]]], *argv)
    assert runs(["cmd", "in", [["git", "status"]]], "git", "status", "-s")


@pytest.mark.parametrize("value", [(), ["ls"], "ls", None, ("ls", 5), ("ls", None)])
def test_a_command_that_is_no_argument_vector(value: Any) -> None:
    call = world.bash("ls", resources={"cmd": (value,)}, projects=0)
    for caveat in (["cmd", "not", [["sudo"]]], ["cmd", "in", [["ls"]]]):
        denied(judge(world.narrow(ANY, caveat), call), 10, "scope.outside")


@pytest.mark.parametrize(
    ("pattern", "ref", "inside"),
    [
        ("refs/heads/main", "refs/heads/main", True),
        ("refs/heads/main", "refs/heads/main2", False),
        ("refs/heads/main", "refs/heads/main/x", False),
        ("refs/heads/main", "main", False),
        ("refs/heads/*", "refs/heads/x", True),
        ("refs/heads/*", "refs/heads/x/y", False),
        ("refs/heads/*", "refs/headsx/y", False),
        ("refs/heads/**", "refs/heads/x/y", True),
        ("refs/heads/f*", "refs/heads/feature", True),
        ("refs/heads/f*", "refs/heads/f/x", False),
        ("refs/heads/f*", "refs/tags/f", False),
        ("**", "anything/at/all", True),
        ("main", "refs/heads/main", False),
    ],
)
def test_refs(pattern: str, ref: str, inside: bool) -> None:
    assert pushes(["ref", "in", [pattern]], ref) == inside
    assert pushes(["ref", "not", [pattern]], ref) != inside


@pytest.mark.parametrize(
    ("pattern", "tool", "inside"),
    [
        ("fs.*", "fs.read", True),
        ("fs.*", "fs", False),
        ("fs.*", "fsx.read", False),
        ("fs.*", "FS.read", False),
        ("fs.*", "fs.read/x", False),
        ("fs.read", "fs.read ", False),
        ("fs.read", "fs.read_all", False),
        ("*", "a/b", False),
    ],
)
def test_tools(pattern: str, tool: str, inside: bool) -> None:
    assert passes(["tool", "in", [pattern]], world.read(tool=tool)) == inside
