"""What every store must do, whatever keeps it: the fixtures that claims are made over.

A test module subclasses the claims of `contract_ledger`, `contract_inventory` and `contract_desk`
and gives the `stores` fixture. A claim names, where it is not plain, the mistake that breaks it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nucleus_issuer.store import Store
from nucleus_verifier.decision import Deny
from tests.issuer.making import RID0, TREE, WALL, Clock, wanted

# Opens a store on the one place of this test, on its clock: again and again, if asked.
Stores = Callable[..., Store]
CALLS = f"{RID0}/calls"


def code_of(result: Deny | int) -> str:
    assert isinstance(result, Deny), f"a commit that should have been refused: {result}"
    return result.code


def everything(store: Store) -> dict[str, Any]:
    """What a refused commit must not have changed."""
    seen = store.read(wanted(nonce="n"))
    return {
        "spent": dict(seen.spent),
        "cells": (seen.wall, seen.tree),
        "nonce": seen.nonce_seen,
        "trace": store.trace_lines(),
    }


def opened(store: Store, wall: int = 0, tree: int = 0) -> Store:
    store.open_cell(WALL.id, wall)
    store.open_cell(TREE.id, tree)
    return store


class Contract:
    """What the claims stand on."""

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def stores(self) -> Stores:
        raise NotImplementedError

    @pytest.fixture
    def store(self, stores: Stores) -> Store:
        return opened(stores())
