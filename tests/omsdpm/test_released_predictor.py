"""Released predictor checkpoints."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from omsdpm import DDIMSpace, DPMSolverSpace, InputError
from omsdpm.noise import LinearVP
from omsdpm.released import load_predictor

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
SPACES = {"ddim": DDIMSpace(6, 100), "dpm_solver": DPMSolverSpace(6, 30)}


def golden(kind):
    return json.loads((GOLDEN / f"predictor_{kind}.json").read_text())


@pytest.fixture(params=SPACES)
def kind(request):
    return request.param


def test_a_checkpoint_alone_gives_its_golden_scores(kind):
    expected = golden(kind)
    predictor = load_predictor(GOLDEN / f"predictor_{kind}.pth")
    # The issue asks for 1e-4; these scores span little more than 1e-3, so that says too little.
    np.testing.assert_allclose(predictor.predict(expected["schedules"]), expected["scores"], rtol=0, atol=1e-5)
    assert predictor.space == SPACES[kind]


def test_its_config_agrees_as_mapping_and_as_file(kind, tmp_path):
    expected, path = golden(kind), GOLDEN / f"predictor_{kind}.pth"
    (tmp_path / "config.yml").write_text(yaml.safe_dump(expected["config"]))
    alone = load_predictor(path).predict(expected["schedules"])
    for config in (expected["config"], tmp_path / "config.yml", GOLDEN / f"predictor_{kind}.json"):
        assert np.array_equal(load_predictor(path, config).predict(expected["schedules"]), alone)


def test_a_bare_state_dict_and_one_of_data_parallel_are_read(tmp_path, kind):
    expected = golden(kind)
    state = torch.load(GOLDEN / f"predictor_{kind}.pth", weights_only=True)["predictor"]
    torch.save({f"module.{name}": tensor for name, tensor in state.items()}, tmp_path / "bare.pth")
    scores = load_predictor(tmp_path / "bare.pth").predict(expected["schedules"])
    np.testing.assert_allclose(scores, expected["scores"], rtol=0, atol=1e-5)


def test_other_lengths_are_given():
    X = DPMSolverSpace(6, 20).random(3, np.random.default_rng(0))
    predictor = load_predictor(GOLDEN / "predictor_dpm_solver.pth", length=60)
    assert predictor.predict(X).shape == (3,)
    with pytest.raises(InputError, match="90"):
        load_predictor(GOLDEN / "predictor_dpm_solver.pth").predict(X)


@pytest.mark.parametrize(
    "key, value",
    [
        ("sampler_type", "ddim"),
        ("model_embedder.model_zoo_size", 5),
        ("model_embedder.embedding_dim", 64),
        ("timestep_encoder.input_temb_dim", 64),
        ("timestep_encoder.output_temb_dim", 32),
        ("timestep_encoder.shift", True),
        ("ms_encoder.hidden_size", 256),
        ("ms_encoder.num_layers", 2),
        ("regression_head.out_dims", [200, 200]),
        ("solver_encoder.out_dims", [64]),
        ("solver_encoder.order_emb_dim", 8),
        ("timestep_type", "time_uniform"),
        ("noise_schedule.schedule", "cosine"),
        ("max_timesteps", 4000),
    ],
)
def test_a_config_that_disagrees_is_named_by_its_key(key, value):
    config = copy.deepcopy(golden("dpm_solver")["config"])
    *sections, last = key.split(".")
    table = config
    for section in sections:
        table = table[section]
    assert last in table
    table[last] = value
    with pytest.raises(InputError, match=f"config key {re.escape(key)} is") as raised:
        load_predictor(GOLDEN / "predictor_dpm_solver.pth", config)
    assert repr(value) in str(raised.value)


def test_the_configs_betas_are_the_predictors_noise():
    config = copy.deepcopy(golden("dpm_solver")["config"])
    config["noise_schedule"] |= {"beta_start": 2e-4, "beta_end": 0.01}
    assert load_predictor(GOLDEN / "predictor_dpm_solver.pth", config).noise == LinearVP(0.2, 10.0)
    config["noise_schedule"]["beta_end"] = 1e-5
    with pytest.raises(InputError, match=r"noise_schedule\.beta_"):
        load_predictor(GOLDEN / "predictor_dpm_solver.pth", config)


def test_a_checkpoint_of_the_other_solver_is_refused(kind):
    other = {"ddim": "dpm-solver", "dpm_solver": "ddim"}[kind]
    with pytest.raises(InputError, match=f"is a predictor for {SPACES[kind].solver}, not {other}"):
        load_predictor(GOLDEN / f"predictor_{kind}.pth", solver=other)
    with pytest.raises(InputError, match="choose one of"):
        load_predictor(GOLDEN / f"predictor_{kind}.pth", solver="euler")


def test_what_is_no_predictor_is_told(tmp_path):
    path = tmp_path / "file.pth"
    unet = torch.load(GOLDEN / "released_zoo" / "1" / "ckpt.pth", weights_only=True)[0]
    torch.save(unet, path)
    with pytest.raises(InputError, match="is a DDPM U-Net of the DDIM code base: expected a predictor"):
        load_predictor(path)
    torch.save([1, 2], path)
    with pytest.raises(InputError, match="holds no network's weights"):
        load_predictor(path)
    state = torch.load(GOLDEN / "predictor_ddim.pth", weights_only=True)["predictor"]
    torch.save({name: tensor for name, tensor in state.items() if "fc1" not in name}, path)
    with pytest.raises(InputError, match=r"weights are incomplete.*fc1"):
        load_predictor(path)
    torch.save(state | {"ms_encoder.rnn.weight_ih_l0": torch.full((512, 96), torch.nan)}, path)
    with pytest.raises(InputError, match="weight_ih_l0' holds NaN"):
        load_predictor(path)
    torch.save(state | {"ms_encoder.rnn.weight_ih_l0": torch.zeros(512, 97)}, path)
    with pytest.raises(InputError, match="weights are not those"):
        load_predictor(path)
