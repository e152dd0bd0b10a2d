"""`token explain`: which step decides, which caveat, who added it, and what would be enough."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import Desk

COMMIT = {"tool": "git_commit", "operation": "git_commit", "arguments": {"message": "x"}}


def _why(desk: Desk, token: object, question: Any, code: int, *words: object) -> Any:
    call = desk.file("question.json", question)
    return desk.run("token", "explain", token, call, "--json", *words).ok(code).json


def _call(desk: Desk, tool: str = "git_log", where: str = ".") -> dict[str, Any]:
    return {"tool": tool, "arguments": {"repo_path": str((desk.root / where).resolve())}}


def test_allow_is_0_ask_is_3_deny_is_1(workshop: Desk) -> None:
    allowed = _why(workshop, "agent.token", _call(workshop), 0)
    assert (allowed["verdict"], allowed["step"]) == ("allow", 14)
    workshop.run(
        "token",
        "attenuate",
        "agent.token",
        "--approve",
        "read_files",
        "-o",
        "asks.token",
        "--force",
    ).ok()
    asked = _why(workshop, "asks.token", _call(workshop), 3)
    assert (asked["verdict"], asked["step"]) == ("ask", 13)
    assert [o["id"] for o in asked["obligations"]] == ["op:read_files"]
    denied = _why(workshop, "agent.token", _call(workshop, where=".."), 1)
    assert (denied["code"], denied["step"], denied["added_by"]) == (
        "scope.outside", 10, "issuer local",
    )  # fmt: skip


def test_a_caveat_is_attributed_once_its_holder_signed_over_it(workshop: Desk) -> None:
    """Anybody who saw a token can append to it: until a signature covers it, it is nobody's."""
    workshop.run(
        "token", "attenuate", "agent.token", "--path", "docs", "-o", "docs.token", "--force"
    ).ok()
    outside = _call(workshop, where="src")
    denied = _why(workshop, "docs.token", outside, 1)
    assert denied["added_by"] == "unattributed"
    assert denied["caveat"] == f'["path","in",["{workshop.root.resolve()}/docs"]]'
    workshop.run(
        "token", "delegate", "docs.token", "--to", "helper", "--key-file", "helper.key",
        "--holder-key", "agent.key", "-o", "helper.token", "--force",
    ).ok()  # fmt: skip
    denied = _why(workshop, "helper.token", outside, 1)
    assert denied["added_by"] == "agent"
    assert "Stay inside the scope" in denied["enough"]


@pytest.mark.parametrize(
    ("options", "code", "caveat"),
    [
        (("--cap", "git_commit=never"), "level.never", '["cap",{"git_commit":"never"}]'),
        (("--only", "read_files=always"), "level.never", '["only",{"read_files":"always"}]'),
        (("--exposure", "none"), "exposure.exceeded", '["exposure",[]]'),
        (("--calls", "0"), "budget.exhausted", '["budget","calls",0]'),
        (("--tool", "other"), "scope.outside", '["tool","in",["other"]]'),
        (("--caveat", '["exp",1]'), "token.expired", '["exp",1]'),
        (("--caveat", '["nbf",4000000000]'), "token.not_yet_valid", '["nbf",4000000000]'),
        (("--caveat", '["arg","*",{}]'), "scope.arguments", '["arg","*",{}]'),
    ],
    ids=lambda v: v[0] if isinstance(v, tuple) else None,
)  # fmt: skip
def test_the_caveat_that_denies_is_named(
    workshop: Desk, options: tuple[str, ...], code: str, caveat: str
) -> None:
    """Also where the kernel folded it: the first restriction that is enough by itself."""
    workshop.run("token", "attenuate", "agent.token", *options, "-o", "one.token", "--force").ok()
    question = {**COMMIT, "resources": {"path": [str(workshop.root.resolve())], "ref": []}}
    denied = _why(workshop, "one.token", question, 1)
    assert (denied["code"], denied["caveat"]) == (code, caveat)
    assert denied["added_by"] == "unattributed"


def test_what_the_issuer_did_not_grant_is_the_issuer_s(workshop: Desk) -> None:
    denied = _why(workshop, "agent.token", {"tool": "x", "operation": "git_push"}, 1)
    assert denied["code"] == "level.never"
    assert denied["caveat"].startswith('["only",')
    assert denied["added_by"] == "issuer local"


def test_who_demands_a_person_is_said(desk: Desk, tmp_path: Path) -> None:
    desk.issue("lead", "--bearer", "--approve", "git_commit", "--path", "/")
    question = {**COMMIT, "resources": {"path": ["/a"], "ref": []}}
    asked = _why(desk, "lead.token", question, 3)
    assert asked["obligations"][0]["demanded_by"] == "issuer local"
    policy = desk.file("p.toml", 'version = 1\nobligations = ["git_commit"]\n')
    asked = _why(desk, "agent.token", question | {"resources": {}}, 1, "--policy", policy)
    assert asked["code"] == "scope.unknown"
    desk.issue("free", "--bearer")
    desk.run("token", "attenuate", "free.token", "--expires", "9m", "-o", "f.token").ok()
    asked = _why(desk, "f.token", question, 3, "--policy", policy)
    assert [o["demanded_by"] for o in asked["obligations"] if o["id"] == "op:git_commit"] == [
        "the policy file"
    ]


def test_a_tool_that_the_policy_file_does_not_name_is_unclassified(workshop: Desk) -> None:
    denied = _why(workshop, "agent.token", {"tool": "rm", "arguments": {}}, 1)
    assert (denied["code"], denied["enough"]) == (
        "tool.unclassified", "Name the tool in the policy file.",
    )  # fmt: skip


def test_a_token_that_does_not_hold_decides_nothing_else(workshop: Desk) -> None:
    text = (workshop.root / "agent.token").read_text().strip()
    forged = workshop.file("forged.token", text[:-4] + ("AAAA" if text[-4:] != "AAAA" else "BBBA"))
    denied = _why(workshop, forged, _call(workshop), 1)
    assert (denied["code"], denied["step"], denied["caveat"]) == ("token.forged", 3, "")


def test_the_session_can_be_supposed(workshop: Desk) -> None:
    """Reading a secret file and then fetching is asked about; fetching first thing is not."""
    question = {
        "tool": "fetch", "operation": "web_fetch", "arguments": {"url": "https://a.example/"},
        "resources": {"host": ["a.example"]},
    }  # fmt: skip
    desk = workshop
    desk.issue("web", "--bearer", "--host", "a.example", "--force", profile="research-web")
    none = _why(desk, "web.token", question, 3, "--seen", "none")
    both = _why(desk, "web.token", question, 3, "--seen", "private_data")
    assert "gate:exposure" not in [o["id"] for o in none["obligations"]]
    assert "gate:exposure" in [o["id"] for o in both["obligations"]]
    assert both["session_has_seen"] == ["private_data"]


@pytest.mark.parametrize(
    "question",
    [
        {"arguments": {}},
        {"tool": 1},
        {"tool": "x", "arguments": []},
        {"tool": "x", "operation": "fly"},
        {"tool": "x", "operation": "read_files", "resources": {"moon": []}},
        {"tool": "x", "operation": "read_files", "resources": {"path": "/a"}},
        {"tool": "x", "operation": "read_files", "selectors": [["/a"]]},
        {"tool": "x", "operation": "read_files", "sink": "drain"},
        {"tool": "x", "operation": "read_files", "adds": ["fun"]},
        {"tool": "x", "operation": "read_files", "costs": {"tokens": -1}},
        {"tool": "x", "operation": "read_files", "trusted_sink": 1},
        {"tool": "x", "operation": "read_files", "label": 0},
        {"tool": "x", "resources": {}},
    ],
    ids=str,
)
def test_a_question_is_read_strictly(workshop: Desk, question: Any) -> None:
    call = workshop.file("bad.json", question)
    assert "[call.form]" in workshop.run("token", "explain", "agent.token", call).ok(2).err


def test_asking_changes_nothing(workshop: Desk) -> None:
    before = workshop.run("trace", "show", "--json").ok().json
    for _ in range(3):
        _why(workshop, "agent.token", _call(workshop), 0)
    assert workshop.run("trace", "show", "--json").ok().json == before
    budgets = workshop.run("token", "inspect", "agent.token", "--json").json["rights"]["budgets"]
    assert {b["spent"] for b in budgets} == {0}
