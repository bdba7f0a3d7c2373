"""``python -m tests.kill``: kills every command that writes at its file operations, and gives it again.

python -m tests.kill --kills 20 --command run --command study
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.kill.commands import COMMANDS
from tests.kill.server import warm
from tests.kill.suite import Row, Suite


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kill", description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=10, metavar="N", help="of each command, at most  [default: 10]")
    parser.add_argument("--command", action="append", metavar="NAME", help="only this one, repeatable")
    parser.add_argument("--verbose", action="store_true", help="say what went wrong at every kill")
    given = parser.parse_args()
    known = [one.name for one in COMMANDS]
    for name in given.command or ():
        if name not in known:
            parser.error(f"unknown command {name!r}; choose of: {', '.join(known)}")
    warm()
    rows = []
    with tempfile.TemporaryDirectory(prefix="omsdpm-kill-") as folder:
        suite = Suite(Path(folder))
        for one in COMMANDS:
            if not given.command or one.name in given.command:
                rows.append(suite.run(one, given.kills))
                print(_line(rows[-1]) if len(rows) > 1 else f"{_head()}\n{_line(rows[-1])}", flush=True)
                for note in rows[-1].notes if given.verbose or not rows[-1].good else ():
                    print(f"    {note}", flush=True)
    together = Row("all")
    for row in rows:
        for name in ("operations", "kills", "went_on", "lost", "doubled", "differs", "tracebacks"):
            setattr(together, name, getattr(together, name) + getattr(row, name))
    print(_line(together))
    return 0 if together.good else 1


def _head() -> str:
    return (
        f"{'command':<27}{'operations':>11}{'kills':>7}{'went on':>9}{'rows lost':>11}{'rows doubled':>14}"
        f"{'differs':>9}{'traceback':>11}"
    )


def _line(row: Row) -> str:
    return (
        f"{row.name:<27}{row.operations:>11}{row.kills:>7}{row.went_on:>9}{row.lost:>11}{row.doubled:>14}"
        f"{row.differs:>9}{row.tracebacks:>11}"
    )


if __name__ == "__main__":
    sys.exit(main())
