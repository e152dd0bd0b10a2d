"""One home and one token for all; each test brings a workspace of its own below the token's."""

from __future__ import annotations

import itertools

import pytest

from tests.cli.command import Desk
from tests.walled.place import Place

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    made = Desk(tmp_path_factory.mktemp("walled"))
    made.init()
    (made.root / "work").mkdir()
    made.issue("agent", "--bearer", "--path", made.root / "work")
    made.issue("reader", "--bearer", "--path", made.root / "work", profile="read-only")
    return made


@pytest.fixture
def place(desk: Desk) -> Place:
    folder = desk.root / "work" / f"w{next(_NUMBERS)}"
    folder.mkdir()
    (folder / "README.md").write_text("hello\n")
    return Place(desk, folder)
