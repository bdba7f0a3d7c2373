"""Released schedule datasets and latency tables."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from omsdpm import DDIMSpace, DPMSolverSpace, InputError, ScheduleDataset
from omsdpm.released import infer_solver, read_dataset, read_latency, sift_dataset

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
SPACES = {"ddim": DDIMSpace(6, 100), "dpm_solver": DPMSolverSpace(6, 30)}


@pytest.fixture
def write(tmp_path):
    def write(content, name="file.pth"):
        torch.save(content, tmp_path / name)
        return tmp_path / name

    return write


@pytest.mark.parametrize("kind", SPACES)
def test_a_golden_list_is_read_whole(kind):
    dataset = read_dataset(GOLDEN / f"dataset_{kind}.pth")
    pairs = torch.load(GOLDEN / f"dataset_{kind}.pth", weights_only=True)
    assert dataset.space == SPACES[kind] and len(dataset) == 64
    assert dataset.X.dtype == np.int64 and dataset.X.tolist() == [pair["model_schedule"] for pair in pairs]
    assert dataset.y.tolist() == [pair["score"] for pair in pairs]


@pytest.mark.parametrize("kind", SPACES)
def test_the_three_forms_of_a_golden_folder_are_the_lists_first_pairs(kind):
    folder = read_dataset(GOLDEN / f"dataset_{kind}_dir")
    file = read_dataset(GOLDEN / f"dataset_{kind}.pth")
    assert folder.space == file.space
    assert np.array_equal(folder.X, file.X[:6])
    np.testing.assert_allclose(folder.y, file.y[:6], rtol=1e-7)  # tensors are float32


def test_a_dataset_survives_our_own_format(tmp_path):
    released = read_dataset(GOLDEN / "dataset_dpm_solver.pth")
    released.write(tmp_path / "ours.parquet")
    ours = ScheduleDataset.read(tmp_path / "ours.parquet")
    assert ours.space == released.space
    assert np.array_equal(ours.X, released.X) and np.array_equal(ours.y, released.y)


def test_files_are_read_in_the_order_of_their_numbers(tmp_path):
    for number in (10, 9, 100):
        torch.save([[1, number % 3], float(number)], tmp_path / f"{number}.pth")
    assert read_dataset(tmp_path).y.tolist() == [9.0, 10.0, 100.0]


def test_entries_may_be_mixed(write):
    path = write(
        [
            {"ms": np.array([1, 0, 2]), "metric": np.float32(1.5)},
            (torch.tensor([0.0, 3.0, 0.0]), torch.tensor([2.5])),
            {"model_schedule": [np.int64(3), 0, 0], "score": 4, "more": "ignored"},
        ]
    )
    dataset = read_dataset(path)
    assert dataset.X.tolist() == [[1, 0, 2], [0, 3, 0], [3, 0, 0]]
    assert dataset.y.tolist() == [1.5, 2.5, 4.0]


def test_a_file_may_hold_a_single_pair(write):
    assert read_dataset(write({"ms": [1, 2], "metric": 3.0})).y.tolist() == [3.0]
    assert read_dataset(write([[1, 2], 3.0])).X.tolist() == [[1, 2]]


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.3, 0.5, 0.8]), st.integers(2, 6))
def test_the_solver_is_inferred_from_random_designs(seed, null, members):
    rng = np.random.default_rng(seed)
    for space in (DDIMSpace(members, 90), DPMSolverSpace(members, 30)):
        assert infer_solver(space.random(20, rng, null=null)) == space.solver


def test_a_damaged_row_does_not_change_the_inferred_solver(write):
    pairs = torch.load(GOLDEN / "dataset_dpm_solver.pth", weights_only=True)
    pairs[5]["model_schedule"][:6] = [1, 0, 0, 0, 2, 0]
    with pytest.raises(InputError, match=r"row 5 .* has a null before a model in solver 1 \[0, 2, 0\]"):
        read_dataset(write(pairs))


def test_few_schedules_are_ddim_unless_told(write):
    path = write([[[1, 0, 0, 2, 2, 0], 1.0]])
    assert read_dataset(path).space == DDIMSpace(2, 6)
    assert read_dataset(path, solver="dpm-solver", num_models=4).space == DPMSolverSpace(4, 2)
    with pytest.raises(InputError, match="multiple of 3"):
        read_dataset(write([[[1, 0, 0, 2], 1.0]]), solver="dpm-solver")
    with pytest.raises(InputError, match="unknown solver 'euler'"):
        read_dataset(path, solver="euler")


@pytest.mark.parametrize(
    "entry, reason",
    [
        ([[1, 7, 0], 1.0], "names member 7 in slot 1: the zoo has members 1..6"),
        ([[1, 2], 1.0], "has 2 slots: expected 3"),
        ([[0, 0, 0], 1.0], "is all null"),
        ([[0, 1, 0], 1.0], r"has a null before a model in solver 0 \[0, 1, 0\]"),
        ([[1, 0, 0], float("nan")], "has score nan"),
        ([[1, 0, 0], "good"], "has score 'good'"),
        ([[1, 0.5, 0], 1.0], "has 0.5 in slot 1"),
        ([[1, -1, 0], 1.0], "has -1 in slot 1"),
        ([[1, True, 0], 1.0], "has True in slot 1"),
        ([[[1, 0, 0]], 1.0], r"has \[1, 0, 0\] in slot 0"),
        ({"schedule": [1, 0, 0], "score": 1.0}, "has no schedule"),
        ({"ms": [1, 0, 0]}, "has score None"),
        ("text", "is no pair of schedule and score"),
    ],
)
def test_rows_that_are_no_measured_schedules_are_named(write, entry, reason):
    good = [[[1, 2, 0], 2.0], [[3, 0, 0], 3.0]]
    path = write([good[0], entry, good[1]])
    space = DPMSolverSpace(6, 1)
    with pytest.raises(InputError, match=rf"row 1 \(file.pth\) {reason}"):
        read_dataset(path, space)
    dataset, refused = sift_dataset(path, space)
    assert dataset.y.tolist() == [2.0, 3.0] and dataset.space == space
    assert [row.index for row in refused] == [1]


def test_mixed_lengths_keep_the_commonest(write):
    path = write([[[1, 2], 1.0], [[1, 2, 0, 1], 2.0], [[2, 2, 0, 1], 3.0]])
    with pytest.raises(InputError, match=r"row 0 .* has 2 slots: expected 4"):
        read_dataset(path)
    dataset, refused = sift_dataset(path)
    assert dataset.space == DDIMSpace(2, 4) and [row.index for row in refused] == [0]


def test_a_row_of_a_folder_is_named_with_its_file(tmp_path):
    folder = tmp_path / "folder"
    shutil.copytree(GOLDEN / "dataset_ddim_dir", folder)
    torch.save({"ms": [1], "metric": 1.0}, folder / "3.pth")
    with pytest.raises(InputError, match=r"row 3 \(3.pth\) has 1 slots"):
        read_dataset(folder)


def test_what_is_no_dataset_is_told(write, tmp_path):
    for content, match in [
        ([], "holds no schedules"),
        (torch.zeros(()), "is no schedule dataset"),
        ({"predictor": {}}, "is no schedule dataset"),
        ([1, 2, 3], "none of 3 rows is a schedule with a score"),
        ([[[9], 1.0]], "none of 1 rows is a measured schedule of DDIMSpace"),
    ]:
        space = DDIMSpace(6, 1) if content == [[[9], 1.0]] else None
        with pytest.raises(InputError, match=match):
            read_dataset(write(content), space)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"has no \.pth files"):
        read_dataset(tmp_path / "empty")
    with pytest.raises(InputError, match="either the space or"):
        read_dataset(write([[[1], 1.0]]), DDIMSpace(6, 1), solver="ddim")


def test_golden_latency():
    assert read_latency(GOLDEN / "zoo_latency.pth", 6) == [61.0, 82.5, 101.0, 123.25, 140.0, 140.0]


@pytest.mark.parametrize("values", [[1.0, 2.0], torch.tensor([1.0, 2.0]), np.array([1, 2]), [np.float64(1), 2]])
def test_latency_in_any_spelling(write, values):
    assert read_latency(write(values)) == [1.0, 2.0]


@pytest.mark.parametrize(
    "values, num_models, match",
    [
        ([1.0, 2.0], 3, "has 2 latencies for 3 members"),
        ([0.0, 1.0, 2.0], 2, "remove the first, which is the null model's"),
        ([1.0, -2.0], None, "member 2 has latency -2.0"),
        ([1.0, float("inf")], None, "member 2 has latency inf"),
        ([], None, "is no latency table"),
        ({"1": 2.0}, None, "is no latency table"),
        ([[1, 2], [3, 4]], None, "is no latency table"),
    ],
)
def test_wrong_latencies_are_told(write, values, num_models, match):
    with pytest.raises(InputError, match=match):
        read_latency(write(values), num_models)
