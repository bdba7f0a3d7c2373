"""``python -m studies.cli``, where the script is not on the path."""

from studies.cli import main

main(prog_name="omsdpm-bench")
