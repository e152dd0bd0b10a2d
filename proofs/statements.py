"""Law: a theorem that was once committed stays, with the words it had; the list only grows.

    python -m proofs.statements            every recorded statement stands as it was recorded
    python -m proofs.statements --record   adds what is new; it never changes or drops an entry

A statement is the text between the theorem's name and its proof. All it speaks of comes from
Generated.v, from Coq's library, or from a file of MEANINGS, where every definition is recorded like
a theorem: the files of laws may define nothing of their own, so no statement can be hollowed out
from below. Giving one up means editing statements.json, which review sees.
"""

import hashlib
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

COQ = Path(__file__).resolve().parent / "coq"
RECORD = COQ.parent / "statements.json"
# In the order in which they build on each other.
LAWS = (
    "Bits",
    "LawsHeyting",
    "LawsChains",
    "LawsVerdict",
    "Model",
    "Packing",
    "Words",
    "Packed",
    "RefineAuthority",
    "RefineHeyting",
    "RefineLabels",
    "RefineFlow",
    "RefineRelease",
    "RefineSinks",
    "RefineVerdict",
    "Oracle",
)
# What the words of the refinement mean: here definitions are allowed, and recorded.
MEANINGS = frozenset({"Model", "Packing", "Words", "Oracle"})

# What would leave a proof open, or change what words mean unseen.
UNFINISHED = re.compile(
    r"\b(admit|Admitted|Abort|Axioms?|Conjectures?|Parameters?|Hypothes[ie]s|Variables?|Context"
    r"|Notation|Infix|Unset|Set|Declare|Primitive|Canonical|Instance|Coercion|CoFixpoint|Include"
    r"|CoInductive|Let|Load|Redirect|bypass_check|give_up)\b"
)
DEFINING = re.compile(r"\b(Definition|Fixpoint|Inductive|Record|Structure|Variant|Class|Module)\b")
DEFINITION = re.compile(
    r"(?:^|\n) *(?P<kind>Module|Definition|Fixpoint|Inductive|Record)\s+(?P<name>\w+)"
    r"(?P<text>.*?)\.(?=\s)",
    re.S,
)
STATEMENT = re.compile(r"\b(?P<kind>Theorem|Lemma)\s+(?P<name>\w+)(?P<text>.*?)\.\s+Proof\.", re.S)


def uncommented(source: str) -> str:
    """Coq's text without its comments, which nest."""
    kept, depth = [], 0
    for part in re.split(r"(\(\*|\*\))", source):
        if part == "(*":
            depth += 1
        elif part == "*)" and depth:
            depth -= 1
        elif not depth:
            kept.append(part)
    return "".join(kept)


def objections(sources: Mapping[str, str]) -> list[str]:
    """What a file of laws must not hold."""
    found = []
    for name, source in sources.items():
        text = uncommented(source)
        found += [f"{name}: {m.group()}" for m in UNFINISHED.finditer(text)]
        if name not in MEANINGS:
            found += [f"{name}: {m.group()}" for m in DEFINING.finditer(text)]
        elif len(DEFINING.findall(text)) != len(DEFINITION.findall(text)):
            found.append(f"{name}: a definition that cannot be recorded")
        begun, ended = (len(re.findall(rf"\b{w}\.", text)) for w in ("Proof", "Qed"))
        stated = len(re.findall(r"\b(?:Theorem|Lemma|Corollary|Fact|Remark|Example)\b", text))
        if not begun == ended == stated == len(STATEMENT.findall(text)):
            found.append(f"{name}: {stated} statements, {begun} proofs, {ended} finished")
    return found


def statements(sources: Mapping[str, str]) -> dict[str, str]:
    """Each theorem's hash: of its statement, with every run of blanks as one. Of a definition that
    gives a statement its meaning, the hash of its body."""
    found = {}
    for name, source in sources.items():
        text, module = uncommented(source), ""
        matches = [m for m in STATEMENT.finditer(text) if m["kind"] == "Theorem"]
        for match in matches + [m for m in DEFINITION.finditer(text) if name in MEANINGS]:
            module = f"{match['name']}." if match["kind"] == "Module" else module
            inner = "" if match["kind"] in ("Module", "Theorem") else module
            words = " ".join(match["text"].split())
            found[f"{name}.{inner}{match['name']}"] = hashlib.sha256(words.encode()).hexdigest()
    return found


def theorems() -> list[str]:
    """The recorded names that Coq must have proved."""
    kept = laws()
    return sorted(
        f"{name}.{match['name']}"
        for name, source in kept.items()
        for match in STATEMENT.finditer(uncommented(source))
        if match["kind"] == "Theorem"
    )


def differences(recorded: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """How what stands differs from what was recorded."""
    gone = [f"{name} is gone" for name in recorded if name not in found]
    changed = [
        f"{name} says something else now"
        for name, digest in recorded.items()
        if name in found and found[name] != digest
    ]
    new = [f"{name} is not recorded" for name in found if name not in recorded]
    return gone + changed + new


def laws() -> dict[str, str]:
    """The committed files of laws; one that is not listed would not be checked, so is refused."""
    there = {path.stem for path in COQ.glob("*.v")} - {"Generated"}
    if there != set(LAWS):
        raise SystemExit(f"proofs/coq holds {sorted(there)}, LAWS lists {sorted(LAWS)}")
    return {name: (COQ / f"{name}.v").read_text(encoding="utf-8") for name in LAWS}


def recorded() -> dict[str, str]:
    loaded = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    return {str(name): str(digest) for name, digest in loaded.items()}


def main(arguments: list[str]) -> int:
    found, before = statements(laws()), recorded()
    if arguments == ["--record"]:
        text = json.dumps(dict(sorted({**found, **before}.items())), indent=2)
        RECORD.write_text(text + "\n", encoding="utf-8")
        before = recorded()
    wrong = objections(laws()) + differences(before, found)
    for line in wrong:
        print(f"statements: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
