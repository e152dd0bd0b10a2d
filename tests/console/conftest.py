"""A host whose console runs, and a session that asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.console.stage import Stage, staged


@pytest.fixture(scope="package")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    asks = '"read_files", "write_files"'
    with staged(tmp_path_factory.mktemp("console"), asks=asks) as made:
        yield made


@pytest.fixture(scope="package")
def releasing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A host whose sessions may fetch what is vouched for."""
    with staged(tmp_path_factory.mktemp("releasing"), "release") as made:
        yield made


@pytest.fixture
def folder(stage: Stage, request: pytest.FixtureRequest) -> Path:
    path: Path = stage.served.workspace / request.path.stem / request.node.name[:60]
    path.mkdir(parents=True)
    return path
