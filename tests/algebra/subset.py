"""What the provable subset is, as a checker that refuses everything else.

A module of the subset holds int constants and functions over int, bool and tuple[int, ...].
Each function is one expression in disguise: fresh names, `if` that returns, and one kind of
loop, which folds a tuple into one accumulator. Whatever is not named here is refused.

Types are checked too: Python would let a bool be added to an int or an int stand as a
condition; a prover would not.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field

TYPES = {"int": "int", "bool": "bool", "tuple[int, ...]": "tuple"}
INT_OPERATORS = (ast.BitAnd, ast.BitOr, ast.BitXor, ast.LShift, ast.RShift, ast.Add, ast.Sub)
COMPARISONS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)


class Refused(Exception):
    """The module leaves the subset."""


def _refuse(node: ast.AST, why: str) -> Refused:
    return Refused(f"line {getattr(node, 'lineno', '?')}: {why}: {ast.unparse(node)[:80]}")


@dataclass
class Module:
    """The names a subset module defines: constants, and functions with their types."""

    constants: set[str] = field(default_factory=set)
    functions: dict[str, tuple[list[str], str]] = field(default_factory=dict)

    def defines(self, name: str) -> bool:
        return name in self.constants or name in self.functions


def _is_int(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int


def _is_docstring(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and type(node.value.value) is str
    )


def _type_of(node: ast.expr, env: Mapping[str, str], module: Module) -> str:
    def each(*nodes: ast.expr) -> set[str]:
        return {_type_of(n, env, module) for n in nodes}

    if isinstance(node, ast.Constant) and type(node.value) in (int, bool):
        return type(node.value).__name__
    if isinstance(node, ast.Name):
        if node.id in env:
            return env[node.id]
        if node.id in module.constants:
            return "int"
    if isinstance(node, ast.BinOp) and isinstance(node.op, INT_OPERATORS):
        if each(node.left, node.right) == {"int"}:
            return "int"
        raise _refuse(node, "arithmetic on something that is not an int")
    if isinstance(node, ast.UnaryOp):
        inner = _type_of(node.operand, env, module)
        if isinstance(node.op, (ast.Invert, ast.USub)) and inner == "int":
            return "int"
        if isinstance(node.op, ast.Not) and inner == "bool":
            return "bool"
    if (
        isinstance(node, ast.Compare)
        and len(node.ops) == 1
        and isinstance(node.ops[0], COMPARISONS)
    ):
        if each(node.left, *node.comparators) == {"int"}:
            return "bool"
        raise _refuse(node, "comparison of something that is not an int")
    if isinstance(node, ast.BoolOp):
        if each(*node.values) == {"bool"}:
            return "bool"
        raise _refuse(node, "and/or of something that is not a bool")
    if isinstance(node, ast.IfExp) and _type_of(node.test, env, module) == "bool":
        kinds = each(node.body, node.orelse)
        if len(kinds) == 1:
            return kinds.pop()
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        # only what is defined above, so there is no recursion
        name = "" if node.func.id in env else node.func.id
        parameters, result = module.functions.get(name, ([""], ""))
        if [_type_of(a, env, module) for a in node.args] == parameters:
            return result
    raise _refuse(node, "expression outside the subset")


def _target(node: ast.stmt) -> str:
    if (
        isinstance(node, ast.Assign)
        and len(node.targets) == 1
        and isinstance(node.targets[0], ast.Name)
    ):
        return node.targets[0].id
    raise _refuse(node, "statement outside the subset")


def _block(body: list[ast.stmt], env: dict[str, str], result: str, module: Module) -> None:
    """Every path through the block returns a value of the declared type."""
    for i, node in enumerate(body):
        rest = body[i + 1 :]
        if isinstance(node, ast.Return) and node.value is not None:
            if rest:
                raise _refuse(rest[0], "code after return")
            if _type_of(node.value, env, module) != result:
                raise _refuse(node, f"not the declared {result}")
            return
        if isinstance(node, ast.If):
            if _type_of(node.test, env, module) != "bool":
                raise _refuse(node.test, "condition is not a bool")
            _block(node.body, dict(env), result, module)
            # what follows is the other branch
            _block(node.orelse + rest if node.orelse else rest, dict(env), result, module)
            if node.orelse and rest:
                raise _refuse(rest[0], "code after return")
            return
        if isinstance(node, ast.For):
            _fold(node, rest, env, module)
            continue
        name = _target(node)
        if name in env or module.defines(name):
            raise _refuse(node, "a name is assigned once")
        assert isinstance(node, ast.Assign)
        env[name] = _type_of(node.value, env, module)
    raise Refused("a path without return")


def _fold(node: ast.For, rest: list[ast.stmt], env: dict[str, str], module: Module) -> None:
    """for x in tuple: acc = f(acc, x)."""
    if not isinstance(node.target, ast.Name) or node.orelse or len(node.body) != 1:
        raise _refuse(node, "loop outside the subset")
    variable, accumulator = node.target.id, _target(node.body[0])
    if _type_of(node.iter, env, module) != "tuple" or env.get(accumulator) != "int":
        raise _refuse(node, "a loop folds a tuple into an int")
    if variable in env or module.defines(variable):
        raise _refuse(node, "a name is assigned once")
    step = node.body[0]
    assert isinstance(step, ast.Assign)
    if _type_of(step.value, {**env, variable: "int"}, module) != "int":
        raise _refuse(node, "a loop folds a tuple into an int")
    for later in rest:
        for used in ast.walk(later):
            if isinstance(used, ast.Name) and used.id == variable:
                raise _refuse(later, "the loop variable outlives the loop")


def _function(node: ast.FunctionDef, module: Module) -> tuple[list[str], str]:
    a = node.args
    extras = (a.vararg, a.kwarg, *a.defaults, *a.kwonlyargs, *a.posonlyargs, *node.decorator_list)
    if any(extra is not None for extra in extras):
        raise _refuse(node, "plain parameters only")
    env: dict[str, str] = {}
    for parameter in a.args:
        written = ast.unparse(parameter.annotation) if parameter.annotation else ""
        if written not in TYPES or module.defines(parameter.arg):
            raise _refuse(parameter, "parameter outside the subset")
        env[parameter.arg] = TYPES[written]
    result = ast.unparse(node.returns) if node.returns else ""
    if result not in TYPES:
        raise _refuse(node, "result outside the subset")
    types = list(env.values())
    body = node.body[1:] if _is_docstring(node.body[0]) else node.body
    _block(body, env, TYPES[result], module)
    return types, TYPES[result]


def check(source: str, others: Mapping[str, Module]) -> Module:
    """The module's names, or Refused. `others` are the subset modules it may import from."""
    module = Module()
    for node in ast.parse(source).body:
        if _is_docstring(node):
            continue
        if isinstance(node, ast.ImportFrom) and node.module in others and node.level == 0:
            origin = others[node.module or ""]
            for alias in node.names:
                if alias.asname or not origin.defines(alias.name) or module.defines(alias.name):
                    raise _refuse(node, f"import of {alias.name}")
                if alias.name in origin.constants:
                    module.constants.add(alias.name)
                else:
                    module.functions[alias.name] = origin.functions[alias.name]
        elif (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and ast.unparse(node.annotation) == "int"
            and node.value is not None
            and _is_int(node.value)
            and not module.defines(node.target.id)
        ):
            module.constants.add(node.target.id)
        elif isinstance(node, ast.FunctionDef) and not module.defines(node.name):
            module.functions[node.name] = _function(node, module)
        else:
            raise _refuse(node, "top level outside the subset")
    return module
