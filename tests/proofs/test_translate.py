"""The committed Coq file is what the kernel gives; nothing outside the subset passes."""

import pytest

from proofs.sources import MODULES, path_of, source_of
from proofs.translate.__main__ import TARGET, generated
from proofs.translate.coq import RESERVED, Refused, translate
from tests.algebra import test_subset as subset


def test_regenerating_gives_the_committed_file() -> None:
    written = TARGET.read_text(encoding="utf-8")
    assert written == generated(), "run: python -m proofs.translate"


def test_the_modules_are_the_kernels_algebra() -> None:
    assert MODULES == subset.MODULES
    for module in MODULES:
        imported = __import__(module, fromlist=["__file__"])
        assert imported.__file__ == str(path_of(module))


def test_every_constant_and_function_is_there() -> None:
    text = generated()
    for module in MODULES:
        for line in source_of(module).splitlines():
            if line.startswith("def "):
                assert f"\nDefinition {line[4 : line.index('(')]} (" in text, (module, line)
            elif ": int = " in line and not line.startswith((" ", "#")):
                assert f"\nDefinition {line[: line.index(':')]} : Z := " in text, (module, line)


SMALL = '''"""A law."""
A: int = 0x10

def f(a: int, b: bool) -> int:
    """A word."""
    c = a & ~A
    if b and c != -1 or not b:
        return c << 2
    return -c if a >= 2 else 0

def g(start: int, xs: tuple[int, ...]) -> int:
    acc = start
    for x in xs:
        acc = f(acc | x, x > A)
    return acc
'''

COQ = """Definition A : Z := 16.
Definition f (v_a : Z) (v_b : bool) : Z :=
  let v_c := (Z.land v_a (Z.lnot A)) in
  if (orb (andb v_b (negb (Z.eqb v_c (Z.opp 1)))) (negb v_b))
  then (Z.shiftl v_c 2)
  else (if (Z.leb 2 v_a) then (Z.opp v_c) else 0).

Definition g (v_start : Z) (v_xs : list Z) : Z :=
  let v_acc := v_start in
  let v_acc := fold_left (fun v_acc v_x => (f (Z.lor v_acc v_x) (Z.ltb A v_x))) v_xs v_acc in
  v_acc.
"""


def test_a_small_module_word_for_word() -> None:
    names, text = translate(SMALL, {})
    assert text == COQ
    imported = "from p.m import A, f\n\ndef h(a: int) -> int:\n    return f(a, a < A)\n"
    assert translate(imported, {"p.m": names})[1] == (
        "Definition h (v_a : Z) : Z :=\n  (m.f v_a (Z.ltb v_a m.A)).\n"
    )


@pytest.mark.parametrize("what", subset.OUTSIDE)
def test_what_the_subset_refuses_is_refused(what: str) -> None:
    names, _ = translate("A: int = 1", {})
    with pytest.raises(Refused):
        translate(subset.OUTSIDE[what], {"m": names})


ONLY_HERE = {
    "a word of Coq": "def at(a: int) -> int:\n    return a",
    "a name the translation uses": "def fold_left(a: int) -> int:\n    return a",
    "a name of Coq's booleans": "negb: int = 1",
    "a local's spelling": "v_a: int = 1",
    "a private name": "_a: int = 1",
    "letters Coq does not have": "def f(ν: int) -> int:\n    return ν",
    "a constant with such letters": "Λ: int = 1",
    "no parameters": "def f() -> int:\n    return 1",
    "own name as a local": "def f(a: int) -> int:\n    f = a\n    return f",
    "own name as a parameter": "def f(f: int) -> int:\n    return f",
    "a function twice": "def f(a: int) -> int:\n    return a\n" * 2,
    "a module's name": "m: int = 1",
    "empty loop body": "def f(a: int, t: tuple[int, ...]) -> int:\n    for x in t:\n        pass\n"
    "    return a",
    "the parameter's call": "def f(a: int) -> int:\n    return a(a)",
    "starred argument": SMALL + "def h(t: tuple[int, ...]) -> int:\n    return g(*t)",
    "global": "A: int = 1\ndef f(a: int) -> int:\n    global A\n    return a",
    "docstring in the middle": "def f(a: int) -> int:\n    b = a\n    'word'\n    return b",
    "relative import": "from .m import A",
}


@pytest.mark.parametrize("what", ONLY_HERE)
def test_what_coq_would_read_otherwise_is_refused(what: str) -> None:
    names, _ = translate("A: int = 1", {})
    with pytest.raises(Refused):
        translate(ONLY_HERE[what], {"m": names})


def test_reserved_words_cover_what_the_translation_writes() -> None:
    words = set(COQ.replace("(", " ").replace(")", " ").replace(".", " ").split())
    ours = {"A", "f", "g", "Definition", "Z", "true", "false"}
    for word in words:
        if word.isalpha() and word not in ours and word.islower() and len(word) > 2:
            operators = {"land", "lnot", "lor", "eqb", "ltb", "leb", "opp", "shiftl"}
            assert word in RESERVED or word in operators, word
