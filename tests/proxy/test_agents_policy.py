"""What a policy file says of sub-agents it says whole, or it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from nucleus_proxy import policy
from nucleus_tokens.errors import CallerError
from nucleus_tokens.exposure import PRIVATE_DATA, UNTRUSTED_CONTENT
from tests.house.source import ROOT


def agents(text: str) -> str:
    return "version = 1\n[agents.a]\n" + text


def test_what_is_not_said_is_not_given() -> None:
    made = policy.parse(agents('argv = ["x"]').encode()).agents["a"]
    assert (made.env, made.readable, made.shows, made.mode) == ({}, (), 0, "none")
    assert (made.workspace, made.caveats, made.depth, made.live) == (".", (), 0, 1)
    installed = policy.parse(agents('argv = ["x"]\nreadable = ["bin"]').encode(), base=Path("/o"))
    assert installed.agents["a"].readable == ("/o/bin",)
    assert installed.agents["a"].shows == PRIVATE_DATA | UNTRUSTED_CONTENT


@pytest.mark.parametrize(
    "text",
    [
        "", "argv = []", 'argv = "x"', "argv = [1]", 'argv = ["\\u0000"]',
        *(f'argv = ["x"]\n{line}' for line in (
            'workspace = ".."', 'workspace = "/etc"', 'workspace = "a/../.."', 'workspace = ""',
            'mode = "all"', "mode = 1", 'env = { "A=B" = "x" }', "env = { A = 1 }", 'env = ["A"]',
            'shows = ["everything"]', "depth = -1", "depth = 8", "depth = true", "live = 0",
            "live = 65", "seconds = 0", "seconds = 86401", "caveats = [[]]",
            'caveats = [["nothing"]]', 'caveats = [["delegate", {}, ""]]', 'caveats = ["cap"]',
            'caveats = [["cap", { write_files = 1.5 }]]', 'shell = "x"', 'token = "x"',
        )),
    ],
)  # fmt: skip
def test_one_mistake_refuses_the_file(text: str) -> None:
    with pytest.raises(CallerError, match=r"policy\."):
        policy.parse(agents(text).encode())


@pytest.mark.parametrize("name", ["", "a b", "../a", "a:b", "ä", "a" * 65])
def test_a_name_is_a_word(name: str) -> None:
    with pytest.raises(CallerError, match=r"policy\."):
        policy.parse(f'version = 1\n[agents."{name}"]\nargv = ["x"]'.encode())


def test_the_example_of_the_documentation_is_a_policy() -> None:
    page = (ROOT / "docs" / "spec" / "policy.md").read_text()
    example = page.split("## `agents`")[1].split("```toml\n")[1].split("```")[0]
    made = policy.parse(b"version = 1\n" + example.encode(), base=Path("/etc")).agents
    assert made["reviewer"].workspace == "docs"
