"""Exploring finds what it should: each broken store loses its law in some schedule."""

import pytest

from proofs.schedules.__main__ import BROKEN, SOUND, run
from proofs.schedules.scenarios import Scenario
from proofs.schedules.scheduler import Baton, Stuck, draw, explore
from proofs.schedules.stepped import SteppedDatabase

A_FEW = 40
# Each of PostgreSQL starts a server: the gate explores them all, here two stand for them.
NODES = [s for s in (*SOUND, *BROKEN) if s.database is not SteppedDatabase]
HERE_SOUND = [s for s in SOUND if s not in NODES[1:]]
HERE_BROKEN = [s for s in BROKEN if s not in NODES[:-1]]


def test_every_order_of_three_steps_each_is_tried_once() -> None:
    orders = []

    def two(baton: Baton) -> None:
        for _ in range(3):
            baton.pause("step")

    def once(baton: Baton) -> None:
        baton.run({"a": lambda: two(baton), "b": lambda: two(baton)})
        orders.append("".join(line[0] for line in baton.log))

    made = list(explore(once, 10_000))
    assert len(made) == len(orders)
    assert len(set(orders)) == 20  # six steps, three of them a's
    orders.clear()
    assert list(draw(once, 1_000)) == list(range(1, 1_001))
    assert len(set(orders)) == 20, "what is drawn comes from all over"
    again = orders.copy()
    orders.clear()
    list(draw(once, 1_000))
    assert orders == again


def test_workers_that_wait_for_each_other_are_told() -> None:
    def once(baton: Baton) -> None:
        baton.run({"a": lambda: baton.pause("never", lambda: False)})

    with pytest.raises(Stuck, match="no worker can go on"):
        list(explore(once, 10))


@pytest.mark.slow
@pytest.mark.parametrize("scenario", HERE_BROKEN, ids=lambda s: s.name)
def test_a_broken_store_is_caught(scenario: Scenario) -> None:
    assert scenario.broken
    assert run(scenario, scenario.small).wrong


@pytest.mark.slow
@pytest.mark.parametrize("scenario", HERE_SOUND, ids=lambda s: s.name)
def test_the_shipped_store_keeps_its_laws_in_a_few_schedules(scenario: Scenario) -> None:
    assert run(scenario, A_FEW).wrong == ""
