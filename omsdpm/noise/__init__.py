"""Noise schedules: how much signal and how much noise a time has."""

from collections.abc import Mapping
from math import inf
from typing import Any

from omsdpm.errors import InputError, unknown_name
from omsdpm.noise.base import Array, Noise
from omsdpm.noise.vp import DiscreteVP, LinearVP, lambda_of, sigma_of

__all__ = ["Array", "DiscreteVP", "LinearVP", "Noise", "lambda_of", "make_noise", "sigma_of"]


def make_noise(table: Mapping[str, Any]) -> Noise:
    """A noise schedule from its table."""
    given = {"beta_start": 1e-4, "beta_end": 0.02, "steps": 1000}
    for key, value in table.items():
        if key != "kind" and key not in given:
            raise unknown_name("key of a linear noise", key, ["kind", *given])
        if key == "kind":
            if value != "linear":
                raise unknown_name("noise", str(value), ["linear"])
        elif isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < inf:
            raise InputError(f"{key} = {value!r}: expected a positive number")
        else:
            given[key] = value
    return DiscreteVP.linear(given["beta_start"], given["beta_end"], int(given["steps"]))
