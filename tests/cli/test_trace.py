"""`mcp run` writes a trace; `trace verify` believes it as far as it can be computed again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nucleus_tokens import arguments
from nucleus_tokens.names import exposure_names
from nucleus_verifier import trace
from tests.cli.command import PROGRAM, ROOMS, Desk
from tests.house.source import ROOT

POLICY = """
version = 1
[server]
danger_outside_cell = true
env = { PYTHONPATH = %s }
[tools.read]
operation = "read_files"
selectors = { "/path" = "path" }
[tools.push]
operation = "git_push"
[tools.commit]
operation = "git_commit"
payload = ["/message"]
"""
CALLS = [
    ("read", {"path": "a.txt"}),
    ("read", {"path": "/etc/hostname"}),
    ("push", {}),
    ("unknown", {}),
]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Desk, list[Any]]:
    """A session with a real proxy process in front of a scripted server; what was answered."""
    desk = Desk(tmp_path_factory.mktemp("trace"))
    desk.init()
    desk.key("agent")
    desk.issue("agent", "--holder-key", "agent.key", "--path", desk.root)
    desk.file("policy.toml", POLICY % json.dumps(ROOMS))
    frames = [{"id": 0, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}}]
    frames += [{"method": "notifications/initialized"}, {"id": 1, "method": "tools/list"}]
    for number, (tool, args) in enumerate(CALLS, 2):
        params = {"name": tool, "arguments": args}
        frames.append({"id": number, "method": "tools/call", "params": params})
    server = [sys.executable, str(ROOT / "tests" / "proxy" / "scripted_server.py")]
    tools = [{"name": name} for name in ("read", "push", "commit", "unknown")]
    answers = _talk(
        desk, frames, "mcp", "--token", "agent.token", "--policy", "policy.toml", "--run", "one",
        "--", *server, str(desk.root / "server.log"), json.dumps(tools),
    )  # fmt: skip
    return desk, answers


def _talk(desk: Desk, frames: list[dict[str, Any]], *words: str) -> list[Any]:
    """One client: each frame is sent when the one before it was answered."""
    process = subprocess.Popen(
        [*PROGRAM, *desk.argv(*words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, cwd=desk.root, env=desk.environ(),
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    answers = []
    for frame in frames:
        process.stdin.write(json.dumps({"jsonrpc": "2.0", **frame}).encode() + b"\n")
        process.stdin.flush()
        while "id" in frame:
            line = process.stdout.readline()
            assert line, "the proxy ended"
            value = json.loads(line)
            if value.get("id") == frame["id"]:
                answers.append(value)
                break
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert b"no wall stands here" in err
    assert b"Traceback" not in err
    desk.printed.append(err.decode())
    return answers


def test_the_proxy_mediates_what_the_client_asks(told: tuple[Desk, list[Any]]) -> None:
    desk, answers = told
    assert [tool["name"] for tool in answers[1]["result"]["tools"]] == ["read"]
    codes = [
        a["result"].get("_meta", {}).get("nucleus/refusal", {}).get("code") for a in answers[2:]
    ]
    assert codes == [None, "scope.outside", "level.never", "tool.unclassified"]
    environment = json.loads((desk.root / "server.log").read_text().splitlines()[0])["env"]
    assert "NUCLEUS_HOME" not in environment
    assert environment["PYTHONPATH"] == ROOMS


def test_it_is_shown_and_filtered(told: tuple[Desk, list[Any]]) -> None:
    desk, _ = told
    shown = desk.run("trace", "show").ok().out
    assert "scope.outside (step 10)" in shown
    denied = desk.run("trace", "show", "--verdict", "deny", "--json").ok().json
    assert [r["record"]["call"]["tool"] for r in denied] == ["read", "push", "unknown"]
    last = desk.run("trace", "show", "--tool", "read", "--last", "1", "--json").ok().json
    assert len(last) == 1
    tid = last[0]["record"]["token"]["tid"]
    of_tree = desk.run("trace", "show", "--tid", tid[:8], "--json").ok().json
    # Who said hello and what was listed, then the four calls.
    assert [r["record"]["type"] for r in of_tree] == ["list"] * 2 + ["decision"] * 4
    assert "no such record" in desk.run("trace", "show", "--since", "999").ok().out


def test_it_verifies(told: tuple[Desk, list[Any]]) -> None:
    desk, _ = told
    value = desk.run("trace", "verify", "--json").ok().json
    assert value["verified"] is True
    assert (value["decisions"], value["recomputed"], value["outcomes"]) == (4, 4, 1)
    assert value["checkpoints"] == 1


def _exported(desk: Desk) -> list[bytes]:
    out = desk.root / "trace.jsonl"
    desk.run("trace", "export", "--out", out).ok()
    return out.read_bytes().splitlines()


def _verify(desk: Desk, lines: list[bytes], code: int, *words: object) -> Any:
    path = desk.file("altered.jsonl", b"\n".join(lines) + b"\n")
    return desk.run("trace", "verify", path, "--json", *words).ok(code).json


def test_one_byte_names_the_record(told: tuple[Desk, list[Any]]) -> None:
    desk, _ = told
    lines = _exported(desk)
    assert _verify(desk, lines, 0)["first_bad_record"] is None
    place = next(i for i, line in enumerate(lines) if b"scope.outside" in line)
    lines[place] = lines[place].replace(b"scope.outside", b"scope.inside!")
    found = _verify(desk, lines, 1)
    assert (found["first_bad_record"], found["problems"][0]["code"]) == (place + 1, "trace.broken")


def test_a_record_taken_out_is_missed(told: tuple[Desk, list[Any]]) -> None:
    desk, _ = told
    lines = _exported(desk)
    assert _verify(desk, lines[:2] + lines[3:], 1)["first_bad_record"] == 3
    assert _verify(desk, [*lines[:2], lines[3], lines[2], *lines[4:]], 1)["first_bad_record"] == 3
    assert _verify(desk, [*lines, b"not json"], 1)["first_bad_record"] == len(lines) + 1


def _chained(records: list[dict[str, Any]]) -> list[bytes]:
    """A trace that somebody who can write the file made consistent again."""
    lines, prev = [], trace.GENESIS
    for seq, record in enumerate(records, 1):
        line, prev = trace.line(seq, prev, record)
        lines.append(line)
    return lines


def _records(lines: list[bytes]) -> list[dict[str, Any]]:
    return [arguments.parse(line)["record"] for line in lines]


def test_a_decision_that_does_not_follow_is_found_although_the_chain_holds(
    told: tuple[Desk, list[Any]],
) -> None:
    desk, _ = told
    records = _records(_exported(desk))
    at = next(i for i, r in enumerate(records) if r["type"] == "decision"
              and r["decision"]["verdict"] == "deny")  # fmt: skip
    records[at]["decision"] = {"discharged": [], "verdict": "allow"}
    found = _verify(desk, _chained(records), 1)
    assert found["first_bad_record"] == at + 1
    assert found["problems"][0]["code"] == "trace.other_decision"
    # The checkpoint is about another history as well.
    assert "trace.checkpoint" in {p["code"] for p in found["problems"]}


def test_a_fact_that_was_changed_gives_another_decision(told: tuple[Desk, list[Any]]) -> None:
    desk, _ = told
    records = _records(_exported(desk))
    at = next(i for i, r in enumerate(records) if r["type"] == "decision"
              and r["decision"]["verdict"] == "allow")  # fmt: skip
    records[at]["facts"]["now"] += 10**9
    assert _verify(desk, _chained(records), 1)["first_bad_record"] == at + 1


def test_an_outcome_needs_its_own_allowed_call(told: tuple[Desk, list[Any]]) -> None:
    desk, _ = told
    records = [r for r in _records(_exported(desk)) if r["type"] != "checkpoint"]
    outcome = next(r for r in records if r["type"] == "outcome")
    twice = _verify(desk, _chained([*records, outcome]), 1)
    assert twice["problems"][0]["code"] == "trace.outcome"
    never = {**outcome, "decision": 1}
    assert _verify(desk, _chained([*records, never]), 1)["first_bad_record"] == len(records) + 1
    odd = {"type": "miracle"}
    found = _verify(desk, _chained([*records, odd]), 1)
    assert found["problems"][0]["code"] == "trace.unknown_record"


def test_a_payment_needs_its_own_allowed_call_that_still_runs(
    told: tuple[Desk, list[Any]],
) -> None:
    desk, _ = told
    records = [r for r in _records(_exported(desk)) if r["type"] != "checkpoint"]
    at, outcome = next((i, r) for i, r in enumerate(records) if r["type"] == "outcome")
    paid = {"type": "charge", "decision": outcome["decision"], "charge": {"tokens": 7}}
    _verify(desk, _chained([*records[:at], paid, *records[at:]]), 0)
    for bad in (
        [*records, paid],
        [*records[:at], {**paid, "decision": at + 1}],
        [*records[:at], {**paid, "charge": {"tokens": -7}}],
        [*records[:at], {**paid, "charge": None}],
    ):
        found = _verify(desk, _chained(bad), 1)
        assert "trace.charge" in {problem["code"] for problem in found["problems"]}


def test_what_a_result_brought_needs_its_own_allowed_call(told: tuple[Desk, list[Any]]) -> None:
    desk, _ = told
    records = [r for r in _records(_exported(desk)) if r["type"] != "checkpoint"]
    outcome = next(r for r in records if r["type"] == "outcome")
    seen = {"type": "seen", "decision": outcome["decision"], "adds": ["untrusted_content"]}
    _verify(desk, _chained([*records, seen]), 0)
    for bad in (1, len(records) + 1, None, True):
        found = _verify(desk, _chained([*records, {**seen, "decision": bad}]), 1)
        assert [problem["code"] for problem in found["problems"]] == ["trace.seen"]


def test_nothing_is_allowed_after_its_revocation(told: tuple[Desk, list[Any]]) -> None:
    desk, _ = told
    records = [r for r in _records(_exported(desk)) if r["type"] != "checkpoint"]
    allowed = next(r for r in records if r.get("decision", {}) and r["type"] == "decision"
                   and r["decision"]["verdict"] == "allow")  # fmt: skip
    revoked = {"type": "revocation", "rid": allowed["token"]["rids"][0]}
    found = _verify(desk, _chained([*records, revoked, allowed]), 1)
    assert [p["code"] for p in found["problems"]] == ["trace.revoked"]


def test_without_its_reveal_a_decision_is_not_verified(told: tuple[Desk, list[Any]]) -> None:
    desk, _ = told
    reveals = (desk.home / "state" / "reveals.jsonl").read_bytes().splitlines()
    fewer = desk.file("fewer.jsonl", b"\n".join(reveals[1:]))
    words = ("trace", "verify", "--reveals", fewer)
    result = desk.run(*words).ok(1)
    assert "1 decisions could not be computed again for want of a reveal" in result.out
    assert "NOT verified" in result.out
    assert desk.run(*words, "--json").ok(1).json["holds"] is True
    assert "Verified." in desk.run(*words, "--allow-missing-reveals").ok(0).out
    # A reveal that was edited is no reveal.
    edited = reveals[0].replace(b"a.txt", b"b.txt")
    assert edited != reveals[0]
    edited_file = desk.file("edited.jsonl", b"\n".join([edited, *reveals[1:]]))
    desk.run("trace", "verify", "--reveals", edited_file).ok(1)


def test_a_cut_tail_shows_against_a_checkpoint_kept_elsewhere(
    told: tuple[Desk, list[Any]],
) -> None:
    desk, _ = told
    desk.run("trace", "checkpoint", "--out", "kept.json", "--force").ok()
    lines = _exported(desk)
    _verify(desk, lines, 0, "--checkpoint", "kept.json")
    assert _verify(desk, lines[:3], 0)["verified"] is True
    cut = _verify(desk, lines[:3], 1, "--checkpoint", "kept.json")
    assert cut["problems"][-1]["code"] == "trace.checkpoint"


def test_an_auditor_needs_the_bundle_and_no_key(
    told: tuple[Desk, list[Any]], tmp_path: Path
) -> None:
    desk, _ = told
    _exported(desk)
    auditor = Desk(tmp_path)
    bundle = desk.home / "data" / "keys" / "bundle.json"
    value = auditor.run(
        "trace", "verify", desk.root / "trace.jsonl", "--bundle", bundle, "--json",
        "--reveals", desk.home / "state" / "reveals.jsonl",
    ).ok().json  # fmt: skip
    assert value["recomputed"] == 4
    assert value["unchecked_checkpoints"] == value["checkpoints"] > 0


def test_a_replay_says_where_each_decision_came_from(told: tuple[Desk, list[Any]]) -> None:
    desk, _ = told
    steps = desk.run("trace", "replay", "--json").ok().json
    assert [s["verdict"] for s in steps] == ["allow", "deny", "deny", "deny"]
    allowed, outside, never, unknown = steps
    assert allowed["exposure"]["adds"] == ["private_data"]
    # Without a wall a run starts as one that has seen what its user can see.
    assert allowed["exposure"]["before"] == ["private_data", "untrusted_content"]
    assert outside["came_from"]["step_name"] == "scopes"
    assert str(desk.root) in outside["came_from"]["caveat"]
    assert outside["came_from"]["added_by"] == never["came_from"]["added_by"] == "issuer local"
    assert never["authority"]["level"] == "never"
    assert never["came_from"]["caveat"].startswith('["only"')
    assert unknown["operation"] == "unclassified"
    text = desk.run("trace", "replay", "--record", outside["seq"]).ok().out
    assert "10 (scopes)" in text
    assert "label     confidentiality internal" in text


def test_a_replay_reports_a_session_that_forgot(told: tuple[Desk, list[Any]]) -> None:
    """The chain holds and the decision follows, but the session had seen more before."""
    desk, _ = told
    records = _records(_exported(desk))
    at = [i for i, r in enumerate(records) if r["type"] == "decision"][1]
    for cell in ("wall", "tree"):
        records[at]["facts"][cell][2] = 0
    reveals = (desk.home / "state" / "reveals.jsonl").read_bytes()
    path = desk.file("forgot.jsonl", b"\n".join(_chained(records)) + b"\n")
    steps = desk.run("trace", "replay", path, "--json").ok(1).json
    assert [s["seq"] for s in steps if s["problem"]] == [at + 1]
    assert "has seen less" in steps[1]["problem"]
    few = desk.file("few.jsonl", b"\n".join(reveals.splitlines()[1:]))
    first = desk.run("trace", "replay", "--reveals", few, "--json").ok(1).json[0]
    assert first["problem"] == "its reveal is not here"


@pytest.mark.parametrize("adds", [["exfil_vector"], ["nonsense"]])
def test_a_replay_carries_what_results_brought(
    told: tuple[Desk, list[Any]], adds: list[str]
) -> None:
    """What is no name of an exposure is all of it."""
    desk, _ = told
    records = _records(_exported(desk))
    first, second = [i for i, r in enumerate(records) if r["type"] == "decision"][:2]
    assert "exfil_vector" not in exposure_names(records[second]["facts"]["wall"][2])
    seen = {"type": "seen", "decision": first + 1, "adds": adds}
    records.insert(first + 1, seen)
    path = desk.file("seen.jsonl", b"\n".join(_chained(records)) + b"\n")
    steps = desk.run("trace", "replay", path, "--json").ok(1).json
    assert next(s["seq"] for s in steps if s["problem"]) == second + 2


def test_a_rotated_trace_verifies_as_one_and_misses_a_missing_file(
    told: tuple[Desk, list[Any]],
) -> None:
    desk, _ = told
    place = desk.root / "traces"
    desk.run("trace", "rotate", "--into", place).ok()
    assert desk.run("trace", "verify", place, "--json").ok().json["decisions"] == 4
    assert [p.name for p in place.glob("trace-*")] == ["trace-000000000001.jsonl"]


def test_a_token_is_revoked_by_the_record_of_its_call(told: tuple[Desk, list[Any]]) -> None:
    """Last: it changes the state of this module."""
    desk, _ = told
    seq = desk.run("trace", "show", "--verdict", "allow", "--json").ok().json[0]["seq"]
    done = desk.run("token", "revoke", "--record", seq, "--json").ok().json
    assert done["recorded"] is done["effective"] is True
    desk.run("token", "verify", "agent.token").ok(1)
    assert "revocation" in desk.run("trace", "show").ok().out
    desk.run("trace", "verify").ok()
