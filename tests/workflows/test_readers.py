"""A report has the readers that it takes, or there is no run."""

import pytest

from attacker.exits import InvalidLoadTestError
from workflows.loadtest_file import parse_loadtest
from workflows.readers import check_readers
from workflows.steps.plan import plan


def checked(**fields: object) -> None:
    loadtest = parse_loadtest({"targets": ["GET /a", "GET /b"], "shards": 100, **fields})
    check_readers(loadtest, plan(loadtest, base_url=""))


def test_one_reader_is_enough_for_a_quarter_of_a_billion_requests() -> None:
    checked(rate=125_000, duration="1000s")


def test_more_than_its_readers_can_read_is_refused_with_the_number_that_would_do() -> None:
    with pytest.raises(InvalidLoadTestError) as refused:
        checked(rate=1_000_000, duration="900s", warmup="100s")

    assert str(refused.value) == (
        "readers is 1: each reads 250,000,000 requests, and these are 2,000,000,000: give readers 8"
    )
    checked(rate=1_000_000, duration="900s", warmup="100s", readers=8)


def test_what_no_number_of_readers_can_read_is_refused() -> None:
    with pytest.raises(InvalidLoadTestError) as refused:
        checked(rate=1_000_000, duration="12501s", readers=3)

    assert str(refused.value) == (
        "readers is 3: each reads 250,000,000 requests, and these are 25,002,000,000; "
        "100 readers are the most: send fewer"
    )
