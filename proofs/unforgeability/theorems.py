"""Law: the statements about Model.v stand as they were recorded, proved, closed, and checked twice.

    python -m proofs.unforgeability theorems     needs coqc and coqchk

Model.v holds definitions and no proof, Unforgeable.v theorems and no definition; both are recorded
in statements.json, the model as a whole, so that neither can be hollowed out unseen. So are what
the search calls a forgery (judging.py as a whole) and each control.
"""

import ast
import hashlib
import json
import shutil
import sys
import tempfile
from pathlib import Path

from proofs import statements
from proofs.theorems import CLOSED, run
from proofs.unforgeability.controls import CONTROLS

HERE = Path(__file__).resolve().parent
RECORD = HERE / "statements.json"
FILES = ("Model", "Invariant", "Unforgeable")
SENTENCES = "Unforgeable"
# Fields of a module type in Coq's own library, which look like axioms when it is not checked.
_UNDER = "Coq.ssr.ssrunder.Under_rel."
LIBRARY = {
    _UNDER + name
    for name in (
        "Over_rel", "Under_rel", "Under_relE", "Under_rel_from_rel", "over_rel", "over_rel_done",
        "under_rel_done",
    )
}  # fmt: skip


def standing() -> dict[str, str]:
    """Hashes of the model and of every theorem, as they stand."""
    text = {name: (HERE / "coq" / f"{name}.v").read_text(encoding="utf-8") for name in FILES}
    model = " ".join(statements.uncommented(text["Model"]).split())
    judging = ast.dump(ast.parse((HERE / "judging.py").read_text(encoding="utf-8")))
    return {
        "Model": _hash(model),
        "judging": _hash(judging),
        **{f"control: {c.name}": _hash(f"{c.broken.__name__}: {c.forgery}") for c in CONTROLS},
        **statements.statements({SENTENCES: text[SENTENCES]}),
    }


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def objections() -> list[str]:
    """Why what stands is not what was recorded, or could be hollow."""
    there = {path.stem for path in (HERE / "coq").glob("*.v")}
    found = [f"{name}.v is not listed" for name in there ^ set(FILES)]
    text = (HERE / "coq" / f"{SENTENCES}.v").read_text(encoding="utf-8")
    found += statements.objections({SENTENCES: text})
    recorded = json.loads(RECORD.read_text(encoding="utf-8"))
    return found + statements.differences(recorded, standing())


def _axioms(answer: str) -> set[str]:
    """What coqchk names under its heading; a form of answer we do not know is an axiom."""
    _, found, rest = answer.partition("* Axioms:")
    listed, ended, _ = rest.partition("* Constants")
    return set(listed.split()) - {"<none>"} if found and ended else {answer}


def main() -> int:
    wrong = objections()
    names = [name for name in standing() if name.startswith(f"{SENTENCES}.")]
    for line in wrong:
        print(f"unforgeability: {line}", file=sys.stderr)
    if wrong:
        return 1
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        for name in FILES:
            shutil.copy(HERE / "coq" / f"{name}.v", place)
            if run("coqc", f"{name}.v", cwd=place) is None:
                return 1
        asked = "\n".join(f"Print Assumptions {name}." for name in names)
        text = f"Require Import {' '.join(FILES)}.\n{asked}\n"
        (place / "Ask.v").write_text(text, encoding="utf-8")
        answers = run("coqc", "Ask.v", cwd=place)
        if answers is None or answers.split("\n") != [CLOSED] * len(names) + [""]:
            print(f"unforgeability: something stands on an axiom\n{answers}", file=sys.stderr)
            return 1
        # The library itself is checked by `proofs.theorems`; here only what stands on it.
        ours = [word for name in FILES for word in ("-norec", name)]
        checked = run("coqchk", "-silent", "-o", *ours, cwd=place)
        if checked is None or _axioms(checked) - LIBRARY:
            print(f"unforgeability: coqchk names an axiom\n{checked}", file=sys.stderr)
            return 1
    print(f"unforgeability: {len(names)} theorems stand as recorded, no axioms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
