import numpy as np
import pytest
import torch

from omsdpm import DDIMSpace, DPMSolverSpace, InputError, MultistepSpace
from omsdpm.noise import DiscreteVP, LinearVP
from omsdpm.sampling import Count, count_evaluations, sample, sample_population, walk_order

CASES = {
    "ddim": (DDIMSpace(3, 8), DiscreteVP.linear()),
    "dpm-solver": (DPMSolverSpace(3, 3), LinearVP()),
    "multistep": (MultistepSpace(3, 8), DiscreteVP.linear()),
}


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


def make_denoisers(calls=None, n=3):
    def member(k):
        def eps(x, t):
            if calls is not None:
                calls.append((k, len(x)))
            t = torch.as_tensor(t, dtype=x.dtype).expand(len(x)).view(-1, 1, 1, 1)
            return torch.sin((0.5 + 0.25 * k) * x + k * t / 1000)

        return eps

    return [member(k) for k in range(1, n + 1)]


def starting_noise(n=2):
    return torch.randn(n, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def population(space, n=60):
    rng = np.random.default_rng(3)
    X = space.random(n, rng, null=0.5)
    return np.concatenate([X, X[:5]])  # the same schedule twice is legitimate


@pytest.mark.parametrize("group_siblings", [False, True])
def test_population_equals_one_by_one(case, group_siblings):
    space, noise = case
    X, x_T, count = population(space), starting_noise(), Count()
    calls: list = []
    images = dict(
        sample_population(
            make_denoisers(calls), X, x_T, space=space, noise=noise, group_siblings=group_siblings, count=count
        )
    )
    assert sorted(images) == list(range(len(X)))
    for row, x_0 in images.items():
        alone = sample(make_denoisers(), X[row], x_T, space=space, noise=noise)
        torch.testing.assert_close(x_0, alone, rtol=1e-10, atol=1e-10)
    assert count.one_by_one == space.nfe(X).sum()
    assert count.calls == len(calls)
    assert count.evaluations == sum(n for _, n in calls) / len(x_T)
    assert count.evaluations < count.one_by_one
    if group_siblings:
        assert count.calls < count.evaluations


def test_counting_beforehand_says_what_will_be_spent(case):
    space, noise = case
    X, count = population(space), Count()
    for _ in sample_population(make_denoisers(), X, starting_noise(), space=space, noise=noise, count=count):
        pass
    assert count_evaluations(X, space=space, noise=noise) == count


def test_exhaustive_population_spends_one_evaluation_a_schedule():
    """Every DDIM schedule is a node of the trie: its own last stage is the only new one."""
    space, noise = DDIMSpace(4, 6), DiscreteVP.linear()
    count = count_evaluations(space.enumerate(), space=space, noise=noise)
    assert count.evaluations == 15_624
    assert count.one_by_one == 75_000
    assert count.saved == 59_376


def test_walk_order_brings_equal_beginnings_together(case):
    space, noise = case
    X = population(space, 200)
    order = walk_order(X, space=space, noise=noise)
    assert sorted(order) == list(range(len(X)))

    def spent_in_shards(rows):
        parts = np.array_split(rows, 10)
        return sum(count_evaluations(X[part], space=space, noise=noise).evaluations for part in parts)

    assert spent_in_shards(order) < 0.9 * spent_in_shards(np.arange(len(X)))


def test_memory_is_bounded_by_depth(monkeypatch):
    """However many schedules, the walk holds at most a state and an output a stage of one plan."""
    from omsdpm import sampling

    alive = []
    children = sampling._Walk._children

    def spy(self, node, stages, branches):
        for child in children(self, node, stages, branches):
            alive.append(len(child.states) + len(child.outputs))
            yield child

    monkeypatch.setattr(sampling._Walk, "_children", spy)
    space = DDIMSpace(3, 8)
    X = space.random(300, np.random.default_rng(0), null=0.3)
    for _ in sample_population(make_denoisers(), X, starting_noise(), space=space, noise=DiscreteVP.linear()):
        pass
    assert max(alive) == 2  # DDIM refers to nothing older than its last stage


def test_plans_deeper_than_pythons_stack():
    space = DDIMSpace(1, 1000)
    calls: list = []
    (eps,) = make_denoisers(calls, n=1)
    x_0 = sample([eps], [1] * 1000, starting_noise(), space=space, noise=DiscreteVP.linear())
    assert len(calls) == 1000
    assert torch.isfinite(x_0).all()


def test_noise_of_ancestral_sampling_belongs_to_the_timestep():
    space, noise, x_T = DDIMSpace(3, 6), DiscreteVP.linear(), starting_noise()
    X = np.array([[1, 0, 2, 0, 3, 0], [1, 0, 2, 0, 3, 1]])
    together = dict(sample_population(make_denoisers(), X, x_T, space=space, noise=noise, eta=1.0, seed=5))
    for row, x in enumerate(X):
        alone = sample(make_denoisers(), x, x_T, space=space, noise=noise, eta=1.0, seed=5)
        torch.testing.assert_close(together[row], alone)
    other = sample(make_denoisers(), X[0], x_T, space=space, noise=noise, eta=1.0, seed=6)
    assert not torch.allclose(together[0], other)


def test_dtype_follows_the_noise_and_nothing_is_overwritten(case):
    space, noise = case
    X, x_T = population(space, 5), starting_noise().float()
    before = x_T.clone()
    for _, x_0 in sample_population(make_denoisers(), X, x_T, space=space, noise=noise):
        assert x_0.dtype == torch.float32
    assert torch.equal(x_T, before)


def test_bad_input_is_refused_by_the_call_itself():
    space, noise, x_T = DDIMSpace(3, 4), DiscreteVP.linear(), starting_noise()
    with pytest.raises(InputError, match="2 denoisers"):
        sample_population(make_denoisers(n=2), [[1, 0, 0, 0]], x_T, space=space, noise=noise)
    with pytest.raises(InputError, match="all null"):
        sample_population(make_denoisers(), [[0, 0, 0, 0]], x_T, space=space, noise=noise)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees_with_the_cpu(case):
    space, noise = case
    X, x_T = population(space, 10), starting_noise()
    cpu = dict(sample_population(make_denoisers(), X, x_T, space=space, noise=noise))
    for row, x_0 in sample_population(make_denoisers(), X, x_T.cuda(), space=space, noise=noise):
        torch.testing.assert_close(x_0.cpu(), cpu[row])
