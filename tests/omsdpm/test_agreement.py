"""Schedules of one member agree with diffusers' own schedulers, and the page says of which."""

from __future__ import annotations

import re

import pytest

from omsdpm.networks import network_names
from tests.agreement import (
    CASES,
    KINDS,
    LIMIT,
    PAGE,
    difference,
    difference_of_zoo,
    kind_page,
    of_kind,
    page,
    with_table,
)

pytest.importorskip("transformers", minversion="5")  # whose tokenizers are made from a vocabulary
pytest.importorskip("diffusers", minversion="0.34")


@pytest.mark.parametrize("case", CASES, ids=[f"{case.kind}-{case.scheduler}-{case.grid}" for case in CASES])
def test_a_case_agrees(case, tmp_path):
    assert difference(case, tmp_path / "applied") <= LIMIT
    zoo = difference_of_zoo(case, tmp_path)
    assert (zoo is None) == bool(case.options.get("eta")) and (zoo or 0.0) <= LIMIT


MEASURED = [(case, 0.0, None) for case in CASES]
VALUES = re.compile(r"\| [^|]+ \| [^|]+ \|$", re.M)


def test_the_page_is_of_these_cases():
    said = PAGE.read_text(encoding="utf-8")
    assert VALUES.sub("", said) == VALUES.sub("", page(MEASURED))
    assert all(float(found) <= LIMIT for found in re.findall(r"(\de-\d\d) \|", said))


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_a_page_with_its_cases(kind):
    said = kind_page(kind).read_text(encoding="utf-8")
    assert VALUES.sub("", said) == VALUES.sub("", with_table(said, of_kind(kind, MEASURED)))
    rows = re.findall(r"^\| \w+ \| `\w+Scheduler`.*\|$", said, flags=re.M)
    assert rows and set(rows) <= set(PAGE.read_text(encoding="utf-8").splitlines())  # made by one run


def test_every_case_is_on_the_page_of_a_kind():
    assert {case.kind for case in CASES} == {name for names in KINDS.values() for name in names}
    assert set(KINDS) | {"callable"} == set(network_names())  # docs/network.md is the page of functions
