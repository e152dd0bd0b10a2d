"""A call is what its binding and its resolved arguments make it, never what the agent says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from nucleus_proxy import binding, policy, resolve
from nucleus_proxy.binding import BoundCall, Hints
from nucleus_tokens import canonical, labelling, labels, names
from nucleus_tokens.exposure import ALL, PRIVATE_DATA, UNTRUSTED_CONTENT
from nucleus_verifier import resources
from nucleus_verifier.choosing import SelectorRule, chosen

TOOLS = policy.parse(
    b"""
version = 1
[tools.read]
operation = "read_files"
selectors = { "/path" = "path" }
[tools.list]
operation = "glob_search"
selectors = { "/path" = { kind = "path", optional = true } }
[tools.add]
operation = "git_commit"
selectors = { "/repo" = "path", "/files" = { kind = "path", base = "/repo" } }
payload = ["/message", "/meta/note"]
[tools.fetch]
operation = "web_fetch"
selectors = { "/url" = "url" }
[tools.fetch_ours]
operation = "web_fetch"
selectors = { "/url" = "url" }
trusted_sink = true
[tools.push]
operation = "git_push"
selectors = { "/remote" = "host", "/branch" = "ref" }
[tools.run]
operation = "run_bash"
selectors = { "/argv" = "argv" }
[tools.mail]
operation = "create_pr"
sink = "email_send"
selectors = { "/to" = "recipient" }
adds = ["private_data"]
costs = { micro_usd = 7 }
"""
).tools

SILENT = Hints()


def _bind(tool: str, args: Any, cwd: str = "/", said: Hints = SILENT) -> BoundCall:
    return binding.bind(tool, args, TOOLS.get(tool), said, cwd)


def _selectors(call: BoundCall) -> list[tuple[str, str, Any]]:
    return [(s.pointer, s.kind, s.value) for s in call.selectors]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = Path(os.path.realpath(tmp_path))
    (root / "repo" / "sub").mkdir(parents=True)
    (root / "repo" / "a.txt").write_text("a")
    (root / "repo" / "b (deleted)").write_text("its name only looks like one that is gone")
    (root / "secret").write_text("s")
    (root / "repo" / "out").symlink_to(root / "secret")
    (root / "repo" / "up").symlink_to(root)
    (root / "repo" / "alias").symlink_to(root / "repo" / "sub")
    (root / "repo" / "loop").symlink_to(root / "repo" / "loop")
    return root


def test_a_path_is_where_opening_it_leads(tree: Path) -> None:
    repo = str(tree / "repo")
    for given, found in {
        "a.txt": f"{repo}/a.txt",
        "./sub/../a.txt": f"{repo}/a.txt",
        f"{repo}/a.txt": f"{repo}/a.txt",
        "b (deleted)": f"{repo}/b (deleted)",
        "sub/": f"{repo}/sub",
        f"/proc/self/root{repo}/out": f"{tree}/secret",
        "out": f"{tree}/secret",
        "up/secret": f"{tree}/secret",
        "alias/new": f"{repo}/sub/new",
        "alias/../a.txt": f"{repo}/a.txt",
        "not/yet/there": f"{repo}/not/yet/there",
        "../secret": f"{tree}/secret",
        "..": str(tree),
        "/": "/",
        "//etc": "/etc",
    }.items():
        assert resolve.path(given, repo) == found, given


@pytest.mark.parametrize(
    "given",
    ["loop", "loop/x", "a.txt/", "a.txt/x", "/proc/self/fd/0/x", "up/../a.txt", "~/x",
     "file:///etc/passwd", " a.txt", '"a.txt"', "a\\b", "a\0b", "a\nb", "", "e\u0301", None, 7,
     {"p": 1}, "a/" * 3000],
)  # fmt: skip
def test_a_path_that_could_be_read_in_two_ways_is_not_known(tree: Path, given: Any) -> None:
    assert resolve.path(given, str(tree / "repo")) is None


def test_an_unknown_path_is_an_unknown_resource_and_has_no_evidence(tree: Path) -> None:
    call = _bind("read", {"path": "up/../a.txt"}, str(tree / "repo"))
    assert call.resources == {"path": None}
    assert _selectors(call) == [("/path", "path", None)]


def test_a_selector_left_out_is_unknown_unless_the_binding_says_optional() -> None:
    assert _bind("read", {}).resources == {"path": None}
    assert _selectors(_bind("read", {})) == [("/path", "path", None)]
    assert _bind("read", {"path": None}).resources == {"path": None}
    assert _bind("list", {}).resources == {"path": ()}
    assert _selectors(_bind("list", {})) == []


def test_a_list_of_paths_is_every_one_of_them_from_its_base(tree: Path) -> None:
    call = _bind("add", {"repo": str(tree / "repo"), "files": ["a.txt", "out"], "message": "m"})
    assert call.resources["path"] == (
        f"{tree}/repo", f"{tree}/repo/a.txt", f"{tree}/secret",
    )  # fmt: skip
    assert [s.pointer for s in call.selectors] == ["/repo", "/files/0", "/files/1"]
    call = _bind("add", {"repo": str(tree / "repo"), "files": ["a.txt", 5]})
    assert call.resources["path"] is None
    call = _bind("add", {"repo": "loop/x/", "files": ["a.txt"]}, str(tree / "repo"))
    assert call.resources["path"] is None
    call = _bind("add", {"repo": str(tree), "files": []})
    assert _selectors(call)[1] == ("/files", "path", None)


def test_one_that_is_not_known_makes_the_kind_not_known() -> None:
    """Whatever comes before it or after."""
    rules = [SelectorRule("/a", "host"), SelectorRule("/b", "host")]
    for args in ({"a": "300.0.0.1", "b": "x.org"}, {"a": "x.org", "b": "300.0.0.1"}):
        _, touched = chosen(rules, args, lambda rule, value: None, False)
        assert touched == {"host": None}


def test_resources_of_kinds_the_binding_does_not_name_are_absent() -> None:
    assert "ref" not in _bind("add", {"repo": "/x", "files": ["y"]}).resources
    assert set(_bind("push", {"remote": "Example.ORG", "branch": "main"}).resources) == {
        "host", "ref",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Example.org/a?b#c", "example.org"),
        ("https://example.org:443", "example.org"),
        ("http://example.org:443/", "example.org:443"),
        ("http://10.0.0.1:8080/x", "10.0.0.1:8080"),
        ("https://user@example.org/", None),
        ("https://example.org@evil.example/", None),
        ("https://example.org\\@evil.example/", None),
        ("https://example.org\t.evil.example/", None),
        ("https:///evil.example/", None),
        ("https:evil.example/", None),
        ("//evil.example/", None),
        ("https://ex\u0430mple.org/", None),
        ("https://example.org./", None),
        ("https://%65xample.org/", None),
        ("http://2130706433/", None),
        ("http://0x7f.1/", None),
        ("http://127.1/", None),
        ("http://0177.0.0.1/", None),
        ("http://300.0.0.1/", None),
        ("https://example.org:99999/", None),
        ("https://example.org:0/", None),
        ("ftp://example.org/", None),
        ("file:///etc/passwd", None),
        ("https://example.org/a b", None),
        (7, None),
    ],
)
def test_the_host_of_a_url(url: Any, host: str | None) -> None:
    assert resources.url_host(url) == host


def test_a_url_has_evidence_by_its_host_only_on_a_trusted_sink() -> None:
    url = "https://example.org/x?leak=1"
    assert _selectors(_bind("fetch", {"url": url})) == [("/url", "url", url)]
    assert _selectors(_bind("fetch_ours", {"url": url})) == [("/url", "host", "example.org")]
    assert _bind("fetch", {"url": url}).resources == {"host": ("example.org",)}
    assert _bind("fetch", {"url": url}).projects == 0b110
    assert _bind("fetch_ours", {"url": url}).projects == 0b010


@pytest.mark.parametrize(
    ("given", "ref"),
    [
        ("main", "main"),
        ("refs/heads/main", "main"),
        ("heads/main", "main"),
        ("feature/x-1", "feature/x-1"),
        ("refs/tags/v1", "refs/tags/v1"),
        ("HEAD", None), ("head", None), ("@", None), ("FETCH_HEAD", None), ("main~1", None),
        ("main^{}", None), ("@{-1}", None), ("a..b", None), ("+main", None), ("x:main", None),
        ("-f", None), ("deadbeef", None), ("ma*", None), ("", None), (None, None),
        ("main\n", None), ("a//b", None), (["main"], None),
    ],
)  # fmt: skip
def test_a_ref_is_a_name_and_no_expression(given: Any, ref: str | None) -> None:
    assert resources.ref(given) == ref


def test_a_command_is_words_and_never_a_line() -> None:
    call = _bind("run", {"argv": ["git", "status"]})
    assert call.resources == {"cmd": (("git", "status"),)}
    assert _bind("run", {"argv": "git status"}).resources == {"cmd": None}
    assert _bind("run", {"argv": []}).resources == {"cmd": None}
    assert _bind("run", {"argv": ["git", 1]}).resources == {"cmd": None}
    assert call.projects == ALL
    assert call.records == ALL


def test_what_nobody_declared_is_a_selector_without_evidence() -> None:
    call = _bind("read", {"path": "/a", "mode": "raw", "deep": {"x/y": 1, "z": 1.5}})
    assert _selectors(call)[1:] == [
        ("/mode", "undeclared", "raw"),
        ("/deep", "undeclared", None),
    ]
    call = _bind("add", {"repo": "/", "files": ["a"], "meta": {"note": "n", "a/b~": 2}})
    assert _selectors(call)[2:] == [("/meta/a~1b~0", "undeclared", 2)]
    call = _bind("add", {"repo": "/", "files": ["a"], "meta": "x"})
    assert _selectors(call)[2:] == [("/meta", "undeclared", "x")]


def test_a_name_with_two_spellings_stands_for_the_whole_arguments() -> None:
    """Else it would fold into a name for which the issuer vouched."""
    call = _bind("read", {"path": "/a", "e\u0301": "evil", "\u00e9": "good"})
    assert _selectors(call)[1:] == [("", "undeclared", None)]


def test_every_selector_can_be_spelled_in_a_record() -> None:
    hostile = {"path": "e\u0301", "e\u0301": "e\u0301", "f": 1.5, "n": None, "l": ["e\u0301"]}
    for tool in TOOLS:
        call = _bind(tool, hostile)
        canonical.encode([[s.pointer, s.kind, s.value] for s in call.selectors])


def test_an_unclassified_tool_has_no_operation() -> None:
    call = _bind("rm_rf", {})
    assert call.operation not in range(len(names.OPERATIONS))
    assert not call.classified


def test_labels_come_from_the_cells() -> None:
    call = _bind("mail", {"to": "x@example.org"})
    assert call.at(0).label == labelling.MODEL_PLAN
    tainted = call.at(UNTRUSTED_CONTENT).label
    assert labels.integ(tainted) == labels.ADVERSARIAL
    assert labels.authority(tainted) == labels.NO_AUTHORITY
    assert labels.conf(call.at(PRIVATE_DATA).label) >= labels.INTERNAL
    assert call.costs == {"micro_usd": 7}


def test_a_binding_adds_exposure_and_a_server_can_add_more() -> None:
    base = _bind("mail", {"to": "x"})
    assert base.records & PRIVATE_DATA
    assert base.projects & PRIVATE_DATA
    told = _bind("mail", {"to": "x"}, said=Hints(open_world=True))
    assert told.records == base.records | UNTRUSTED_CONTENT
    assert told.projects == base.projects | UNTRUSTED_CONTENT


@pytest.mark.parametrize(
    ("annotations", "tool", "said"),
    [
        ({"destructiveHint": True}, "read", Hints(obliged=True)),
        ({"readOnlyHint": False}, "read", Hints(obliged=True)),
        ({"readOnlyHint": False}, "fetch", Hints(obliged=True)),
        ({"readOnlyHint": False, "destructiveHint": True}, "add", Hints()),
        ({"readOnlyHint": True, "destructiveHint": False}, "add", Hints()),
        ({"openWorldHint": True}, "read", Hints(open_world=True)),
        ({"openWorldHint": False}, "fetch", Hints()),
        ({"destructiveHint": "true"}, "read", Hints()),
        ({}, "read", Hints()),
        (None, "read", Hints()),
        ("x", "read", Hints()),
    ],
)
def test_what_a_server_says_of_itself_only_makes_it_stricter(
    annotations: Any, tool: str, said: Hints
) -> None:
    assert binding.hints(annotations, TOOLS[tool]) == said
