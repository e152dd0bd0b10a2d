"""The kernel is what `decide` loads. Small and pure, so that it can be read, and proved, whole."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.house.source import PACKAGES, called, closure, code_lines, imports, shown, tree

START = "nucleus_verifier.decide"
MOST_LINES = 2_000  # DESIGN: at most 2,000, aim at 1,500

PURE = {
    "__future__", "_sha2", "_sha256", "abc", "base64", "binascii", "bisect", "collections",
    "copy", "dataclasses", "decimal", "enum", "functools", "hashlib", "hmac", "itertools", "json",
    "math", "nacl", "operator", "re", "string", "struct", "types", "typing", "unicodedata",
}  # fmt: skip

# Builtins that look at the world, run text as code, or differ from one process to the next.
IMPURE_CALLS = {
    "open", "print", "input", "eval", "exec", "compile", "breakpoint", "__import__",
    "globals", "locals", "vars", "id", "hash", "setattr", "delattr", "import_module",
}  # fmt: skip
IMPURE_NAMES = {"environ", "urandom", "__builtins__", "__globals__", "__subclasses__", "__code__"}

# Each exception with its reason; one that is no longer used must go.
EXCEPTIONS: dict[tuple[str, str], str] = {}

# Where randomness hides inside an otherwise pure library.
RANDOM = {"encrypt", "generate", "randombytes", "random"}


@pytest.fixture(scope="module")
def kernel() -> dict[str, Path]:
    found = closure(START)
    assert START in found, f"{START} is the kernel's door; without it there is no product"
    return found


def test_kernel_is_of_tokens_and_verifier_only(kernel: dict[str, Path]) -> None:
    packages = {name.split(".")[0] for name in kernel}
    assert packages == {"nucleus_tokens", "nucleus_verifier"}, (
        f"whoever trusts the kernel must not have to trust more: {packages}"
    )


def test_kernel_imports_only_what_cannot_look_at_the_world(kernel: dict[str, Path]) -> None:
    """No clock, file, socket, logger, environment or randomness: facts come in as arguments."""
    wrong = [
        f"{shown(path)}:{found.line} imports {found.name}"
        for name, path in kernel.items()
        for found in imports(name, path)
        if found.name.split(".")[0] not in PURE | set(PACKAGES)
        or found.name.startswith(("nacl.utils", "nacl.secret", "nacl.pwhash"))
    ]
    assert not wrong, f"the same bytes and facts must give the same decision for ever: {wrong}"


def test_kernel_calls_nothing_that_looks_at_the_world(kernel: dict[str, Path]) -> None:
    wrong, used = [], set()
    for name, path in kernel.items():
        for word, line in _impure_words(tree(path)):
            if (name, word) in EXCEPTIONS:
                used.add((name, word))
            else:
                wrong.append(f"{shown(path)}:{line} {word}")
    assert not wrong, f"decide() is a function of its arguments: {wrong}"
    assert used == set(EXCEPTIONS), f"not needed any more: {set(EXCEPTIONS) - used}"


def test_kernel_keeps_no_state_between_calls(kernel: dict[str, Path]) -> None:
    """A `global` or `nonlocal` is memory that the facts do not show."""
    wrong = [
        f"{shown(path)}:{node.lineno}"
        for path in kernel.values()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Global | ast.Nonlocal)
    ]
    assert not wrong, f"state belongs to commit, outside the kernel: {wrong}"


def test_nothing_that_decide_reaches_draws_randomness(kernel: dict[str, Path]) -> None:
    """The kernel's modules also hold what writes a token. By name, over-approximated: every
    function that decide() may reach, and none may use what draws randomness."""
    bodies = _functions(kernel)
    reached, todo = set(), ["decide"]
    while todo:
        name = todo.pop()
        if name in reached or name not in bodies:
            continue
        reached.add(name)
        for where, body in bodies[name]:
            words = _words(body)
            assert not words & RANDOM, f"{where} {name}() draws randomness and decide() reaches it"
            todo.extend(words)
    assert "decide" in reached


def test_kernel_is_small_enough_to_be_read_in_an_afternoon(kernel: dict[str, Path]) -> None:
    sizes = {shown(path): code_lines(path) for path in kernel.values()}
    total = sum(sizes.values())
    if total > MOST_LINES:
        table = "\n".join(
            f"{sizes[name]:5} {name}" for name in sorted(sizes, key=sizes.__getitem__)
        )
        pytest.fail(f"the trusted base is {total} lines, at most {MOST_LINES}:\n{table}", False)


def _impure_words(module: ast.Module) -> list[tuple[str, int]]:
    found = []
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if called(node) in IMPURE_CALLS:
                found.append((called(node), node.lineno))
        elif isinstance(node, ast.Attribute) and node.attr in IMPURE_NAMES:
            found.append((node.attr, node.lineno))
        elif isinstance(node, ast.Name) and node.id in IMPURE_NAMES:
            found.append((node.id, node.lineno))
    return found


def _functions(kernel: dict[str, Path]) -> dict[str, list[tuple[str, ast.AST]]]:
    """Every function and class of the kernel by its bare name. A class stands for its methods."""
    found: dict[str, list[tuple[str, ast.AST]]] = {}
    for path in kernel.values():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.setdefault(node.name, []).append((shown(path), node))
    return found


def _words(body: ast.AST) -> set[str]:
    names = {node.id for node in ast.walk(body) if isinstance(node, ast.Name)}
    return names | {node.attr for node in ast.walk(body) if isinstance(node, ast.Attribute)}
