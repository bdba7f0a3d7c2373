"""What AuraFlow's pipeline makes of prompts."""

from __future__ import annotations


def encode(pipe, prompts, negative, size):
    """``encoder_hidden_states (P, T, D)``."""
    given, _, without, _ = pipe.encode_prompt(prompts, negative or "")
    return {"encoder_hidden_states": given}, {"encoder_hidden_states": without}
