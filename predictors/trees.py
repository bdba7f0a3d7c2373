"""Boosted trees as plain arrays: checked before xgboost sees them, which believes any index in a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

ROOT = 2**31 - 1
"""What xgboost calls the parent of a root."""

NONE = -1
"""Child of a leaf."""

NAMES: dict[str, tuple[str, Any]] = {
    "left": ("left_children", np.int32),
    "right": ("right_children", np.int32),
    "feature": ("split_indices", np.int32),
    "value": ("split_conditions", np.float32),
    "default_left": ("default_left", np.uint8),
}
"""Our name of a node's number, xgboost's, and its type."""


@dataclass(frozen=True, eq=False)
class Trees:
    """``T`` trees with ``N`` nodes in all, one after the other.

    Attributes:
        sizes: ``(T,)`` nodes of each tree.
        left, right: ``(N,)`` children by their number in the tree, -1 of a leaf.
        feature: ``(N,)`` what a node asks about.
        value: ``(N,)`` the left child is for features below it; what a leaf adds.
        default_left: ``(N,)`` 0 or 1, where a missing feature goes.
        base_score: what the trees add to.
    """

    sizes: NDArray[np.int64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    feature: NDArray[np.int32]
    value: NDArray[np.float32]
    default_left: NDArray[np.uint8]
    base_score: float

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], base_score: float) -> Trees:
        """From what :meth:`arrays` gave.

        Raises:
            KeyError: an array is missing; ValueError: one is of another type.
        """
        for name, kind in {"sizes": np.int64, **{name: kind for name, (_, kind) in NAMES.items()}}.items():
            if arrays[name].dtype != kind or arrays[name].ndim != 1:
                raise ValueError(f"{name} is {arrays[name].dtype} {arrays[name].shape}, expected one row of {kind}")
        return cls(arrays["sizes"], **{name: arrays[name] for name in NAMES}, base_score=base_score)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All but the base score, by name."""
        return {"sizes": self.sizes, **{name: getattr(self, name) for name in NAMES}}

    def check(self, num_features: int) -> None:
        """Raises ``ValueError`` for what is no forest over so many features.

        Children come after their parent and have one, so that every path ends.
        """
        nodes = len(self.left)
        if any(len(getattr(self, name)) != nodes for name in NAMES):
            raise ValueError("the arrays of nodes have different lengths")
        if not len(self.sizes) or (self.sizes < 1).any() or (self.sizes > nodes).any() or self.sizes.sum() != nodes:
            raise ValueError(f"the sizes of its trees are not those of {nodes} nodes")
        if not (np.isfinite(self.value).all() and np.isfinite(self.base_score)):
            raise ValueError("a node or the base score is NaN or infinite")
        if (self.default_left > 1).any():
            raise ValueError("default_left is neither 0 nor 1")
        start = np.repeat(np.cumsum(self.sizes) - self.sizes, self.sizes)  # (N,), first node of a node's tree
        own, size = np.arange(nodes) - start, np.repeat(self.sizes, self.sizes)
        inner = self.left != NONE
        if (inner != (self.right != NONE)).any():
            raise ValueError("a node has one child, expected two or none")
        for child in (self.left[inner], self.right[inner]):
            if (child <= own[inner]).any() or (child >= size[inner]).any():
                raise ValueError("a child is not among the nodes after its parent")
        children = np.concatenate([(start + side)[inner] for side in (self.left, self.right)])
        if len(np.unique(children)) != len(children) or len(children) != nodes - len(self.sizes):
            raise ValueError("a node has several parents or none")
        feature = self.feature[inner]
        if (feature < 0).any() or (feature >= num_features).any():
            raise ValueError(f"a node asks about a feature other than 0 to {num_features - 1}")

    def booster(self, names: Sequence[str], objective: str, threads: int) -> xgboost.Booster:
        """The trees for xgboost, over features of these names; known to be right by :meth:`check`."""
        ends = np.cumsum(self.sizes).tolist()
        trees = [
            self._tree(number, slice(end - size, end), len(names))
            for number, (size, end) in enumerate(zip(self.sizes.tolist(), ends, strict=True))
        ]
        model = {
            "gbtree_model_param": {"num_parallel_tree": "1", "num_trees": str(len(trees))},
            "iteration_indptr": list(range(len(trees) + 1)),
            "tree_info": [0] * len(trees),
            "trees": trees,
        }
        parameters = {"base_score": repr(self.base_score), "num_class": "0", "num_feature": str(len(names))}
        learner = {
            "attributes": {},
            "feature_names": list(names),
            "feature_types": [],
            "gradient_booster": {"model": model, "name": "gbtree"},
            "learner_model_param": {**parameters, "boost_from_average": "1", "num_target": "1"},
            "objective": _objective(objective),
        }
        booster = xgboost.Booster({"nthread": threads})
        version = [int(part) for part in xgboost.__version__.split(".")[:3]]
        booster.load_model(bytearray(json.dumps({"learner": learner, "version": version}), "utf-8"))
        return booster

    def _tree(self, number: int, rows: slice, num_features: int) -> dict[str, Any]:
        size = rows.stop - rows.start
        parents = np.full(size, ROOT)
        for side in (self.left[rows], self.right[rows]):
            inner = np.flatnonzero(side != NONE)
            parents[side[inner]] = inner
        return {
            **{theirs: getattr(self, ours)[rows].tolist() for ours, (theirs, _) in NAMES.items()},
            **{name: [0.0] * size for name in ("base_weights", "loss_changes", "sum_hessian")},
            **{name: [] for name in ("categories", "categories_nodes", "categories_segments", "categories_sizes")},
            "split_type": [0] * size,
            "id": number,
            "parents": parents.tolist(),
            "tree_param": {
                "num_deleted": "0",
                "num_feature": str(num_features),
                "num_nodes": str(size),
                "size_leaf_vector": "1",
            },
        }


def trees_of(model: Any) -> Trees:
    """The trees of xgboost's own JSON, without nodes that pruning left behind.

    Raises:
        ValueError: it is something else.
    """
    try:
        learner = model["learner"]
        trees = [
            {name: np.asarray(tree[theirs]).astype(kind) for name, (theirs, kind) in NAMES.items()}
            for tree in learner["gradient_booster"]["model"]["trees"]
        ]
        base_score = float(str(learner["learner_model_param"]["base_score"]).strip("[]"))
        kept = [_without_deleted(tree) for tree in trees]
        sizes = np.array([len(tree["left"]) for tree in kept], dtype=np.int64)
        columns = {name: np.concatenate([tree[name] for tree in kept]) for name in NAMES}
    except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"its trees are none of xgboost: {type(error).__name__} {error}") from error
    return Trees(sizes, **columns, base_score=base_score)


def _without_deleted(tree: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The nodes that can be reached from the root, in the same order."""
    left, right = tree["left"], tree["right"]
    if any(array.shape != left.shape or array.ndim != 1 for array in tree.values()):
        raise ValueError("the arrays of a tree have different lengths")
    reached = np.zeros(len(left), dtype=bool)
    reached[0] = True
    for node in range(len(left)):  # children come after their parents
        if reached[node]:
            reached[[child for child in (left[node], right[node]) if child > node]] = True
    if reached.all():
        return tree
    number = np.cumsum(reached, dtype=np.int32) - 1
    kept = {name: array[reached] for name, array in tree.items()}
    for name in ("left", "right"):
        kept[name] = np.where(kept[name] == NONE, NONE, number[kept[name]]).astype(np.int32)
    return kept


def _objective(name: str) -> dict[str, Any]:
    if name.startswith("rank:"):
        return {"name": name, "lambdarank_param": {}}
    return {"name": name, "reg_loss_param": {"scale_pos_weight": "1"}}
