"""The landscapes of the conformance kit as fixtures."""

from __future__ import annotations

import pytest

from predictors.testing import SPACES, Landscape, make_landscape


@pytest.fixture(scope="session", params=SPACES, ids=lambda space: space.solver)
def landscape(request) -> Landscape:
    """Every space once."""
    return make_landscape(request.param)


@pytest.fixture(scope="session")
def ddim_landscape() -> Landscape:
    """DDIM only, for tests in which the space does not matter."""
    return make_landscape(SPACES[0])
