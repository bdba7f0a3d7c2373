"""The Fréchet distance: closed forms, invariants, independent formulations, bad input."""

from __future__ import annotations

import inspect
import warnings

import mpmath
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from omsdpm.errors import InputError
from omsdpm.fid import Reference, frechet_distance


def moments(seed: int, n: int, d: int, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of n correlated random features."""
    rng = np.random.default_rng(seed)
    features = scale * (rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) + rng.standard_normal(d))
    return features.mean(axis=0), np.cov(features, rowvar=False).reshape(d, d)


def by_mpmath(mu1, sigma1, mu2, sigma2) -> float:
    """The textbook formula in 50 digits: the eigenvalues of ``sigma1 sigma2``, not symmetric."""
    with mpmath.workdps(50):
        values = mpmath.eig(mpmath.matrix(sigma1.tolist()) * mpmath.matrix(sigma2.tolist()), right=False)
        trace = sum(mpmath.sqrt(max(mpmath.re(value), 0)) for value in values)
        shift = sum((mpmath.mpf(a) - mpmath.mpf(b)) ** 2 for a, b in zip(mu1.tolist(), mu2.tolist(), strict=True))
        return float(shift + sum(map(mpmath.mpf, np.diag(sigma1 + sigma2).tolist())) - 2 * trace)


@pytest.mark.parametrize("d", [2, 3, 7])  # mpmath returns one eigenvalue in another form
def test_agrees_with_fifty_digits(d):
    first, second = moments(d, 30, d), moments(d + 100, 40, d)
    assert frechet_distance(*first, *second) == pytest.approx(by_mpmath(*first, *second), rel=1e-12)


@pytest.mark.parametrize("d", [3, 64, 200])
def test_agrees_with_symmetric_roots_of_scipy(d):
    (mu1, sigma1), (mu2, sigma2) = moments(1, 4 * d, d), moments(2, 3 * d, d)
    # Positive definite, so that the Cholesky factors of both give the same singular values.
    factors = [scipy.linalg.cholesky(sigma, lower=True) for sigma in (sigma1, sigma2)]
    trace = scipy.linalg.svdvals(factors[0].T @ factors[1]).sum()
    expected = np.sum((mu1 - mu2) ** 2) + np.trace(sigma1 + sigma2) - 2 * trace
    assert frechet_distance(mu1, sigma1, mu2, sigma2) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("d", [2, 64, 256])
def test_agrees_with_pytorch_fid(d):
    if "disp" not in inspect.signature(scipy.linalg.sqrtm).parameters:
        pytest.skip("this scipy has no sqrtm(disp=), which pytorch-fid calls")
    pytorch_fid = pytest.importorskip("pytorch_fid.fid_score")
    first, second = moments(3, 5 * d, d), moments(4, 5 * d, d)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # scipy's, about disp=
        expected = pytorch_fid.calculate_frechet_distance(*first, *second)
    assert frechet_distance(*first, *second) == pytest.approx(expected, rel=1e-8)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), d=st.integers(1, 12), n=st.integers(2, 30), m=st.integers(2, 30))
def test_invariants(seed, d, n, m):
    first, second = moments(seed, n, d), moments(seed + 1, m, d)
    distance = frechet_distance(*first, *second)
    total = np.trace(first[1]) + np.trace(second[1]) + np.sum((first[0] - second[0]) ** 2)
    near = 1e-7 * total  # rank-deficient covariances: square roots of rounding errors
    assert 0 <= distance <= total * (1 + 1e-12)
    assert frechet_distance(*second, *first) == pytest.approx(distance, abs=near)
    assert frechet_distance(*first, *first) == pytest.approx(0, abs=1e-12 * total)
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))
    rotated = [(rotation @ mu, rotation @ sigma @ rotation.T) for mu, sigma in (first, second)]
    assert frechet_distance(*rotated[0], *rotated[1]) == pytest.approx(distance, abs=near)
    doubled = [(2 * mu, 4 * sigma) for mu, sigma in (first, second)]
    assert frechet_distance(*doubled[0], *doubled[1]) == pytest.approx(4 * distance, abs=4 * near)


variances = st.floats(0, 1e6).map(lambda value: 0.0 if value < 1e-6 else value)
pairs = st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), variances, variances)


@settings(max_examples=100, deadline=None)
@given(st.lists(pairs, min_size=1, max_size=10))
def test_diagonal_closed_form(rows):
    mu1, mu2, v1, v2 = np.array(rows).T
    expected = np.sum((mu1 - mu2) ** 2 + (np.sqrt(v1) - np.sqrt(v2)) ** 2)
    scale = np.sum(v1 + v2) + np.sum((mu1 - mu2) ** 2)
    # A variance below 1e-15 of the largest counts as 0, which moves a root by 1e-7 at most.
    assert frechet_distance(mu1, np.diag(v1), mu2, np.diag(v2)) == pytest.approx(expected, abs=1e-6 * scale + 1e-12)


def test_fewer_images_than_features_equals_the_distance_in_their_span():
    """Rank 4 of 20: padding with features that never change must change nothing."""
    d = 20
    (mu1, sigma1), (mu2, sigma2) = moments(5, 30, 4), moments(6, 30, 4)
    rotation, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((d, d)))
    span = rotation[:, :4]
    padded = frechet_distance(span @ mu1, span @ sigma1 @ span.T, span @ mu2, span @ sigma2 @ span.T)
    assert padded == pytest.approx(frechet_distance(mu1, sigma1, mu2, sigma2), rel=1e-12)


def test_steep_spectrum_keeps_its_digits():
    """Twelve variances over 11 decades in two bases: roots of small ones are exact too."""
    d = 12
    rng = np.random.default_rng(7)
    bases = [np.linalg.qr(rng.standard_normal((d, d)))[0] for _ in range(2)]
    first, second = ((basis * 10.0 ** -np.arange(d)) @ basis.T for basis in bases)
    first, second = (first + first.T) / 2, (second + second.T) / 2
    zero = np.zeros(d)
    assert frechet_distance(zero, first, zero, second) == pytest.approx(by_mpmath(zero, first, zero, second), rel=1e-11)


def test_zero_covariances():
    zero = np.zeros((3, 3))
    assert frechet_distance([0, 0, 0], zero, [0, 3, 4], zero) == 25
    assert frechet_distance([0, 0, 0], zero, [0, 0, 0], np.eye(3)) == pytest.approx(3)


def test_slightly_negative_eigenvalues_count_as_zero():
    sigma = np.diag([1.0, -1e-9])
    assert frechet_distance([0, 0], sigma, [0, 0], sigma) == pytest.approx(0, abs=1e-8)


def test_reference_gives_the_same_and_keeps_its_input():
    first, second = moments(8, 50, 6), moments(9, 50, 6)
    before = [array.copy() for array in (*first, *second)]
    assert Reference(*first).distance(*second) == frechet_distance(*first, *second)
    assert all(np.array_equal(a, b) for a, b in zip(before, (*first, *second), strict=True))


I2 = np.eye(2)
NAN, INF = [0, np.nan], np.diag([1.0, np.inf])


@pytest.mark.parametrize(
    ("mu", "sigma", "message"),
    [
        (NAN, I2, "the mean holds NaN"),
        ([0, 0], INF, "the covariance holds NaN or infinity"),
        ([[0, 0]], I2, r"mean of shape \(1, 2\)"),
        ([], np.zeros((0, 0)), r"expected \(d,\) and \(d, d\)"),
        ([0, 0], np.eye(3), r"covariance of shape \(3, 3\)"),
        ([0, 0], [1, 1], r"covariance of shape \(2,\)"),
        ([0, 0, 0], np.eye(3), "means of"),
        ([0, 0], [[1, 0.5], [0, 1]], "not symmetric"),
        ([0, 0], [[1, 0], [0, -1]], "a variance of the covariance is negative"),
        ([0, 0], [[1, 2], [2, 1]], "eigenvalue -1"),
        (["a", "b"], I2, "not an array of real numbers"),
        ([0, 1j], I2, "not an array of real numbers"),
        ([0, 0], [[1], [0, 1]], "not an array of real numbers"),
        ([1e200, 0], I2, "overflows"),
    ],
)
def test_bad_input_on_either_side(mu, sigma, message):
    with pytest.raises(InputError, match=message):
        frechet_distance(mu, sigma, [0, 0], I2)
    with pytest.raises(InputError, match=message) as raised:
        frechet_distance([0, 0], I2, mu, sigma)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("rank", [40, 39, 12])
@pytest.mark.parametrize("decades", [0, 6, 12, 16])
def test_small_eigenvalues_are_exact(rank, decades):
    """Covariances of the same eigenvectors have a closed form, whichever way the trace of the root is taken."""
    random = np.random.default_rng(5)
    vectors, _ = np.linalg.qr(random.normal(size=(40, 40)))
    ours, theirs = (10.0 ** -np.linspace(0, decades, 40) * random.uniform(0.5, 2.0, 40) for _ in range(2))
    theirs[rank:] = 0.0
    mean = np.zeros(40)
    distance = frechet_distance(mean, vectors * ours @ vectors.T, mean, vectors * theirs @ vectors.T)
    # Eigenvalues below 1e-16 of the largest are not in the matrices that are given.
    assert distance == pytest.approx(((np.sqrt(ours) - np.sqrt(theirs)) ** 2).sum(), rel=1e-7)


def test_both_ways_to_the_trace_of_the_root_agree(monkeypatch):
    random = np.random.default_rng(6)
    first, second = (np.cov(random.normal(size=(300, 60)) @ random.normal(size=(60, 60)), rowvar=False) for _ in "ab")
    usual = frechet_distance(np.zeros(60), first, np.zeros(60), second)
    monkeypatch.setattr("omsdpm.fid.frechet.EXACT", 0.0)
    assert frechet_distance(np.zeros(60), first, np.zeros(60), second) == pytest.approx(usual, rel=1e-10)
