import numpy as np
import pytest
import torch

from omsdpm import DDIMSpace, InputError
from omsdpm.noise import LinearVP
from omsdpm.sampling import sample
from omsdpm.seeds import LARGEST, after, check_seed, numpy_state, seed_torch, torch_generator
from omsdpm.solvers import SolverOptions
from omsdpm.zoo import ModelZoo

SEEDS = [0, 1, 7, 2**31, 2**32 - 1, 2**32, 2**32 + 1, 2**32 + 7, 3 * 2**32, 2**40, 2**62, 2**63 - 1]


def drawn(seed, key=None):
    return torch.randn(100, generator=torch_generator(seed, key))


@pytest.mark.parametrize("draw", [drawn, lambda seed: drawn(seed, 999), lambda seed: numpy_state(seed).rand(100)])
def test_two_seeds_are_two_seeds_and_one_is_one(draw):
    numbers = [tuple(draw(seed).tolist()) for seed in SEEDS]
    assert len(set(numbers)) == len(SEEDS)
    assert numbers == [tuple(draw(seed).tolist()) for seed in SEEDS]


@pytest.mark.parametrize("seed", [0, 1, 1001, 2**31, 2**32 - 1])
def test_short_seeds_give_what_they_always_gave(seed):
    assert torch.equal(drawn(seed), torch.randn(100, generator=torch.Generator().manual_seed(seed)))
    old = torch.Generator().manual_seed((seed * 1_000_003 + 999) % 2**63)
    assert torch.equal(drawn(seed, 999), torch.randn(100, generator=old))
    assert np.array_equal(numpy_state(seed).rand(9), np.random.RandomState(seed).rand(9))


def test_long_seeds_draw_a_standard_normal():
    numbers = torch.randn(200_000, generator=torch_generator(2**40 + 3)).double()
    assert abs(numbers.mean()) < 0.01
    assert abs(numbers.std() - 1) < 0.01
    assert abs((numbers[1:] * numbers[:-1]).mean()) < 0.01


def test_the_state_of_a_long_seed_is_that_of_a_mersenne_twister():
    """Where torch puts its words: with NumPy's state of the same seed it gives NumPy's numbers."""
    words = np.random.RandomState(5489).get_state()[1]
    state = torch.Generator().manual_seed(5489).get_state()
    assert np.array_equal(state[24 : 24 + 8 * 624].numpy().view("<u8"), words)


def test_torchs_global_generator(monkeypatch):
    with torch.random.fork_rng(devices=[]):
        seed_torch(3)
        first = torch.rand(5)
        torch.manual_seed(3)
        assert torch.equal(torch.rand(5), first)
        seed_torch(3 + 2**32)
        assert not torch.equal(torch.rand(5), first)


@pytest.mark.parametrize("seed", [-1, 2**63, 2**64, 10**400, 1.0, True, "1", None])
def test_others_are_refused_in_one_line(seed):
    with pytest.raises(InputError, match=r"expected a whole number from 0 to 2\^63 - 1") as caught:
        check_seed(seed)
    assert len(str(caught.value)) < 120


def test_after_the_last_seed_comes_the_first():
    assert after(6) == 7
    assert after(LARGEST) == 0


def test_noise_that_is_added_while_sampling_differs_by_seed():
    """Of DDIM with eta, whose seeds 0 and 2^32 were one."""
    space, noise = DDIMSpace(1, 3), LinearVP(0.1, 20)
    x_T = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))

    def images(seed):
        options = SolverOptions(eta=1.0)
        return sample([lambda x, t: 0.1 * x], [1, 1, 1], x_T, space=space, noise=noise, options=options, seed=seed)

    assert not torch.equal(images(0), images(2**32))
    assert torch.equal(images(2**32), images(2**32))


def test_starting_noise_differs_by_seed(tiny_zoo):
    zoo = ModelZoo.load(tiny_zoo)
    assert not torch.equal(zoo.starting_noise(2, 0), zoo.starting_noise(2, 2**32))
    assert torch.equal(
        zoo.starting_noise(2, 5), torch.randn((2, *zoo.shape), generator=torch.Generator().manual_seed(5))
    )
