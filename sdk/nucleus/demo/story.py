"""Law: eleven steps in one order; the first that differs ends the story, and the exit code says so.

Whatever happens, every process that was started is ended and the directory is removed, unless
somebody asked to keep it.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nucleus.demo import acts, attacks
from nucleus.demo.differs import Differs
from nucleus.demo.stage import Stage
from nucleus.demo.telling import Teller
from nucleus.demo.world import World

Step = Callable[[Stage], Awaitable[str]]

STEPS: Final[tuple[tuple[str, Step], ...]] = (
    ("An allowed call", acts.allowed),
    ("Each sees its own tools", acts.filtered),
    ("Denied, for three reasons", acts.denied),
    ("Asked, approved, done once", acts.asked),
    ("A shared budget runs out", acts.spent),
    ("Exposure follows the tree", acts.exposed),
    ("The wrong holder", attacks.mismatched),
    ("A stolen request, sent again", attacks.replayed),
    ("The parent is revoked", attacks.revoked),
    ("The trace is verified", attacks.verified),
    ("One byte of it is changed", attacks.altered),
)
# A socket's path has at most 107 bytes.
_LONGEST_FOLDER: Final = 60


@dataclass(frozen=True, slots=True)
class Told:
    """One step and what came of it: `as told`, `differs`, or `not reached`."""

    number: int
    name: str
    outcome: str
    detail: str
    seconds: float

    @property
    def ok(self) -> bool:
        return self.outcome == "as told"


async def play(tell: Teller, *, keep: bool = False, edit: Callable[[str], str] = str) -> list[Told]:
    """Tell the whole story; number 0 is the preparation. `edit` may change the first proxy's policy
    file."""
    root = _folder()
    stage = Stage(World(root), tell, edit)
    told: list[Told] = []
    try:
        for number, (name, step) in enumerate((("Preparing", _prepared), *STEPS)):
            if all(each.ok for each in told):
                told.append(await _one(stage, number, name, step))
            else:
                told.append(Told(number, name, "not reached", "", 0.0))
        return told
    finally:
        try:
            await stage.close()
        finally:
            if keep:
                tell.say(f"All of it is kept: nucleus --home {root}/home trace show")
            else:
                shutil.rmtree(root, ignore_errors=True)


async def _prepared(stage: Stage) -> str:
    await stage.set_up()
    return "an issuer, an agent, two sub-agents, a proxy, a server"


async def _one(stage: Stage, number: int, name: str, step: Step) -> Told:
    began = time.monotonic()
    stage.tell.step(number, name)
    try:
        outcome, detail = "as told", await step(stage)
    except Differs as error:
        outcome, detail = "differs", str(error)
    except Exception as error:  # noqa: BLE001  whatever goes wrong in a step, the step differs
        outcome, detail = "differs", f"{type(error).__name__}: {error}"
    if outcome == "differs":
        stage.tell.failed(f"Step {number} differs: {detail}")
    return Told(number, name, outcome, detail, round(time.monotonic() - began, 2))


def _folder() -> Path:
    place = tempfile.gettempdir()
    if len(place) > _LONGEST_FOLDER:
        place = "/tmp"  # noqa: S108  mkdtemp makes a private directory there
    return Path(tempfile.mkdtemp(prefix="nucleus-demo-", dir=place)).resolve()
