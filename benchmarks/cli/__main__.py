"""``python -m benchmarks.cli``, where the script is not on the path."""

from benchmarks.cli import main

main(prog_name="omsdpm-bench")
