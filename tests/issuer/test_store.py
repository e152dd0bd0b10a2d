"""The SQLite store keeps the contract of every store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nucleus_issuer.store import Store
from tests.issuer.contract import Stores
from tests.issuer.contract_allotments import AllotmentContract
from tests.issuer.contract_desk import DeskContract
from tests.issuer.contract_inventory import InventoryContract
from tests.issuer.contract_ledger import LedgerContract
from tests.issuer.making import Clock


class TestSqliteStore(LedgerContract, InventoryContract, DeskContract, AllotmentContract):
    """Every claim of the contract, on one file in a directory of its own."""

    @pytest.fixture
    def stores(self, tmp_path: Path, clock: Clock) -> Iterator[Stores]:
        made: list[Store] = []

        def make(**options: Any) -> Store:
            path = tmp_path / "state" / "state.sqlite"
            made.append(Store.open(path, create=True, clock=clock, **options))
            return made[-1]

        yield make
        for store in made:
            store.close()
