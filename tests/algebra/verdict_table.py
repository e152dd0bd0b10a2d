"""Writes docs/spec/verdict-table.md from the decision table itself.

    python tests/algebra/verdict_table.py > docs/spec/verdict-table.md

The table is computed: a question is asked in a row only where the answer changes the outcome.
"""

import sys
from collections.abc import Callable
from itertools import product

from nucleus_verifier import verdict as V

LEVELS = ("never", "low_risk", "always")
YES_NO = ("no", "yes")

# The order of the questions decides how few rows there are, not what they say.
DENY_INPUTS = {
    "level": LEVELS,
    "secret to a way out": YES_NO,
    "bad declassification": YES_NO,
}
ASK_INPUTS = {
    "level": LEVELS,
    "evidence on all selectors": YES_NO,
    "policy lets evidence answer": YES_NO,
    "sink reversible": YES_NO,
    "payload meets the sink": YES_NO,
    "gate fires": YES_NO,
    "open static obligation": YES_NO,
}
DENY_NAMES = {V.DENY_LEVEL: "level", V.DENY_SECRET: "secret", V.DENY_DECLASSIFY: "declassification"}
ASK_NAMES = {
    V.ASK_STATIC: "static",
    V.ASK_INPUTS: "inputs",
    V.ASK_PAYLOAD: "payload",
    V.ASK_GATE: "gate",
}

Key = tuple[int, ...]
Row = tuple[tuple[int | None, ...], int]


def denied(key: Key) -> int:
    level, secret, bad = key
    return V.denials(level, secret == 1, bad == 1)


def asked(key: Key) -> int:
    level, evidence, by_evidence, reversible, payload, gate, static = key
    return V.asks(
        level,
        static == 1,
        gate == 1,
        payload == 1,
        reversible == 1,
        evidence == 1,
        by_evidence == 1,
    )


def fold(outcome: Callable[[Key], int], sizes: list[range], known: Key = ()) -> list[Row]:
    """Rows of (answers, outcome); None where the answer does not matter."""
    if len(known) == len(sizes):
        return [((), outcome(known))]
    branches = [fold(outcome, sizes, (*known, v)) for v in sizes[len(known)]]
    if all(branch == branches[0] for branch in branches):
        return [((None, *answers), out) for answers, out in branches[0]]
    return [
        ((value, *answers), out)
        for value, branch in zip(sizes[len(known)], branches, strict=True)
        for answers, out in branch
    ]


def names(bits: int, table: dict[int, str]) -> str:
    return ", ".join(name for bit, name in table.items() if bits & bit)


def markdown(header: list[str], rows: list[list[str]]) -> list[str]:
    return [
        "| " + " | ".join(header) + " |",
        "|" + "---|" * len(header),
        *("| " + " | ".join(row) + " |" for row in rows),
    ]


def words(inputs: dict[str, tuple[str, ...]], answers: tuple[int | None, ...]) -> list[str]:
    return [
        "·" if answer is None else values[answer]
        for values, answer in zip(inputs.values(), answers, strict=True)
    ]


def only(outcome: Callable[[Key], int], bit: int) -> Callable[[Key], int]:
    return lambda key: outcome(key) & bit


def reasons(
    outcome: Callable[[Key], int],
    inputs: dict[str, tuple[str, ...]],
    table: dict[int, str],
    sizes: list[range],
) -> list[str]:
    """For each reason, exactly when it holds."""
    rows = [
        [f"`{name}`", *words(inputs, answers)]
        for bit, name in table.items()
        for answers, out in fold(only(outcome, bit), sizes)
        if out
    ]
    return markdown(["", *inputs], rows)


def tally() -> dict[str, int]:
    counts = dict.fromkeys(("deny", "ask", "allow"), 0)
    binary = (range(2),) * 8
    for level, secret, bad, *rest in product(range(3), *binary):
        out = V.verdict(denied((level, secret, bad)), asked((level, *rest)), 0)
        counts[("deny", "ask", "allow")[out]] += 1
    return counts


def render() -> str:
    deny_sizes = [range(3), range(2), range(2)]
    ask_sizes = [range(1, 3), *[range(2)] * 6]
    # 3: without static obligation; section 2 shows that one only adds its own name
    rows = [
        [*words(ASK_INPUTS, answers)[:-1], f"ask: {names(out, ASK_NAMES)}" if out else "**allow**"]
        for answers, out in fold(asked, [*ask_sizes[:-1], range(1)])
    ]
    counts = tally()
    lines = [
        "# The verdict table",
        "",
        "Generated from `nucleus_verifier/verdict.py` by `tests/algebra/verdict_table.py`; a test",
        "compares. Do not edit. A dot means that the answer does not matter.",
        "",
        "The verdict is *deny* if there is a reason to deny, else *ask* if an obligation is open,",
        "else *allow*. Approvals discharge obligations one by one; nothing discharges a denial.",
        "",
        "## 1. Reasons to deny",
        "",
        *reasons(denied, DENY_INPUTS, DENY_NAMES, deny_sizes),
        "",
        "A sink that nobody listed is also a reason to deny.",
        "",
        "## 2. When each obligation opens",
        "",
        "One row is enough to open it. The level is low_risk or always here.",
        "",
        *reasons(asked, ASK_INPUTS, ASK_NAMES, ask_sizes),
        "",
        "## 3. Every combination that is not denied",
        "",
        "Without an open static obligation; where there is one, `static` joins the list.",
        "",
        *markdown([*list(ASK_INPUTS)[:-1], "outcome"], rows),
        "",
        "## 4. In numbers",
        "",
        f"Of the {sum(counts.values())} combinations of the nine inputs, with nothing discharged,",
        f"{counts['deny']} are denied, {counts['ask']} ask and {counts['allow']} are allowed.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())
