"""Documentation that leads nowhere is worse than none: every link resolves, every page is found."""

from __future__ import annotations

import re
from pathlib import Path

from tests.house.source import ROOT, repository, shown

_LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_ELSEWHERE = ("http://", "https://", "mailto:")


def _pages() -> list[Path]:
    return [path for path in repository() if path.suffix == ".md"]


def _links(page: Path) -> list[tuple[Path, str]]:
    """The relative links of a page: what they point to, and the anchor."""
    found = []
    for target in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        if not target.startswith(_ELSEWHERE):
            name, _, anchor = target.partition("#")
            found.append(((page.parent / name).resolve() if name else page, anchor))
    return found


def _anchors(page: Path) -> set[str]:
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+\s+(.*?)\s*#*$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}


def test_every_link_resolves() -> None:
    broken = []
    for page in _pages():
        for target, anchor in _links(page):
            if not target.exists():
                broken.append(f"{shown(page)}: no file {target.relative_to(ROOT)}")
            elif anchor and target.suffix == ".md" and anchor not in _anchors(target):
                broken.append(f"{shown(page)}: no heading #{anchor} in {shown(target)}")
    assert not broken, "\n".join(broken)


def test_every_page_of_docs_can_be_reached_from_its_index() -> None:
    """A page that nobody links to is a page that nobody keeps true."""
    index = ROOT / "docs" / "README.md"
    reached, todo = set(), [index]
    while todo:
        page = todo.pop()
        if page not in reached and page.suffix == ".md" and page.is_file():
            reached.add(page)
            todo.extend(target for target, _ in _links(page))
    lost = [shown(p) for p in _pages() if p.is_relative_to(index.parent) and p not in reached]
    assert not lost, f"add these to {shown(index)} or to a page it leads to: {lost}"


def test_the_two_commands_of_the_readme_exist() -> None:
    """The first thing a stranger types must work."""
    words = re.findall(r"^\./dev (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    jobs = re.findall(r'^    "(\w+)": \w+,$', (ROOT / "dev").read_text(), re.MULTILINE)
    assert words == ["demo", "test"]
    assert set(words) <= set(jobs)


def test_the_gate_runs_the_command_of_the_readme() -> None:
    """What the gate checks and what we tell people to run must be the same thing."""
    gate = ROOT / ".ci" / "run"
    assert gate.stat().st_mode & 0o111, ".ci/run must be executable"
    jobs = re.findall(r"^\./dev (\w+) \|\| failed=", gate.read_text(), re.MULTILINE)
    assert jobs == ["lint", "test"]


def test_the_attacks_that_are_named_are_the_attacks_that_are_tried() -> None:
    """The threat model's table leads to files that exist, and leaves no red team's file out."""
    tests = ROOT / "tests"
    page = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    named: set[Path] = set()
    for row in re.findall(r"^\| .* \|$", page, re.MULTILINE):
        room = ""
        for name in re.findall(r"`([\w/*]+\.py)`", row.rpartition(" | ")[2]):
            folder, _, file = name.rpartition("/")
            room = folder or room
            found = list((tests / room).glob(file))
            assert found, f"docs/threat-model.md names tests/{room}/{file}, which is not there"
            named.update(found)
    left_out = sorted(shown(p) for p in tests.rglob("test_attack_*.py") if p not in named)
    assert not left_out, f"docs/threat-model.md does not name {left_out}"
