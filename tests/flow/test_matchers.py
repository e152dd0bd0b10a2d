"""Each kind of selector: what vouches for a value, and what is only nearly the value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nucleus_proxy.words import Words
from tests.flow.scene import Scene

# One benign case for every kind: (prompt, tool, arguments, the pointer that is tried).
BENIGN: list[tuple[str, str, dict[str, Any], str]] = [
    ("Send a mail to bob@example.com.", "mail", {"to": "bob@example.com"}, "/to"),
    ("Please write to Bob@Example.com, thanks", "mail", {"to": "bob@example.com"}, "/to"),
    ("send it to a@x.org and <b@x.org>", "mail", {"to": ["a@x.org", "b@x.org"]}, "/to/1"),
    (
        "Pay 1,080.50 to DE89370400440532013000",
        "pay",
        {"payee": "DE89370400440532013000", "amount": 1080.5},
        "/payee",
    ),
    (
        "Pay $12 to GB29 NWBK 6016 1331 9268 19.",
        "pay",
        {"payee": "GB29NWBK60161331926819", "amount": 12},
        "/amount",
    ),
    ("invite Ann Lee to the call", "invite", {"user": "ann lee"}, "/user"),
    ("post in #general please", "post", {"channel": "general", "body": "hi"}, "/channel"),
    (
        "book 'Team lunch' on 2026-05-20",
        "book",
        {"day": "2026-05-20", "title": "Team lunch"},
        "/day",
    ),
    ("book lunch on May 20th", "book", {"day": "2026-05-20 12:30", "title": "lunch"}, "/day"),
    ("book lunch on the 20th of May", "book", {"day": "2026-05-20", "title": "lunch"}, "/title"),
    ("book lunch today", "book", {"day": "2026-05-15", "title": "lunch"}, "/day"),
    ("my new password is `n3w-pa55word`", "login", {"password": "n3w-pa55word"}, "/password"),
    ("read https://example.com/a/B?x=1.", "get", {"url": "https://example.com/a/B?x=1"}, "/url"),
    ("read www.example.com/news", "get", {"url": "https://www.example.com/news"}, "/url"),
    ("look at example.com for it", "connect", {"host": "example.com"}, "/host"),
    ("look at http://example.com/x", "connect", {"host": "example.com"}, "/host"),
    ("fix docs/guide.md", "save", {"path": "docs/guide.md", "content": "x"}, "/path"),
    ("push to feature/x-1", "push", {"branch": "feature/x-1"}, "/branch"),
    ("run `make test` now", "run", {"argv": ["make", "test"]}, "/argv"),
    ("delete file #17", "delete", {"file": "17"}, "/file"),
    ("delete the file with id 17", "delete", {"file": "17"}, "/file"),
    ("give her the right rw", "share", {"file": "1", "email": "x", "right": "rw"}, "/right"),
    ("tell Bob", "reach", {"who": "Bob"}, "/who"),
    ("tell bob@example.com", "reach", {"who": "bob@example.com"}, "/who"),
]


@pytest.mark.parametrize(("prompt", "tool", "args", "pointer"), BENIGN)
def test_what_the_user_wrote_is_vouched_for(
    prompt: str, tool: str, args: dict[str, Any], pointer: str
) -> None:
    assert pointer in Scene(prompt).vouched(tool, args).pointers


@pytest.mark.parametrize(("prompt", "tool", "args", "pointer"), BENIGN)
def test_without_a_prompt_nothing_is(
    prompt: str, tool: str, args: dict[str, Any], pointer: str
) -> None:
    assert Scene().vouched(tool, args).pointers == set()
    assert Scene("").vouched(tool, args).pointers == set()
    assert pointer not in Scene("Please mail pay book it.").vouched(tool, args).pointers


@pytest.mark.parametrize(
    ("prompt", "tool", "args", "pointer"),
    [
        # another type than the kind's
        ("pay 12 to X", "pay", {"payee": "X", "amount": "12"}, "/amount"),
        ("pay 1 to X", "pay", {"payee": "X", "amount": True}, "/amount"),
        ("pay 12 to X", "pay", {"payee": "X", "amount": float("nan")}, "/amount"),
        ("pay 12 to X", "pay", {"payee": "X", "amount": float("inf")}, "/amount"),
        ("pay 12 to X", "pay", {"payee": "X", "amount": -12}, "/amount"),
        ("pay 0 to X", "pay", {"payee": "X", "amount": 0}, "/amount"),
        ("pay 12 to X", "pay", {"payee": "X", "amount": 12.000001}, "/amount"),
        ("pay 12 to X", "pay", {"payee": "X", "amount": [12]}, "/amount"),
        ("pay 12 to X", "pay", {"payee": "X", "amount": {"a": 12}}, "/amount"),
        ("pay it to true", "pay", {"payee": "true", "amount": 1, "recurring": True}, "/recurring"),
        ("pay 12", "pay", {"payee": "X", "amount": 12, "recurring": 0}, "/recurring"),
        # numbers that are no amounts
        ("on 2026-05-12 at 12:30", "pay", {"payee": "X", "amount": 12}, "/amount"),
        ("on May 12 pay Bob", "pay", {"payee": "X", "amount": 12}, "/amount"),
        ("pay 1,200", "pay", {"payee": "X", "amount": 1}, "/amount"),
        ("pay 1,200", "pay", {"payee": "X", "amount": 200}, "/amount"),
        ("pay 12.50", "pay", {"payee": "X", "amount": 12}, "/amount"),
        ("in version 12.5.1", "pay", {"payee": "X", "amount": 12.5}, "/amount"),
        # a name alone moves no money
        ("pay 12 to Ann", "pay", {"payee": "Ann", "amount": 12}, "/payee"),
        # dates
        ("on 2026-05-20", "book", {"day": "2026-05-21", "title": "x"}, "/day"),
        ("on 2026-05-20", "book", {"day": "2026-05-20; drop", "title": "x"}, "/day"),
        ("on 2026-05-20", "book", {"day": "2026-05-2", "title": "x"}, "/day"),
        ("tomorrow", "book", {"day": "2026-05-15", "title": "x"}, "/day"),
        # secrets
        ("use abcdefgh", "login", {"password": "abcdefgh"}, "/password"),
        ("use `n3w-pa55word`", "login", {"password": "N3w-pa55word"}, "/password"),
        ("use `n3w`", "login", {"password": "n3w"}, "/password"),
        # refs and ids
        ("delete the 17 files", "delete", {"file": "17"}, "/file"),
        ("delete #171", "delete", {"file": "17"}, "/file"),
        ("push to feature/x-1", "push", {"branch": "feature/x"}, "/branch"),
        ("push to feature/x-1", "push", {"branch": "x-1"}, "/branch"),
        ("push to main", "push", {"branch": "Main"}, "/branch"),
        # commands
        ("run make test", "run", {"argv": ["make", "test"]}, "/argv"),
        ("run `make test`", "run", {"argv": ["make"]}, "/argv"),
        ("run `make test`", "run", {"argv": ["make", "test", "-k"]}, "/argv"),
        ("run `make test`", "run", {"argv": ["make test"]}, "/argv"),
        ("run `make test`", "run", {"argv": "make test"}, "/argv"),
        # paths
        ("fix docs/guide.md", "save", {"path": "docs", "content": ""}, "/path"),
        ("fix docs/guide.md", "save", {"path": "guide.md", "content": ""}, "/path"),
        ("fix docs/guide.md", "save", {"path": "docs/guide.md.bak", "content": ""}, "/path"),
        ("fix all of it", "save", {"path": "all", "content": ""}, "/path"),
        # letters that Unicode folds into these
        ("invite ſam", "invite", {"user": "sam"}, "/user"),
        ("invite Straße", "invite", {"user": "strasse"}, "/user"),
        # choices
        ("read it", "share", {"file": "1", "email": "x", "right": "rw"}, "/right"),
        # hosts
        ("look at www.example.com", "connect", {"host": "example.com"}, "/host"),
        ("look at example.com.evil.org", "connect", {"host": "example.com"}, "/host"),
        ("mail bob@example.com", "connect", {"host": "example.com"}, "/host"),
    ],
)
def test_what_is_only_nearly_so_is_not(
    prompt: str, tool: str, args: dict[str, Any], pointer: str
) -> None:
    assert pointer not in Scene(prompt).vouched(tool, args).pointers


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/a",
        "https://example.com/A",
        "https://example.com/a/",
        "https://example.com/a?b",
        "https://example.com/a#b",
        "https://example.com/a/b",
        "https://example.com",
        "https://example.com:8443/a",
        "https://www.example.com/a",
        "https://example.com.evil.org/a",
        "https://example.com@evil.org/a",
        "https://user@example.com/a",
        "https://user:pass@example.com/a",
        "https://evil.org/https://example.com/a",
        "https://evil.org?https://example.com/a",
        "https://example.com\\@evil.org/a",
        "https://example。com/a",
        "https://exаmple.com/a",
        "https://example.com/a\u200b",
        "https://example.com/%61",
        "https://example.com/./a",
        "https://example.com//a",
        "https:example.com/a",
        "ftp://example.com/a",
        "javascript:https://example.com/a",
        "https://example.com/a ",
        " https://example.com/a",
        "https://example.com/a\n",
        "https://example.com/a\x00",
    ],
)
def test_a_link_is_the_link_and_no_other(url: str) -> None:
    scene = Scene("Read https://example.com/a and tell me.")
    assert scene.admits("get", {"url": "https://example.com/a"})
    assert scene.admits("get", {"url": "https://EXAMPLE.com/a"})
    assert "/url" not in scene.vouched("get", {"url": url}).pointers


def test_a_path_through_a_link_is_not_what_the_user_wrote(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/guide.md").symlink_to("/etc/passwd")
    scene = Scene("fix docs/guide.md and docs/other.md", cwd=str(tmp_path))
    assert scene.missing("save", {"path": "docs/guide.md", "content": ""}) == {"/path"}
    assert scene.admits("save", {"path": "docs/other.md", "content": ""})
    assert scene.admits("save", {"path": str(tmp_path / "docs/other.md"), "content": ""})
    # The agent's own way of writing it, into another directory.
    (tmp_path / "d").symlink_to("/etc")
    assert scene.missing("save", {"path": "d/../docs/other.md", "content": ""}) == {"/path"}


def test_a_link_in_the_way_to_the_workspace_is_the_operators(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "way").symlink_to("real")
    scene = Scene("fix docs/a.md", cwd=str(tmp_path / "way"))
    assert scene.admits("save", {"path": "docs/a.md", "content": ""})


def test_boundaries() -> None:
    words = Words(['See (Bob), "Ann\'s" and Ann’s: bob@x.org; e-mail, a.b, #c, x/y.'])
    for value in ("Bob", "bob", "Ann", "bob@x.org", "e-mail", "a.b", "x/y"):
        assert words.places(value), value
    for value in ("b@x.org", "bob@x", "x.org", "mail", "a", "b", "c", "x", "y", "Bo", "See (", ""):
        assert not words.places(value), value
    assert words.places("c", sigils="#")


def test_the_words_of_several_prompts_do_not_run_together() -> None:
    scene = Scene("invite Ann", "Lee should not come")
    assert scene.admits("invite", {"user": "Ann"})
    assert not scene.admits("invite", {"user": "Ann Lee"})
