"""How the house tests read the repository: its files, its modules and what they import.

They read syntax trees and never import what they judge: a module that breaks a rule must not be
able to hide it by what it does when it runs.
"""

from __future__ import annotations

import ast
import functools
import io
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]

PACKAGES = {
    "nucleus_tokens": ROOT / "tokens" / "nucleus_tokens",
    "nucleus_verifier": ROOT / "verifier" / "nucleus_verifier",
    "nucleus_issuer": ROOT / "issuer" / "nucleus_issuer",
    "nucleus_proxy": ROOT / "proxy" / "nucleus_proxy",
    "nucleus_vmhost": ROOT / "vmhost" / "nucleus_vmhost",
    "nucleus": ROOT / "sdk" / "nucleus",
}

_LEFT_BY_TOOLS = {"__pycache__", ".venv", ".git", "build", "dist"}


@functools.cache
def repository() -> tuple[Path, ...]:
    """Every file of the repository: tracked, or new and not ignored. Without git: every file."""
    answer = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if answer.returncode == 0:
        found = [ROOT / name.decode() for name in answer.stdout.split(b"\0") if name]
    else:
        found = [p for p in ROOT.rglob("*") if not _LEFT_BY_TOOLS & set(p.parts)]
    return tuple(sorted(path for path in found if path.is_file()))


def python_files(under: Path = ROOT) -> list[Path]:
    return [path for path in repository() if path.suffix == ".py" and path.is_relative_to(under)]


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def modules() -> dict[str, Path]:
    """Every module of our packages: dotted name to file."""
    found = {}
    for package, folder in PACKAGES.items():
        for path in python_files(folder):
            parts = [package, *path.relative_to(folder).with_suffix("").parts]
            if parts[-1] == "__init__":
                parts.pop()
            found[".".join(parts)] = path
    return found


class Import(NamedTuple):
    name: str  # the module, or module.attribute where that is what was asked for
    line: int


def imports(module: str, path: Path) -> Iterator[Import]:
    """Every import in a module: at its top, in functions, under TYPE_CHECKING, and by string."""
    is_package = path.name == "__init__.py"
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = module.split(".")
                up = node.level - 1 if is_package else node.level
                base = ".".join([*here[: len(here) - up], *([base] if base else [])])
            for alias in node.names:
                yield Import(f"{base}.{alias.name}", node.lineno)
        elif isinstance(node, ast.Call) and called(node) in {"import_module", "__import__"}:
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield Import(first.value, node.lineno)


def called(node: ast.Call) -> str:
    """The last name of what is called: `open` for open(), `run` for subprocess.run()."""
    function = node.func
    if isinstance(function, ast.Name):
        return function.id
    return function.attr if isinstance(function, ast.Attribute) else ""


def closure(start: str) -> dict[str, Path]:
    """The modules of ours that are loaded when `start` is imported, packages' __init__ included."""
    ours = modules()
    found: dict[str, Path] = {}
    todo = [start]
    while todo:
        name = todo.pop()
        if name in found or name not in ours:
            continue
        found[name] = ours[name]
        todo.extend(_parents(name))
        for each in imports(name, ours[name]):
            todo.extend([each.name, *_parents(each.name)])
    return found


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]


def docstring_lines(module: ast.Module) -> set[int]:
    """The lines of every docstring, of modules, classes, functions and fields."""
    lines: set[int] = set()
    for node in ast.walk(module):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


_NOT_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


def code_lines(path: Path) -> int:
    """Lines that hold code: not blank, not only a comment, not a docstring."""
    text = path.read_text(encoding="utf-8")
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _NOT_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - docstring_lines(tree(path)))
