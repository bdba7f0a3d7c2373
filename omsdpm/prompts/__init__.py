"""Prompts: what text encoders make of them, as denoisers take it."""

from omsdpm.prompts.base import ENCODERS, Prompts, encode_prompts, read_prompts

__all__ = ["ENCODERS", "Prompts", "encode_prompts", "read_prompts"]
