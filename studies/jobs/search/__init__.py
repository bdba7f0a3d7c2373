"""A search without a benchmark."""
