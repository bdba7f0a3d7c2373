"""Noise schedules: how much signal and how much noise a time has."""

from omsdpm.noise.vp import Array, DiscreteVP, LinearVP, Noise, lambda_of, sigma_of

__all__ = ["Array", "DiscreteVP", "LinearVP", "Noise", "lambda_of", "sigma_of"]
