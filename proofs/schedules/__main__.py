"""Every schedule of the real store, up to stated bounds: python -m proofs.schedules [small|full]

Sound scenarios must keep their law in every schedule; broken ones must lose it in some schedule,
which shows that exploring can find it. `recorded` only compares what would be explored with
scenarios.json, `--record` adds what is new: a scenario that once stood stays, as wide as it was.
"""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

from nucleus_issuer.database import Database
from proofs.schedules import remembered, scenarios
from proofs.schedules.scenarios import Scenario
from proofs.schedules.scheduler import Baton, explore
from proofs.statements import differences

SOUND = (*scenarios.SOUND, *remembered.SOUND)
BROKEN = (*scenarios.BROKEN, *remembered.BROKEN)
RECORD = Path(__file__).resolve().parent / "scenarios.json"
_MEMORY = Path("/dev/shm")  # noqa: S108  order is judged, not the disk; elsewhere it is only slower


@dataclass(frozen=True)
class Explored:
    """What became of one scenario."""

    schedules: int
    all_of_them: bool
    wrong: str  # the law that broke, and the schedule; or nothing


def run(scenario: Scenario, most: int) -> Explored:
    """Every schedule, at most `most`, until one breaks the law."""
    found: list[str] = []
    made = 0
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as home:
        template = Path(home) / "template" / "state.sqlite"
        Database.create(template)
        place = Path(home) / "run"

        def once(baton: Baton) -> None:
            place.mkdir(mode=0o700)
            try:
                shutil.copy(template, place)
                if wrong := scenario.run(place, baton):
                    found.append("\n".join([wrong, *(f"    {line}" for line in baton.log)]))
            finally:
                shutil.rmtree(place)

        for made in explore(once, most):  # noqa: B007  how many there were is told
            if found:
                break
    return Explored(made, made < most, found[0] if found else "")


def stated(scenario: Scenario) -> str:
    """What a scenario promises, in words that review can read."""
    law = scenario.judge.__qualname__.partition(".")[0]
    where = "every boundary" if scenario.every else "each boundary another can see"
    return (
        f"{scenario.law}: {law} over {', '.join(scenario.work)} at {where}, "
        f"{scenario.small:,} schedules in the gate, {scenario.most:,} in the soak, "
        f"{scenario.kind.__name__} on {scenario.database.__name__}"
    )


def objections() -> list[str]:
    """How what would be explored differs from what was recorded."""
    recorded = json.loads(RECORD.read_text(encoding="utf-8"))
    return differences(recorded, {each.name: stated(each) for each in (*SOUND, *BROKEN)})


def record() -> None:
    before = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else {}
    found = {each.name: stated(each) for each in (*SOUND, *BROKEN)}
    RECORD.write_text(json.dumps({**found, **before}, indent=1) + "\n", encoding="utf-8")


def main(arguments: Sequence[str]) -> int:
    if arguments == ["--record"]:
        record()
    wrong = objections()
    for line in wrong:
        print(f"schedules: {line}", file=sys.stderr)
    if wrong or arguments in (["recorded"], ["--record"]):
        return 1 if wrong else 0
    full = arguments == ["full"]
    # In the gate another rung has the other core.
    with ProcessPoolExecutor(2 if full else 1) as pool:
        good = True
        for held, told in pool.map(tell, range(len(SOUND + BROKEN)), repeat(full)):
            print(told, flush=True)
            good = good and held
    return 0 if good else 1


def tell(number: int, full: bool) -> tuple[bool, str]:
    """Explore one scenario: whether it came out as it must, and how that is told."""
    scenario = (SOUND + BROKEN)[number]
    started = time.perf_counter()
    done = run(scenario, scenario.most if full else scenario.small)
    took = time.perf_counter() - started
    bound = "all" if done.all_of_them else "the first"
    good = bool(done.wrong) == bool(scenario.broken)
    word = "caught" if scenario.broken else scenario.law
    if not good:
        word = "NOT CAUGHT" if scenario.broken else f"BROKEN: {scenario.law}\n{done.wrong}"
    told = f"after {done.schedules}" if done.wrong else f"{bound} {done.schedules:,} schedules"
    return good, f"schedules: {scenario.name}: {told} in {took:.1f} s: {word}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
