"""One image, one home and one token for all."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import subprocess
from collections.abc import Iterator

import pytest

from nucleus_vmhost.vm.image import Image, Recipe
from tests.cli.command import PROGRAM, Desk
from tests.vm.machines import CACHE, all_gone, built, children
from tests.walled.place import Place

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def image() -> Image:
    return built(Recipe())


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory, image: Image) -> Desk:
    made = Desk(tmp_path_factory.mktemp("vm"))
    made.env["XDG_CACHE_HOME"] = os.fspath(CACHE.parents[1])
    made.init()
    (made.root / "work").mkdir()
    made.issue("agent", "--bearer", "--path", made.root / "work")
    return made


@pytest.fixture
def place(desk: Desk) -> Place:
    folder = desk.root / "work" / f"w{next(_NUMBERS)}"
    folder.mkdir()
    (folder / "README.md").write_text("hello\n")
    return Place(desk, folder, where="--vm")


@pytest.fixture
def pool(desk: Desk) -> Iterator[subprocess.Popen[bytes]]:
    """The process that keeps one warm."""
    with pooling(desk) as process:
        yield process


@contextlib.contextmanager
def pooling(desk: Desk, *words: object) -> Iterator[subprocess.Popen[bytes]]:
    """A process that keeps one warm, as it is asked for."""
    with subprocess.Popen(
        [*PROGRAM, *desk.argv("vm", "pool", "serve", "--size", "1", *words)],
        stderr=subprocess.PIPE,
        env=desk.environ(),
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        try:
            assert b"are warm" in process.stderr.readline()
            yield process
        finally:
            family = children(process.pid)
            process.terminate()
            process.wait(60)
            asyncio.run(all_gone(family))
