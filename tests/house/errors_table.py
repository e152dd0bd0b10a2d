"""Writes docs/spec/errors.md from the source: every stable code, who is to blame, what it says.

Run it after adding a code: `python -m tests.house.errors_table`.
"""

from __future__ import annotations

import ast

from tests.house.source import ROOT, repository, shown

PAGE = ROOT / "docs" / "spec" / "errors.md"
ROOMS = ("tokens", "verifier", "issuer", "proxy", "vmhost", "sdk")
BLAME = {
    "CredentialError": "whoever presented it",
    "CallerError": "our caller, operator or policy",
    "WorldError": "the world: disk, clock, transport",
    "Deny": "a decision",
    "Refused": "a decision",
}
HEAD = """# Error codes

Generated from the source; a test compares. Codes are stable: scripts may rely on them, messages
may improve. A decision up to step 5 is shown to its caller as `credential.refused` only. `{…}`
stands for what depends on the case.

| code | who is to blame | what it says |
|---|---|---|
"""


def _text(node: ast.expr) -> str:
    """A message as it stands in the source, with its variable parts as `{…}`."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(v) if isinstance(v, ast.Constant) else "{…}" for v in node.values)
    return "{…}"


def _sentences() -> dict[str, str]:
    """The sentence of each decision code, from the table of the hints."""
    module = ast.parse((ROOT / "verifier/nucleus_verifier/hints.py").read_text(encoding="utf-8"))
    for node in module.body:
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and node.target.id == "_DETAIL"
        ):
            found = ast.literal_eval(node.value) if node.value is not None else {}
            return {str(k): str(v).replace("{subject}", "{…}") for k, v in found.items()}
    raise AssertionError("hints.py has no table of sentences")


def _worth(entry: tuple[str, str]) -> tuple[bool, int, str]:
    blame, says = entry
    return says not in ("", "{…}"), -list(BLAME.values()).index(blame), says


def codes() -> dict[str, tuple[str, str]]:
    """code -> (who is to blame, what it says)."""
    found: dict[str, tuple[str, str]] = {}
    sentences = _sentences()
    for path in sorted(repository()):
        if path.suffix != ".py" or shown(path).split("/")[0] not in ROOMS:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            blame = BLAME.get(node.func.id)
            at = 1 if node.func.id in ("Deny", "Refused") else 0
            if blame is None or len(node.args) <= at:
                continue
            code = _text(node.args[at])
            if "{…}" in code or "." not in code:
                continue
            says = sentences.get(code, "")
            if at == 0 and len(node.args) > 1:
                says = _text(node.args[1])
            # Where two places raise one code, the order of files must not choose.
            found[code] = max(found.get(code, (blame, "")), (blame, says), key=_worth)
    return found


def page() -> str:
    """The page as it should be."""
    rows = [f"| `{code}` | {blame} | {says} |" for code, (blame, says) in sorted(codes().items())]
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
