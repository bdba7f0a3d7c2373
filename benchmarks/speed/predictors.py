"""The LSTM predictors' arithmetic against plain PyTorch, and how soon each ranks how well.

    python -m benchmarks.speed.predictors
    python -m benchmarks.speed.predictors --benchmark digits-dpm --part score

``score``: predictions of many schedules by `predict`, by the same network as one would write it
first (every layer on every step of every schedule, padded, through `torch.nn.LSTM`), and by that
network one schedule at a time, as a search does that scores candidate by candidate. ``fit``: an
update of either. Weights are the same, and ways that disagree stop the comparison. ``race``: time
of whole fits, and how well they rank the validation split.

The plain networks get the same features: those of `lstm` from `step_tokens`, expanded.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.nn import functional as F

from benchmarks import Benchmark, load_benchmark
from omsdpm.errors import InputError
from omsdpm.noise import Noise
from omsdpm.solvers import Schedules, ScheduleSpace
from predictors.gaussian import VARIANCES
from predictors.neural.base import RATIO_SCALE, StepBatch, Weights, pairwise_logistic
from predictors.neural.lstm import CODE, HEAD, HIDDEN, USUAL_STEPS, LSTMPredictor, LSTMWeights
from predictors.neural.recurrence import sigmoids_first
from predictors.paper.lstm_paper import PAIRS, LSTMPaperPredictor
from predictors.paper.network import ScheduleNetwork, TokenBatch, sinusoids
from predictors.paper.ranking import ranking_loss
from predictors.paper.tokens import slot_timesteps, tokenize
from predictors.steps import step_tokens
from studies.jobs.naming import predictor_of

Array = NDArray[np.float64]

CHUNK = 1024
"""Schedules that the plain networks score at once."""

ONE_BY_ONE = 300
"""Schedules that are scored one at a time."""

ROUNDS = 3
"""Measurements of each way, of which the shortest counts: what else runs only adds to it."""

UPDATES, WARM_UP = 10, 2
"""Updates a measurement, and those before the first."""

TOLERANCE = 1e-4
"""Relative difference between ways, above which they do not compute the same thing."""

RACE_UPDATES = (25, 50, 100, 200, 400, 800)
"""Of ``lstm``, each a fit of its own; 400 are its own."""


# -- plain networks ------------------------------------------------------------------


@dataclass(frozen=True)
class PaddedSteps:
    """Features of every step of every schedule ``(n, S, F)``, ``(n, S, G)``, ``(n,)`` steps that count, ``(n, V)``."""

    what: torch.Tensor
    where: torch.Tensor
    lengths: torch.Tensor
    ratio: torch.Tensor

    @classmethod
    def of(cls, X: Schedules, space: ScheduleSpace, noise: Noise, steps: int | None) -> PaddedSteps:
        """Of canonical schedules ``(n, L)``, padded to ``steps``, or to the longest."""
        tokens = step_tokens(space.batch_plan(X, noise))
        extra = 0 if steps is None else steps - tokens.what_of.shape[1]
        what_of, where_of = (np.pad(of, ((0, 0), (0, extra))) for of in (tokens.what_of, tokens.where_of))
        what, where = tokens.what.astype(np.float32)[what_of], tokens.where.astype(np.float32)[where_of]
        ratio = torch.from_numpy(tokens.ratio.astype(np.float32))
        return cls(torch.from_numpy(what), torch.from_numpy(where), torch.from_numpy(tokens.lengths), ratio)

    def __getitem__(self, rows: torch.Tensor) -> PaddedSteps:
        return PaddedSteps(self.what[rows], self.where[rows], self.lengths[rows], self.ratio[rows])


class PlainLSTM(nn.Module):
    """One network of ``lstm``, every layer on every step of every schedule."""

    def __init__(self, what: int, where: int) -> None:
        super().__init__()
        self.places = where > 0
        self.what = nn.Linear(what, CODE)
        if self.places:
            self.what_2 = nn.Linear(CODE, CODE)
            self.where = nn.Linear(where, CODE)
            self.where_2 = nn.Linear(CODE, CODE)
        self.rnn = nn.LSTM(2 * CODE if self.places else CODE, HIDDEN, batch_first=True)
        hidden = [nn.Sequential(nn.Linear(*pair), nn.ReLU()) for pair in pairwise((HIDDEN + 1 + len(VARIANCES), *HEAD))]
        self.head = nn.Sequential(*hidden, nn.Linear(HEAD[-1], 1))

    @classmethod
    def of(cls, weights: Weights) -> list[PlainLSTM]:
        """The networks of an ``lstm``, with copies of its weights."""
        return [cls._copied({k: v[i] for k, v in weights.state_dict().items()}) for i in range(weights.networks)]

    @classmethod
    def _copied(cls, weights: Mapping[str, torch.Tensor]) -> PlainLSTM:
        plain = cls(len(weights["what_weight"]), len(weights["where_weight"]) if "where_weight" in weights else 0)
        inputs = [weights[name] for name in ("from_what", "from_where") if name in weights]
        bias = weights["gates_bias"][0]
        state = {  # sigmoids_first exchanges two blocks, so it is its own inverse
            "rnn.weight_ih_l0": sigmoids_first(torch.cat(inputs).t()),
            "rnn.weight_hh_l0": sigmoids_first(weights["from_output"].t()),
            "rnn.bias_ih_l0": sigmoids_first(bias),
            "rnn.bias_hh_l0": torch.zeros_like(bias),
        }
        layers = {f"head_{i}": f"head.{i}.0" for i in range(len(HEAD))} | {f"head_{len(HEAD)}": f"head.{len(HEAD)}"}
        layers |= {name: name for name in ("what", "what_2", "where", "where_2") if f"{name}_weight" in weights}
        for theirs, ours in layers.items():
            state[f"{ours}.weight"] = weights[f"{theirs}_weight"].t()
            state[f"{ours}.bias"] = weights[f"{theirs}_bias"][0]
        plain.load_state_dict(state)
        plain.rnn.bias_hh_l0.requires_grad_(False)  # with two biases Adam would move their sum twice as far
        return plain

    def forward(self, steps: PaddedSteps) -> torch.Tensor:
        """Raw scores ``(n,)``."""
        if self.places:
            what = self.what_2(torch.sigmoid(self.what(steps.what)))
            code = torch.cat([what, self.where_2(F.silu(self.where(steps.where)))], dim=-1)
        else:
            code = F.silu(self.what(steps.what))
        outputs, _ = self.rnn(code)  # (n, S, H)
        counts = torch.arange(outputs.shape[1]) < steps.lengths[:, None]
        pooled = (outputs * counts[:, :, None]).sum(dim=1) / USUAL_STEPS
        count = steps.lengths.float().log()[:, None] - 2
        return self.head(torch.cat([pooled, count, RATIO_SCALE * steps.ratio], dim=1)).squeeze(1)


@dataclass(frozen=True)
class PaddedSlots:
    """Members ``(n, S, G)`` and timestep ``(n, S)`` of every slot, or group of slots; NaN is no timestep."""

    members: torch.Tensor
    timesteps: torch.Tensor

    @classmethod
    def of(cls, X: Schedules, space: ScheduleSpace, noise: Noise) -> PaddedSlots:
        """Of canonical schedules ``(n, L)``."""
        if space.group_size > 1:
            steps = space.batch_plan(X, noise).steps
            members, timesteps = steps.members, np.where(steps.order > 0, steps.timestep, np.nan)
        else:
            members, timesteps = X[:, :, None], np.tile(slot_timesteps(space), (len(X), 1))
        return cls(torch.as_tensor(members), torch.as_tensor(timesteps, dtype=torch.float32))

    def __getitem__(self, rows: torch.Tensor) -> PaddedSlots:
        return PaddedSlots(self.members[rows], self.timesteps[rows])


class PlainPaper(nn.Module):
    """The network of ``lstm-paper`` with a copy of its layers, each on every slot."""

    def __init__(self, network: ScheduleNetwork) -> None:
        super().__init__()
        self.network = copy.deepcopy(network)

    def forward(self, slots: PaddedSlots) -> torch.Tensor:
        """Scores ``(n,)``."""
        network = self.network
        code = network.model_embedder["embedder"](slots.members).flatten(2)
        if network.solver_groups:
            for number, layer in enumerate(network.solver_encoder.values()):
                code = layer(torch.sigmoid(code) if number else code)
            code = torch.cat([code, network.order_embedder((slots.members > 0).sum(dim=2))], dim=-1)
        waves = sinusoids(slots.timesteps.nan_to_num().flatten(), network.sizes.time_input)
        times = network.timestep_encoder["fc2"](F.silu(network.timestep_encoder["fc1"](waves)))
        times = times.view(*slots.timesteps.shape, -1) * ~slots.timesteps.isnan()[:, :, None]
        outputs, _ = network.ms_encoder["rnn"](torch.cat([code, times], dim=-1).transpose(0, 1))  # (S, n, H)
        encoded = F.normalize(outputs, dim=2).sum(dim=0)
        return network.regression_head["MLP"](F.normalize(encoded, dim=1)).squeeze(1)


def all_steps(space: ScheduleSpace) -> int:
    """Steps of the longest schedule of a space."""
    return space.length // space.group_size


# -- score ---------------------------------------------------------------------------


def plain_lstm(predictor: LSTMPredictor, noise: Noise, steps: int | None) -> Callable[[Schedules], Array]:
    """What `predict` gives, from plain networks over schedules padded to ``steps``, or to the longest."""
    assert predictor.space is not None
    space, networks = predictor.space, PlainLSTM.of(predictor.weights_)

    @torch.no_grad()
    def score(X: Schedules) -> Array:
        batch = PaddedSteps.of(X, space, noise, steps)
        raw = torch.stack([network(batch) for network in networks]).numpy() - predictor.centers_[:, None]
        return predictor.target_.inverse(predictor.curve_(raw.mean(axis=0)))

    return score


def plain_paper(predictor: LSTMPaperPredictor, noise: Noise) -> Callable[[Schedules], Array]:
    """What `predict` gives, from the plain network."""
    assert predictor.space is not None
    space, network = predictor.space, PlainPaper(predictor.network_)

    @torch.no_grad()
    def score(X: Schedules) -> Array:
        raw = network(PaddedSlots.of(X, space, noise)).numpy().astype(float)
        return predictor.target_.inverse(predictor.curve_(raw))

    return score


def in_chunks(score: Callable[[Schedules], Any], X: Schedules, size: int) -> list[Any]:
    """What ``score`` gives for each ``size`` schedules."""
    return [score(X[start : start + size]) for start in range(0, len(X), size)]


def random_schedules(benchmark: Benchmark, n: int) -> Schedules:
    """Distinct canonical schedules ``(n, L)``, as long as those of the training split are on average."""
    space, rng = benchmark.space, np.random.default_rng(0)
    if n > 0.75 * space.cardinality:
        raise InputError(f"{n} schedules of a space of {space.cardinality}: give at most three quarters of it")
    null = 1 - space.nfe(benchmark.dataset.subset("train").X).mean() / space.length
    X = np.zeros((0, space.length), dtype=np.int64)
    while len(X) < n:
        X = np.unique(np.concatenate([X, space.canonical(space.random(n, rng, null=null))]), axis=0)
    return rng.permutation(X)[:n]


def score(benchmark: Benchmark, train_size: int, n: int) -> list[Table]:
    """Schedules a second, in whole batches and one at a time."""
    space, noise = benchmark.space, benchmark.noise
    X, (labels, y) = random_schedules(benchmark, n), labeled(benchmark, train_size)
    part = X[:ONE_BY_ONE]
    # Speed does not depend on what was learned.
    lstm = LSTMPredictor(space=space, noise=noise, updates=20).fit(labels, y)
    paper = LSTMPaperPredictor(space=space, noise=noise, epochs=20).fit(labels, y)
    to_longest, to_all = plain_lstm(lstm, noise, None), plain_lstm(lstm, noise, all_steps(space))
    slots = plain_paper(paper, noise)

    def features(X: Schedules) -> None:
        PaddedSteps.of(X, space, noise, all_steps(space))

    ways: dict[str, dict[str, tuple[int, Callable[[], Any]]]] = {
        "lstm": {
            "predict": (n, lambda: [lstm.predict(X)]),
            "plain, padded to the longest": (n, lambda: in_chunks(to_longest, X, CHUNK)),
            "plain, padded to all steps": (n, lambda: in_chunks(to_all, X, CHUNK)),
            "plain, one at a time": (len(part), lambda: in_chunks(to_longest, part, 1)),
            "features alone, padded to all steps": (n, lambda: in_chunks(features, X, CHUNK)),
        },
        "lstm-paper": {
            "predict": (n, lambda: [paper.predict(X)]),
            "plain, all slots": (n, lambda: in_chunks(slots, X, CHUNK)),
            "plain, one at a time": (len(part), lambda: in_chunks(slots, part, 1)),
        },
    }
    tables = []
    for name, of_name in ways.items():
        expected = np.concatenate(of_name["predict"][1]())
        for way, (count, run) in of_name.items():  # warm-up at the same time
            scores = run()
            if scores[0] is not None:
                agree(f"{name}: {way}", np.concatenate(scores), expected[:count])
        seconds = in_turns({way: run for way, (_, run) in of_name.items()})
        scaled = {way: seconds[way] * n / count for way, (count, _) in of_name.items()}
        table = Table("way", title=f"{name}: scoring {n:,} schedules", title_justify="left")
        for column in ("measured on", "seconds", "schedules/s", "times predict's"):
            table.add_column(column, justify="right")
        for way, (count, _) in of_name.items():
            ratio = f"{scaled[way] / scaled['predict']:.2f}"
            table.add_row(way, f"{count:,}", f"{scaled[way]:.3f}", f"{n / scaled[way]:,.0f}", ratio)
        tables.append(table)
    return tables


# -- fit -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Learner:
    """One way of fitting: rows ``(m,)`` of the labels to a loss, and what then takes its gradient."""

    loss: Callable[[torch.Tensor], torch.Tensor]
    optimizer: torch.optim.Optimizer

    def updates(self, batches: Sequence[torch.Tensor]) -> Array:
        """An update for each batch; the losses before them."""
        losses = []
        for rows in batches:
            loss = self.loss(rows)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        return np.array(losses)


def lstm_learners(space: ScheduleSpace, noise: Noise, X: Schedules, y: Array) -> dict[str, Learner]:
    """An update of ``lstm``: all pairs of a batch, in every network."""
    defaults = LSTMPredictor()
    tokens = step_tokens(space.batch_plan(X, noise))
    weights = LSTMWeights(defaults.networks, tokens.what.shape[1], tokens.where.shape[1])
    weights.draw(torch.Generator().manual_seed(0))
    targets = torch.as_tensor((y - y.mean()) / y.std(), dtype=torch.float32)
    visible = torch.ones(defaults.networks, len(y))
    batch = StepBatch(tokens, "cpu")

    def optimizer(module: nn.Module, fused: bool) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            module.parameters(), lr=defaults.learning_rate, weight_decay=defaults.weight_decay, fused=fused
        )

    def ours(rows: torch.Tensor) -> torch.Tensor:
        return pairwise_logistic(weights(batch, rows), targets[rows], visible[:, rows])

    def plain(steps: int | None) -> Learner:
        padded, networks = PaddedSteps.of(X, space, noise, steps), nn.ModuleList(PlainLSTM.of(weights))

        def loss(rows: torch.Tensor) -> torch.Tensor:
            scores = torch.stack([network(padded[rows]) for network in networks])
            return pairwise_logistic(scores, targets[rows], visible[:, rows])

        return Learner(loss, optimizer(networks, fused=False))

    return {
        "ours": Learner(ours, optimizer(weights, fused=True)),
        "plain, padded to the longest": plain(None),
        "plain, padded to all steps": plain(all_steps(space)),
    }


def paper_learners(space: ScheduleSpace, noise: Noise, X: Schedules, y: Array) -> dict[str, Learner]:
    """An update of ``lstm-paper``: some pairs of a batch; in the release, each pair scores both of its schedules."""
    defaults = LSTMPaperPredictor()
    threshold, most = defaults.threshold, PAIRS * defaults.batch_size
    torch.manual_seed(0)
    network = ScheduleNetwork(space.num_models, space.group_size > 1)
    targets = torch.as_tensor((y - y.mean()) / y.std())
    batch = TokenBatch(tokenize(space.batch_plan(X, noise)), "cpu")
    slots = PaddedSlots.of(X, space, noise)

    def learner(parameters: nn.Module, loss: Callable[[torch.Tensor, torch.Generator], torch.Tensor]) -> Learner:
        generator = torch.Generator().manual_seed(0)  # all ways draw the same pairs
        optimizer = torch.optim.Adam(parameters.parameters(), lr=defaults.learning_rate)
        return Learner(lambda rows: loss(rows, generator), optimizer)

    def once_a_pair(plain: PlainPaper) -> Learner:
        def loss(rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
            i, j = rows[torch.triu_indices(len(rows), len(rows), offset=1)]
            counts = ((targets[i] - targets[j]).abs() > threshold).nonzero().squeeze(1)
            if len(counts) > most:
                counts = counts[torch.randperm(len(counts), generator=generator)[:most]]
            i, j = i[counts], j[counts]
            return torch.relu(1 - (targets[i] - targets[j]).sign() * (plain(slots[i]) - plain(slots[j]))).mean()

        return learner(plain, loss)

    def once_a_schedule(module: nn.Module, score: Callable[[torch.Tensor], torch.Tensor]) -> Learner:
        def loss(rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
            return ranking_loss(score(rows), targets[rows], threshold=threshold, max_pairs=most, generator=generator)

        return learner(module, loss)

    plain = PlainPaper(network)
    return {
        "ours": once_a_schedule(network, lambda rows: network(batch, rows)),
        "plain, each schedule once": once_a_schedule(plain, lambda rows: plain(slots[rows])),
        "plain, both schedules of each pair, as in the release": once_a_pair(PlainPaper(network)),
    }


def fit(benchmark: Benchmark) -> list[Table]:
    """Seconds an update, on the whole training split."""
    X, y = labeled(benchmark, len(benchmark.dataset.subset("train")))
    arguments = benchmark.space, benchmark.noise, X, y
    return [
        update_table("lstm", lstm_learners(*arguments), len(X), LSTMPredictor().batch_size),
        update_table("lstm-paper", paper_learners(*arguments), len(X), LSTMPaperPredictor().batch_size),
    ]


def update_table(name: str, learners: dict[str, Learner], n: int, size: int) -> Table:
    """Learners of the same weights take turns with the same batches."""
    rng = np.random.default_rng(0)
    batches = [torch.from_numpy(rng.permutation(n)[:size]) for _ in range(WARM_UP + UPDATES)]
    first = {way: learner.updates(batches[:WARM_UP])[:1] for way, learner in learners.items()}
    for way, loss in first.items():
        agree(f"{name}: {way}: first loss", loss, first["ours"])
    seconds = in_turns({way: partial(learner.updates, batches[WARM_UP:]) for way, learner in learners.items()})
    table = Table("way", title=f"{name}: an update of {min(size, n)} schedules", title_justify="left")
    for column in ("milliseconds", "times ours"):
        table.add_column(column, justify="right")
    for way, s in seconds.items():
        table.add_row(way, f"{1000 * s / UPDATES:.1f}", f"{s / seconds['ours']:.2f}")
    return table


# -- race ----------------------------------------------------------------------------


def race(benchmark: Benchmark, train_size: int) -> list[Table]:
    """Seconds of whole fits on the same labels, and Kendall's tau on the validation split."""
    X, y = labeled(benchmark, train_size)
    validation = benchmark.dataset.subset("validation")

    def run(name: str, **parameters: Any) -> tuple[float, float]:
        predictor = predictor_of(name, benchmark, 0).set_params(**parameters)
        start = time.perf_counter()
        predictor.fit(X, y)
        return time.perf_counter() - start, predictor.score(validation.X, validation.y)

    for name, few in {
        "lstm-paper": {"epochs": 2},
        "lstm": {"updates": 2},
        "deepsets": {"updates": 2},
        "gp": {},
    }.items():
        run(name, **few)  # what the first fit of a process imports and starts is no part of a fit
    fits = {"lstm-paper": run("lstm-paper")}
    seconds, tau = fits["lstm-paper"]
    for updates in RACE_UPDATES:
        fits[f"lstm, {updates} updates"] = run("lstm", updates=updates)
    fits |= {name: run(name) for name in ("deepsets", "gp")}

    reached = [(s, way) for way, (s, t) in fits.items() if way.startswith("lstm, ") and t >= tau]
    first = "no lstm reaches lstm-paper's tau"
    if reached:
        soonest, way = min(reached)
        first = f"{way}: the first to reach lstm-paper's tau, in 1/{seconds / soonest:.1f} of its time"
    table = Table(
        "predictor",
        title=f"whole fits on {len(X)} labels",
        title_justify="left",
        caption=f"{first}. Kendall's tau on the {len(validation)} schedules of the validation split.",
        caption_justify="left",
    )
    for column in ("seconds", "lstm-paper's / these", "tau"):
        table.add_column(column, justify="right")
    for way, (s, t) in fits.items():
        table.add_row(way, f"{s:.2f}", f"{seconds / s:.1f}", f"{t:.3f}")
    return [table]


# -- shared parts --------------------------------------------------------------------


def labeled(benchmark: Benchmark, size: int) -> tuple[Schedules, Array]:
    """The labels that ``predictor compare`` takes for seed 0: ``(size, L)``, ``(size,)``, or all there are."""
    train = benchmark.dataset.subset("train")
    rows = np.random.default_rng(0).permutation(len(train))[:size]
    return train.X[rows], train.y[rows]


def agree(way: str, actual: Array, expected: Array) -> None:
    """Stops a comparison of things that are not the same."""
    difference = np.abs(actual / expected - 1).max()
    if not difference < TOLERANCE:
        raise RuntimeError(f"{way} differs by {difference:.2g} of its value: the comparison means nothing")


def in_turns(ways: Mapping[str, Callable[[], Any]]) -> dict[str, float]:
    """Shortest seconds of each; they take turns, so that a drift of the machine meets all alike."""
    seconds = dict.fromkeys(ways, np.inf)
    for _ in range(ROUNDS):
        for way, run in ways.items():
            start = time.perf_counter()
            run()
            seconds[way] = min(seconds[way], time.perf_counter() - start)
    return seconds


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", default="digits-ddim", help="whose space and labels  [default: %(default)s]")
    parser.add_argument("--train-size", type=int, default=400, help="labels of a fit  [default: %(default)s]")
    parser.add_argument("--schedules", type=int, default=10_000, help="schedules to score  [default: %(default)s]")
    parser.add_argument("--part", choices=["score", "fit", "race"], help="only this one")
    args = parser.parse_args()
    console = Console(width=140)
    benchmark = load_benchmark(args.benchmark)
    console.print(
        f"{args.benchmark}: {benchmark.space}; PyTorch {torch.__version__}, {torch.get_num_threads()} threads"
    )
    parts: dict[str, Callable[[], list[Table]]] = {
        "score": lambda: score(benchmark, args.train_size, args.schedules),
        "fit": lambda: fit(benchmark),
        "race": lambda: race(benchmark, args.train_size),
    }
    for part in parts if args.part is None else [args.part]:
        for table in parts[part]():
            console.print(table)


if __name__ == "__main__":
    main()
