"""Released predictor checkpoints, read into weights, space and noise schedule.

What a predictor is, this package does not know: the entry point ``predictor`` of the group
``omsdpm.released`` makes one of what is read here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omsdpm.errors import InputError, unknown_name
from omsdpm.noise import LinearVP
from omsdpm.plugins import Registry
from omsdpm.released._pickle import load_pth
from omsdpm.released._states import PREDICTOR, state_of
from omsdpm.solvers import DDIMSpace, DPMSolverSpace, make_space

if TYPE_CHECKING:
    import torch

LENGTHS = {DDIMSpace.solver: 100, DPMSolverSpace.solver: 90}
"""Slots of the release's CIFAR-10 schedules, which a checkpoint does not tell."""

BUILDERS = Registry("builder of released", "omsdpm.released")
"""Functions ``(state, space, noise)`` that make something of a checkpoint, by what it is a checkpoint of."""


def load_predictor(
    path: str | Path,
    config: Mapping[str, Any] | str | Path | None = None,
    *,
    solver: str | None = None,
    length: int | None = None,
) -> Any:
    """A fitted predictor with a released checkpoint's weights, as the registered builder makes it.

    Its predictions are the release's scores as they are: higher is worse, on no scale of
    FID. Sizes and the solver are read off the weights.

    Args:
        path: the release's ``.pth``: a dictionary with ``predictor``, or a bare state dict.
        config: the release's configuration of it, a mapping or a YAML or JSON file. It is
            checked against the weights, and gives DPM-Solver's noise schedule.
        solver: ``"ddim"`` or ``"dpm-solver"`` where the caller needs that one.
        length: slots of the schedules to score; without it 100 for DDIM and 90 for
            DPM-Solver, as for CIFAR-10 (CelebA has 200 and 60).

    Raises:
        InputError: a file that cannot be read or wants to run something, a checkpoint of
            something else or of the other solver, or a config that disagrees with the
            weights; the message names the key.

    Example:
        >>> load_predictor("predictor_ddim.pth").predict(X).shape
        (64,)
    """
    path = Path(path)
    content = load_pth(path)
    if isinstance(content, Mapping) and isinstance(content.get("predictor"), Mapping):
        content = content["predictor"]
    state = state_of(content, path, PREDICTOR)
    facts = _facts(state, path)
    sampler_type = facts["sampler_type"]
    if solver is not None and solver not in LENGTHS:
        raise unknown_name("solver of a released predictor", solver, LENGTHS)
    if solver is not None and solver != sampler_type:
        raise InputError(
            f"{path} is a predictor for {sampler_type}, not {solver}: give the checkpoint trained for {solver}"
        )
    noise = None if config is None else _agree(_read_config(config), facts, path)
    space = make_space(sampler_type, facts["model_embedder.model_zoo_size"], length or LENGTHS[sampler_type])
    return BUILDERS.load("predictor")(state, space, noise)


def _facts(state: Mapping[str, torch.Tensor], path: Path) -> dict[str, Any]:
    """What the weights say, under the keys of the release's configuration."""
    try:
        grouped = any(name.startswith("solver_encoder.") for name in state)
        rows, embedding = state["model_embedder.embedder.weight"].shape
        facts: dict[str, Any] = {
            "sampler_type": DPMSolverSpace.solver if grouped else DDIMSpace.solver,
            "model_embedder.model_zoo_size": rows - 1,
            "model_embedder.embedding_dim": embedding,
            "timestep_encoder.input_temb_dim": state["timestep_encoder.fc1.weight"].shape[1],
            "timestep_encoder.output_temb_dim": state["timestep_encoder.fc2.weight"].shape[0],
            "ms_encoder.hidden_size": state["ms_encoder.rnn.weight_hh_l0"].shape[1],
            "ms_encoder.num_layers": sum(name.startswith("ms_encoder.rnn.weight_hh_l") for name in state),
            "regression_head.out_dims": _widths(state, "regression_head.MLP.{}.0.weight"),
        }
        if grouped:
            facts["solver_encoder.out_dims"] = _widths(state, "solver_encoder.solver_encoder_fc_{}.weight")
            facts["solver_encoder.order_emb_dim"] = state["order_embedder.weight"].shape[1]
    except (KeyError, ValueError, IndexError) as error:
        raise InputError(f"{path}: the predictor's weights are incomplete: {error}") from error
    return facts


def _widths(state: Mapping[str, torch.Tensor], name: str) -> list[int]:
    widths: list[int] = []
    while (key := name.format(len(widths))) in state:
        widths.append(state[key].shape[0])
    return widths


def _agree(config: Mapping[str, Any], facts: Mapping[str, Any], path: Path) -> LinearVP | None:
    """Checks the config against the weights; the noise schedule that it gives for DPM-Solver."""
    given = dict(_flat(config))
    grouped = facts["sampler_type"] == DPMSolverSpace.solver
    # Not in the weights, but anything else would change the scores in a way we do not have.
    fixed: dict[str, Any] = {"max_timesteps": 1000, "timestep_encoder.shift": False}
    if grouped:
        fixed |= {"timestep_type": "logSNR", "noise_schedule.schedule": "linear"}
    for key, value in {**facts, **fixed}.items():
        said = given.get(key, value)
        said = list(said) if isinstance(said, (list, tuple)) else said
        if key == "sampler_type":
            said = str(said).replace("_", "-").lower()
        if said != value:
            source = "the checkpoint has" if key in facts else "only this is supported:"
            raise InputError(f"config key {key} is {given[key]!r}, but {source} {value!r} ({path.name})")
    ends = [given.get("noise_schedule.beta_start"), given.get("noise_schedule.beta_end")]
    if not grouped or None in ends:
        return None
    try:
        # The release gives the discrete betas; the continuous schedule's are 1000 times as large.
        return LinearVP(*(round(1000 * float(end), 12) for end in ends))  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise InputError(f"config key noise_schedule.beta_start or beta_end: {error}") from error


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _read_config(config: Mapping[str, Any] | str | Path) -> Mapping[str, Any]:
    if isinstance(config, Mapping):
        return config
    from omsdpm.released._yaml import read_yaml

    table = read_yaml(config)
    inner = table.get("config", table)
    return inner if isinstance(inner, Mapping) else table
