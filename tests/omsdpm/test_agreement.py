"""Schedules of one member agree with diffusers' own schedulers, and the page says of which."""

from __future__ import annotations

import re

import pytest

from tests.agreement import CASES, LIMIT, PAGE, difference, difference_of_zoo, page

pytest.importorskip("transformers", minversion="5")  # whose tokenizers are made from a vocabulary
pytest.importorskip("diffusers", minversion="0.34")


@pytest.mark.parametrize("case", CASES, ids=[f"{case.kind}-{case.scheduler}-{case.grid}" for case in CASES])
def test_a_case_agrees(case, tmp_path):
    assert difference(case, tmp_path / "applied") <= LIMIT
    zoo = difference_of_zoo(case, tmp_path)
    assert (zoo is None) == bool(case.options.get("eta")) and (zoo or 0.0) <= LIMIT


def test_the_page_is_of_these_cases():
    values = r"\| [^|]+ \| [^|]+ \|$"
    said = PAGE.read_text(encoding="utf-8")
    assert re.sub(values, "", said, flags=re.M) == re.sub(
        values, "", page([(case, 0.0, None) for case in CASES]), flags=re.M
    )
    assert all(float(found) <= LIMIT for found in re.findall(r"(\de-\d\d) \|", said))
