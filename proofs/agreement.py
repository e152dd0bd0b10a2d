"""Law: Python and Coq give the same answer to the same question, for every function of the kernel.

The translator and the symbolic rung are two readings of one source. Here the source itself
answers: each function runs in Python on random arguments, and Coq must compute the same from
Generated.v. This checks the translation, not the claims.
"""

import importlib
import random
from collections.abc import Callable

from proofs.sources import MODULES, source_of
from proofs.translate.coq import Names, translate

CASES = 200
SEED = 20_261_122
# Shift amounts, so not wide: Coq would walk there bit by bit.
INDICES = {"op", "sink"}
# Corners of the packings.
CORNERS = (0, 1, -1, 2, 3, 7, 0x1FFF, 0x1555555, 0x2AAAAAA, 0x3FFFFFF, 0xFFFF, 0x8000)


def number(rng: random.Random, name: str) -> int:
    if name in INDICES:
        return rng.randrange(-3, 34)
    if rng.random() < 0.3:
        return rng.choice(CORNERS)
    size = rng.choice((2, 4, 16, 26, 70))
    return rng.randrange(-(1 << size) // 4, 1 << size)


def argument(rng: random.Random, name: str, kind: str) -> int | bool | tuple[int, ...]:
    if kind == "bool":
        return rng.random() < 0.5
    if kind == "Z":
        return number(rng, name)
    return tuple(number(rng, name) for _ in range(rng.randrange(6)))


def coq(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + "; ".join(coq(v) for v in value) + "]"
    return f"({value})"


def questions() -> str:
    """A Coq file that compiles exactly if every answer is Python's."""
    rng = random.Random(SEED)
    seen: dict[str, Names] = {}
    lines = [
        "From Coq Require Import ZArith List Bool.",
        "Require Import Generated.",
        "Import ListNotations.",
        "Open Scope Z_scope.",
    ]
    for module in MODULES:
        seen[module], _ = translate(source_of(module), seen)
        running = importlib.import_module(module)
        for name, (spelled, kinds, result) in seen[module].functions.items():
            if "." in spelled:
                continue
            function: Callable[..., int | bool] = getattr(running, name)
            names = function.__code__.co_varnames[: len(kinds)]
            same = "Z.eqb" if result == "Z" else "Bool.eqb"
            rows = []
            for _ in range(CASES):
                given = [argument(rng, n, k) for n, k in zip(names, kinds, strict=True)]
                words = " ".join(coq(g) for g in given)
                home = module.rpartition(".")[2]
                rows.append(f"{same} ({home}.{name} {words}) {coq(function(*given))}")
            lines.append(f"(* {module}.{name} *)\nGoal forallb (fun same => same)")
            lines.append(
                "[" + ";\n ".join(rows) + "] = true.\nProof. vm_compute. reflexivity. Qed."
            )
    return "\n".join(lines) + "\n"
