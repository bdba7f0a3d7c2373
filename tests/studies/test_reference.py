"""``docs/reference.md`` is what the declarations say."""

import re
from pathlib import Path

import pytest

from studies.reference import PAGE, reference


@pytest.fixture(scope="module")
def page():
    return reference()


def test_the_committed_page_is_the_declarations(page):
    committed = Path(__file__).parents[2] / PAGE  # the package may be installed elsewhere
    assert committed.read_text(encoding="utf-8") == page, "write it anew: python -m studies.reference"


def test_every_key_has_a_meaning(page):
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) > 100
    assert not [row for row in rows if re.search(r"\|\s*\|$", row)]


@pytest.mark.parametrize(
    "row",
    [
        "| `length` | whole number, from 1 to 16384 | must be given | slots of a schedule. |",
        "| `window` | list of two: number, from 0 | none | least and greatest latency in ms. |",
        "| `ema_decay` | number, from 0 below 1 | `0.999` | of the average of the weights, which is what is kept. |",
        "| `seed` | whole number, a seed | `0` | of the starting noise, which all schedules share. |",
    ],
)
def test_rows_say_type_range_default_and_meaning(page, row):
    assert row in page.splitlines()


def test_every_file_that_people_write_is_there(page):
    for title in ("## zoo.toml", "## recipe.toml", "## benchmark.toml", "## latency.toml", "## A study's file"):
        assert title in page.splitlines()
    assert "`--predictor-checkpoint`" in page
