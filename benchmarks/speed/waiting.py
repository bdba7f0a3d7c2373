"""The main job on a quiet machine and beside busy processes, by how long PyTorch's threads wait busily.

    python -m benchmarks.speed.waiting [--busy 2] [--spins 300000 3000 0]

Each line is one ``omsdpm-bench run --optimizer nsga2 --predictor lstm`` with ``GOMP_SPINCOUNT``: 300,000 is what GNU's
OpenMP takes where nobody says it, 3,000 is what the command says (:func:`omsdpm.threads.wait_briefly`). The machine
has to be quiet.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

JOB = ("-m", "studies.cli", "run", "--optimizer", "nsga2", "--predictor", "lstm", "--quiet")
BUSY = "while True: pass"


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """So many processes that do nothing, as fast as they can."""
    running = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def seconds(spins: int) -> float:
    """How long the main job takes."""
    environment = {**os.environ, "GOMP_SPINCOUNT": str(spins)}
    environment.pop("OMP_WAIT_POLICY", None)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, *JOB, "--output", f"{folder}/run", "--leaderboard", f"{folder}/leaderboard.csv"],
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return time.perf_counter() - start


def main() -> None:
    """Prints a line a number of spins."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--busy", type=int, default=2, help="processes")
    parser.add_argument("--spins", type=int, nargs="+", default=[300_000, 3000, 0])
    asked = parser.parse_args()
    print(f"{'spins':>8} {'quiet (s)':>10} {f'beside {asked.busy} (s)':>13} {'times':>6}")
    for spins in asked.spins:
        quiet = seconds(spins)
        with busy(asked.busy):
            beside = seconds(spins)
        print(f"{spins:>8} {quiet:>10.1f} {beside:>13.1f} {beside / quiet:>6.1f}", flush=True)


if __name__ == "__main__":
    main()
