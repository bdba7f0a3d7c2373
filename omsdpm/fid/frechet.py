"""The Fréchet distance between two Gaussians, by symmetric eigenvalue problems.

    d^2 = |mu_1 - mu_2|^2 + tr S_1 + tr S_2 - 2 tr sqrt(S_1^(1/2) S_2 S_1^(1/2))

(Dowson and Landau, 1982; Heusel et al., 2017, who call it FID on Inception features.)
``S_1 S_2`` has the same eigenvalues as the symmetric matrix above, but its square root
needs a Schur decomposition that is slow, turns complex, and fails for singular
covariances, that is for fewer images than features.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from omsdpm.errors import InputError
from omsdpm.threads import one_thread

Array = NDArray[np.float64]

ASYMMETRY = 1e-6  # of the largest entry: more than float32 covariances show
NEGATIVE = 1e-3  # of the largest eigenvalue: a matrix below this was no covariance
EPSILON = float(np.finfo(np.float64).eps)
FULL_RANK = 1e-12  # of the largest pivot of a Cholesky factor: below this, rank may be lacking
EXACT = 1e-8  # relative error of the trace that is taken for none


def frechet_distance(mu1: ArrayLike, sigma1: ArrayLike, mu2: ArrayLike, sigma2: ArrayLike) -> float:
    """The squared Fréchet distance between ``N(mu1, sigma1)`` and ``N(mu2, sigma2)``.

    Args:
        mu1: first mean, ``(d,)``.
        sigma1: first covariance, ``(d, d)``, symmetric; it may be rank-deficient.
        mu2: second mean, ``(d,)``.
        sigma2: second covariance, as the first.

    Returns:
        The distance, at least 0 and never NaN.

    Raises:
        InputError: shapes that do not match, NaN or infinity, or a matrix that is no covariance.

    Example:
        >>> frechet_distance([0.0, 0.0], [[1, 0], [0, 1]], [3.0, 0.0], [[4, 0], [0, 1]])
        10.0
    """
    return Reference(mu1, sigma1).distance(mu2, sigma2)


class Reference:
    """One side of many Fréchet distances, with its square root taken once.

    Args:
        mu: mean, ``(d,)``.
        sigma: covariance, ``(d, d)``.

    Raises:
        InputError: as :func:`frechet_distance`.
    """

    def __init__(self, mu: ArrayLike, sigma: ArrayLike) -> None:
        self.mu, self.sigma = checked_moments(mu, sigma)
        self.root = _root(self.sigma)

    def distance(self, mu: ArrayLike, sigma: ArrayLike) -> float:
        """The Fréchet distance of ``N(mu, sigma)`` from this reference; see :func:`frechet_distance`."""
        mu, sigma = checked_moments(mu, sigma)
        if mu.shape != self.mu.shape:
            raise InputError(
                f"means of {len(self.mu)} and {len(mu)} features: compare statistics of the same feature network"
            )
        difference = mu - self.mu
        with np.errstate(over="ignore", invalid="ignore"):
            with one_thread(len(mu)):
                cross = _trace_of_root(self.root, sigma)
            spread = np.trace(sigma) + np.trace(self.sigma) - 2.0 * cross
            distance = float(difference @ difference + spread)
        if not np.isfinite(distance):
            raise InputError("the distance overflows: features are too large; check what they were computed from")
        return max(0.0, distance)  # equal statistics may give -1e-14


def checked_moments(mu: ArrayLike, sigma: ArrayLike) -> tuple[Array, Array]:
    """``mu`` as ``(d,)`` and ``sigma`` as symmetric ``(d, d)``, float64.

    Raises:
        InputError: other shapes, NaN or infinity, or a matrix that is not symmetric or has a negative variance.
    """
    mu, sigma = real_array(mu, "mean"), real_array(sigma, "covariance")
    if mu.ndim != 1 or mu.size == 0 or sigma.shape != (mu.size, mu.size):
        raise InputError(f"mean of shape {mu.shape} and covariance of shape {sigma.shape}: expected (d,) and (d, d)")
    for kind, values in (("mean", mu), ("covariance", sigma)):
        if not np.isfinite(values).all():
            raise InputError(f"the {kind} holds NaN or infinity: check the features that it was computed from")
    if np.diag(sigma).min() < -ASYMMETRY * np.abs(sigma).max():
        raise InputError("a variance of the covariance is negative: check what it was computed from")
    if np.array_equal(sigma, sigma.T):
        return mu, sigma
    if np.abs(sigma - sigma.T).max() > ASYMMETRY * np.abs(sigma).max():
        raise InputError("the covariance is not symmetric: give the matrix that np.cov(features, rowvar=False) returns")
    return mu, (sigma + sigma.T) / 2.0


def real_array(values: ArrayLike, kind: str) -> Array:
    """``values`` as float64; ``kind`` names them in the error.

    Raises:
        InputError: text, complex numbers or ragged lists.
    """
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"its type is {array.dtype}")
        return array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"the {kind} is not an array of real numbers: {error}") from error


class Root(NamedTuple):
    """``R`` of shape ``(d, rank)`` with ``R R^T`` a covariance, and whether it is lower triangular."""

    factor: Array
    triangular: bool


def _root(sigma: Array) -> Root:
    """The root of a covariance ``(d, d)``.

    A Cholesky factor where it has full rank, which takes a thirtieth of the time of its eigenvectors; else
    those. Eigenvalues that rounding cannot tell from 0 are dropped: kept, each would add the square root of a
    rounding error, 1e-8 instead of 1e-16.
    """
    try:
        factor = np.asarray(np.linalg.cholesky(sigma), dtype=np.float64)
    except np.linalg.LinAlgError:
        return Root(_eigenroot(sigma), False)
    pivots = np.diagonal(factor) ** 2
    return Root(factor, True) if pivots.min() > FULL_RANK * pivots.max() else Root(_eigenroot(sigma), False)


def _eigenroot(sigma: Array) -> Array:
    try:
        values, vectors = np.linalg.eigh(sigma)  # ascending
    except np.linalg.LinAlgError as error:
        raise InputError(f"the covariance has no eigenvalues that can be computed: {error}") from error
    largest = np.abs(values).max()
    if values[0] < -NEGATIVE * largest:
        raise InputError(
            f"the covariance has the eigenvalue {values[0]:.3g} and is therefore none: "
            "give the matrix that np.cov(features, rowvar=False) returns"
        )
    kept = values > len(values) * EPSILON * largest
    root: Array = vectors[:, kept] * np.sqrt(values[kept])
    return root


def _trace_of_root(root: Root, sigma: Array) -> float:
    """``tr sqrt(S_1^(1/2) S_2 S_1^(1/2))`` from the root ``R_1`` of ``S_1`` and ``S_2``.

    That matrix has the eigenvalues of ``R_1^T S_2 R_1``, which are exact to 1e-16 of the largest, and so the
    square roots of small ones to 1e-8 only. Where that could show, as it does where ``S_2`` lacks rank, the
    square roots are taken as the singular values of ``R_1^T R_2`` instead: exact, and several times slower.
    """
    if not root.factor.size:
        return 0.0
    values = _eigenvalues(root, sigma)
    if values[0] > 0:
        roots = np.sqrt(values)
        total = float(roots.sum())
        # An error e of an eigenvalue is one of e / (2 sqrt(value)) of its root; they have either sign.
        if EPSILON * values[-1] * float(np.sqrt((1.0 / values).sum())) <= 2.0 * EXACT * total:
            return total
    product = root.factor.T @ _root(sigma).factor  # (r_1, r_2)
    return float(np.linalg.svd(product, compute_uv=False).sum()) if product.size else 0.0


def _eigenvalues(root: Root, sigma: Array) -> Array:
    """Of ``R^T S R``, rising; a single 0 where it overflows."""
    from scipy.linalg import eigh, lapack

    if root.triangular:
        # Two triangular products at a quarter of the arithmetic of full ones.
        product, _ = lapack.dsygst(sigma, root.factor, itype=2, lower=1)
    else:
        product = root.factor.T @ sigma @ root.factor
    if not np.isfinite(np.tril(product)).all():
        return np.zeros(1)
    values: Array = eigh(product, lower=True, eigvals_only=True, overwrite_a=True, check_finite=False, driver="evr")
    return values
