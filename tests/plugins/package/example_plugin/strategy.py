"""All members in turn."""

import numpy as np

from benchmarks.strategies.base import NamedSchedule, Strategy, plural


class RampStrategy(Strategy):
    """All members in turn, the fastest at the noise end, each for an even share of the steps."""

    name = "ramp"

    def schedules(self, problem, budget):
        slowest_first = np.argsort(problem.latency)[::-1] + 1  # as slots rise from the image end
        for steps in range(problem.space.most_steps(), 0, -1):
            x = np.zeros(problem.space.length, dtype=np.int64)
            x[problem.space.even_slots(steps)] = slowest_first[np.arange(steps) * len(slowest_first) // steps]
            if problem.space.latency(x, problem.latency)[0] <= budget:
                yield NamedSchedule(f"all members in turn, {plural(steps)}", x)
                return
