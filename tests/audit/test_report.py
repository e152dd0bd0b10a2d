"""What the report is good for: fingerprints that stay, reasons, baselines, and every output."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from nucleus.audit import markdown, sarif, suppressing, telling
from nucleus.audit.catalogue import RULES
from nucleus.audit.findings import Severity
from nucleus_tokens.errors import CallerError
from tests.audit.bad import BAD
from tests.audit.stage import audit, found, lay
from tests.cli.command import Desk
from tests.house.source import ROOT

MCP = """{
  // servers
  "mcpServers": {
    "a": {"url": "http://a.example.com"},
    "b": {"command": "npx", "args": ["some-server"]}
  }
}
"""


def prints(root: Path) -> dict[str, str]:
    return {f.fingerprint: f.rule for f in audit(root).findings}


@pytest.mark.parametrize("name", sorted(set(BAD) - {"malformed"}))
def test_a_fingerprint_stays_when_lines_move(name: str, tmp_path: Path) -> None:
    files = BAD[name][0]
    before = prints(lay(tmp_path / "a", files))
    moved = {}
    for path, text in files.items():
        lead = (
            "\n\n" if path.endswith((".json", ".toml", ".yaml", "Dockerfile", ".env")) else "x\n\n"
        )
        moved[path] = lead + text
    assert prints(lay(tmp_path / "b", moved)) == before


def test_two_findings_have_two_fingerprints(tmp_path: Path) -> None:
    for name, (files, expected) in BAD.items():
        assert len(prints(lay(tmp_path / name, files))) >= len(expected)


def test_a_suppression_needs_a_rule_and_a_reason(tmp_path: Path) -> None:
    lay(tmp_path, {".cursor/mcp.json": MCP.replace(
        '    "a"', '    // nucleus-audit: ignore remote-without-tls -- inside the lab\n    "a"'
    )})  # fmt: skip
    report = audit(tmp_path)
    assert {f.rule: f.reason for f in report.findings}["remote-without-tls"] == "inside the lab"
    assert "remote-without-tls" not in {rule for rule, _, _ in found(report)}
    lay(tmp_path, {".cursor/mcp.json": MCP.replace(
        '    "a"', '    // nucleus-audit: ignore remote-without-tls\n    "a"'
    )})  # fmt: skip
    rules = {rule for rule, _, _ in found(audit(tmp_path))}
    assert {"remote-without-tls", "suppression-without-reason"} <= rules


def test_prose_that_speaks_of_a_suppression_is_none(tmp_path: Path) -> None:
    mark = "nucleus-audit: ignore-file hidden-unicode -- because"
    lay(tmp_path, {"CLAUDE.md": f"Write {mark} to hide it.\nx\u200b\n"})
    assert ("hidden-unicode", "CLAUDE.md", 2) in found(audit(tmp_path))
    lay(tmp_path, {"CLAUDE.md": f"<!-- {mark} -->\nx\u200b\n"})
    assert found(audit(tmp_path)) == set()


def test_the_file_of_all_suppressions(tmp_path: Path) -> None:
    row = '[[ignore]]\nrule = "remote-without-tls"\npath = ".cursor/*"\nreason = "lab"\n'
    lay(tmp_path, {".cursor/mcp.json": MCP, ".mcp.json": MCP, suppressing.FILE: row})
    rows = {(r, p) for r, p, _ in found(audit(tmp_path))}
    assert ("remote-without-tls", ".mcp.json") in rows
    assert ("remote-without-tls", ".cursor/mcp.json") not in rows
    lay(tmp_path, {suppressing.FILE: row.replace("remote-", "remoto-")})
    with pytest.raises(CallerError, match="known rule"):
        audit(tmp_path)


def test_a_baseline_lets_pass_what_was_there_and_nothing_new(tmp_path: Path) -> None:
    lay(tmp_path, {".mcp.json": MCP})
    known = suppressing.read_baseline(
        json.dumps(suppressing.baseline(audit(tmp_path).findings)).encode()
    )
    assert found(audit(tmp_path, known=known)) == set()
    lay(tmp_path, {".mcp.json": MCP.replace('"a":', '"n": {"url": "http://n.example.com"}, "a":')})
    assert {rule for rule, _, _ in found(audit(tmp_path, known=known))} == {"remote-without-tls"}
    for wrong in (b"", b"[]", b"{}", b'{"version": 2, "findings": {}}'):
        with pytest.raises(CallerError):
            suppressing.read_baseline(wrong)


def test_a_policy_that_gives_much_away(tmp_path: Path) -> None:
    lay(tmp_path, {".nucleus/p.toml": 'version = 1\n[egress]\nconnect = ["*.example.org:443"]\n'})
    assert found(audit(tmp_path)) == {("policy-weak", ".nucleus/p.toml", 1)}


def test_a_file_cannot_write_the_comment(tmp_path: Path) -> None:
    """What stands in a configuration comes out as code, whatever it holds."""
    name = "x`` | <img src=x> [a](javascript:b)\n@team <!-- nucleus-audit -->"
    lay(
        tmp_path, {".mcp.json": json.dumps({"mcpServers": {name: {"url": "http://a.example.com"}}})}
    )
    text = markdown.comment(audit(tmp_path), Severity.HIGH)
    assert text.startswith(markdown.MARKER + "\n")
    row = next(line for line in text.splitlines() if "remote-without-tls" in line)
    assert "\n" not in row
    assert "``` x`` \\| <img" in row or "```x`` \\| <img" in row, row
    assert "::error file=.mcp.json,line=1,title=remote-without-tls::" in "\n".join(
        markdown.marked_lines(audit(tmp_path))
    )


# The outputs ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All bad ones in one repository."""
    root = tmp_path_factory.mktemp("everything")
    for name, (files, _) in BAD.items():
        lay(root / name, files)
    return root


def test_sarif_has_what_code_scanning_needs(everything: Path) -> None:
    report = audit(everything)
    document = sarif.document(report, "0.1.0")
    (run,) = document["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [each["id"] for each in rules] == list(RULES)
    assert len(run["results"]) == len(report.findings)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        where = result["locations"][0]["physicalLocation"]
        assert not where["artifactLocation"]["uri"].startswith("/")
        assert where["region"]["startLine"] >= 1
        assert len(result["partialFingerprints"][sarif.FINGERPRINT]) == 32
    assert json.dumps(document) == json.dumps(sarif.document(audit(everything), "0.1.0"))


def test_sarif_is_accepted_by_the_validator(everything: Path, tmp_path: Path) -> None:
    """Microsoft's own, without an error or a warning."""
    tool = validator()
    path = tmp_path / "audit.sarif"
    path.write_text(json.dumps(sarif.document(audit(everything), "0.1.0")))
    assert complaints(tool, path) == []
    broken = json.loads(path.read_text())
    broken["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] = -1
    path.write_text(json.dumps(broken))
    assert complaints(tool, path), "it would have complained"


def validator() -> str:
    """Where it is: `npm install` puts it beside the tests' other real programs."""
    folder = os.environ.get("NUCLEUS_NPM") or str(ROOT / ".npm")
    for found_at in (
        f"{folder}/node_modules/.bin/sarif-multitool",
        shutil.which("sarif-multitool"),
    ):
        if found_at and Path(found_at).exists():
            return found_at
    pytest.fail(
        "the SARIF validator is missing; install it with: "
        "npm install --prefix .npm @microsoft/sarif-multitool@5.7.0"
    )


def complaints(tool: str, path: Path) -> list[str]:
    done = subprocess.run(
        [tool, "validate", str(path)], capture_output=True, text=True, check=False, timeout=120
    )
    return [line for line in done.stdout.splitlines() if ": error " in line or ": warning " in line]


def test_the_command(everything: Path, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    good = lay(tmp_path / "good", {".mcp.json": '{"mcpServers": {}}\n'})
    assert "PASS nothing found in 1 conf" in desk.run("audit", good).ok(0).out
    shown = desk.run("audit", everything).ok(1).out
    assert "UNINHABITABLE" in shown
    assert "FAIL" in shown
    desk.run("audit", everything, "--fail-on", "never").ok(0)
    desk.run("audit", everything / "cline", "--fail-on", "critical").ok(0)
    assert "[audit.severity]" in desk.run("audit", good, "--fail-on", "odd").ok(2).err
    assert "[audit.nothing_there]" in desk.run("audit", tmp_path / "no").ok(2).err
    value: Any = desk.run("audit", everything, "--json").ok(1).json
    assert value["passed"] is False
    assert value["count"]["critical"] > 3
    assert value == telling.document(audit(everything), Severity.HIGH)
    files = [tmp_path / name for name in ("a.sarif", "a.md", "summary.md")]
    annotated = desk.run("audit", everything, "--sarif", files[0], "--pr-comment", files[1],
                         "--summary", files[2])  # fmt: skip
    assert "::error file=" in annotated.ok(1).out
    assert json.loads(files[0].read_text())["version"] == "2.1.0"
    assert files[1].read_text().startswith(markdown.MARKER)
    assert files[2].read_text().startswith("### nucleus audit")
    desk.run("audit", everything, "--write-baseline", tmp_path / "base.json").ok(0)
    os.chmod(tmp_path / "base.json", 0o644)
    desk.run("audit", everything, "--baseline", tmp_path / "base.json").ok(0)


def test_one_file_by_itself(tmp_path: Path) -> None:
    lay(tmp_path, {".cursor/mcp.json": MCP})
    rules = {rule for rule, _, _ in found(audit(tmp_path / ".cursor" / "mcp.json"))}
    assert "remote-without-tls" in rules


def test_a_users_own_clients(tmp_path: Path) -> None:
    home = lay(
        tmp_path / "home",
        {".cursor/mcp.json": MCP, ".config/Claude/claude_desktop_config.json": MCP},
    )
    empty = tmp_path / "repository"
    empty.mkdir()
    paths = {path for _, path, _ in found(audit(empty, home=home))}
    assert paths == {"~/.cursor/mcp.json", "~/.config/Claude/claude_desktop_config.json"}
