"""The ten modules of the algebra stay inside the provable subset, and the checker means it."""

import importlib.util
from pathlib import Path

import pytest

from proofs.sources import MODULES
from tests.algebra.subset import Module, Refused, check


def _source(name: str) -> str:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).read_text(encoding="utf-8")


def test_the_algebra_stays_in_the_subset() -> None:
    checked: dict[str, Module] = {}
    for name in MODULES:
        source = _source(name)
        checked[name] = check(source, checked)
        assert len(source.splitlines()) < 300, name
        # each file opens with its law
        assert source.startswith('"""Law: '), name


ACCEPTED = """
A: int = 1

def f(a: int, b: bool) -> int:
    c = a & ~A
    if b and c != 0:
        return c << 2
    return -c if not b else f0

def fold(start: int, xs: tuple[int, ...]) -> int:
    acc = start
    for x in xs:
        acc = f(acc | x, x == A)
    return acc
""".replace("f0", "0")


def test_the_checker_accepts_the_subset() -> None:
    module = check(ACCEPTED, {})
    assert module.functions == {"f": (["int", "bool"], "int"), "fold": (["int", "tuple"], "int")}
    other = check(
        "from m import A, f\ndef g(a: int) -> int:\n    return f(a, a > A)", {"m": module}
    )
    assert set(other.functions) == {"f", "g"}


def _body(*lines: str) -> str:
    return "def f(a: int, b: bool, t: tuple[int, ...]) -> int:\n    " + "\n    ".join(lines)


OUTSIDE = {
    "import of a module": "import os",
    "import from elsewhere": "from os import sep",
    "import under another name": "from m import A as B",
    "import of what is not there": "from m import Z",
    "star import": "from m import *",
    "class": "class A: pass",
    "constant without annotation": "A = 1",
    "constant of another type": "A: str = 'a'",
    "bool constant": "A: int = True",
    "computed constant": "A: int = 1 << 4",
    "constant twice": "A: int = 1\nA: int = 2",
    "statement at top level": "print(1)",
    "decorator": "@property\n" + _body("return a"),
    "default": "def f(a: int = 1) -> int:\n    return a",
    "star parameter": "def f(*a: int) -> int:\n    return 1",
    "keyword-only parameter": "def f(*, a: int) -> int:\n    return a",
    "no annotation": "def f(a) -> int:\n    return 1",
    "no result annotation": "def f(a: int):\n    return a",
    "str parameter": "def f(a: str) -> int:\n    return 1",
    "list parameter": "def f(a: list[int]) -> int:\n    return 1",
    "parameter shadows a constant": "a: int = 1\n" + _body("return a"),
    "async": "async " + _body("return a"),
    "lambda": _body("g = lambda x: x", "return a"),
    "while": _body("while b:", "    c = 1", "return a"),
    "try": _body("try:", "    return a", "except ValueError:", "    return 0"),
    "with": _body("with a:", "    return a"),
    "assert": _body("assert b", "return a"),
    "raise": _body("raise ValueError"),
    "local import": _body("import os", "return a"),
    "indexing": _body("return t[0]"),
    "attribute": _body("return a.real"),
    "builtin": _body("return len(t)"),
    "isinstance": _body("return 1 if isinstance(a, int) else 0"),
    "recursion": _body("return f(a, b, t)"),
    "call with keyword": ACCEPTED + "def g(a: int) -> int:\n    return f(a=a, b=True)",
    "call with wrong types": ACCEPTED + "def g(a: int) -> int:\n    return f(a, a)",
    "call before definition": "def g(a: int) -> int:\n    return f(a)\n" + _body("return a"),
    "multiplication": _body("return a * 2"),
    "division": _body("return a // 2"),
    "power": _body("return a ** 2"),
    "modulo": _body("return a % 2"),
    "chained comparison": _body("return 1 if 0 <= a < 3 else 0"),
    "in": _body("return 1 if a in t else 0"),
    "is": _body("return 1 if a is a else 0"),
    "walrus": _body("return (c := a)"),
    "comprehension": _body("return sum(x for x in t)"),
    "float": _body("return 1 if a < 0.5 else 0"),
    "str": _body("c = 'a'", "return a"),
    "f-string": _body("c = f'{a}'", "return a"),
    "tuple": _body("c = (a, a)", "return a"),
    "bool in arithmetic": _body("return a + b"),
    "bool compared": _body("return 1 if b == 1 else 0"),
    "int as condition": _body("return 1 if a else 0"),
    "int in and": _body("return 1 if a and b else 0"),
    "not of an int": _body("return 1 if not a else 0"),
    "branches of two types": _body("c = a if b else b", "return a"),
    "wrong result type": _body("return b"),
    "unknown name": _body("return z"),
    "reassignment": _body("c = a", "c = a + 1", "return c"),
    "assignment to a parameter": _body("a = 1", "return a"),
    "augmented assignment": _body("c = a", "c += 1", "return c"),
    "annotated local": _body("c: int = a", "return c"),
    "two targets": _body("c = d = a", "return c"),
    "code after return": _body("return a", "return 0"),
    "code after if/else": _body("if b:", "    return a", "else:", "    return 0", "return 1"),
    "no return": _body("c = a"),
    "branch without return": _body("c = a", "if b:", "    d = a", "return c"),
    "empty return": _body("return"),
    "loop over what is no tuple": _body("c = a", "for x in a:", "    c = x", "return c"),
    "loop with two statements": _body("c = a", "for x in t:", "    c = x", "    c = c", "return c"),
    "loop with else": _body("c = a", "for x in t:", "    c = x", "else:", "    c = 1", "return c"),
    "loop into a fresh name": _body("for x in t:", "    c = x", "return a"),
    "loop variable shadows": _body("c = a", "for a in t:", "    c = a", "return c"),
    "loop variable outlives": _body("c = a", "for x in t:", "    c = x", "return x"),
    "loop accumulates a bool": _body("c = b", "for x in t:", "    c = x == 1", "return a"),
    "loop with break": _body("c = a", "for x in t:", "    break", "return c"),
}


@pytest.mark.parametrize("what", OUTSIDE)
def test_the_checker_refuses(what: str) -> None:
    with pytest.raises(Refused):
        check(OUTSIDE[what], {"m": check("A: int = 1", {})})
