"""Law: the proofs read the very files that the running kernel imports, in the order they import.

Nothing here is a copy. A module that joins the kernel's algebra is added to MODULES, and its Coq
form and its claims follow from there.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# In the order in which they may import each other.
MODULES = (
    "nucleus_tokens.lattice",
    "nucleus_tokens.heyting",
    "nucleus_tokens.exposure",
    "nucleus_tokens.projection",
    "nucleus_tokens.labels",
    "nucleus_tokens.labelling",
    "nucleus_tokens.sinks",
    "nucleus_tokens.flow",
    "nucleus_verifier.verdict",
    "nucleus_verifier.session",
)
ROOMS = {"nucleus_tokens": "tokens", "nucleus_verifier": "verifier"}


def path_of(module: str) -> Path:
    """Where a module's source stands in this checkout."""
    package, _, name = module.partition(".")
    return ROOT / ROOMS[package] / package / f"{name}.py"


def source_of(module: str) -> str:
    return path_of(module).read_text(encoding="utf-8")
