"""Law: a mutant is a whole module's source with one thing changed; what was changed is told.

The first mutator, ours, from the syntax tree: operators swapped for neighbours, constants moved,
conditions negated and fixed, branches of a conditional taken always, statements left out, arguments
and operands exchanged, names replaced by another of the same function. The second is another
project's (`cosmic.py`).
"""

import ast
import copy
import functools
import hashlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType
from typing import NamedTuple

Edit = Callable[[ast.AST], None]

# What a refusal means is its code, its step and its caveat. Where a text is only the sentence of
# an error, by the place of the argument, another text is no mutant (docs/adr/0041).
SENTENCES = {"CredentialError": 1, "CallerError": 1, "WorldError": 1, "ValueError": 0,
             "TypeError": 0, "_malformed": 0}  # fmt: skip

BINARY: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.BitAnd: (ast.BitOr, ast.BitXor),
    ast.BitOr: (ast.BitAnd, ast.BitXor),
    ast.BitXor: (ast.BitAnd, ast.BitOr),
    ast.Add: (ast.Sub, ast.BitOr),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Add,),
    ast.LShift: (ast.RShift,),
    ast.RShift: (ast.LShift,),
}
COMPARE: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq, ast.LtE, ast.GtE),
    ast.NotEq: (ast.Eq, ast.Lt, ast.Gt),
    ast.Lt: (ast.LtE, ast.NotEq, ast.GtE),
    ast.LtE: (ast.Lt, ast.Eq, ast.Gt),
    ast.Gt: (ast.GtE, ast.NotEq, ast.LtE),
    ast.GtE: (ast.Gt, ast.Eq, ast.Lt),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}


@dataclass(frozen=True)
class Mutant:
    """One change: in which function (or `<module>`), where, and the module's whole source."""

    module: str
    function: str
    line: int
    what: str
    source: str

    @property
    def id(self) -> str:
        digest = hashlib.sha256(self.source.encode()).hexdigest()[:12]
        return f"{self.module}:{self.function}:{digest}"

    def compiled(self) -> CodeType:
        """What it is to Python, without its warnings: a test is what has to find it odd."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            return compile(self.source, self.id, "exec")


def function_hashes(source: str) -> dict[str, str]:
    """A hash of what each function means to Python, and of the rest as `<module>`: comments, layout
    and docstrings do not count."""
    tree = ast.parse(source)
    found: dict[str, str] = {}
    rest = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = _digest(node)
        elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            rest.append(ast.dump(node))
    found["<module>"] = hashlib.sha256("\n".join(rest).encode()).hexdigest()[:16]
    return found


def _digest(node: ast.FunctionDef | ast.ClassDef) -> str:
    plain = copy.deepcopy(node)
    for each in ast.walk(plain):
        if isinstance(each, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(each):
            each.body = each.body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.dump(plain).encode()).hexdigest()[:16]


class Site(NamedTuple):
    """Where one change could be made: the function, the node's place in the tree, and how."""

    function: str
    line: int
    what: str
    place: int
    edit: Edit


def of_source(module: str, source: str) -> Iterator[Mutant]:
    """Every mutant of one module, each once."""
    seen: set[str] = set()
    for site in sites(source):
        mutant = at(site, module, source)
        if mutant is not None and mutant.source not in seen:
            seen.add(mutant.source)
            yield mutant


def sites(source: str) -> Iterator[Site]:
    """Every place where something can be changed, and in each way; two may give the same."""
    tree = ast.parse(source)
    places = {id(node): place for place, node in enumerate(ast.walk(tree))}
    for top in tree.body:
        text_alone = isinstance(top, ast.Expr) and isinstance(top.value, ast.Constant)
        if isinstance(top, ast.Import | ast.ImportFrom) or text_alone:
            continue
        name = top.name if isinstance(top, ast.FunctionDef | ast.ClassDef) else "<module>"
        silent = _silent(top)
        for node in ast.walk(top):
            if id(node) not in silent:
                for what, edit in _edits(top, node):
                    line = getattr(node, "lineno", 0)
                    yield Site(name, line, what, places[id(node)], edit)


def at(site: Site, module: str, source: str) -> Mutant | None:
    """The mutant with this change; none if it is no change, or no Python."""
    changed = ast.parse(source)
    site.edit(list(ast.walk(changed))[site.place])
    try:
        text = ast.unparse(ast.fix_missing_locations(changed))
    except (ValueError, TypeError):
        return None
    if text == _plain(source):
        return None
    return Mutant(module, site.function, site.line, site.what, text)


@functools.lru_cache(maxsize=64)
def _plain(source: str) -> str:
    return ast.unparse(ast.parse(source))


def _silent(top: ast.AST) -> set[int]:
    """The nodes that mean nothing: annotations, docstrings and the sentences of errors."""
    found: set[int] = set()
    for each in ast.walk(top):
        for field in ("annotation", "returns"):
            held = getattr(each, field, None)
            found |= {id(inner) for inner in ast.walk(held)} if held is not None else set()
        if isinstance(each, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(each):
            # A docstring is an expression statement, so its first statement has a value.
            found.add(id(each.body[0].value))  # type: ignore[attr-defined]
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Name):
            for said in each.args[SENTENCES.get(each.func.id, len(each.args)) :]:
                parts = said.values if isinstance(said, ast.JoinedStr) else [said]
                found |= {id(part) for part in parts if isinstance(part, ast.Constant)}
    return found


def _edits(top: ast.AST, node: ast.AST) -> Iterator[tuple[str, Edit]]:
    match node:
        case ast.BinOp(op=op):
            for other in BINARY.get(type(op), ()):
                yield f"{type(op).__name__} to {other.__name__}", _setting("op", other())
            yield "left operand alone", _becoming("left")
            yield "right operand alone", _becoming("right")
        case ast.UnaryOp():
            yield f"without {type(node.op).__name__}", _becoming("operand")
        case ast.BoolOp(op=op):
            swapped = ast.Or() if isinstance(op, ast.And) else ast.And()
            yield f"{type(op).__name__} to {type(swapped).__name__}", _setting("op", swapped)
            for place in range(len(node.values)):
                yield f"without operand {place}", _without("values", place)
        case ast.Compare(ops=ops):
            for place, compared in enumerate(ops):
                for instead in COMPARE.get(type(compared), ()):
                    yield (
                        f"{type(compared).__name__} to {instead.__name__}",
                        _placing("ops", place, instead()),
                    )
        case ast.Constant(value=value) if type(value) is bool:
            yield f"{value} to {not value}", _setting("value", not value)
        case ast.Constant(value=value) if type(value) is int:
            for number in {value + 1, value - 1, 0, value ^ 1} - {value}:
                yield f"{value} to {number}", _setting("value", number)
        case ast.Constant(value=value) if type(value) is str and value:
            yield "another text", _setting("value", value + "x")
        case ast.IfExp():
            yield "always the first", _setting("test", ast.Constant(True))
            yield "always the second", _setting("test", ast.Constant(False))
        case ast.If() | ast.While():
            yield "always", _setting("test", ast.Constant(True))
            yield "never", _setting("test", ast.Constant(False))
            yield "negated", _negated
        case ast.Return(value=value) if value is not None:
            yield "returns 0", _setting("value", ast.Constant(0))
        case ast.Call(args=args) if len(args) > 1:
            for place in range(len(args) - 1):
                yield f"arguments {place} and {place + 1} exchanged", _exchanged("args", place)
        case ast.AugAssign(op=op):
            for other in BINARY.get(type(op), ()):
                yield f"{type(op).__name__} to {other.__name__}", _setting("op", other())
        case ast.Raise() | ast.Continue() | ast.Break():
            yield "left out", _passing
        case ast.Name(id=name, ctx=ast.Load()) if isinstance(top, ast.FunctionDef):
            for param in dict.fromkeys(a.arg for a in top.args.args):
                if param != name and name in {a.arg for a in top.args.args}:
                    yield f"{name} to {param}", _setting("id", param)


def _setting(field: str, value: object) -> Edit:
    return lambda node: setattr(node, field, value)


def _becoming(field: str) -> Edit:
    def edit(node: ast.AST) -> None:
        inner = getattr(node, field)
        node.__class__ = inner.__class__
        node.__dict__ = dict(inner.__dict__)

    return edit


def _without(field: str, place: int) -> Edit:
    def edit(node: ast.AST) -> None:
        values = getattr(node, field)
        del values[place]
        if len(values) == 1:
            node.__class__, node.__dict__ = values[0].__class__, dict(values[0].__dict__)

    return edit


def _placing(field: str, place: int, value: object) -> Edit:
    return lambda node: getattr(node, field).__setitem__(place, value)


def _exchanged(field: str, place: int) -> Edit:
    def edit(node: ast.AST) -> None:
        values = getattr(node, field)
        values[place], values[place + 1] = values[place + 1], values[place]

    return edit


def _negated(node: ast.AST) -> None:
    # Made for If and While alone, which have a test; the type of an edit does not say so.
    test = node.test  # type: ignore[attr-defined]
    node.test = ast.UnaryOp(ast.Not(), test)  # type: ignore[attr-defined]


def _passing(node: ast.AST) -> None:
    node.__class__, node.__dict__ = ast.Pass, {"lineno": 0, "col_offset": 0}
