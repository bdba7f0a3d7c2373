"""``python -m tests.fuzz [--inputs N] [--kind K] [--seed S]``: malformed files, and what readers make of them."""

from __future__ import annotations

import argparse
import sys

from tests.fuzz.driver import BAD, run
from tests.fuzz.kinds import KINDS


def main() -> int:
    """Prints the table; returns 1 if an input was not refused in a line or accepted rightly."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=6000, help="of all kinds together")
    parser.add_argument("--kind", choices=list(KINDS), help="only one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first input of each kind")
    parser.add_argument("--verbose", action="store_true", help="tell what the boundary of the commands had to refuse")
    given = parser.parse_args()

    def tell(line: str) -> None:
        if given.verbose or " boundary: " not in line.partition("\n")[0]:
            print(line, file=sys.stderr, flush=True)

    report = run(given.inputs, given.seed, given.kind, given.first, tell)
    print(report.table())
    return int(any(report.counts[kind][outcome] for kind in report.counts for outcome in BAD))


if __name__ == "__main__":
    sys.exit(main())
