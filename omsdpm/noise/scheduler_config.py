"""The noise schedule of a diffusers ``scheduler_config.json``.

Where a scheduler puts its steps (``timestep_spacing``, ``steps_offset``, Karras and other sigmas,
``shift_terminal``) is a matter of sampling and is not read. ``rescale_betas_zero_snr`` holds also
where the scheduler itself passes it over, for networks were trained on what it says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from omsdpm.errors import InputError, unknown_name
from omsdpm.noise.base import Noise
from omsdpm.noise.cosine import CosineBetas
from omsdpm.noise.discrete_vp import DiscreteVP
from omsdpm.noise.flow import Flow
from omsdpm.noise.linear import LinearBetas
from omsdpm.noise.scaled_linear import ScaledLinearBetas

WHERE = "scheduler_config.json"


def noise_from_scheduler_config(config: Mapping[str, Any], *, tokens: int | None = None) -> Noise:
    """The noise schedule that networks beside a ``scheduler_config.json`` were trained on.

    Args:
        config: what the file says; ``_class_name`` is one of :data:`READERS`.
        tokens: of an image, for a flow whose shift depends on it (``use_dynamic_shifting``).

    Raises:
        InputError: another scheduler or schedule of betas, timesteps that are no training timesteps,
            or a value of the wrong type.

    Example:
        >>> noise_from_scheduler_config({"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0})
        Flow(shift=3.0, steps=1000)
    """
    from omsdpm.tables import model_of, read_table

    if not isinstance(config, Mapping):
        raise InputError(f"{WHERE}: {config!r} is no table of keys and values")
    name = config.get("_class_name")
    if name is None:
        raise InputError(f"{WHERE} lacks the key '_class_name': expected one of {', '.join(READERS)}")
    if not isinstance(name, str) or name not in READERS:
        raise InputError(f"{WHERE}: {unknown_name('scheduler', str(name), READERS)}")
    model = model_of(READERS[name])
    given = {key: value for key, value in config.items() if key in model.model_fields and value is not None}
    values = dict(read_table(model, given, WHERE))
    if values.get("use_dynamic_shifting") and tokens is not None:
        shifting = model_of(_dynamic_shift)
        said = {key: config[key] for key in shifting.model_fields if config.get(key) is not None}
        shift = _dynamic_shift(**dict(read_table(shifting, {**said, "tokens": tokens}, WHERE)))
        values |= {"use_dynamic_shifting": False, _SHIFTS[READERS[name]]: shift}
    try:
        return READERS[name](**values)
    except InputError as error:
        raise InputError(f"{WHERE}: {name}: {error}") from error


def _flow(
    num_train_timesteps: int = 1000, shift: float = 1.0, use_dynamic_shifting: bool = False, invert_sigmas: bool = False
) -> Noise:
    if use_dynamic_shifting:
        raise InputError("use_dynamic_shifting: the shift depends on the size of the image, which is not known here")
    if invert_sigmas:
        raise InputError("invert_sigmas is not supported, only timesteps that grow with the noise")
    return Flow(shift, num_train_timesteps)


def _betas(
    num_train_timesteps: int = 1000,
    beta_start: float = 0.0001,
    beta_end: float = 0.02,
    beta_schedule: str = "linear",
    trained_betas: list[float] | None = None,
    rescale_betas_zero_snr: bool = False,
    timestep_type: str = "discrete",
    use_flow_sigmas: bool = False,
    flow_shift: float = 1.0,
    use_dynamic_shifting: bool = False,
) -> Noise:
    if use_flow_sigmas:
        return _flow(num_train_timesteps, flow_shift, use_dynamic_shifting)
    if timestep_type != "discrete":
        raise InputError(f"timestep_type {timestep_type!r} is not supported, only 'discrete'")
    if trained_betas is not None:
        return _trained(trained_betas, num_train_timesteps, rescale_betas_zero_snr)
    shared: Any = {"steps": num_train_timesteps, "zero_terminal_snr": rescale_betas_zero_snr}
    if beta_schedule == "squaredcos_cap_v2":
        return CosineBetas(**shared)
    kinds = {"linear": LinearBetas, "scaled_linear": ScaledLinearBetas}
    if beta_schedule not in kinds:
        raise unknown_name("beta_schedule", beta_schedule, [*kinds, "squaredcos_cap_v2"])
    return kinds[beta_schedule](beta_start=beta_start, beta_end=beta_end, **shared)


def _trained(betas: list[float], steps: int, rescale: bool) -> Noise:
    if len(betas) != steps:
        raise InputError(f"{len(betas)} trained_betas for num_train_timesteps = {steps}: expected as many")
    noise = DiscreteVP(betas)
    return noise.rescaled() if rescale else noise


def _dynamic_shift(
    tokens: int,
    base_shift: float = 0.5,
    max_shift: float = 1.15,
    base_image_seq_len: int = 256,
    max_image_seq_len: int = 4096,
    time_shift_type: str = "exponential",
) -> float:
    """The fixed shift that images of so many tokens have: ``mu`` is linear in them, and the shift is ``e^mu`` or it.

    As diffusers' ``calculate_shift`` and ``time_shift`` (Esser et al., arXiv:2403.03206, Sec. 5.3.2), whose
    defaults these are.
    """
    slope = (max_shift - base_shift) / (max_image_seq_len - base_image_seq_len)
    mu = base_shift + slope * (tokens - base_image_seq_len)
    if time_shift_type not in ("exponential", "linear"):
        raise unknown_name("time_shift_type", time_shift_type, ["exponential", "linear"])
    return math.exp(mu) if time_shift_type == "exponential" else mu


_SHIFTS: dict[Callable[..., Noise], str] = {_flow: "shift", _betas: "flow_shift"}
"""The parameter of a reader that is the shift."""

READERS: dict[str, Callable[..., Noise]] = {
    "DDIMScheduler": _betas,
    "DDPMScheduler": _betas,
    "DEISMultistepScheduler": _betas,
    "DPMSolverMultistepScheduler": _betas,
    "DPMSolverSinglestepScheduler": _betas,
    "EulerAncestralDiscreteScheduler": _betas,
    "EulerDiscreteScheduler": _betas,
    "FlowMatchEulerDiscreteScheduler": _flow,
    "PNDMScheduler": _betas,
    "UniPCMultistepScheduler": _betas,
}
"""What makes the schedule of each scheduler; its parameters are the keys that are read.

Their defaults are those of the schedulers, for a file may leave them out.
"""
