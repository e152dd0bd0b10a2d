"""Every claim about the running functions, asked of z3: python -m proofs.symbolic [word ...]."""

import sys
import time

from proofs.symbolic import arrows, authority, flows, labelled, ledger, seen, values, verdicts
from proofs.symbolic.controls import not_refused
from proofs.symbolic.suite import Result, Suite

GROUPS = (authority, arrows, seen, values, labelled, flows, verdicts, ledger)


def judge() -> list[Result]:
    """All claims, in order."""
    suite = Suite()
    for group in GROUPS:
        for claims in group.CLAIMS:
            claims(suite)
    return suite.results


def main(words: list[str]) -> int:
    """With words, prints the claims that have them all; failures are always printed."""
    started = time.perf_counter()
    results = judge()
    failed = [r for r in results if not r.passed]
    for result in results:
        if not result.passed:
            print(f"FAILED  {result.sentence}\n        {result.detail}")
        elif words and all(w.lower() in result.sentence.lower() for w in words):
            print(
                f"proved  {result.sentence}" + (f"\n        {result.detail}" * bool(result.detail))
            )
    slowest = max(results, key=lambda r: r.seconds)
    print(
        f"{len(results) - len(failed)} of {len(results)} claims in "
        f"{time.perf_counter() - started:.1f} s (slowest {slowest.seconds:.1f} s: "
        f"{slowest.sentence})"
    )
    blind = not_refused()
    for sentence in blind:
        print(f"NOT REFUSED  {sentence}: the suite passes what is false")
    return 1 if failed or blind else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
