"""Law: a claim asked of z3 that was once committed stays, with the meaning it had.

    python -m proofs.sentences            every recorded sentence still states the same
    python -m proofs.sentences --record   adds what is new; it never changes or drops an entry

What a claim states is its hypotheses and its goal, written with the kernel's functions as bare
names. So a hypothesis added or a goal softened changes the record, and a changed kernel does not.
"""

import hashlib
import importlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from proofs.sources import MODULES
from proofs.statements import differences
from proofs.symbolic.__main__ import GROUPS
from proofs.symbolic.kernel import Kernel
from proofs.symbolic.machine import WIDTH, Expr
from proofs.symbolic.solver import z3
from proofs.symbolic.suite import Suite

RECORD = Path(__file__).resolve().parent / "sentences.json"


class Named(Kernel):
    """The kernel's functions as names without bodies."""

    def __call__(self, name: str, *arguments: object) -> Expr:
        module, _, function = name.partition(".")
        returns = getattr(self.modules[module], function).__annotations__["return"]
        flat = [x for a in arguments for x in (a if isinstance(a, tuple) else (a,))]
        terms = [x if z3.is_expr(x) else plain(x) for x in flat]
        numbers = [t.sort() for t in terms if not z3.is_bool(t)]
        wide = [s for s in numbers if s.kind() == z3.Z3_BV_SORT] or numbers
        sort = z3.BoolSort() if returns is bool else (wide or [z3.BitVecSort(WIDTH)])[0]
        shape = "".join(str(len(a)) if isinstance(a, tuple) else "." for a in arguments)
        if not terms:
            return z3.Const(name, sort)
        return z3.Function(f"{name}{shape}", *(t.sort() for t in terms), sort)(*terms)


def plain(value: object) -> Expr:
    return z3.BoolVal(value) if isinstance(value, bool) else z3.BitVecVal(value, WIDTH)


class Recorder(Suite):
    """Keeps what each claim states, and asks nothing."""

    def __init__(self) -> None:
        super().__init__(Named([importlib.import_module(m) for m in MODULES]))
        self.stated: dict[str, str] = {}
        self.twice: list[str] = []

    def keep(self, sentence: str, kind: str, *terms: Expr) -> None:
        text = "\n".join((kind, *(" ".join(t.sexpr().split()) for t in terms)))
        if sentence in self.stated:
            self.twice.append(f"{sentence} stands twice")
        self.stated[sentence] = hashlib.sha256(text.encode()).hexdigest()

    def law(self, sentence: str, goal: Expr, given: Sequence[Expr] = ()) -> None:
        self.keep(sentence, "law", goal, *given)

    def finds(
        self,
        sentence: str,
        given: Sequence[Expr],
        replay: Callable[[Mapping[str, int | bool]], bool],
    ) -> None:
        self.keep(sentence, "finds", *given)


def sentences() -> tuple[dict[str, str], list[str]]:
    """Each claim's hash of what it states; and the sentences that more than one claim has."""
    recorder = Recorder()
    for group in GROUPS:
        for claims in group.CLAIMS:
            claims(recorder)
    return recorder.stated, recorder.twice


def recorded() -> dict[str, str]:
    loaded = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    return {str(name): str(digest) for name, digest in loaded.items()}


def main(arguments: list[str]) -> int:
    found, wrong = sentences()
    if arguments == ["--record"]:
        text = json.dumps({**found, **recorded()}, indent=2, ensure_ascii=False, sort_keys=True)
        RECORD.write_text(text + "\n", encoding="utf-8")
    wrong = wrong + differences(recorded(), found)
    for line in wrong:
        print(f"sentences: {line}", file=sys.stderr)
    print(f"sentences: {len(found)} claims state what was recorded" if not wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
