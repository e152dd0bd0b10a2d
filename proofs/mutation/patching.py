"""Law: a function gets its new body in place only where that is what importing it would give.

So it must be that nothing but bodies changed, that the old body ran nowhere before, and that
nothing but the function object itself holds it.
"""

import ast
import contextlib
import functools
import importlib
import sys
from collections.abc import Iterable, Iterator
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

from proofs.mutation.mutants import Mutant
from proofs.sources import path_of, source_of


class Calls:
    """Which functions of some modules run, methods by their class; and which module, while it was
    imported, had them run ("" if none)."""

    def __init__(self, modules: Iterable[str]) -> None:
        self._of = {str(path_of(module)): module for module in modules}
        self._seen: set[tuple[str, str]] = set()

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        sys.setprofile(self._note)
        try:
            yield
        finally:
            sys.setprofile(None)

    def end(self) -> frozenset[tuple[str, str]]:
        """What ran until now."""
        seen, self._seen = frozenset(self._seen), set()
        return seen

    def _note(self, frame: FrameType, event: str, argument: Any) -> None:
        module = self._of.get(frame.f_code.co_filename) if event == "call" else None
        if module is not None:
            place = f"{module}.{frame.f_code.co_qualname.partition('.<locals>')[0]}"
            self._seen.add((place, _importing(frame)))


def _importing(frame: FrameType | None) -> str:
    while frame is not None and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    return "" if frame is None else str(frame.f_globals.get("__name__", ""))


def changed_bodies(mutant: Mutant) -> frozenset[str]:
    """The functions, `module.name`, whose bodies are all that changed; none if more did."""
    was, around = _parsed(source_of(mutant.module))
    becomes, also = _parsed(mutant.source)
    functions = dict(_functions(importlib.import_module(mutant.module)))
    codes = dict(_codes(mutant.compiled()))
    changed = [name for name in was if was[name] != becomes.get(name)]
    if around != also or not set(changed) <= set(functions) or any(
        codes[n].co_freevars != functions[n].__code__.co_freevars for n in changed
    ):  # fmt: skip
        return frozenset()
    return frozenset(f"{mutant.module}.{name}" for name in changed)


def patch(mutant: Mutant, changed: frozenset[str]) -> None:
    """Give these functions the bodies that the mutant has."""
    functions = dict(_functions(importlib.import_module(mutant.module)))
    codes = dict(_codes(mutant.compiled()))
    for place in changed:
        name = place.removeprefix(f"{mutant.module}.")
        functions[name].__code__ = codes[name]


@functools.lru_cache(maxsize=64)
def _parsed(source: str) -> tuple[dict[str, str], str]:
    """What each body is, and what stands around them."""
    tree = ast.parse(source)
    return _bodies(tree), ast.dump(tree)


def _bodies(tree: ast.Module) -> dict[str, str]:
    """What each function and method does, taken out of the tree."""
    found = {}
    for top in tree.body:
        inner = top.body if isinstance(top, ast.ClassDef) else [top]
        for node in inner:
            if isinstance(node, ast.FunctionDef):
                name = node.name if node is top else f"{getattr(top, 'name', '')}.{node.name}"
                found[name] = "\n".join(ast.dump(statement) for statement in node.body)
                node.body = []
    return found


def _functions(module: ModuleType) -> Iterator[tuple[str, FunctionType]]:
    for value in vars(module).values():
        held = vars(value).values() if isinstance(value, type) else [value]
        for each in held:
            function = each.fget if isinstance(each, property) else each
            if isinstance(function, FunctionType) and function.__module__ == module.__name__:
                yield function.__qualname__, function


def _codes(code: CodeType) -> Iterator[tuple[str, CodeType]]:
    """Functions of a module, and of its classes."""
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield const.co_qualname, const
            if "." not in const.co_qualname:
                yield from _codes(const)
