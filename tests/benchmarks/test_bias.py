"""The bias of few images: measured, read back, told on cards."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import Benchmark, load_benchmark
from benchmarks import bias as module
from benchmarks.bias import Bias, bias_at, main, measure_bias, read_bias
from benchmarks.card import write_card
from omsdpm import InputError


def rows(limits=(4.0, 20.0), excess=100.0):
    return [
        Bias("b", "fd-digits", rank, "1 2", n, limit + excess / n, limit, 0.1, 1)
        for rank, limit in enumerate(limits)
        for n in (200, 1000)
    ]


def test_between_measured_numbers_it_goes_as_one_over_n():
    (best, poor) = bias_at(rows(), 1000)
    assert (best.excess, poor.excess) == pytest.approx((0.1, 0.1)) and best.limit == 4
    assert bias_at(rows(), 4000)[0].excess == pytest.approx(0.025)
    assert bias_at([], 10) == []


@pytest.mark.parametrize("name", ["digits-tab", "digits-ddim", "digits-dpm"])
def test_the_committed_table_says_it_of_each_benchmark(name):
    known = read_bias(load_benchmark(name))
    assert {row.images for row in known} == {200, 400, 1000, 2000, 5000} and len(known) == 25
    excess = {n: np.array([row.excess for row in known if row.images == n]) for n in (200, 400, 1000)}
    assert (excess[1000] > 0.2).all() and np.ptp(excess[200]) < excess[200].mean() / 2  # much the same for all
    assert ((excess[200] / excess[400] > 1.7) & (excess[200] / excess[400] < 2.5)).all()  # as 1 / n, nearly
    limits = [row.limit for row in known if row.images == 200]
    assert limits == sorted(limits) and limits[0] < limits[-1] / 3  # from good to poor


@pytest.mark.filterwarnings("ignore")
def test_it_is_measured_and_the_card_tells_it(monkeypatch, tmp_path, tiny_zoo):
    from omsdpm.dataset.build import Workers, build_dataset
    from omsdpm.dataset.recipe import Recipe

    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "benchmark.toml").write_text(
        'name = "mine"\nsummary = "One."\nbudgets = [6]\n[measurement]\n'
        f'zoo = "{tiny_zoo}"\nsolver = "ddim"\nlength = 3\nimages = 20\nseed = 3\n'
        "[validation]\nimages = 30\nseeds = [21]\n"
        '[[round]]\nname = "a"\ndesign = "random"\nn = 6\nnull = 0.4\nsplit = "train"\n'
    )
    build_dataset(Recipe.read(folder), Workers())
    benchmark = Benchmark.read(folder)
    monkeypatch.setattr(module, "IMAGES", (100, 300))
    measured = list(measure_bias(benchmark, ranks=(0.0, 1.0)))
    assert [(row.rank, row.images) for row in measured] == [(0.0, 100), (0.0, 300), (1.0, 100), (1.0, 300)]
    assert all(row.score > row.limit for row in measured)
    again = benchmark.measurement.with_noise(images=300, seed=module.SEED).open()
    X = [[int(member) for member in measured[1].schedule.split()]]
    assert measured[1].score == pytest.approx(float(again.measure(X)[0]), rel=1e-5)
    assert read_bias(benchmark) == []  # nothing is known of another's benchmark
    assert "bias of few images" not in write_card(benchmark).read_text()
    monkeypatch.setattr(module, "load_benchmark", lambda name: benchmark, raising=False)
    monkeypatch.setattr("benchmarks.load_benchmark", lambda name: benchmark, raising=False)
    main(["mine", "--output", str(tmp_path / "bias.csv")])
    monkeypatch.setattr(module, "DATA", tmp_path.resolve())
    kept = read_bias(benchmark, tmp_path / "bias.csv")
    assert len(kept) == 10 and kept[0].score == pytest.approx(measured[0].score, rel=1e-4)
    monkeypatch.setattr("benchmarks.card.read_bias", lambda benchmark: kept)
    assert "| bias of few images | 20 images (the dataset): scores are " in write_card(benchmark).read_text()
    with pytest.raises(InputError, match="expected a Fréchet distance"):
        list(measure_bias(replace(benchmark, measurement=replace(benchmark.measurement, metric="psnr[member=1]"))))


def test_cards_of_embedded_benchmarks_tell_it(monkeypatch, tmp_path):
    benchmark = load_benchmark("digits-tab")
    from benchmarks.card import card_table

    cells = [str(cell) for column in card_table(benchmark).columns for cell in column.cells]
    assert "bias of few images" in cells and any("fd-inf" in cell for cell in cells)
    assert np.isfinite([row.limit_error for row in read_bias(benchmark)]).all()
