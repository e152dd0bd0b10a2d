"""A session that was made to widen the policy that comes of it, and records that nobody wrote."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleus.observe import arguments, generalising, record, replaying
from nucleus.observe.arguments import Keep, Leaf
from nucleus.observe.record import Record, Seen
from nucleus_tokens import projection
from nucleus_tokens.errors import CallerError
from nucleus_tokens.exposure import EXFIL_VECTOR
from nucleus_tokens.names import operation as number

KEEP = Keep(b"0123456789abcdef", values=True)


def call(tool: str, operation: str, path: str | None, args: dict[str, Any] | None = None) -> Seen:
    """One that ran; an opaque one has no path that anybody knows."""
    given = {"path": path, **(args or {})} if path else args or {}
    return Seen(
        tool=tool, operation=operation, sink=0 if path else 3, at=1_800_000_000, verdict="allow",
        resources={"path": (path,)} if path else {},
        records=projection.raises(number(operation), False, 0), projects=0, label=(0, 0, 0),
        arguments=arguments.sketch(given, [("/path", "path", path)] if path else [], KEEP),
    )  # fmt: skip


def verdicts(made: generalising.Observed, *calls: Seen) -> list[str]:
    return [replaying.replay(made, Record("a", (each,)), os.urandom)[0].verdict for each in calls]


READ = call("read", "read_files", "/srv/project/src/a.py", {"head": 10})
BASH = call("frobnicate", "run_bash", None, {"command": "make"})


def test_one_opaque_tool_leaves_the_others_bounded() -> None:
    """Its own calls have no path that anybody knows; the others' have rules of their own."""
    made = generalising.policy(Record("a", (READ, READ, BASH)))
    assert not [each for each in made.ceil if each[0] == "path"]
    assert any("path: no scope for all, since nobody knows" in line for line in made.why)
    inside = call("read", "read_files", "/srv/project/src/deep/b.py", {"head": 10})
    outside = call("read", "read_files", "/srv/project/other/b.py", {"head": 10})
    more = call("read", "read_files", "/srv/project/src/a.py", {"head": 10, "follow": True})
    large = call("read", "read_files", "/srv/project/src/a.py", {"head": 5000})
    foreign = call("write", "write_files", "/srv/project/src/a.py")
    assert verdicts(made, READ, inside) == ["allow", "allow"]
    assert verdicts(made, outside, more, large, foreign) == ["deny"] * 4
    assert "deny" not in verdicts(made, BASH)
    other = call("frobnicate", "run_bash", None, {"command": "make", "cwd": "/"})
    assert verdicts(made, other) == ["deny"]


def test_a_name_that_is_a_pattern_permits_nothing() -> None:
    made = generalising.policy(Record("a", (READ, call("**", "read_files", "/srv/project/x/y"))))
    assert verdicts(made, READ) == ["allow"]
    elsewhere = call("other", "read_files", "/srv/project/src/a.py")
    assert verdicts(made, elsewhere, replace(elsewhere, tool="**")) == ["deny", "deny"]


def test_what_a_result_brought_counts_in_a_replay() -> None:
    """No decision says that the read brought a stranger's text: the next one found it there."""
    push = call("push", "git_push", None)
    push = replace(push, resources={}, sink=5, projects=EXFIL_VECTOR)
    levels = {"read_files": "always", "git_push": "always"}
    wide = generalising.Observed("wide", (["only", levels],), (), 99)
    for before, verdict in ((1, "allow"), (3, "ask")):
        seen = Record("a", (READ, replace(push, before=before)))
        assert replaying.replay(wide, seen, os.urandom)[1].verdict == verdict


@pytest.mark.parametrize("tight", generalising.TIGHT)
def test_a_path_that_is_a_pattern_stands_for_its_folder_alone(tight: str) -> None:
    made = generalising.policy(
        Record("a", (call("read", "read_files", "/srv/project/src/**/x"),)), tight
    )
    outside = call("read", "read_files", "/srv/project/other/x")
    assert verdicts(made, outside) == ["deny"]


@pytest.mark.parametrize("path", ["/etc/passwd", "/home/person/.netrc", "/tmp/x"])
def test_one_file_of_everything_does_not_open_everything(path: str) -> None:
    made = generalising.policy(Record("a", (call("read", "read_files", path),)))
    beside = call("read", "read_files", os.path.dirname(path) + "/other")
    assert verdicts(made, beside) == ["deny"]


def test_what_does_not_fit_into_a_token_is_widened_and_said() -> None:
    """Many folders become fewer; a token can always be made of it."""
    many = [call(f"tool{n % 70}", "read_files", f"/srv/project/d{n}/x", {"word": f"w{n}"})
            for n in range(150)]  # fmt: skip
    made = generalising.policy(Record("a", tuple(many)), "exact")
    assert "deny" not in verdicts(made, *many[:20])
    assert any("(root)" in line for line in made.why), made.why
    assert any("do not fit into a token" in line for line in made.why)
    assert verdicts(made, call("tool1", "read_files", "/srv/other/x", {"word": "w"})) == ["deny"]


def test_a_relative_number_is_no_flag() -> None:
    """1 and true are equal to Python, and two things to a tool."""
    made = generalising.policy(Record("a", (call("t", "read_files", "/w/p/x", {"n": 1}),)), "exact")
    assert verdicts(made, call("t", "read_files", "/w/p/x", {"n": True})) == ["deny"]


@given(st.text(max_size=60), st.sampled_from(["path", "value", "number", "text", "many", "x"]))
def test_a_line_with_an_argument_in_two_places_is_refused(junk: str, kind: str) -> None:
    value = json.loads(record.line(READ))
    twice = {"/a": [kind, junk, ""], "/a/b": [kind, 2**40, junk], junk: ["many", 1, ""]}
    value["arguments"] = twice
    with pytest.raises(CallerError, match="The record cannot be read"):
        record.read(record.head("a") + json.dumps(value) + "\n")


def test_a_leaf_says_no_more_than_its_kind() -> None:
    keep = Keep(b"0123456789abcdef")
    args = {"text": "four", "n": 37, "on": True, "password": "hunter22", "list": ["a", "b"]}
    found = arguments.sketch(args, [], keep)
    assert found is not None
    assert found["/n"][:2] == ("number", (32, 64))
    assert found["/text"][:2] == ("text", 4)
    assert found["/on"] == Leaf("value", True)
    assert found["/password"] == Leaf("secret")
    assert found["/list"][:2] == ("many", 2)
    assert "four" not in str(found)
    # Another salt, another digest: two records cannot be compared.
    again = arguments.sketch(args, [], Keep(b"another salt 123"))
    assert again is not None
    assert again["/text"].digest != found["/text"].digest
