"""Noise schedules: how much signal and how much noise a time has."""

from omsdpm.noise.base import Array, Noise
from omsdpm.noise.vp import DiscreteVP, LinearVP, lambda_of, sigma_of

__all__ = ["Array", "DiscreteVP", "LinearVP", "Noise", "lambda_of", "sigma_of"]


def make_noise(table):
    from omsdpm.errors import InputError, unknown_name

    table = dict(table)
    if table.pop("kind", "linear") != "linear":
        raise unknown_name("noise", "x", ["linear"])
    keys = {"beta_start": 1e-4, "beta_end": 0.02, "steps": 1000}
    for key in table:
        if key not in keys:
            raise unknown_name("key of noise 'linear'", key, keys)
    given = {**keys, **table}
    for k, v in given.items():
        if isinstance(v, (str, bool)):
            raise InputError(f"{k} = {v!r}: expected a number")
    noise = DiscreteVP.linear(given["beta_start"], given["beta_end"], given["steps"])
    object.__setattr__(noise, "table", lambda: {"kind": "linear", **given})
    return noise
