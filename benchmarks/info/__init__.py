"""What a benchmark is, as a table, as a picture, and as the card beside its data."""

from benchmarks.info._card import card_table, write_card
from benchmarks.info._landscape import write_landscape

__all__ = ["card_table", "write_card", "write_landscape"]
