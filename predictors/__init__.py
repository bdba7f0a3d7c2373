"""Predictors of a schedule's quality: schedule in, predicted score out, lower is better.

They are scikit-learn estimators behind one contract (:class:`Predictor`) and are found
by name through the entry-point group ``omsdpm.predictors``. Importing this package
imports neither torch nor scikit-learn.

Example:
    >>> predictor = make_predictor("gbdt", space=space).fit(X, y)
    >>> predictor.predict(X[:2]).shape
    (2,)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from predictors.registry import load_predictor, make_predictor, predictor_class, predictor_names

if TYPE_CHECKING:
    from predictors.base import Predictor

__all__ = ["Predictor", "load_predictor", "make_predictor", "predictor_class", "predictor_names"]


def __getattr__(name: str) -> Any:
    # The base class is a scikit-learn estimator; `--help` must not wait for that import.
    if name == "Predictor":
        from predictors.base import Predictor

        return Predictor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
