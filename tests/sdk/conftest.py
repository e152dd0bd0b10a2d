"""One host for all tests of the SDK that only use it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nucleus_issuer.profiles import CANONICAL
from tests.cli.command import Desk
from tests.sdk.stage import Served, home, serving


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return home(tmp_path_factory.mktemp("sdk"))


@pytest.fixture(scope="session")
def served(host: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """All ten profiles in one workspace; a test uses files of its own there."""
    words = [word for name in CANONICAL for word in ("--profile", name)]
    with serving(host, tmp_path_factory.mktemp("workspace"), *words) as made:
        yield made


@pytest.fixture
def folder(served: Served, request: pytest.FixtureRequest) -> Path:
    """A directory of the test's own in the workspace."""
    made = served.workspace / request.node.name.replace("[", "-").rstrip("]")
    made.mkdir()
    return made
