"""Sampling: one executor for every plan, on any device; one schedule or a population.

A population sampled from common noise shares work: plans that begin with equal stages
need those stages once. :func:`sample_population` walks the trie of all plans depth first,
so that memory grows with a plan's depth and not with the number of schedules.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from omsdpm.errors import InputError
from omsdpm.noise import Noise
from omsdpm.solvers import Combination, Plan, ScheduleSpace, SolverOptions, Stage, compile_plans
from omsdpm.solvers.options import DEFAULT_SPACING

if TYPE_CHECKING:
    import torch

    Denoiser = Callable[[torch.Tensor, "float | torch.Tensor"], torch.Tensor]
    """``(x (n, ...), timestep)`` to the predicted noise, shaped as ``x``."""


@dataclass
class Count:
    """What a population cost: filled in while :func:`sample_population` runs."""

    evaluations: int = 0
    """Network evaluations spent, each on the whole batch of noise."""

    one_by_one: int = 0
    """Network evaluations that sampling every schedule by itself takes."""

    calls: int = 0
    """Calls of a network; fewer than ``evaluations`` where siblings were batched."""

    by_member: dict[int, int] = field(default_factory=dict)
    """Evaluations spent on each member, numbered from 1."""

    @property
    def saved(self) -> int:
        """Evaluations that sharing saved."""
        return self.one_by_one - self.evaluations


def sample(
    denoisers: Sequence[Denoiser],
    schedule: ArrayLike,
    x_T: torch.Tensor,
    *,
    space: ScheduleSpace,
    noise: Noise,
    spacing: str = DEFAULT_SPACING,
    eta: float = 0.0,
    seed: int = 0,
    t_end: float | None = None,
    options: SolverOptions | None = None,
) -> torch.Tensor:
    """Samples images with one schedule.

    Args:
        denoisers: ``denoisers[k - 1](x, t)`` is member ``k``'s noise prediction.
        schedule: ``(L,)`` members, 0 = null, index 0 = image end.
        x_T: ``(n, ...)`` starting noise; dtype and device of all work follow it.
        space, noise, spacing, eta, t_end: see :func:`omsdpm.solvers.compile_plan`.
        options: instead of ``spacing``, ``eta`` and ``t_end``.
        seed: of the fresh noise that ``eta > 0`` adds, drawn for each timestep anew.

    Returns:
        ``x_0``, shaped as ``x_T``.

    Raises:
        InputError: an invalid schedule, or a number of denoisers that is not the space's.
    """
    ((_, x_0),) = sample_population(
        denoisers,
        np.asarray(schedule)[None],
        x_T,
        space=space,
        noise=noise,
        spacing=spacing,
        eta=eta,
        seed=seed,
        t_end=t_end,
        options=options,
    )
    return x_0


def sample_population(
    denoisers: Sequence[Denoiser],
    X: ArrayLike,
    x_T: torch.Tensor,
    *,
    space: ScheduleSpace,
    noise: Noise,
    spacing: str = DEFAULT_SPACING,
    eta: float = 0.0,
    seed: int = 0,
    t_end: float | None = None,
    options: SolverOptions | None = None,
    group_siblings: bool = False,
    count: Count | None = None,
) -> Iterator[tuple[int, torch.Tensor]]:
    """Samples a population from common noise, evaluating every shared beginning once.

    Args:
        denoisers, x_T, space, noise, spacing, eta, seed, t_end, options: as in :func:`sample`.
        X: ``(n, L)`` schedules.
        group_siblings: evaluate the branches of one point that call the same member as
            one larger batch, with a timestep a row. Memory grows by the number of branches.
        count: filled with what was spent and saved.

    Yields:
        ``(row, x_0)``, every row of ``X`` once, in the order of the walk.

    Raises:
        InputError: an invalid schedule, or a number of denoisers that is not the space's;
            raised by the call, before anything is sampled.
    """
    batch = space.check(np.asarray(X))
    if len(denoisers) != space.num_models:
        raise InputError(f"{len(denoisers)} denoisers: {space} takes one for each of its {space.num_models} members")
    plans = compile_plans(batch, space, noise, options or SolverOptions(spacing, eta, t_end))
    walk = _Walk(plans, denoisers, noise, x_T, seed, group_siblings, Count() if count is None else count)
    return walk.run()


def walk_order(
    X: ArrayLike,
    *,
    space: ScheduleSpace,
    noise: Noise,
    spacing: str = DEFAULT_SPACING,
    options: SolverOptions | None = None,
) -> NDArray[np.int64]:
    """``(n, L) -> (n,)``: an order of the rows in which plans with equal beginnings stand together."""
    plans = compile_plans(space.check(np.asarray(X)), space, noise, options or SolverOptions(spacing))
    keys = [[(-stage.timestep, stage.model) for stage in plan.stages] for plan in plans]
    return np.array(sorted(range(len(plans)), key=keys.__getitem__), dtype=np.int64)


def count_evaluations(
    X: ArrayLike,
    *,
    space: ScheduleSpace,
    noise: Noise,
    spacing: str = DEFAULT_SPACING,
    options: SolverOptions | None = None,
) -> Count:
    """What :func:`sample_population` will spend on ``X``, without sampling anything."""
    count = Count()
    nodes: dict[tuple[int, Stage], int] = {}  # (parent, stage) -> node; the root is 0
    for plan in compile_plans(space.check(np.asarray(X)), space, noise, options or SolverOptions(spacing)):
        count.one_by_one += plan.nfe
        node = 0
        for stage in plan.stages:
            known = len(nodes)
            node = nodes.setdefault((node, stage), known + 1)
            if len(nodes) > known:
                count.by_member[stage.model] = count.by_member.get(stage.model, 0) + 1
    count.evaluations = count.calls = len(nodes)
    return count


class _Node(NamedTuple):
    """A point in the trie: rows whose plans agree on ``depth`` stages.

    Holds the inputs, outputs and rests, by stage, that some plan below still refers to, and what members remember
    of the way here, by their number.
    """

    rows: list[int]
    depth: int
    states: dict[int, torch.Tensor]
    outputs: dict[int, torch.Tensor]
    rests: dict[int, torch.Tensor]
    memory: dict[int, Any]


class _Walk:
    """A depth-first walk through the trie of ``plans``."""

    def __init__(
        self,
        plans: Sequence[Plan],
        denoisers: Sequence[Denoiser],
        noise: Noise,
        x_T: torch.Tensor,
        seed: int,
        group_siblings: bool,
        count: Count,
    ) -> None:
        self.plans = plans
        self.last_uses = [last_uses(plan) for plan in plans]
        self.takes_rests = any(stage.input.rests for plan in plans for stage in plan.stages) or any(
            plan.closing.rests for plan in plans
        )
        self.denoisers = denoisers
        self.keepers = {number: kept for number, one in enumerate(denoisers, start=1) if (kept := _keeper(one))}
        self.noise = noise
        self.x_T = x_T
        self.seed = seed
        self.group_siblings = group_siblings
        self.count = count
        self.count.one_by_one += sum(plan.nfe for plan in plans)

    def run(self) -> Iterator[tuple[int, torch.Tensor]]:
        # A stack of our own, since a plan may be deeper than Python's. A branch waits on it
        # with its inputs and outputs; siblings share those of their parent.
        waiting = [_Node(list(range(len(self.plans))), 0, {0: self.x_T}, {}, {}, {})]
        while waiting:
            node = waiting.pop()
            branches: dict[Stage, list[int]] = defaultdict(list)
            for row in node.rows:
                plan = self.plans[row]
                if node.depth == plan.nfe:
                    yield row, self._combine(plan.closing, node)
                else:
                    branches[plan.stages[node.depth]].append(row)
            groups = self._groups(list(branches))
            if len(groups) > 1:
                # One branch now; the rest of them when everything below it is done.
                rest = [row for group in groups[1:] for stage in group for row in branches[stage]]
                waiting.append(node._replace(rows=rest))
            if groups:
                waiting.extend(self._children(node, groups[0], branches))

    def _children(self, node: _Node, stages: list[Stage], branches: dict[Stage, list[int]]) -> Iterator[_Node]:
        """The nodes below ``node`` along ``stages``, which call the same member."""
        number = node.depth + 1
        inputs = [self._combine(stage.input, node) for stage in stages]
        model, memory = stages[0].model, node.memory
        keeper = self.keepers.get(model)  # which is never asked about several branches at once
        if keeper is not None:
            keeper.restore(memory.get(model))
        evaluated = self._evaluate(stages, inputs)
        if keeper is not None:
            memory = {**memory, model: keeper.snapshot()}
        for stage, x, (e, rest) in zip(stages, inputs, evaluated, strict=True):
            rows = branches[stage]
            needed = [self.last_uses[row] for row in rows]
            states, outputs = {**node.states, number: x}, {**node.outputs, number: e}
            rests = node.rests if rest is None else {**node.rests, number: rest}
            yield _Node(
                rows,
                number,
                {j: state for j, state in states.items() if any(uses.get(j, 0) > number for uses in needed)},
                {j: output for j, output in outputs.items() if any(uses.get(-j, 0) > number for uses in needed)},
                {j: rest for j, rest in rests.items() if any(uses.get(-j, 0) > number for uses in needed)},
                memory,
            )

    def _groups(self, stages: list[Stage]) -> list[list[Stage]]:
        """The branches of a node, in the order they are taken, together where they may be."""
        if not self.group_siblings:
            return [[stage] for stage in stages]
        together: dict[tuple[object, ...], list[Stage]] = defaultdict(list)
        for stage in stages:
            alone = (stage.timestep,) if stage.model in self.keepers else ()
            together[stage.model, stage.predicts, *alone].append(stage)
        return list(together.values())

    def _evaluate(
        self, stages: list[Stage], inputs: list[torch.Tensor]
    ) -> Sequence[tuple[torch.Tensor, torch.Tensor | None]]:
        """The outputs of one member on several inputs, each with the rest where the member says one."""
        import torch

        model = stages[0].model
        self.count.evaluations += len(stages)
        self.count.calls += 1
        self.count.by_member[model] = self.count.by_member.get(model, 0) + len(stages)
        with torch.no_grad():
            if len(stages) == 1:
                return [self._predict(model, inputs[0], stages[0].timestep, stages[0].predicts)]
            n = len(self.x_T)
            t = torch.tensor([stage.timestep for stage in stages], dtype=self.x_T.dtype, device=self.x_T.device)
            output, rest = self._predict(model, torch.cat(inputs), t.repeat_interleave(n), stages[0].predicts)
            rests = [None] * len(stages) if rest is None else rest.split(n)
            return list(zip(output.split(n), rests, strict=True))

    def _predict(
        self, model: int, x: torch.Tensor, t: float | torch.Tensor, target: str
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        denoiser: Any = self.denoisers[model - 1]
        if self.takes_rests and getattr(denoiser, "has_rest", False):
            parts: tuple[torch.Tensor, torch.Tensor | None] = denoiser.predict_parts(x, t, target)
            return parts
        return (self._predicting_sample(model, x, t) if target == "sample" else denoiser(x, t)), None

    def _predicting_sample(self, model: int, x: torch.Tensor, t: float | torch.Tensor) -> torch.Tensor:
        """The predicted image where ``x`` is nearly pure noise; from the predicted noise if that is all there is."""
        import torch

        denoiser = self.denoisers[model - 1]
        if hasattr(denoiser, "predict"):
            predicted: torch.Tensor = denoiser.predict(x, t, "sample")
            return predicted
        times = self.noise.time(torch.as_tensor(t, dtype=torch.float64).cpu().expand(len(x)).numpy())
        alpha = torch.from_numpy(self.noise.alpha(times)).view(-1, *[1] * (x.ndim - 1))
        if not (alpha > 0).all():
            raise InputError(
                f"timestep {float(times.max()):g} of the schedule is pure noise, where a prediction of the noise says "
                f"nothing: member {model} needs a method predict(x, t, 'sample'), as members of a zoo have"
            )
        sigma = torch.from_numpy(self.noise.sigma(times)).view(alpha.shape)
        return ((x.double() - sigma.to(x.device) * denoiser(x, t).double()) / alpha.to(x.device)).to(x.dtype)

    def _combine(self, combination: Combination, node: _Node) -> torch.Tensor:
        return combine(
            combination,
            node.states,
            node.outputs,
            lambda timestep: fresh_noise(timestep, self.seed, self.x_T),
            node.rests,
        )


def combine(
    combination: Combination,
    states: Mapping[int, torch.Tensor],
    outputs: Mapping[int, torch.Tensor],
    noise: Callable[[float], torch.Tensor],
    rests: Mapping[int, torch.Tensor] | None = None,
) -> torch.Tensor:
    """The tensor that a combination says, shaped as a state.

    Args:
        combination: of a plan.
        states, outputs: inputs and outputs of stages by their number, ``x_T`` as state 0.
        noise: of a timestep, fresh; asked where the combination has some.
        rests: of stages whose member has any, see :attr:`omsdpm.zoo.Member.has_rest`.
    """
    terms = [(states[j], weight) for j, weight in combination.states]
    terms += [(outputs[j], weight) for j, weight in combination.outputs]
    if combination.noise is not None:
        timestep, spread = combination.noise
        terms.append((noise(timestep), spread))
    if rests:
        terms += [(rests[j], weight) for j, weight in combination.rests if j in rests]
    first, weight = terms[0]
    if len(terms) == 1 and weight == 1.0:
        return first
    total = first * weight
    for tensor, weight in terms[1:]:
        total.add_(tensor, alpha=weight)
    return total


def fresh_noise(timestep: float, seed: int, like: torch.Tensor) -> torch.Tensor:
    """Noise that a seed gives a timestep, like a tensor: drawn on the CPU, so that every device adds the same."""
    import torch

    from omsdpm.seeds import torch_generator

    # Between whole timesteps the number's own bits tell them apart.
    key = int(timestep) if timestep.is_integer() else int.from_bytes(struct.pack("<d", timestep), "little")
    drawn = torch.randn(like.shape, generator=torch_generator(seed, key), dtype=like.dtype)
    return drawn.to(like.device)


def _keeper(denoiser: Any) -> Any:
    """What of a denoiser remembers its trajectory (``stateful``, ``snapshot``, ``restore``); ``None`` if nothing does.

    Labels, prompts and guidance are around a member.
    """
    while hasattr(denoiser, "member"):
        denoiser = denoiser.member
    return denoiser if getattr(denoiser, "stateful", False) else None


def last_uses(plan: Plan) -> dict[int, int]:
    """The last stage whose input refers to state ``j`` (key ``j``) or to output or rest ``j`` (key ``-j``).

    The closing combination counts as one stage more. State 0, the starting noise, is
    only ever the first stage's input.
    """
    uses: dict[int, int] = {}
    for number, combination in enumerate((*(stage.input for stage in plan.stages), plan.closing), start=1):
        uses.update((j, number) for j, _ in combination.states)
        uses.update((-j, number) for j, _ in combination.outputs + combination.rests)
    return uses
