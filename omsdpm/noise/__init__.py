"""Noise schedules: how much signal and how much noise a time has."""

from omsdpm.noise.base import Array, Noise
from omsdpm.noise.vp import DiscreteVP, LinearVP, lambda_of, sigma_of

__all__ = ["Array", "DiscreteVP", "LinearVP", "Noise", "lambda_of", "sigma_of"]
