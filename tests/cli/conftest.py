"""One home for the tests that only read, and a new one for each that changes something."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.command import Desk


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A home with two holders' keys and a token; nobody changes it."""
    return _furnished(tmp_path_factory.mktemp("cli"))


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """The same, for one file's tests to write tokens into."""
    return _furnished(tmp_path_factory.mktemp("cli"))


def _furnished(root: Path) -> Desk:
    desk = Desk(root)
    desk.init()
    desk.key("agent")
    desk.key("helper")
    desk.issue("agent", "--holder-key", "agent.key", "--depth", 2, "--path", desk.root)
    return desk


@pytest.fixture
def desk(template: Desk, tmp_path: Path) -> Desk:
    """A copy of the template, to be changed. Paths in its token are the template's."""
    shutil.copytree(template.root, tmp_path, dirs_exist_ok=True)
    return Desk(tmp_path)
