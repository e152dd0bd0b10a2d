"""Law: what is translated means the same in Coq as in Python, and what might not is refused.

int is Z, and &, |, ^, ~, <<, >> are Z's two's complement of infinite width, which is Python's;
bool is bool; tuple[int, ...] is list Z; a loop that folds a tuple into one accumulator is
fold_left. Evaluation order does not matter: nothing here has an effect, and the only error a
subset function can raise is a shift by a negative amount, which the symbolic rung rules out.

Every Python module becomes one Coq module, so equal names in two modules stay apart.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

TYPES = {"int": "Z", "bool": "bool", "tuple[int, ...]": "list Z"}
BINARY: dict[type[ast.operator], str] = {
    ast.BitAnd: "Z.land",
    ast.BitOr: "Z.lor",
    ast.BitXor: "Z.lxor",
    ast.LShift: "Z.shiftl",
    ast.RShift: "Z.shiftr",
    ast.Add: "Z.add",
    ast.Sub: "Z.sub",
}
# The Coq form of each comparison; {0} is the left side.
COMPARE: dict[type[ast.cmpop], str] = {
    ast.Eq: "(Z.eqb {0} {1})",
    ast.NotEq: "(negb (Z.eqb {0} {1}))",
    ast.Lt: "(Z.ltb {0} {1})",
    ast.LtE: "(Z.leb {0} {1})",
    ast.Gt: "(Z.ltb {1} {0})",
    ast.GtE: "(Z.leb {1} {0})",
}
# Coq's words, and the names the translation itself relies on.
RESERVED = frozenset(
    """
    as at by cofix else end exists exists2 fix for forall fun if in let match mod return then
    using where with struct is of Prop Set Type SProp Module
    Z bool list true false andb orb negb fold_left
    """.split()  # noqa: SIM905  (read as one text)
)


class Refused(Exception):
    """The source leaves what can be translated."""


def refuse(node: ast.AST, why: str) -> NoReturn:
    raise Refused(f"line {getattr(node, 'lineno', '?')}: {why}: {ast.unparse(node)[:80]}")


@dataclass
class Names:
    """What a module defines: Coq's spelling with the type, seen from inside the module."""

    constants: dict[str, str] = field(default_factory=dict)
    functions: dict[str, tuple[str, tuple[str, ...], str]] = field(default_factory=dict)

    def defines(self, name: str) -> bool:
        return name in self.constants or name in self.functions


# A local name's Coq type. Its Coq spelling is v_ and the name.
Env = dict[str, str]


class Translator:
    """One module's translation. `others` are the modules it may import from."""

    def __init__(self, others: Mapping[str, Names]) -> None:
        self.others = others
        self.names = Names()
        self.lines: list[str] = []

    # 1. Expressions.
    def expression(self, node: ast.expr, env: Env) -> tuple[str, str]:
        """Coq's text and type."""
        match node:
            case ast.Constant(value=bool() as truth):
                return ("true" if truth else "false"), "bool"
            case ast.Constant(value=int() as number):
                return str(number), "Z"
            case ast.Name(id=name) if name in env:
                return f"v_{name}", env[name]
            case ast.Name(id=name) if name in self.names.constants:
                return self.names.constants[name], "Z"
            case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
                a, b = self.typed(left, env, "Z"), self.typed(right, env, "Z")
                return f"({BINARY[type(op)]} {a} {b})", "Z"
            case ast.UnaryOp(op=ast.Invert(), operand=inner):
                return f"(Z.lnot {self.typed(inner, env, 'Z')})", "Z"
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                return f"(Z.opp {self.typed(inner, env, 'Z')})", "Z"
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                return f"(negb {self.typed(inner, env, 'bool')})", "bool"
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in COMPARE:
                a, b = self.typed(left, env, "Z"), self.typed(right, env, "Z")
                return COMPARE[type(op)].format(a, b), "bool"
            case ast.BoolOp(op=op, values=values):
                parts = [self.typed(v, env, "bool") for v in values]
                word = "andb" if isinstance(op, ast.And) else "orb"
                text = parts.pop()
                while parts:
                    text = f"({word} {parts.pop()} {text})"
                return text, "bool"
            case ast.IfExp(test=test, body=yes, orelse=no):
                condition = self.typed(test, env, "bool")
                text, kind = self.expression(yes, env)
                return f"(if {condition} then {text} else {self.typed(no, env, kind)})", kind
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if (
                name not in env and name in self.names.functions
            ):
                spelled, parameters, result = self.names.functions[name]
                if len(args) != len(parameters) or not args:
                    refuse(node, "the number of arguments")
                texts = [self.typed(a, env, p) for a, p in zip(args, parameters, strict=True)]
                return f"({spelled} {' '.join(texts)})", result
        refuse(node, "expression outside the subset")

    def typed(self, node: ast.expr, env: Env, wanted: str) -> str:
        text, kind = self.expression(node, env)
        if kind != wanted:
            refuse(node, f"{kind} where {wanted} is needed")
        return text

    # 2. Statements. Every path returns; a name is bound once.
    def block(self, body: list[ast.stmt], env: Env, result: str) -> str:
        if not body:
            raise Refused("a path without return")
        node, rest = body[0], body[1:]
        match node:
            case ast.Return(value=ast.expr() as value):
                if rest:
                    refuse(rest[0], "code after return")
                return self.typed(value, env, result)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                text, kind = self.expression(value, env)
                self.fresh(node, name, env)
                return (
                    f"let v_{name} := {text} in\n  {self.block(rest, {**env, name: kind}, result)}"
                )
            case ast.If(test=test, body=yes, orelse=no):
                condition = self.typed(test, env, "bool")
                if no and rest:
                    refuse(rest[0], "code after return")
                a = self.block(yes, dict(env), result)
                b = self.block(no or rest, dict(env), result)
                return f"if {condition}\n  then {a}\n  else {b}"
            case ast.For(target=ast.Name(id=item), iter=source, body=[step], orelse=[]):
                return self.fold(node, item, source, step, rest, env, result)
        refuse(node, "statement outside the subset")

    def fold(
        self,
        node: ast.For,
        item: str,
        source: ast.expr,
        step: ast.stmt,
        rest: list[ast.stmt],
        env: Env,
        result: str,
    ) -> str:
        """for x in tuple: acc = f(acc, x)."""
        match step:
            case ast.Assign(targets=[ast.Name(id=acc)], value=value) if env.get(acc) == "Z":
                pass
            case _:
                refuse(node, "a loop folds a tuple into an int")
        items = self.typed(source, env, "list Z")
        self.fresh(node, item, env)
        used = {n.id for r in rest for n in ast.walk(r) if isinstance(n, ast.Name)}
        if item in used:
            refuse(node, "the loop variable outlives the loop")
        text = self.typed(value, {**env, item: "Z"}, "Z")
        folded = f"fold_left (fun v_{acc} v_{item} => {text}) {items} v_{acc}"
        return f"let v_{acc} := {folded} in\n  {self.block(rest, env, result)}"

    def fresh(self, node: ast.AST, name: str, env: Env) -> None:
        if name in env or self.names.defines(name):
            refuse(node, "a name is assigned once")
        if not name.isascii():
            refuse(node, "a name that Coq would spell otherwise")

    # 3. The top level.
    def function(self, node: ast.FunctionDef) -> None:
        a = node.args
        extras = [a.vararg, a.kwarg, *a.defaults, *a.kwonlyargs, *a.posonlyargs]
        extras += [*node.decorator_list, *getattr(node, "type_params", [])]
        if any(extra is not None for extra in extras) or not a.args:
            refuse(node, "plain parameters only")
        env: Env = {}
        for parameter in a.args:
            written = ast.unparse(parameter.annotation) if parameter.annotation else ""
            if written not in TYPES:
                refuse(parameter, "parameter outside the subset")
            self.fresh(parameter, parameter.arg, env)
            env[parameter.arg] = TYPES[written]
        result = TYPES.get(ast.unparse(node.returns) if node.returns else "")
        if result is None:
            refuse(node, "result outside the subset")
        parameters = " ".join(f"(v_{name} : {kind})" for name, kind in env.items())
        kinds = tuple(env.values())
        bound = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and _is_store(n)}
        if node.name in bound or node.name in env:
            refuse(node, "a name is assigned once")
        body = node.body[1:] if _is_docstring(node.body[0]) else node.body
        text = self.block(body, env, result)
        # Known only now, so nothing calls itself.
        self.names.functions[node.name] = (node.name, kinds, result)
        self.lines.append(f"Definition {node.name} {parameters} : {result} :=\n  {text}.\n")

    def imported(self, node: ast.ImportFrom, origin: str) -> None:
        theirs = self.others[origin]
        home = origin.rpartition(".")[2]
        for alias in node.names:
            name = alias.name
            if alias.asname or not theirs.defines(name) or self.names.defines(name):
                refuse(node, f"import of {name}")
            if name in theirs.constants:
                spelled = theirs.constants[name]
                self.names.constants[name] = spelled if "." in spelled else f"{home}.{name}"
            else:
                spelled, kinds, result = theirs.functions[name]
                spelled = spelled if "." in spelled else f"{home}.{name}"
                self.names.functions[name] = (spelled, kinds, result)

    def defined(self, node: ast.stmt, name: str) -> None:
        if self.names.defines(name) or name in RESERVED or name.startswith(("v_", "_")):
            refuse(node, "a name that is taken")
        if not name.isascii() or name in {m.rpartition(".")[2] for m in self.others}:
            refuse(node, "a name that Coq would spell otherwise")

    def top(self, node: ast.stmt) -> None:
        match node:
            case _ if _is_docstring(node):
                return
            case ast.ImportFrom(module=str() as origin, level=0) if origin in self.others:
                self.imported(node, origin)
            case ast.AnnAssign(
                target=ast.Name(id=name),
                annotation=ast.Name(id="int"),
                value=ast.Constant(value=int() as number),
            ) if type(number) is int:
                self.defined(node, name)
                self.names.constants[name] = name
                self.lines.append(f"Definition {name} : Z := {number}.")
            case ast.FunctionDef(name=name):
                self.defined(node, name)
                self.function(node)
            case _:
                refuse(node, "top level outside the subset")


def _is_store(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def _is_docstring(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and type(node.value.value) is str
    )


def translate(source: str, others: Mapping[str, Names]) -> tuple[Names, str]:
    """A module's names and its Coq text, or Refused."""
    translator = Translator(others)
    for node in ast.parse(source).body:
        translator.top(node)
    return translator.names, "\n".join(translator.lines)
