"""Schedules of one member agree with diffusers' own schedulers, and the page says of which."""

from __future__ import annotations

import re

import pytest

from tests.agreement import CASES, LIMIT, PAGE, difference, page

pytest.importorskip("transformers", minversion="5")  # whose tokenizers are made from a vocabulary
pytest.importorskip("diffusers", minversion="0.34")


@pytest.mark.parametrize("case", CASES, ids=[f"{case.kind}-{case.scheduler}-{case.grid}" for case in CASES])
def test_a_case_agrees(case, tmp_path):
    assert difference(case, tmp_path) <= LIMIT


def test_the_page_is_of_these_cases():
    values = r"\| [^|]+ \|$"
    said = PAGE.read_text(encoding="utf-8")
    assert re.sub(values, "", said, flags=re.M) == re.sub(values, "", page([(case, 0.0) for case in CASES]), flags=re.M)
    assert all(float(found) <= LIMIT for found in re.findall(r"(\d\S*) \|$", said, re.M))
