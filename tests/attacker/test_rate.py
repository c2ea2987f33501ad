import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from attacker.duration import Duration
from attacker.rate import Rate, RateField, parse_rate

SECOND_NS = 1_000_000_000
rates = st.builds(Rate, st.integers(1, 100_000), st.integers(100_000, 100 * SECOND_NS))


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("60", Rate(60, SECOND_NS)),
        (60, Rate(60, SECOND_NS)),
        (" 60/s ", Rate(60, SECOND_NS)),
        ("1000/3s", Rate(1000, 3 * SECOND_NS)),
        ("1/2s", Rate(1, 2 * SECOND_NS)),
        ("30/m", Rate(30, 60 * SECOND_NS)),
        ("5/1m30s", Rate(5, 90 * SECOND_NS)),
        ("1/ms", Rate(1, 1_000_000)),
        ("1/2", Rate(1, 2 * SECOND_NS)),
        ("1000000000", Rate(SECOND_NS, SECOND_NS)),
        (Rate(7, 3), Rate(7, 3)),
    ],
)
def test_a_rate_is_read_in_vegetas_notation(text: object, rate: Rate) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "give requests a second, such as 60"),
        ("infinity", "give requests a second, such as 60"),  # vegeta takes it and sends 50/s
        ("-5", "give requests a second, such as 60"),
        ("٦٠", "give requests a second, such as 60"),
        ("/s", "give requests a second, such as 60"),
        (True, "give requests a second, such as 60"),
        (None, "give requests a second, such as 60"),
        ("60 /s", "give requests a second, such as 60"),
        ("0.5", "a fraction of a request cannot be sent: .*such as 1/2s"),
        ("0.5/s", "a fraction of a request cannot be sent"),
        (1.5, "a fraction of a request cannot be sent"),
        ("60/", "give a duration such as"),
        ("60/day", "give a duration such as"),
        ("60/5/s", "give a duration such as"),
        ("60/-1s", "give a duration such as"),
        ("0", "give a rate above zero"),
        ("5/0s", "give a rate above zero"),
        ("1000000001", "at most one request a nanosecond, 1000000000/s"),
        ("2/ns", "at most one request a nanosecond, 1000000000/s"),
    ],
)
def test_what_is_no_rate_is_refused(text: object, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_rate(text)


@given(rate=rates)
def test_a_rates_text_is_read_as_that_rate(rate: Rate) -> None:
    assert parse_rate(str(rate)) == rate


@given(rate=rates, shards=st.integers(1, 1000))
def test_the_shards_rates_add_up_to_the_targets_rate(rate: Rate, shards: int) -> None:
    assert rate.shared_by(shards).per_s * shards == pytest.approx(rate.per_s, rel=1e-12)


@given(rate=rates, first_ns=st.integers(0, 10**12), second_ns=st.integers(0, 10**12))
def test_two_spans_hold_the_requests_of_their_sum_but_for_one_cut_in_two(
    rate: Rate, first_ns: int, second_ns: int
) -> None:
    apart = rate.requests_in(Duration(first_ns)) + rate.requests_in(Duration(second_ns))

    assert rate.requests_in(Duration(first_ns + second_ns)) - apart in {0, 1}


@pytest.mark.parametrize(
    ("rate", "seconds", "requests"),
    [(Rate(7, SECOND_NS), 2, 14), (Rate(1, 2 * SECOND_NS), 5, 2), (Rate(1000, 3 * SECOND_NS), 1, 333)],
)
def test_whole_requests_fall_into_a_span(rate: Rate, seconds: int, requests: int) -> None:
    assert rate.requests_in(Duration.of_seconds(seconds)) == requests


def test_the_interval_is_cut_to_nanoseconds_as_vegetas_pacer_does() -> None:
    assert Rate(300_000, SECOND_NS).interval_ns == 3333
    assert Rate(1, 2 * SECOND_NS).interval_ns == 2 * SECOND_NS


class Load(BaseModel):
    rate: RateField


def test_in_a_model_a_rate_is_its_text() -> None:
    assert Load.model_validate({"rate": 60}).model_dump(mode="json") == {"rate": "60/s"}


def test_in_a_model_a_bad_rate_is_told_with_its_place() -> None:
    with pytest.raises(ValidationError, match="rate\n  Value error, give requests a second, such as 60"):
        Load.model_validate({"rate": "fast"})
