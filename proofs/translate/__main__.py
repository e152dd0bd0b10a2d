"""Writes proofs/coq/Generated.v from the kernel's sources: python -m proofs.translate [--check]."""

import sys

from proofs.sources import MODULES, ROOT, source_of
from proofs.translate.coq import Names, Refused, translate

TARGET = ROOT / "proofs" / "coq" / "Generated.v"
HEAD = """(* Law: this is the kernel's own source, read by proofs/translate; nobody edits it.
   Regenerating gives this file, byte for byte, or the gate is red. *)
From Coq Require Import ZArith List Bool.
Import ListNotations.
Open Scope Z_scope.
"""


def generated() -> str:
    """The whole file, or Refused."""
    seen: dict[str, Names] = {}
    parts = [HEAD]
    for module in MODULES:
        try:
            seen[module], text = translate(source_of(module), seen)
        except Refused as refusal:
            raise Refused(f"{module}: {refusal}") from None
        name = module.rpartition(".")[2]
        parts.append(f"(* {module} *)\nModule {name}.\n\n{text}\nEnd {name}.\n")
    return "\n".join(parts)


def main(arguments: list[str]) -> int:
    try:
        text = generated()
    except Refused as refusal:
        print(f"refused: {refusal}", file=sys.stderr)
        return 2
    if arguments == ["--check"]:
        if TARGET.read_text(encoding="utf-8") == text:
            return 0
        print(
            f"{TARGET.name} is not what the source gives: python -m proofs.translate",
            file=sys.stderr,
        )
        return 1
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
