"""Every schedule of the real store, up to stated bounds: python -m proofs.schedules [small|full]

Sound scenarios must keep their law in every schedule; broken ones must lose it in some schedule,
which shows that exploring can find it (`broken` asks them alone). `recorded` only compares what
would be explored with scenarios.json, `--record` adds what is new: a scenario that once stood
stays, as wide as it was.
"""

import ast
import hashlib
import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

from proofs.schedules import nodes, remembered, scenarios
from proofs.schedules.scenarios import Scenario
from proofs.schedules.scheduler import Baton, draw, explore
from proofs.statements import differences

SOUND = (*scenarios.SOUND, *remembered.SOUND, *nodes.SOUND)
BROKEN = (*scenarios.BROKEN, *remembered.BROKEN, *nodes.BROKEN)
RECORD = Path(__file__).resolve().parent / "scenarios.json"


@dataclass(frozen=True)
class Explored:
    """What became of one scenario."""

    schedules: str  # how many, and which
    wrong: str  # the law that broke, and the schedule; or nothing


def run(scenario: Scenario, most: int) -> Explored:
    """Every schedule, at most `most`, until one breaks the law."""
    found: list[str] = []
    made = 0
    with scenario.database.stage() as stage:

        def once(baton: Baton) -> None:
            if wrong := scenario.run(stage, baton):
                found.append("\n".join([wrong, *(f"    {line}" for line in baton.log)]))

        for made in (draw if scenario.drawn else explore)(once, most):
            if found:
                return Explored(f"after {made}", found[0])
    which = f"{made:,} drawn" if scenario.drawn else f"{_all(made, most)} {made:,}"
    return Explored(f"{which} schedules", "")


def _all(made: int, most: int) -> str:
    return "all" if made < most else "the first"


def stated(scenario: Scenario) -> str:
    """What a scenario promises, in words that review can read."""
    law = scenario.judge.__qualname__.partition(".")[0]
    drawn = ", drawn" if scenario.drawn else ""
    where = "every boundary" if scenario.every else "each boundary another can see"
    return (
        f"{scenario.law}: {law} over {', '.join(scenario.work)} at {where}, "
        f"{scenario.small:,} schedules in the gate, {scenario.most:,} in the soak{drawn}, "
        f"{scenario.kind.__name__} on {scenario.database.__name__}"
    )


def standing() -> dict[str, str]:
    """Each scenario in words, and a hash of each function that says what is done and judged."""
    found = {each.name: stated(each) for each in (*SOUND, *BROKEN)}
    for module in (scenarios, remembered):
        for node in ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                name = f"{module.__name__.rpartition('.')[2]}.{node.name}"
                found[name] = hashlib.sha256(ast.unparse(node).encode()).hexdigest()
    return found


def objections() -> list[str]:
    """How what would be explored differs from what was recorded."""
    return differences(json.loads(RECORD.read_text(encoding="utf-8")), standing())


def record() -> None:
    before = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else {}
    found = standing()
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
        first = len(SOUND) if arguments == ["broken"] else 0
        for held, told in pool.map(tell, range(first, len(SOUND + BROKEN)), repeat(full)):
            print(told, flush=True)
            good = good and held
    return 0 if good else 1


def tell(number: int, full: bool) -> tuple[bool, str]:
    """Explore one scenario: whether it came out as it must, and how that is told."""
    scenario = (SOUND + BROKEN)[number]
    started = time.perf_counter()
    done = run(scenario, scenario.most if full else scenario.small)
    took = time.perf_counter() - started
    good = bool(done.wrong) == bool(scenario.broken)
    word = "caught" if scenario.broken else scenario.law
    if not good:
        word = "NOT CAUGHT" if scenario.broken else f"BROKEN: {scenario.law}\n{done.wrong}"
    return good, f"schedules: {scenario.name}: {done.schedules} in {took:.1f} s: {word}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
