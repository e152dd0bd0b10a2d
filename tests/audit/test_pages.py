"""The page, the action and the hook say what the program does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from nucleus.audit import reading_yaml
from tests.audit import rules_table
from tests.audit.stage import lay
from tests.cli.command import ROOMS
from tests.house.source import ROOT


def test_the_page_of_rules_is_the_catalogue() -> None:
    text = rules_table.PAGE.read_text(encoding="utf-8")
    assert text == rules_table.page(text), "python -m tests.audit.rules_table"


def test_the_action_runs_as_it_is_written(tmp_path: Path) -> None:
    """Its own script in bash, with the command of this checkout where the action installs one."""
    action = reading_yaml.parse((ROOT / "action.yml").read_text(encoding="utf-8"))
    inputs = {k: v.get("default") for k, v in (action.get("inputs") or action).table.items()}
    steps = action.get("runs", "steps")
    assert steps is not None
    script = steps.items[1]
    env = {}
    for name, node in (script.get("env") or script).table.items():
        found = re.fullmatch(r"\$\{\{ inputs\.([\w-]+) \}\}", node.text)
        assert found is not None, name
        default = inputs[found[1]]
        env[name] = default.text if default is not None else ""
    run = script.get("run")
    assert run is not None
    command = tmp_path / "tools" / "nucleus" / "bin" / "nucleus"
    command.parent.mkdir(parents=True)
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m nucleus.cli "$@"\n')
    command.chmod(0o755)
    folder = lay(
        tmp_path / "repo", {".mcp.json": '{"mcpServers": {"a": {"url": "http://a.example.com"}}}'}
    )
    env |= {"RUNNER_TEMP": str(tmp_path / "tools"), "GITHUB_STEP_SUMMARY": str(tmp_path / "sum.md"),
            "COMMENT": str(tmp_path / "comment.md"), "PYTHONPATH": ROOMS,
            "PATH": os.environ["PATH"]}  # fmt: skip
    done = subprocess.run(
        ["bash", "-c", run.text], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "::error file=.mcp.json,line=1,title=remote-without-tls" in done.stdout
    assert (folder / "nucleus-audit.sarif").exists()
    assert (tmp_path / "comment.md").exists()
    assert "nucleus audit" in (tmp_path / "sum.md").read_text()


def test_the_hook_names_a_command_that_exists() -> None:
    (hook,) = reading_yaml.parse(
        (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
    ).items
    assert hook.get("entry") == reading_yaml.Node("nucleus audit", hook.get("entry").line)  # type: ignore[union-attr]  # it is there
    wanted = re.findall(
        r'"([^"]+)"', (ROOT / "pyproject.toml").read_text().split("cli = [")[1].split("]")[0]
    )
    listed = hook.get("additional_dependencies")
    assert listed is not None
    assert sorted(each.text for each in listed.items) == sorted(wanted)
