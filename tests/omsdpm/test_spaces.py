import itertools
import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from omsdpm import DDIMSpace, DPMSolverSpace, InputError, MultistepSpace, make_space
from omsdpm.errors import InputWarning
from omsdpm.noise import DiscreteVP, LinearVP
from omsdpm.solvers import compile_plan

members = st.integers(1, 4)
spaces = st.one_of(
    st.builds(DDIMSpace, members, st.integers(1, 12)),
    st.builds(MultistepSpace, members, st.integers(1, 12)),
    st.builds(DPMSolverSpace, members, st.integers(1, 5)),
)
small_spaces = [DDIMSpace(2, 4), MultistepSpace(3, 3), DPMSolverSpace(2, 2), DPMSolverSpace(1, 3)]


@st.composite
def batches(draw):
    """A space and any array of its members, valid or not."""
    space = draw(spaces)
    shape = (draw(st.integers(1, 6)), space.length)
    return space, draw(arrays(np.int64, shape, elements=st.integers(0, space.num_models)))


def noise_for(space):
    return LinearVP() if isinstance(space, DPMSolverSpace) else DiscreteVP.linear()


@given(batches(), st.one_of(st.none(), st.integers(0, 99)))
def test_repair_gives_valid_schedules_and_keeps_valid_ones(case, seed):
    space, X = case
    before = X.copy()
    rng = None if seed is None else np.random.default_rng(seed)
    repaired = space.repair(X, rng)
    assert space.valid(repaired).all()
    already = space.valid(X)
    assert (repaired[already] == X[already]).all()
    assert (before == X).all()


@given(batches())
def test_canonical_is_idempotent_and_keeps_the_plan(case):
    space, X = case
    X = space.repair(X)
    once = space.canonical(X)
    assert (space.canonical(once) == once).all()
    assert space.valid(once).all()
    for row, same in zip(X, once, strict=True):
        assert compile_plan(row, space, noise_for(space)) == compile_plan(same, space, noise_for(space))


@given(batches())
def test_costs_are_those_of_the_plan(case):
    space, X = case
    X = space.repair(X)
    table = 1.5 ** np.arange(space.num_models)
    plans = [compile_plan(row, space, noise_for(space)) for row in X]
    assert space.nfe(X).tolist() == [plan.nfe for plan in plans]
    np.testing.assert_allclose(space.latency(X, table), [plan.latency(table) for plan in plans], rtol=1e-12)


@pytest.mark.parametrize("space", small_spaces, ids=str)
def test_enumeration_is_every_valid_schedule_once(space):
    X = space.enumerate()
    everything = np.array(list(itertools.product(range(space.num_models + 1), repeat=space.length)))
    assert X.tolist() == everything[space.valid(everything)].tolist()
    assert len(X) == space.cardinality


def test_cardinality_of_the_published_sizes():
    assert DDIMSpace(4, 6).cardinality == 15_624
    assert DDIMSpace(6, 25).cardinality == 7**25 - 1
    assert DPMSolverSpace(6, 12).cardinality == (1 + 6 + 36 + 216) ** 12 - 1


def test_enumerating_a_large_space_is_refused():
    with pytest.raises(InputError, match="can be enumerated"):
        DDIMSpace(6, 25).enumerate()


@given(spaces, st.integers(0, 2**31), st.sampled_from([None, 0.4, 2.0]), st.sampled_from([0.0, 0.5, 0.95]))
def test_random_designs_are_valid_and_reproducible(space, seed, alpha, null):
    first = space.random(20, np.random.default_rng(seed), null=null, alpha=alpha)
    assert space.valid(first).all()
    assert first.shape == (20, space.length)
    again = space.random(20, np.random.default_rng(seed), null=null, alpha=alpha)
    assert (first == again).all()


def test_multinomial_design_has_the_stated_probabilities():
    X = DDIMSpace(4, 50).random(4000, np.random.default_rng(0), null=0.7)
    share = np.bincount(X.ravel(), minlength=5) / X.size
    np.testing.assert_allclose(share, [0.7, *[0.075] * 4], atol=0.004)


def test_dirichlet_design_is_dominated_by_few_members():
    space, rng = DDIMSpace(6, 60), np.random.default_rng(0)

    def largest_share(X):
        counts = (X[:, :, None] == np.arange(1, 7)).sum(axis=1)
        return (counts.max(axis=1) / counts.sum(axis=1)).mean()

    skewed = largest_share(space.random(500, rng, null=0.2, alpha=0.4))
    uniform = largest_share(space.random(500, rng, null=0.2))
    # Expected largest of six Dirichlet(0.4) shares is 0.58; of six equal ones, near 1/6 plus noise.
    assert skewed > 0.5 > 0.33 > uniform


def test_null_probability_may_differ_a_row():
    X = DDIMSpace(3, 40).random(2, np.random.default_rng(1), null=np.array([0.95, 0.05]))
    assert np.count_nonzero(X[0]) < 10 < 30 < np.count_nonzero(X[1])


@given(spaces, st.integers(0, 1000))
def test_neighbors_are_all_valid_schedules_one_slot_away(space, seed):
    (x,) = space.random(1, np.random.default_rng(seed), null=0.4)
    found = {tuple(row) for row in space.neighbors(x).tolist()}
    expected = set()
    for slot in range(space.length):
        for member in range(space.num_models + 1):
            other = x.copy()
            other[slot] = member
            if member != x[slot] and space.valid(other)[0]:
                expected.add(tuple(other.tolist()))
    assert found == expected


def test_spaces_compare_and_hash_by_value():
    assert DDIMSpace(3, 5) == DDIMSpace(3, 5) != DDIMSpace(3, 6)
    assert DDIMSpace(3, 6) != MultistepSpace(3, 6)
    assert len({DPMSolverSpace(3, 2), DPMSolverSpace(3, 2), make_space("dpm-solver", 3, 6)}) == 1


@pytest.mark.parametrize(
    ("space", "X", "message"),
    [
        (DDIMSpace(3, 4), [[1, 2, 3]], "length 3.*takes 4 slots"),
        (DDIMSpace(3, 4), [[1, 2, 7, 0]], "member 7 in slot 2.*members 1..3"),
        (DDIMSpace(3, 4), [[1, 2, -1, 0]], "member -1"),
        (DDIMSpace(3, 4), [[1, 0, 0, 0], [0, 0, 0, 0]], "schedule 1 is all null"),
        (DDIMSpace(3, 4), [[1.5, 0, 0, 0]], "fractions"),
        (DDIMSpace(3, 4), [[True, False, True, True]], "type bool"),
        (DDIMSpace(3, 4), np.ones((2, 2, 4), int), "shape"),
        (DPMSolverSpace(3, 2), [[1, 0, 0, 0, 1, 0]], r"schedule 0 has a null before a model in solver 1 \[0, 1, 0\]"),
    ],
)
def test_bad_schedules_say_what_is_wrong_in_one_line(space, X, message):
    with pytest.raises(InputError, match=message) as caught:
        space.check(X)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DDIMSpace(0, 5), "num_models=0"),
        (lambda: DDIMSpace(3, 1001), "at most 1000 slots"),
        (lambda: DPMSolverSpace(3, 0), "num_solvers=0"),
        (lambda: make_space("dpm-solver", 3, 10), "multiple of 3"),
        (lambda: make_space("dim", 3, 10), "unknown solver 'dim'; choose one of: ddim"),
        (lambda: DDIMSpace(2, 3).random(1, np.random.default_rng(0), null=1.0), "null probability"),
        (lambda: DDIMSpace(2, 3).random(1, np.random.default_rng(0), alpha=0.0), "Dirichlet"),
        (lambda: DDIMSpace(2, 3).latency([[1, 2, 0]], [1.0]), "latency table.*expected 2"),
        (lambda: DDIMSpace(2, 3).latency([[1, 2, 0]], [1.0, np.nan]), "latency table"),
    ],
)
def test_bad_arguments_say_what_is_wrong(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_equal_schedules_cost_the_same_alone_in_a_batch_and_in_any_order():
    """To the last bit, so that a budget which is a schedule's own cost includes it."""
    rng = np.random.default_rng(0)
    space, latency = DDIMSpace(6, 30), (rng.random(6) * 7).tolist()
    X = space.random(2000, rng, null=0.3)
    batch = space.latency(X, latency)
    assert [float(space.latency(x, latency)[0]) for x in X] == batch.tolist()
    assert np.array_equal(space.latency(X[::-1], latency)[::-1], batch)
    assert np.array_equal(space.latency(rng.permuted(X, axis=1), latency), batch)
    exact = [sum(Fraction(latency[member - 1]) for member in x if member) for x in X.tolist()]
    np.testing.assert_allclose(batch, np.array(exact, dtype=float), rtol=1e-14)


@pytest.mark.parametrize(("length", "last"), [(600, 599), (300, 897), (501, 500)])
def test_a_length_whose_slots_leave_much_of_the_time_out_says_so(length, last):
    with pytest.warns(InputWarning, match=rf"length={length}: slots every .* reach {last} only"):
        assert DDIMSpace(2, length).timesteps[-1] == last


@pytest.mark.parametrize(("length", "stride"), [(6, 166), (7, 142), (25, 40), (30, 33), (60, 16), (1000, 1), (1, 1000)])
def test_others_are_as_they_were_and_say_nothing(length, stride):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert DDIMSpace(2, length).timesteps.tolist() == [i * stride for i in range(length)]
