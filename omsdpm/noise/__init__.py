"""Noise schedules: how much signal and how much noise a time has; one file a kind."""

from omsdpm.noise.base import Array, Noise, within
from omsdpm.noise.beta_schedule import BetaSchedule
from omsdpm.noise.cosine import CosineBetas
from omsdpm.noise.discrete_vp import DiscreteVP
from omsdpm.noise.flow import Flow
from omsdpm.noise.linear import LinearBetas
from omsdpm.noise.linear_vp import LinearVP
from omsdpm.noise.registry import make_noise, noise_names
from omsdpm.noise.scaled_linear import ScaledLinearBetas
from omsdpm.noise.scheduler_config import noise_from_scheduler_config
from omsdpm.noise.vp import VP, lambda_of, sigma_of

__all__ = [
    "VP",
    "Array",
    "BetaSchedule",
    "CosineBetas",
    "DiscreteVP",
    "Flow",
    "LinearBetas",
    "LinearVP",
    "Noise",
    "ScaledLinearBetas",
    "lambda_of",
    "make_noise",
    "noise_from_scheduler_config",
    "noise_names",
    "sigma_of",
    "within",
]
