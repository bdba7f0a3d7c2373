"""Steps as tokens, and the networks over them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from omsdpm.noise import DiscreteVP, LinearVP
from omsdpm.solvers import DDIMSpace, DPMSolverSpace, MultistepSpace
from predictors import make_predictor
from predictors.calibration import normal_scale
from predictors.neural.base import CLOSE, STEEPNESS, _seen, batches, pairwise_logistic, warm_cosine
from predictors.neural.deepsets import DeepSetsPredictor
from predictors.neural.lstm import LSTMPredictor
from predictors.paper.lstm_paper import LSTMPaperPredictor
from predictors.paper.network import ScheduleNetwork
from predictors.steps import step_tokens

SPACES = [
    (DDIMSpace(3, 12), DiscreteVP.linear()),
    (MultistepSpace(3, 12), DiscreteVP.linear()),
    (DPMSolverSpace(3, 5), LinearVP()),
]


@pytest.mark.parametrize(("space", "noise"), SPACES)
def test_features_of_a_step_do_not_depend_on_the_other_schedules(space, noise):
    X = space.canonical(space.random(60, np.random.default_rng(0), null=0.7))
    together = step_tokens(space.batch_plan(X, noise))
    assert np.isfinite(together.what).all() and np.isfinite(together.where).all()
    for row in range(0, 60, 7):
        alone = step_tokens(space.batch_plan(X[row : row + 1], noise))
        steps = int(together.lengths[row])
        assert alone.lengths.tolist() == [steps]
        for part in ("what", "where"):
            several, one = getattr(together, part), getattr(alone, part)
            mine, its = getattr(together, f"{part}_of")[row, :steps], getattr(alone, f"{part}_of")[0, :steps]
            assert np.allclose(several[mine], one[its], atol=1e-12)


def test_a_step_knows_its_member_and_how_far_it_goes():
    space, noise = DDIMSpace(3, 4), DiscreteVP.linear()
    tokens = step_tokens(space.batch_plan(np.array([[0, 2, 0, 3], [1, 1, 0, 0]]), noise))
    assert tokens.lengths.tolist() == [2, 2]
    first, second = tokens.what[tokens.what_of[0, :2]]  # image end first
    assert first[:3].tolist() == [0, 1, 0] and second[:3].tolist() == [0, 0, 1]
    # Two slots of four each: slot 1 to the image, and slot 3 to slot 1.
    assert first[-1 - 18] == pytest.approx(4 * 0.5) and second[-1 - 18] == pytest.approx(4 * 0.5)
    ones = tokens.what[tokens.what_of[1, :2]]
    assert ones[:, -1 - 18].tolist() == pytest.approx([1.0, 1.0])


def test_dpm_solver_steps_tell_stages_order_and_number():
    space, noise = DPMSolverSpace(3, 4), LinearVP()
    X = space.canonical(np.array([[1, 2, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0]]))
    tokens = step_tokens(space.batch_plan(X, noise))
    assert tokens.lengths.tolist() == [2]
    indicator = tokens.what[tokens.what_of[0]] > 0
    # Stages as one of null and three members each, then the order.
    assert indicator[0].nonzero()[0].tolist() == [1, 4 + 2, 8 + 0, 12 + 1]
    assert indicator[1].nonzero()[0].tolist() == [3, 4 + 0, 8 + 0, 12 + 0]
    assert len(tokens.where) == 2


@pytest.mark.parametrize("name", ["lstm", "deepsets"])
@pytest.mark.parametrize(("space", "noise"), SPACES)
def test_scores_do_not_depend_on_the_rest_of_the_batch(name, space, noise):
    """Rows of different length leave the walk at different steps."""
    X = np.unique(space.canonical(space.random(80, np.random.default_rng(0), null=0.7)), axis=0)[:40]
    predictor = make_predictor(name, space=space, noise=noise, updates=5).fit(X, np.geomspace(1.0, 50.0, len(X)))
    one_by_one = np.concatenate([predictor.predict(row) for row in X])
    assert np.allclose(predictor.predict(X), one_by_one, rtol=1e-4)
    assert len(np.unique(one_by_one.round(6))) > 20


def test_the_loss_compares_pairs_that_every_network_may_see():
    scores = torch.tensor([[0.0, 1.0, 3.0], [0.0, 1.0, 3.0]], requires_grad=True)
    targets = torch.tensor([0.0, CLOSE / 2, 1.0])
    visible = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, 1.0]])
    loss = pairwise_logistic(scores, targets, visible)
    first = torch.stack([F.softplus(torch.tensor(-STEEPNESS * d)) for d in (3.0, 2.0)]).mean()
    second = F.softplus(torch.tensor(-STEEPNESS * 3.0))
    assert loss.item() == pytest.approx((first + second).item(), rel=1e-5)
    assert not pairwise_logistic(scores, torch.zeros(3), visible).requires_grad


def test_every_network_misses_its_own_eighth():
    seen = _seen(80, 4, np.random.default_rng(0))
    assert (~seen).sum(axis=1).tolist() == [10] * 4
    assert ((~seen).sum(axis=0) <= 1).all()


def test_batches_take_every_row_once_an_epoch():
    rows = torch.cat(list(batches(12, 4, 6, np.random.default_rng(0)))).tolist()
    assert sorted(rows[:12]) == sorted(rows[12:]) == list(range(12))
    assert all(len(batch) == 3 for batch in batches(3, 8, 2, np.random.default_rng(0)))


def test_the_learning_rate_rises_and_falls_to_zero():
    rates = warm_cosine(400)
    assert 15 <= rates.argmax() <= 25 and rates.max() > 0.98
    assert rates[0] < 0.05 and rates[-1] < 1e-4


def test_normal_scale_is_the_standard_deviation_of_normal_residuals():
    residuals = np.random.default_rng(0).normal(0, 2.5, 20_000)
    assert normal_scale(residuals) == pytest.approx(2.5, rel=0.03)
    residuals[:5] = 1e6
    assert normal_scale(residuals) == pytest.approx(2.5, rel=0.03)


@pytest.mark.parametrize("make", [
    lambda space: LSTMPredictor(space, updates=15),
    lambda space: DeepSetsPredictor(space, updates=15),
    lambda space: LSTMPaperPredictor(space, epochs=2),
], ids=["lstm", "deepsets", "lstm-paper"])  # fmt: skip
def test_fits_in_threads_learn_what_a_fit_alone_learns(make, ddim_landscape):
    """None takes numbers from a generator that they share."""
    X, y = ddim_landscape.X[:60], ddim_landscape.y[:60]

    def predicted(_):
        return make(ddim_landscape.space).fit(X, y).predict(ddim_landscape.X_test[:40])

    alone = predicted(0)
    with ThreadPoolExecutor(4) as pool:
        assert all(np.array_equal(alone, together) for together in pool.map(predicted, range(12)))


@pytest.mark.parametrize("grouped", [False, True])
def test_the_papers_network_starts_as_pytorch_starts_it(grouped):
    from predictors.paper.network import draw

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        usual = ScheduleNetwork(4, grouped).state_dict()
    network = ScheduleNetwork(4, grouped)
    draw(network, torch.Generator().manual_seed(3))
    assert all(torch.equal(tensor, usual[name]) for name, tensor in network.state_dict().items())
