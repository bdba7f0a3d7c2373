"""What a benchmark is, as a table and as a picture."""

from benchmarks.info._card import card_table
from benchmarks.info._landscape import write_landscape

__all__ = ["card_table", "write_landscape"]
