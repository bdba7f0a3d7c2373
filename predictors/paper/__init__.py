"""The predictor of OMS-DPM as its release has it."""
