import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from omsdpm import DDIMSpace, DPMSolverSpace, InputError, ScheduleDataset


def make_dataset(space=None, n=12, **kw):
    space = space or DDIMSpace(3, 6)
    X = space.random(n, np.random.default_rng(0), null=0.4)
    split = np.array(["train", "validation", "test", "elite"] * n)[:n]
    return ScheduleDataset(space, X, np.linspace(1, 2, n), split=split, metric="fd-digits", **kw)


@pytest.mark.parametrize("space", [DDIMSpace(3, 6), DPMSolverSpace(2, 3)], ids=str)
def test_write_and_read_give_the_same(tmp_path, space):
    dataset = make_dataset(space, extra={"seed": 3})
    dataset.write(tmp_path / "d.parquet")
    again = ScheduleDataset.read(tmp_path / "d.parquet")
    assert again.space == space
    assert (again.X == dataset.X).all()
    assert (again.y == dataset.y).all()
    assert again.split.tolist() == dataset.split.tolist()
    assert again.metric == "fd-digits"
    assert again.extra == {"seed": 3}
    assert again.X.dtype == np.int64
    assert again.y.dtype == np.float64


def test_subsets_part_the_dataset():
    dataset = make_dataset()
    parts = [dataset.subset(split) for split in ("train", "validation", "test", "elite")]
    assert [len(part) for part in parts] == [3, 3, 3, 3]
    assert sorted(y for part in parts for y in part.y) == dataset.y.tolist()
    with pytest.raises(InputError, match="choose one of train"):
        dataset.subset("training")


def table(**columns):
    rows = {"schedule": [[1, 0, 2, 0, 0, 3]], "score": [1.5], **columns}
    facts = b'{"solver": "ddim", "num_models": 3, "length": 6, "metric": "fid"}'
    return pa.table({k: v for k, v in rows.items() if v is not None}).replace_schema_metadata({"omsdpm": facts})


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"score": None}, "lacks the column 'score': it has schedule"),
        ({"schedule": None}, "lacks the column 'schedule'"),
        ({"score": [float("nan")]}, "row 0 has score nan"),
        ({"score": [None]}, "row 0 has score nan"),
        ({"schedule": [[1, 2]]}, "row 0 has 2 slots, expected 6"),
        ({"schedule": [[1, 0, 2, 0, 0, 9]]}, "member 9 in slot 5"),
        ({"schedule": [[0] * 6]}, "all null"),
    ],
)
def test_bad_files_are_named_with_what_is_wrong(tmp_path, columns, message):
    path = tmp_path / "bad.parquet"
    pq.write_table(table(**columns), path)
    with pytest.raises(InputError, match=message) as caught:
        ScheduleDataset.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_parquet(tmp_path):
    path = tmp_path / "bad.parquet"
    path.write_text("schedule,score\n")
    with pytest.raises(InputError, match=r"bad.parquet is not a Parquet file"):
        ScheduleDataset.read(path)
    with pytest.raises(InputError, match="does not exist"):
        ScheduleDataset.read(tmp_path / "none.parquet")


def test_a_parquet_file_that_does_not_say_its_space(tmp_path):
    path = tmp_path / "bare.parquet"
    pq.write_table(table().replace_schema_metadata({}), path)
    with pytest.raises(InputError, match="does not say its solver"):
        ScheduleDataset.read(path)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "d.parquet"
    make_dataset().write(path)
    before = path.read_bytes()

    def fail(*args, **kw):
        raise RuntimeError("disk full")

    monkeypatch.setattr(pq, "write_table", fail)
    with pytest.raises(RuntimeError):
        make_dataset(n=4).write(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["d.parquet"]


@pytest.mark.parametrize(
    ("kw", "message"),
    [
        ({"y": [1.0]}, "2 schedules but scores of shape"),
        ({"y": [1.0, np.inf]}, "row 1 has score inf"),
        ({"y": [1.0, 2.0], "split": ["train"]}, "split of shape"),
    ],
)
def test_columns_must_agree(kw, message):
    with pytest.raises(InputError, match=message):
        ScheduleDataset(DDIMSpace(2, 3), [[1, 0, 0], [2, 0, 0]], **kw)


def parquet(path, schedule, score=(1.0, 2.0), **columns):
    facts = {"solver": "ddim", "num_models": 3, "length": 2, "metric": "fid"}
    table = pa.table({"schedule": schedule, "score": pa.array(score), **columns})
    pq.write_table(table.replace_schema_metadata({b"omsdpm": json.dumps(facts).encode()}), path)
    return path


@pytest.mark.parametrize(
    ("slots", "message"),
    [
        ([[1.0, 2.0], [1.7, 0.0]], r"row 1 has 1\.7 in slot 0, expected a member number"),
        ([[1.0, float("nan")], [1.0, 0.0]], "row 0 has nan in slot 1, expected a member number"),
        ([[1.0, float("inf")], [1.0, 0.0]], "row 0 has inf in slot 1, expected a member number"),
        ([[1, 2], [None, 1]], "row 1 has null in slot 0, expected a member number"),
        ([[1.0, 2.0], [None, 1.0]], "row 1 has null in slot 0, expected a member number"),
        ([[1, 2], None], "row 1 has 0 slots, expected 2"),
        ([[1, 2], [3, 10**12]], "a slot holds a number of more than 9 digits"),
        (["12", "13"], "column 'schedule' holds string, expected lists of member numbers"),
        ([["1", "2"], ["1", "3"]], r"column 'schedule' holds list<.*string>, expected lists of member numbers"),
        ([None, None], "row 0 has 0 slots"),
    ],
)
def test_slots_that_are_no_member_numbers_are_told(tmp_path, slots, message):
    path = parquet(tmp_path / "a.parquet", slots)
    with pytest.raises(InputError, match=f"dataset .*a.parquet: {message}"):
        ScheduleDataset.read(path)


def test_whole_numbers_are_read_from_any_type(tmp_path):
    dataset = ScheduleDataset.read(parquet(tmp_path / "a.parquet", [[1.0, 2.0], [0.0, 3.0]], split=[None, "train"]))
    assert dataset.X.tolist() == [[1, 2], [0, 3]]
    assert dataset.split.tolist() == ["", "train"]


@pytest.mark.parametrize("score", [["1", "2"], [True, False]])
def test_scores_that_are_no_numbers_are_told(tmp_path, score):
    with pytest.raises(InputError, match=r"a\.parquet: column 'score' holds (string|bool), expected numbers"):
        ScheduleDataset.read(parquet(tmp_path / "a.parquet", [[1, 2], [0, 3]], score))


def test_a_score_that_is_lacking_is_told(tmp_path):
    with pytest.raises(InputError, match="row 1 has score nan"):
        ScheduleDataset.read(parquet(tmp_path / "a.parquet", [[1, 2], [0, 3]], [1.0, None]))


def test_a_dataset_as_a_table_of_pandas():
    space = DDIMSpace(3, 2)
    dataset = ScheduleDataset(space, np.array([[1, 0], [2, 3]]), np.array([2.5, 1.5]), np.array(["train", "test"]))
    table = dataset.to_pandas()
    assert list(table) == ["slot_0", "slot_1", "score", "split", "design"]
    assert table.values.tolist() == [[1, 0, 2.5, "train", ""], [2, 3, 1.5, "test", ""]]
