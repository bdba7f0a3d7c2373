"""What all optimizers share: the contract, and the frame of a run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from omsdpm.errors import InputError
from omsdpm.seeds import check_seed
from studies.optimizers.ledger import Ledger, Progress
from studies.problem import SearchProblem
from studies.result import SearchResult


class Optimizer(ABC):
    """Searches a space for schedules of low predicted score.

    The life of a call to :meth:`run`:

    1. The arguments are checked, and a :class:`Ledger` is opened with the allowance of
       ``evaluations``.
    2. :meth:`_search` proposes batches of schedules and has them scored by
       ``ledger.score(X)`` while ``ledger.open``. The ledger asks the predictor only about
       schedules that are valid, within budget and new, and never about more than the
       allowance; it calls ``progress`` after each batch.
    3. What ``_search`` returns becomes the final population, joined by the front of
       everything that was scored.

    A subclass stores its parameters in ``__init__`` and implements :meth:`_search`; its
    class docstring's first line is the one-line description that lists show. To be found
    by name it is registered in the entry-point group ``omsdpm.optimizers``.
    """

    multi_objective: ClassVar[bool]
    """One run approximates the whole (score, latency) front, up to the budget if there is one.

    Otherwise a run goes for the best score under its budget: make one run a budget.
    """

    watched: ClassVar[bool] = False
    """Somebody keeps what it has scored, so that a run that goes on searches again instead of taking the result."""

    def run(
        self,
        problem: SearchProblem,
        *,
        evaluations: int,
        seed: int,
        progress: Progress | None = None,
    ) -> SearchResult:
        """Searches; equal arguments give equal results.

        Args:
            problem: space, predictor, latencies and budget.
            evaluations: most schedules to have scored, at least 1.
            seed: the only source of randomness, a non-negative integer.
            progress: called with (scored, evaluations) after each batch.

        Raises:
            InputError: ``evaluations`` or ``seed`` out of range.
        """
        if not isinstance(evaluations, (int, np.integer)) or evaluations < 1:
            raise InputError(f"evaluations={evaluations!r}: expected a positive integer")
        check_seed(seed)
        ledger = Ledger(problem, int(evaluations), progress)
        population = self._search(problem, ledger, np.random.default_rng(seed))
        return ledger.result(population)

    @abstractmethod
    def _search(self, problem: SearchProblem, ledger: Ledger, rng: np.random.Generator) -> np.ndarray | None:
        """Proposes schedules to ``ledger`` until it closes.

        Returns:
            The final population ``(n, L)``, all of it scored; ``None`` for the best 40.
        """
