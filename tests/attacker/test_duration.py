import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from attacker.duration import Duration, DurationField, in_words, parse_duration

LONGEST_NS = 2**63 - 1
UNITS_NS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("300ms", 300_000_000),
        ("60s", 60_000_000_000),
        ("1m30s", 90_000_000_000),
        ("1.5h", 5_400_000_000_000),
        ("1h0m0.25s", 3_600_250_000_000),
        ("0.1µs", 100),
        ("7us", 7_000),
        ("0s", 0),
        (" 5s ", 5_000_000_000),
        ("60", 60_000_000_000),
        (60, 60_000_000_000),
        (1.5, 1_500_000_000),
        (Duration(7), 7),
    ],
)
def test_a_duration_is_read_exactly(text: object, ns: int) -> None:
    assert parse_duration(text) == Duration(ns)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s",
        "-5s",
        "+5s",
        "5 s",
        "5S",
        "5d",
        "1s30",
        "1e3s",
        ".5s",
        "5.s",
        "\u0665s",
        "1m 30s",
        "nan",
        "∞",
        True,
        None,
        1e-7,
    ],
)
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"^give a duration such as 500ms, 60s or 1m30s$"):
        parse_duration(text)


def test_a_span_finer_than_a_nanosecond_is_refused() -> None:
    with pytest.raises(ValueError, match="a nanosecond is the shortest span"):
        parse_duration("0.5ns")


@pytest.mark.parametrize("text", ["9223372037s", "3000000h", "1" + "0" * 100])
def test_a_span_that_vegeta_cannot_hold_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="292 years is the longest span: give a duration such as 500ms or 60s"):
        parse_duration(text)


@given(ns=st.integers(0, LONGEST_NS))
@example(ns=LONGEST_NS)
def test_a_durations_text_is_read_as_that_duration(ns: int) -> None:
    assert parse_duration(str(Duration(ns))) == Duration(ns)


@given(parts=st.lists(st.tuples(st.integers(0, 1000), st.sampled_from(list(UNITS_NS))), min_size=1, max_size=4))
def test_the_parts_of_a_duration_add_up(parts: list[tuple[int, str]]) -> None:
    text = "".join(f"{number}{unit}" for number, unit in parts)

    assert parse_duration(text).ns == sum(number * UNITS_NS[unit] for number, unit in parts)


@pytest.mark.parametrize(
    ("ns", "text"),
    [(0, "0s"), (1, "1ns"), (1_500, "1500ns"), (2_000, "2us"), (1_500_000_000, "1500ms"), (10**12, "1000s")],
)
def test_a_duration_is_written_in_one_unit(ns: int, text: str) -> None:
    assert str(Duration(ns)) == text


def test_seconds_make_a_duration_and_back() -> None:
    assert Duration.of_seconds(90) == Duration(90_000_000_000)
    assert Duration(1_500_000_000).s == 1.5


@pytest.mark.parametrize(
    ("ns", "words"),
    [
        (0, "0ns"),
        (7, "7ns"),
        (999, "999ns"),
        (999.6, "1µs"),
        (4_066_000, "4.07ms"),
        (960_000_000, "960ms"),
        (999_600_000, "1s"),
        (1_200_000_000, "1.2s"),
        (61_000_000_000, "61s"),
        (1_234_000_000_000, "1234s"),
        (-4_066_000, "-4.07ms"),
    ],
)
def test_for_people_a_span_has_three_figures(ns: float, words: str) -> None:
    assert in_words(ns) == words


@given(ns=st.integers(1, 10**15))
def test_words_are_within_half_a_percent(ns: int) -> None:
    assert parse_duration(in_words(ns)).ns == pytest.approx(ns, rel=0.005)


class Wait(BaseModel):
    longest: DurationField


def test_in_a_model_a_duration_is_its_text() -> None:
    assert Wait.model_validate({"longest": "1m30s"}).model_dump(mode="json") == {"longest": "90s"}


def test_in_a_model_a_bad_duration_is_told_with_its_place() -> None:
    with pytest.raises(ValidationError, match="longest\n  Value error, give a duration such as 500ms"):
        Wait.model_validate({"longest": "soon"})
