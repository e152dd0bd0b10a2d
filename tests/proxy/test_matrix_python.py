"""The servers of the matrix that PyPI ships. See test_matrix.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.proxy.matrix_servers import OF_PYPI
from tests.proxy.test_matrix import compared


@pytest.mark.parametrize("name", OF_PYPI)
async def test_what_passes_direct_passes_mediated(tmp_path: Path, name: str) -> None:
    await compared(tmp_path.resolve(), name)
