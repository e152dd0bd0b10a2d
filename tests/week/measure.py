"""Counts what a person is asked in the scripted week, and writes it into docs/approvals.md.

    python -m tests.week.measure

The real store, mediator, tools' bindings, desk and approver's road; no effect runs, since only the
questions are counted. The person is scripted too: what is routine (tests, linter, documentation) is
answered in the widest way that is offered, what is published is answered once, each time.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, Literal

from nucleus import composing
from nucleus.approver import Answer, Answering, Approve, Question
from nucleus.home import Home
from nucleus_issuer import profiles
from nucleus_issuer.issuing import Order
from nucleus_proxy import policy as policies
from nucleus_proxy.answers import Granted, Presented
from nucleus_proxy.mediator import Mediator
from nucleus_proxy.native import Tools
from nucleus_proxy.waiting import Caller
from nucleus_tokens import crypto
from nucleus_tokens.header import Holder
from tests.cli.command import PASSPHRASE, Desk
from tests.house.source import ROOT
from tests.issuer.making import Clock
from tests.week.script import KINDS, Step, sessions

Way = Literal["once", "patterns", "standing"]
WAYS: Final[tuple[Way, ...]] = ("once", "patterns", "standing")
PAGE: Final = ROOT / "docs" / "approvals.md"
_BEGIN, _END = "<!-- week: python -m tests.week.measure -->", "<!-- end of week -->"
_POLICY: Final = b"""version = 1
[remotes.origin]
url = "https://git.example.org/team/x.git"
api = "https://git.example.org/api/v1"
"""
_ROUTINE: Final = frozenset(("run_bash", "web_fetch", "git_commit", "edit_files", "write_files"))
_DAY: Final = 8 * 3600
_LATER: Final = 4 * 3600  # from one session to the next


def person(way: Way) -> Callable[[Question], Answer]:
    """Who answers."""

    def answers(asked: Question) -> Answer:
        if way == "once" or asked.operation not in _ROUTINE or not asked.offers:
            return Approve()
        return Approve(asked.offers[-1].pattern, 200, _DAY, always=way == "standing")

    return answers


def measure(root: Path, way: Way) -> Counter[str]:
    """How often a person was asked, by kind of call; `calls` is how many there were."""
    root.chmod(0o700)
    Desk(root).init()
    workspace = root / "workspace"
    for folder in ("src", "tests", "docs"):
        (workspace / folder).mkdir(parents=True, exist_ok=True)
    place = Home.find(root / "home", {})
    clock = Clock(place.clock())
    place = replace(place, clock=clock)
    counted: Counter[str] = Counter()
    for number, steps in enumerate(sessions()):
        asyncio.run(_session(place, workspace, f"week-{number}", steps, way, counted))
        clock.now += _LATER
    return counted


async def _session(
    place: Home, workspace: Path, run: str, steps: list[Step], way: Way, counted: Counter[str]
) -> None:
    rules = composing.at(policies.parse(_POLICY), workspace)
    with place.store() as store, place.labels() as labels:
        ours = composing.tools(rules, draw=place.random, labels=labels)
        mediator = place.mediator(
            store, composing.with_tools(rules, ours), lambda _: None, labels=labels, run=run
        )
        mediator.open()
        token = _token(place, workspace)
        desk = Answering(place, store, place.approver(None, lambda _: PASSPHRASE))
        answers = person(way)

        def noted(kind: str, asked: Question) -> Answer:
            counted[kind] += 1
            return answers(asked)

        for kind, tool, args in steps:
            counted["calls"] += 1
            call = asyncio.ensure_future(_call(mediator, ours, token, workspace, tool, args))
            while not (await asyncio.wait({call}, timeout=0.02))[0]:
                await asyncio.to_thread(desk.once, partial(noted, kind))
            assert isinstance(call.result(), Granted), (tool, args, call.result())


def _call(
    mediator: Mediator, ours: Tools, token: str, workspace: Path, tool: str, args: dict[str, object]
) -> Awaitable[object]:
    async def unheard(_: str) -> None:
        return None

    build = partial(ours[tool].bind, args, str(workspace))
    return mediator.call(Presented(token, "held"), build, progress=unheard, caller=Caller())


def _token(place: Home, workspace: Path) -> str:
    with place.store() as store:
        minted = place.issuer(store, lambda _: PASSPHRASE).issue(
            Order(
                sub="agent",
                holder=Holder(None, crypto.public_of(place.random(32))),
                audience=place.keyring().bundle().audience_named(None),
                profile=profiles.named("release"),
                extra=[["path", "in", [str(workspace)]]],
            )
        )
    return minted.text


def table(found: dict[Way, Counter[str]]) -> str:
    """What was counted, for the page."""
    calls = found["once"]["calls"]
    made = [
        f"A scripted week of a coding agent under the profile `release`: {calls} calls of "
        f"{len(KINDS)} kinds in ten sessions (`tests/week`). How often a person is asked:",
        "",
        "| kind | each time | patterns, each session | and never again |",
        "|---|---|---|---|",
    ]
    for kind in KINDS:
        made.append(f"| {kind} | " + " | ".join(str(found[way][kind]) for way in WAYS) + " |")
    totals = {way: sum(found[way][kind] for kind in KINDS) for way in WAYS}
    made.append("| all | " + " | ".join(str(totals[way]) for way in WAYS) + " |")
    rates = [f"1 in {calls / totals[way]:.1f}" if totals[way] else "none" for way in WAYS]
    made.append("| of the calls | " + " | ".join(rates) + " |")
    return "\n".join(made)


def written() -> str:
    """What the page says."""
    found = re.search(f"{re.escape(_BEGIN)}\n(.*)\n{re.escape(_END)}", PAGE.read_text(), re.DOTALL)
    assert found, "docs/approvals.md has lost its table"
    return found[1]


def main() -> int:
    """Measure, and write."""
    found: dict[Way, Counter[str]] = {}
    for way in WAYS:
        with tempfile.TemporaryDirectory() as folder:
            found[way] = measure(Path(folder), way)
    made = table(found)
    print(made)
    before, old, after = PAGE.read_text().partition(f"{_BEGIN}\n{written()}\n{_END}")
    assert old
    PAGE.write_text(f"{before}{_BEGIN}\n{made}\n{_END}{after}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
