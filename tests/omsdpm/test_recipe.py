"""Mistakes in a ``benchmark.toml`` are refused before anything is measured."""

import json
import re

import pytest

from omsdpm import InputError
from omsdpm.dataset.dataset import SPLITS
from omsdpm.dataset.designs import DESIGNS
from omsdpm.dataset.recipe import Recipe
from studies.jobs.dataset_build.job import build
from studies.jobs.dataset_build.settings import BuildSettings

FILE = """
name = "small"
summary = "all keys"
notes = "prose"
seed = 3
budgets = [6, 3.5]
tabular = false

[measurement]
zoo = {zoo}
solver = "ddim"
length = 6
images = 6

[validation]
images = 8
seeds = [21, 22]

[repeat]
n = 3
seed = 1

[[round]]
name = "a-1_x.y"
design = "random"
n = 14
split = "train"
window = [1, 50]
null = [0.4, 0.85]
alpha = 0.5

[[round]]
name = "b"
design = "stratified"
n = 9
null = 0.5

[[round]]
name = "c"
design = "tree"
n = 10
branches = 5

[[round]]
name = "d"
design = "refine"
n = 8
mutations = 0

[[round]]
name = "e"
design = "exhaustive"
splits = { test = 20, elite = 4 }
"""


@pytest.fixture
def write(tmp_path, tiny_zoo):
    """``write(text)`` makes a folder with that ``benchmark.toml``."""

    def make(text):
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "benchmark.toml").write_text(text.replace("{zoo}", json.dumps(str(tiny_zoo))))
        return tmp_path / "b"

    return make


def test_every_key_arrives(write):
    recipe = Recipe.read(write(FILE))
    assert recipe.seed == 3 and recipe.measurement.length == 6
    first, second, third, fourth, last = recipe.rounds
    assert (first.name, first.n, first.split, first.window) == ("a-1_x.y", 14, "train", (1.0, 50.0))
    assert first.options == {"null": (0.4, 0.85), "alpha": 0.5}
    assert (second.options, second.split, second.window) == ({"null": 0.5}, "", None)
    assert (third.options, fourth.options) == ({"branches": 5}, {"mutations": 0})
    assert (last.n, last.splits, last.options) == (0, {"test": 20, "elite": 4}, {})
    assert [entry.design for entry in recipe.rounds] == list(DESIGNS)


@pytest.mark.parametrize("split", ["", *SPLITS])
def test_every_split_is_known(write, split):
    assert Recipe.read(write(FILE.replace('"train"', f'"{split}"'))).rounds[0].split == split


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[[round]]", "[[rounds]]", "unknown key 'rounds'; choose one of: round, "),
        ("budgets =", "budget =", "unknown key 'budget'; choose one of: budgets, "),
        ("images = 8", "imgs = 8", "validation: unknown key 'imgs'; choose one of: images, seeds"),
        ("[validation]", "[validations]", "unknown key 'validations'; choose one of: validation, "),
        ("seed = 1\n", "sed = 1\n", "repeat: unknown key 'sed'; choose one of: seed, n"),
        ("seed = 1\n", "", "lacks the key 'repeat.seed'"),
        ("null = 0.5", "nul = 0.5", "round#2: unknown key 'nul'; choose one of: null, "),
        ("null = 0.5", "branches = 5", "round#2: unknown key 'branches'"),
        ("mutations = 0", "null = 0.5", "round#4: unknown key 'null'"),
        ("mutations = 0", "alpha = 0.5", "round#4: unknown key 'alpha'"),
        ("branches = 5", "mutations = 5", "round#3: unknown key 'mutations'"),
        ("splits =", "n = 5\nsplits =", "round#5: unknown key 'n'"),
        ("splits =", "window = [1, 2]\nsplits =", "round#5: unknown key 'window'"),
        ('name = "small"\n', "", "lacks the key 'name'"),  # which a file with budgets needs
        ('name = "b"\n', "", "lacks the key 'round#2.name'"),
        ('design = "tree"\n', "", "lacks the key 'round#3.design'"),
        ("n = 9\n", "", "lacks the key 'round#2.n'"),
        ('"refine"', '"refined"', "round#4: unknown design 'refined'; choose one of: refine, "),
        ('"train"', '"trian"', "round#1.split: unknown split 'trian'; choose one of: train, "),
        ("test = 20", "tests = 20", "unknown split 'tests'; choose one of: test, "),
        ("test = 20", "test = 0", "round#5.splits.test = 0, expected greater than 0"),
        ('"train"', '"train"\nsplits = {test = 1}', "round#1: split and splits, expected one of them"),
        ('name = "b"', 'name = "c"', "two rounds have one name"),
        ('name = "b"', 'name = "../b"', "round#2.name: '../b', expected letters, digits"),
        ('name = "b"', 'name = ".b"', "round#2.name: '.b', expected letters, digits"),
        ('name = "b"', 'name = ""', "round#2.name: '', expected letters, digits"),
        ('name = "b"', 'name = "b\\n"', r"round#2.name: 'b\n', expected letters, digits"),
        ('name = "b"', "name = 2", "round#2.name = 2, expected text"),
        ("seed = 3", "seed = -3", "seed = -3, expected greater than or equal to 0"),
        ("seed = 3", "seed = true", "seed = True, expected a whole number"),
        ("budgets = [6, 3.5]", "budgets = 6", "budgets = 6, expected a list"),
        ("3.5", "-3.5", "budgets#2 = -3.5, expected greater than 0"),
        ("3.5", "inf", "budgets#2 = inf, expected a finite number"),
        ("tabular = false", 'tabular = "no"', "tabular = 'no', expected true or false"),
        ("images = 8", "images = 1", "validation.images = 1, expected greater than or equal to 2"),
        ("[21, 22]", "[21, -2]", "validation.seeds#2 = -2, expected greater than or equal to 0"),
        ("[21, 22]", "21", "validation.seeds = 21, expected a list"),
        ("n = 3", "n = 0", "repeat.n = 0, expected greater than 0"),
        ("n = 14", "n = -14", "round#1.n = -14, expected greater than 0"),
        ("n = 14", "n = 14.0", "round#1.n = 14.0, expected a whole number"),
        ("[1, 50]", "[50, 1]", "round#1.window: [50.0, 1.0], expected two numbers that rise"),
        ("[1, 50]", "[-1, 50]", "round#1.window#1 = -1, expected greater than or equal to 0"),
        ("[1, 50]", "[1]", "lacks the key 'round#1.window#2'"),
        ("[1, 50]", "50", "round#1.window = 50, expected a list"),
        ("[0.4, 0.85]", "[0.4, 1.0]", "round#1.null: [0.4, 1.0], expected a number or a rising pair"),
        ("[0.4, 0.85]", "[0.85, 0.4]", "round#1.null: [0.85, 0.4], expected a number or a rising pair"),
        ("[0.4, 0.85]", "[0.4]", "round#1.null: [0.4], expected a number or a rising pair"),
        ("[0.4, 0.85]", "-0.1", "round#1.null: -0.1, expected a number or a rising pair"),
        ("[0.4, 0.85]", "nan", "round#1.null: nan, expected a number or a rising pair"),
        ("[0.4, 0.85]", '"half"', "round#1.null: 'half', expected a number or a rising pair"),
        ("[0.4, 0.85]", "true", "round#1.null: True, expected a number or a rising pair"),
        ("alpha = 0.5", "alpha = 0", "round#1.alpha = 0, expected greater than 0"),
        ("branches = 5", "branches = 0", "round#3.branches = 0, expected greater than 0"),
        ("mutations = 0", "mutations = -1", "round#4.mutations = -1, expected greater than or equal to 0"),
        ("[measurement]", "[[measurement]]", "expected a table"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_measured(write, monkeypatch, old, new, message):
    assert old in FILE
    monkeypatch.setattr("omsdpm.dataset.build.measure_sharded", lambda *args: pytest.fail("measured"))
    folder = write(FILE.replace(old, new))
    with pytest.raises(InputError, match=re.escape(message)) as error:
        build(BuildSettings(folder=folder, device="cpu", jobs=1))
    assert str(error.value).startswith(str(folder / "benchmark.toml")) and "\n" not in str(error.value)
    assert [path.name for path in folder.iterdir()] == ["benchmark.toml"]


@pytest.mark.parametrize(
    ("timesteps", "message"),
    [
        ("[10, 20, 30, 40, 50, 60]", r"benchmark.toml: timesteps fall .* but 20 follows 10"),
        ("[60, 50]", r"benchmark.toml: 2 timesteps for 6 slots"),
        ("60", r"benchmark.toml: .*timesteps = 60"),
    ],
)
def test_times_of_slots_that_are_none_name_the_file(write, timesteps, message):
    folder = write(FILE.replace("length = 6\n", f"length = 6\ntimesteps = {timesteps}\n"))
    with pytest.raises(InputError, match=message):
        Recipe.read(folder)
