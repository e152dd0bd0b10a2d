"""A session that asks to fetch what stood in a page, and another question of the same task."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from nucleus import PolicyDenied, Session, StateBlocked
from tests.console.stage import Stage

URL = "https://elsewhere.example/?what=1"


@dataclass
class Asking:
    """The task, its questions that wait, and the calls behind them."""

    session: Session
    requests: tuple[str, ...]
    calls: tuple[Future[Any], ...]

    def is_stopped(self, reason: str) -> None:
        """Every call was denied with this reason, and the token is dead."""
        for call in self.calls:
            denied = call.exception(60)
            assert isinstance(denied, PolicyDenied)
            assert reason in str(denied)
        with pytest.raises(StateBlocked, match="revoked"):
            self.session.fs.glob("*")

    def goes_on(self) -> None:
        """Nothing was answered, and the token lives."""
        assert not any(call.done() for call in self.calls)
        assert self.session.fs.glob("*")


@contextmanager
def asking(stage: Stage, *urls: str) -> Iterator[Asking]:
    """A task that read a page, and wants what stands in it; without `urls`, one address."""
    wanted = urls or (URL,)
    stage.served.file("page.txt", "\n".join(wanted))
    with stage.served.session("release") as s:
        s.fs.read("page.txt")
        before = {row["id"] for row in stage.served.desk.run("approvals", "list", "--json").json}
        calls = tuple(stage.asks("fetch", s.net.fetch, each) for each in wanted)
        rows = stage.waiting(len(before) + len(calls))
        yield Asking(s, tuple(row["id"] for row in rows if row["id"] not in before), calls)
    for call in calls:
        call.exception(60)
