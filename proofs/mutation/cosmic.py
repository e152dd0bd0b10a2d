"""The second mutator: the operators of cosmic-ray, another project's, written from other notions.

    pip install cosmic-ray==8.7.0          # in an environment of its own
    python proofs/mutation/cosmic.py > mutants.jsonl
    python -m proofs.mutation --second mutants.jsonl

So what it needs never enters ours. It prints one mutant a line; two operators that take arguments
are left out.
"""

import ast
import json
import sys
from pathlib import Path

from cosmic_ray import plugins
from cosmic_ray.mutating import mutate_code

ROOT = Path(__file__).resolve().parent.parent.parent
SKIPPED = {"core/VariableReplacer", "core/VariableInserter"}


def function_at(tree: ast.Module, line: int) -> str:
    """The top-level function or class around a line."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and (
            node.lineno <= line <= (node.end_lineno or node.lineno)
        ):
            return node.name
    return "<module>"


def changed_line(before: str, after: str) -> int:
    pairs = zip(before.splitlines(), after.splitlines(), strict=False)
    return next((n for n, (a, b) in enumerate(pairs, 1) if a != b), 0)


def main(modules: list[str]) -> None:
    for module in modules:
        package, _, name = module.partition(".")
        room = "tokens" if package == "nucleus_tokens" else "verifier"
        source = (ROOT / room / package / f"{name}.py").read_text(encoding="utf-8")
        tree, seen = ast.parse(source), {ast.dump(ast.parse(source))}
        for operator in sorted(set(plugins.operator_names()) - SKIPPED):
            made = plugins.get_operator(operator)()
            for occurrence in range(10_000):
                text = mutate_code(source, made, occurrence)
                if text is None:
                    break
                text = text.decode() if isinstance(text, bytes) else text
                try:
                    meaning = ast.dump(ast.parse(text))
                except SyntaxError:
                    continue
                if meaning not in seen:
                    seen.add(meaning)
                    line = changed_line(source, text)
                    row = [module, function_at(tree, line), line, operator, text]
                    print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or json.loads((Path(__file__).parent / "algebra.json").read_text()))
