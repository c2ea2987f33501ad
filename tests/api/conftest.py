"""States of a served API."""

from collections.abc import Iterator

import pytest

from tests.api.serving import Serving, serving


@pytest.fixture(scope="session")
def running_api() -> Iterator[Serving]:
    """One for all tests that change nothing in it."""
    with serving() as api:
        yield api


@pytest.fixture
def fresh_api() -> Iterator[Serving]:
    with serving() as api:
        yield api


@pytest.fixture
def api_with_three_workers() -> Iterator[Serving]:
    with serving(workers=3) as api:
        yield api
