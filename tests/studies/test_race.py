"""Successive halving, and the pessimist's search."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from omsdpm.solvers import DDIMSpace
from studies.jobs.run.race import images_of, race, rounds, turns
from studies.jobs.run.search import SearchOutcome, side_by_side
from studies.pessimist import Pessimist


class Known:
    """Scores that are known, with an error that falls with the number of images."""

    def __init__(self, scores, error=0.0):
        self.scores, self.error = np.asarray(scores, dtype=float), error
        self.asked: list[tuple[list[int], int]] = []
        self.sampled = np.zeros(len(self.scores), dtype=int)

    def grow(self, rows, images, progress=None):
        rows = list(rows)
        assert (self.sampled[rows] >= self.sampled.max()).all(), "who is left behind cannot go on"
        if progress is not None:
            progress(int((images - self.sampled[rows]).sum()))
        self.sampled[rows] = images
        self.asked.append((rows, images))
        rng = np.random.default_rng(images)
        return self.scores[rows] + self.error / np.sqrt(images) * rng.normal(size=len(rows))


@pytest.mark.parametrize(
    "candidates, images, expected",
    [
        (13, 1000, [125, 250, 500, 1000]),
        (10, 1000, [125, 250, 500, 1000]),
        (2, 1000, [1000]),
        (1, 1000, [1000]),
        (100, 1000, [62, 125, 250, 500, 1000]),
        (8, 40, [40]),
    ],
)
def test_images_are_doubled_while_candidates_are_halved(candidates, images, expected):
    assert rounds(candidates, images) == expected


def test_images_of_a_race_are_those_of_its_rounds():
    assert turns(13, [125, 250, 500, 1000]) == [(13, 125), (7, 125), (4, 250), (2, 500)]
    contest = Known(range(13))
    race(contest, [range(13)], 1000)
    assert images_of([13], rounds(13, 1000)) == 13 * 125 + 7 * 125 + 4 * 250 + 2 * 500
    assert [(len(rows), images) for rows, images in contest.asked] == [(13, 125), (7, 250), (4, 500), (2, 1000)]


def test_the_best_wins_and_two_go_to_the_end():
    contest = Known([5, 3, 4, 1, 2, 6, 7, 8])
    (order,), scores = race(contest, [range(8)], 800)
    assert order[:2] == [3, 4] and scores[3] == 1
    assert [(len(rows), images) for rows, images in contest.asked] == [(8, 200), (4, 400), (2, 800)]
    assert sorted(order) == list(range(8)) and order[2:4] == [1, 2]  # those that came farther are before others


def test_groups_race_side_by_side_and_share_what_is_sampled():
    contest = Known([5, 3, 4, 1, 2, 6])
    (first, second, none), _ = race(contest, [[0, 1, 2, 3], [3, 4, 5], []], 1000)
    assert (first[0], second[0], none) == (3, 3, [])
    assert contest.asked[0][0] == [0, 1, 2, 3, 4, 5]  # 3 once


def test_a_close_race_costs_less_than_sampling_all_to_the_end():
    rng = np.random.default_rng(0)
    lost = []
    for _ in range(50):
        contest = Known(rng.uniform(1, 1.5, 13), error=1.0)
        ((winner, *_),), _ = race(contest, [range(13)], 1000)
        lost.append(contest.scores[winner] - contest.scores.min())
        assert contest.sampled.sum() < 0.45 * 13 * 1000
    assert np.mean(lost) < 0.03


def test_progress_ends_at_all():
    told = []
    race(Known(range(10)), [range(6), range(6, 10)], 1000, lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1] and [done for done, _ in told] == sorted(done for done, _ in told)


class Unsure:
    def predict(self, X):
        return X[:, 0].astype(float)

    def predict_bound(self, X, kappa):
        return self.predict(X) + kappa * X[:, 1]


class Sure:
    def predict(self, X):
        return X[:, 0].astype(float)


def test_a_pessimist_adds_what_the_predictor_does_not_know():
    X = np.array([[1, 9], [2, 0]])
    assert Pessimist(Unsure(), 2.0).predict(X).tolist() == [19, 2]
    assert Pessimist(Unsure(), 0.0).predict(X).tolist() == [1, 2]
    assert Pessimist(Sure(), 2.0).predict(X).tolist() == [1, 2]


def outcome(populations, evaluations=10):
    space = DDIMSpace(3, 3)
    X = [np.array(population) for population in populations]
    first = np.array([population[0] for population in populations])
    return SearchOutcome(space.check(first), np.zeros(1), np.ones(1), first, np.zeros(len(X)), X, evaluations)


def test_two_searches_have_candidates_in_turn():
    pessimist = outcome([[[1, 0, 0], [2, 0, 0], [3, 0, 0]]])
    believer = outcome([[[0, 1, 0], [1, 0, 0], [0, 2, 0], [0, 3, 0]]], 7)
    both = side_by_side(pessimist, believer)
    assert both.populations[0].tolist() == [[1, 0, 0], [0, 1, 0], [2, 0, 0], [3, 0, 0], [0, 2, 0], [0, 3, 0]]
    assert both.evaluations == 17 and both.winners.tolist() == [[1, 0, 0]]


def test_a_pessimist_is_unsure_only_of_what_is_uncertain():
    known = SimpleNamespace(has_std=True, predict=None)
    assert Pessimist(known, 1.0).unsure and not Pessimist(known, 0.0).unsure
    assert not Pessimist(SimpleNamespace(has_std=False), 1.0).unsure and not Pessimist(Sure(), 1.0).unsure
