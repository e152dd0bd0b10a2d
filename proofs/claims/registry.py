"""Law: a claim names what shows it, and what is named exists; a claim that cannot be checked is
not a claim.

The claims are the TOML files beside this module; README.md gives their format.
"""

import ast
import hashlib
import json
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from proofs.sources import ROOT

HERE: Final = Path(__file__).resolve().parent
TIES: Final = ("construction", "proved", "tested", "assumed")
GATES: Final = ("fast", "ci", "soak", "test", "none")
TOOLS: Final = ("coq", "z3", "schedules", "unforgeability", "oracle", "pytest")
EVERY: Final = "*"  # in place of a test's name: every test of the file
WORDS: Final = ("id", "title", "words", "formal", "tie", "bound", "gate", "not_proved")
LISTS: Final = ("sources", "seeds")
SEE: Final = re.compile(r"\bsee ([a-z]+\.[a-z_]+)(?<!\.md)\b")


class Malformed(ValueError):
    """A claim's data has not the form README.md gives."""


@dataclass(frozen=True)
class Proof:
    """One thing that shows a claim."""

    tool: str
    artifact: str
    name: str


@dataclass(frozen=True)
class Claim:
    """One row of the matrix."""

    id: str
    title: str
    words: str
    formal: str
    tie: str
    bound: str
    gate: str
    not_proved: str
    sources: tuple[str, ...]
    seeds: tuple[str, ...]
    instead: str
    proofs: tuple[Proof, ...]


def claim_of(row: dict[str, Any], where: str) -> Claim:
    """A claim from its table; Malformed says what is wrong."""
    known = {*WORDS, *LISTS, "instead", "proof"}
    if unknown := set(row) - known:
        raise Malformed(f"{where}: unknown {sorted(unknown)}")
    for word in (*WORDS, "instead"):
        if not isinstance(row.get(word, "" if word == "instead" else None), str):
            raise Malformed(f"{where}: {word} is a sentence")
    for name in LISTS:
        value = row.get(name, [])
        if not isinstance(value, list) or not all(isinstance(x, str) for x in value):
            raise Malformed(f"{where}: {name} is a list of words")
    proofs = row.get("proof", [])
    if any(set(p) != {"tool", "artifact", "name"} for p in proofs):
        raise Malformed(f"{where}: a proof has a tool, an artifact and a name")
    return Claim(
        **{word: " ".join(row[word].split()) for word in WORDS},
        sources=tuple(row.get("sources", [])),
        seeds=tuple(row.get("seeds", [])),
        instead=" ".join(row.get("instead", "").split()),
        proofs=tuple(Proof(**p) for p in proofs),
    )


def load(folder: Path = HERE) -> list[Claim]:
    """All claims, by file and then in the order in which they stand."""
    claims: list[Claim] = []
    for path in sorted(folder.glob("*.toml")):
        rows = tomllib.loads(path.read_text(encoding="utf-8"))
        if set(rows) != {"claim"}:
            raise Malformed(f"{path.name} holds something besides [[claim]]")
        for number, row in enumerate(rows["claim"], 1):
            claims.append(claim_of(row, f"{path.name}, {row.get('id', f'claim {number}')}"))
    return claims


@cache
def defined(path: Path) -> frozenset[str]:
    """The top-level functions and classes of a Python file, and `Class.method` of its classes."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {
                f"{node.name}.{inner.name}"
                for inner in node.body
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef)
            }
    return frozenset(found)


@cache
def recorded(record: Path) -> frozenset[str]:
    """The names that a record of statements keeps; none if there is no record."""
    return frozenset(json.loads(record.read_text(encoding="utf-8")) if record.is_file() else ())


def missing(proof: Proof) -> str:
    """Why this proof does not count, or nothing."""
    path = ROOT / proof.artifact
    if proof.tool not in TOOLS:
        return f"{proof.tool} is no tool of {', '.join(TOOLS)}"
    if not path.is_file():
        return f"there is no {proof.artifact}"
    if proof.tool == "coq":
        kept = recorded(path.parent.parent / "statements.json")
        stands = path.suffix == ".v" and f"{path.stem}.{proof.name}" in kept
    elif proof.tool == "z3":
        stands = proof.name in recorded(ROOT / "proofs" / "sentences.json")
    else:
        names = defined(path) if path.suffix == ".py" else frozenset()
        if proof.tool == "pytest":
            names = frozenset(n for n in names if n.rpartition(".")[2].startswith(("test", "Test")))
            stands = bool(names) if proof.name == EVERY else proof.name in names
        else:
            stands = proof.name in names
    return "" if stands else f"{proof.artifact} has no {proof.name}"


def objections(claims: Iterable[Claim]) -> list[str]:
    """What is wrong with the claims, each line naming the claim."""
    claims = list(claims)
    found, ids, known = [], set(), {claim.id for claim in claims}
    for claim in claims:
        if claim.id in ids:
            found.append(f"{claim.id} stands twice")
        ids.add(claim.id)
        if claim.tie not in TIES:
            found.append(f"{claim.id}: {claim.tie} is none of {', '.join(TIES)}")
        if claim.gate not in GATES:
            found.append(f"{claim.id}: {claim.gate} is none of {', '.join(GATES)}")
        if (claim.tie == "assumed") != (claim.gate == "none") or (
            claim.tie != "assumed" and not claim.proofs
        ):
            found.append(f"{claim.id}: only what is assumed has no proof and no gate")
        found += [f"{claim.id}: empty {word}" for word in WORDS if not getattr(claim, word)]
        found += [
            f"{claim.id}: there is no {source}"
            for source in claim.sources
            if not (ROOT / source).is_file()
        ]
        found += [
            f"{claim.id}: there is no claim {other} to see"
            for other in SEE.findall(f"{claim.words} {claim.not_proved} {claim.instead}")
            if other not in known
        ]
        found += [f"{claim.id}: {why}" for proof in claim.proofs if (why := missing(proof))]
    return found


def digest(artifact: str) -> str:
    """SHA-256 of a file of the checkout, in hex."""
    return hashlib.sha256((ROOT / artifact).read_bytes()).hexdigest()
