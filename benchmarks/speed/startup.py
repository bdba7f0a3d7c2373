"""How long the light commands take, against Python alone and against importing torch.

python -m benchmarks.speed.startup
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from rich.console import Console
from rich.table import Table

COMMANDS = {
    "python, nothing else": ["-c", "pass"],
    "omsdpm-bench --help": ["-m", "studies.cli", "--help"],
    "omsdpm-bench list": ["-m", "studies.cli", "list"],
    "python, import torch": ["-c", "import torch"],
}
REPEATS = 7


def main() -> None:
    """Prints medians; the commands take turns, so that a drift of the machine meets all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(REPEATS):
        for name, arguments in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
            seconds[name].append(time.perf_counter() - start)
    table = Table("command", "seconds (median)", "of importing torch")
    torch = statistics.median(seconds["python, import torch"])
    for name, values in seconds.items():
        median = statistics.median(values)
        table.add_row(name, f"{median:.2f}", f"{median / torch:.0%}")
    Console().print(table)


if __name__ == "__main__":
    main()
