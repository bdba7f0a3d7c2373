"""Learning order: the pairwise hinge loss of OMS-DPM (Liu et al., 2023, Sec. 4.3)."""

from __future__ import annotations

import torch


def ranking_loss(
    scores: torch.Tensor,
    targets: torch.Tensor,
    *,
    threshold: float,
    margin: float = 1.0,
    max_pairs: int | None = None,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """``mean(max(0, margin - sign(y_i - y_j) (s_i - s_j)))`` over pairs with ``|y_i - y_j| > threshold``.

    All pairs come from one score a schedule, so a batch costs n evaluations of the
    network and not two a pair.

    Args:
        scores: ``(n,)`` predicted, higher is worse.
        targets: ``(n,)`` measured, higher is worse.
        threshold: closer pairs do not count; in units of ``targets``.
        margin: by how much the worse schedule's score has to be larger.
        max_pairs: at most so many pairs, drawn without replacement; ``None`` takes all.
        generator: draws those pairs.

    Returns:
        The scalar loss; 0 without gradient where no pair counts.
    """
    i, j = torch.triu_indices(len(targets), len(targets), offset=1, device=targets.device)
    difference = targets[i] - targets[j]  # (n (n - 1) / 2,)
    counts = difference.abs() > threshold
    i, j, sign = i[counts], j[counts], difference[counts].sign()
    if max_pairs is not None and len(i) > max_pairs:
        drawn = torch.randperm(len(i), generator=generator)[:max_pairs].to(i.device)
        i, j, sign = i[drawn], j[drawn], sign[drawn]
    if not len(i):
        return scores.new_zeros(())
    return torch.relu(margin - sign * (scores[i] - scores[j])).mean()
