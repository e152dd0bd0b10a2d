"""The examples are programs that run: the seed's own, word for word, against a real TLS server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nucleus.approver import Approve, Deny
from tests.cli.command import Desk
from tests.house.source import ROOT
from tests.sdk.stage import Served, serving
from tests.sdk.test_approvals import answered_by
from tests.support import internet
from tests.support.internet import PUBLIC, Internet

EXAMPLES = ROOT / "examples"
# The example as it was first written down; its comments may stand where they like.
SEED = """
from nucleus import Session, approve
from nucleus.tools import fs, net, git
with Session(profile="safe_pr_fixer") as s:
readme = fs.read("README.md")
fs.write("README.md", readme + "\\n")
page = approve("fetch", net.fetch, "https://example.com")
git.push("origin", "main")
"""


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Internet]:
    with internet.stage(tmp_path_factory.mktemp("internet"), {"example.com": PUBLIC}) as made:
        yield made


def run(served: Served, program: str) -> subprocess.CompletedProcess[str]:
    """One example as a user runs it, beside the workspace's files. It never enters the namespace:
    only the proxy reaches the network."""
    return subprocess.run(
        [sys.executable, str(EXAMPLES / program)],
        cwd=served.workspace,
        env={**served.desk.environ(), "NUCLEUS_SESSION": str(served.socket)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def words(text: str) -> list[str]:
    """Lines without indentation, comments and the order of imported names."""
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    return [" ".join(sorted(line.split())) if "import" in line else line for line in lines if line]


def test_the_example_is_the_seeds_word_for_word() -> None:
    body = (EXAMPLES / "hello.py").read_text().split('"""')[2]
    wanted = [line.replace(",", "") for line in words(SEED)]
    assert [" ".join(sorted(x.replace(",", "").split())) if "import" in x else x.replace(",", "")
            for x in words(body)] == wanted  # fmt: skip


def test_every_example_is_short_and_run_here() -> None:
    for path in EXAMPLES.glob("*.py"):
        if path.name in ("supply_chain.py", "grpc_agent.py"):
            continue  # a stage with everybody on it, and another protocol: tests/walled
        assert len(path.read_text().splitlines()) < 40, path.name
    assert {p.name for p in EXAMPLES.glob("*.py")} >= {"hello.py", "guarded.py", "sub_agents.py"}


def test_hello(host: Desk, net: Internet, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("hello\n")
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    offered = ("--profile", "safe-pr-fixer", "--roots", net.roots)
    with (
        serving(host, tmp_path, *offered, within=net.command) as served,
        answered_by(host, lambda _: Approve()) as asked,
    ):
        before = len(net.requests())
        done = run(served, "hello.py")
        assert (tmp_path / "README.md").read_text() == "hello\n\n"
        assert [(r["site"], r["path"]) for r in net.requests()[before:]] == [("example.com", "/")]
        (question,) = asked
        assert {id_ for id_, _ in question.owed} >= {"input:/url", "gate:exposure"}
        # The program's last line raises, as it says.
        assert done.returncode == 1
        assert "nucleus.errors.PolicyDenied: git_push: " in done.stderr
        assert "[level.never] (step 9)" in done.stderr
        assert "waiting for approval" in done.stderr
        verdicts = [
            (r["record"]["call"]["tool"], r["record"]["decision"]["verdict"])
            for r in served.trace()
            if r["record"]["type"] == "decision"
        ]
        assert verdicts[-5:] == [
            ("fs_read", "allow"),
            ("fs_write", "allow"),
            ("net_fetch", "ask"),
            ("net_fetch", "allow"),
            ("git_push", "deny"),
        ]


def test_hello_when_a_person_says_no(host: Desk, net: Internet, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("hello\n")
    offered = ("--profile", "safe-pr-fixer", "--roots", net.roots)
    with (
        serving(host, tmp_path, *offered, within=net.command) as served,
        answered_by(host, lambda _: Deny("no fetching today")),
    ):
        before = len(net.requests())
        done = run(served, "hello.py")
        assert "PolicyDenied: net_fetch: A person denied this call." in done.stderr
        assert "no fetching today" in done.stderr
        assert net.requests()[before:] == [], "no name and no byte reached the site"


def test_guarded(host: Desk, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("three short words")
    with serving(host, tmp_path, "--profile", "research-web") as served:
        done = run(served, "guarded.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "words: 3",
        "a person must answer for input:/query, flow:authority, flow:integrity, flow:web_to_exfil, "
        "gate:exposure",
        "denied at step 9 by issuer local: Ask the issuer for a token whose ceiling permits this "
        "operation.",
        "seen so far: private_data, untrusted_content",
    ]


def test_sub_agents(host: Desk, tmp_path: Path) -> None:
    for name, size in (("a.txt", 3), ("b.txt", 5)):
        (tmp_path / name).write_text("x" * size)
    with serving(host, tmp_path, "--profile", "codegen") as served:
        done = run(served, "sub_agents.py")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "sizes.md").read_text() == "3\n5"
    lines = done.stdout.splitlines()
    assert sorted(lines[:2]) == [
        f'{name}: scope.outside, ["tool","in",["fs_read"]] added by agent'
        for name in ("a.txt", "b.txt")
    ]
    assert lines[2] == "the tree's budget is used up: budget.exhausted"
