"""Every command's seeds: any from 0 to 2^63 - 1, and others are refused before anything is written."""

import pytest
from click.testing import CliRunner

from predictors import make_predictor
from studies.cli import main

COMMANDS = [
    ["run", "--output", "out", "--seed"],
    ["sample", "--zoo", "z", "--schedule", "s.pth", "--images", "out", "--seed"],
    ["validate", "--zoo", "z", "--population", "p.pth", "--output", "out", "--seed"],
    ["predictor", "fit", "--output", "out", "--seed"],
    ["dataset", "estimate", "out", "--seed"],
    ["confirm", "out", "--first-seed"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize("seed", [-1, 2**63, 10**30])
def test_what_is_no_seed_is_refused_before_anything_is_written(tmp_path, monkeypatch, command, seed):
    monkeypatch.chdir(tmp_path)
    outcome = CliRunner().invoke(main, [*command, str(seed)])
    assert outcome.exit_code == 2
    assert outcome.stderr.count("\n") == 1
    assert "seed" in outcome.stderr and str(2**63 - 1) in outcome.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["gbdt", "ridge", "gp"])
def test_predictors_take_any_seed(name):
    import numpy as np

    from omsdpm import DDIMSpace

    space = DDIMSpace(3, 6)
    X = space.random(40, np.random.default_rng(0))
    y = 1.0 + np.arange(40)
    parameters = {"trees": 5} if name == "gbdt" else {}
    for seed in (2**32, 2**63 - 1):
        one, again = (make_predictor(name, space=space, random_state=seed, **parameters) for _ in range(2))
        assert np.array_equal(one.fit(X, y).predict(X), again.fit(X, y).predict(X))
        assert one._seed() != make_predictor(name, space=space, random_state=seed % 2**32)._seed()


def test_the_digit_network_takes_any_seed(tmp_path):
    import torch
    from safetensors.torch import load_file

    from omsdpm.scoring.features.train_digits import train_digit_network

    def weights(seed, name):
        card = train_digit_network(tmp_path / f"{name}.safetensors", seed, epochs=1)
        assert card["seed"] == seed
        return load_file(tmp_path / f"{name}.safetensors")

    one, again, short = weights(2**63 - 1, "one"), weights(2**63 - 1, "again"), weights(2**32 - 1, "short")
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert not any(torch.equal(one[key], short[key]) for key in one if key.endswith("weight") and one[key].ndim > 1)


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_training_of_features_refuses_what_is_no_seed(tmp_path, seed):
    output = tmp_path / "digits.safetensors"
    outcome = CliRunner().invoke(main, ["zoo", "train-features", "--seed", str(seed), "--output", str(output)])
    assert outcome.exit_code == 2 and str(2**63 - 1) in outcome.output and not output.exists()
