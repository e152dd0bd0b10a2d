"""One home for the tests that only read, and a new one for each that changes something."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.command import Desk


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A home with two holders' keys and a token; nobody changes it."""
    desk = Desk(tmp_path_factory.mktemp("cli"))
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
