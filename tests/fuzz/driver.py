"""Runs inputs through a worker that may be slow, grow or die, and counts what came of them."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from tests.fuzz.kinds import KINDS

SECONDS = 60.0
"""That reading one input may take."""

START = 300.0
"""Seconds that a worker may take to start."""

ROOT = Path(__file__).parents[2]

BAD = ("wrong", "unnamed", "traceback", "runaway", "crash")


@dataclass
class Report:
    """What came of the inputs of each kind.

    Attributes:
        counts: of each outcome by kind.
        faults: one a bad input: kind, number, outcome, what was done, what came of it.
    """

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    faults: list[tuple[str, int, str, str, str]] = field(default_factory=list)

    @property
    def tried(self) -> int:
        return sum(sum(counts.values()) for counts in self.counts.values())

    def table(self) -> str:
        """The table of issue 12."""
        heads = ("kind", "tried", "refused in a line", "accepted rightly", "accepted wrongly", "traceback", "runaway",
                 "crash")  # fmt: skip
        rows = [heads]
        totals = Counter[str]()
        for kind, counts in self.counts.items():
            rows.append(self._row(kind, counts))
            totals.update(counts)
        rows.append(self._row("all", totals))
        widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
        lines = [
            "  ".join(
                cell.ljust(width) if not at else cell.rjust(width)
                for at, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        ]
        return "\n".join(lines)

    def _row(self, kind: str, counts: Counter[str]) -> tuple[str, ...]:
        numbers = (
            sum(counts.values()),
            counts["refused"] + counts["boundary"],
            counts["accepted"],
            counts["wrong"],
            counts["traceback"] + counts["unnamed"],
            counts["runaway"],
            counts["crash"],
        )
        return (kind, *(f"{number:,}" for number in numbers))


def shares(inputs: int, only: str | None = None) -> dict[str, int]:
    """Inputs of each kind, as their shares are."""
    names = [only] if only is not None else list(KINDS)
    total = sum(KINDS[name].share for name in names)
    return {name: max(1, -(-int(inputs * KINDS[name].share * 1000) // int(total * 1000))) for name in names}


def run(
    inputs: int, seed: int = 0, only: str | None = None, first: int = 0, tell: Callable[[str], None] = lambda line: None
) -> Report:
    """Tries so many inputs.

    Args:
        inputs: of all kinds together, about.
        seed: of all of them.
        only: a kind; ``None`` for all.
        first: number of the first input of each kind.
        tell: is given a line about each bad input.
    """
    from tests.fuzz.valid import make_valid

    report = Report()
    with tempfile.TemporaryDirectory(prefix="fuzz-valid-") as folder:
        # Statistics that another version has kept differ in the last bits, and so would scores of four images.
        with patch.dict(os.environ, {"OMSDPM_CACHE": str(Path(folder) / "cache")}):
            make_valid(Path(folder))
        worker = Worker(Path(folder))
        try:
            for kind, count in shares(inputs, only).items():
                report.counts[kind] = Counter()
                for number in range(first, first + count):
                    answer = worker.ask(kind, seed, number)
                    outcome = answer["outcome"]
                    report.counts[kind][outcome] += 1
                    if outcome in BAD or outcome == "boundary":
                        fault = (kind, number, outcome, answer["what"], answer["detail"])
                        report.faults.append(fault)
                        tell(f"{kind} {number} {outcome}: {answer['what']}\n{answer['detail']}\n")
        finally:
            worker.stop()
    return report


class Worker:
    """A process of :mod:`tests.fuzz.worker`, started anew when it died."""

    def __init__(self, valid: Path) -> None:
        self.valid = valid
        self.process: subprocess.Popen[bytes] | None = None
        self._lines: Iterator[str] = iter(())
        self._rest = b""

    def ask(self, kind: str, seed: int, number: int) -> dict[str, str]:
        """What became of one input."""
        if self.process is None:
            self._start()
        assert self.process is not None and self.process.stdin is not None
        self.process.stdin.write(json.dumps([kind, seed, number]).encode() + b"\n")
        self.process.stdin.flush()
        line = self._line(SECONDS)
        if line:
            answer: dict[str, str] = json.loads(line)
            return answer
        ended = self.process.poll() is not None or line == ""
        code = self._kill()
        if ended:
            return {"outcome": "crash", "what": "", "detail": f"the interpreter ended with {code}"}
        return {"outcome": "runaway", "what": "", "detail": f"more than {SECONDS:g} s"}

    def stop(self) -> None:
        """Ends the process."""
        if self.process is not None:
            self._kill()

    def _start(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMSDPM_CACHE": str(self.valid / "cache")}
        self.process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-m", "tests.fuzz.worker", str(self.valid)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT, env=environment,
        )  # fmt: skip
        self._rest = b""
        if (said := self._line(START)) != "ready":
            raise RuntimeError(f"the worker did not start: {said!r}; try `python -m tests.fuzz.worker {self.valid}`")

    def _kill(self) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.kill()
        code = self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        self.process = None
        return code

    def _line(self, seconds: float) -> str | None:
        """The next line of the answer, ``""`` at its end, ``None`` after so many seconds."""
        assert self.process is not None and self.process.stdout is not None
        out = self.process.stdout.fileno()
        while b"\n" not in self._rest:
            if not select.select([out], [], [], seconds)[0]:
                return None
            part = os.read(out, 1 << 16)
            if not part:
                return ""
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()
