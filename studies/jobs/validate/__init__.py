"""A population sampled for real."""
