import typing
from collections.abc import Iterator, Mapping
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from attacker.report.figures import ErrorCount, Figures, Judged
from attacker.report.objectives import Bound, figure_names, judge, measure, parse_objective
from attacker.report.statistics import figures_of
from tests.attacker.building import MS, a_measured_shard, measured_of, rows

LATENCIES = ["min", "mean", "p50", "p90", "p95", "p99", "p99.9", "p99.99", "max"]


@pytest.fixture
def figures() -> Figures:
    """Every figure is measured and has a value of its own."""
    late = [0, 0, 3 * MS, 9 * MS]
    shards = [
        a_measured_shard(
            rows(
                [7 * MS, 30 * MS, 400 * MS, 5 * MS],
                timestamp_ns=[(index * 1000 + seq * 100) * MS + late[seq] for seq in range(4)],
                seq=[0, 1, 2, 4],
                code=[200, 404, 200, 500],
                error=["", "404 Not Found", "", "500"],
            ),
            throttled_ratio=0.25,
        )
        for index in range(2)
    ]
    return figures_of(measured_of(shards), expected=9)


@pytest.fixture
def empty_figures() -> Figures:
    return figures_of(measured_of([]), expected=100)


def numbers_of(model: type[BaseModel]) -> Iterator[str]:
    """List the paths of all numbers in a model's JSON."""
    for name, field in model.model_fields.items():
        path = field.alias or name
        options = typing.get_args(field.annotation) or (field.annotation,)
        inner = next((one for one in options if isinstance(one, type) and issubclass(one, BaseModel)), None)
        if typing.get_origin(field.annotation) is Mapping:
            yield f"{path}.404"
        elif inner is None or inner is ErrorCount:
            yield path
        else:
            yield from (f"{path}.{one}" for one in numbers_of(inner))


EVERY_FIGURE = list(numbers_of(Figures))


def an_objective_on(name: str) -> str:
    """Bound a figure by a value of its unit."""
    units = {"_ns": "1ms", "ratio": "1%", "success": "1%", "_per_s": "1/s"}
    return f"{name} < {next((value for end, value in units.items() if end in name), '1')}"


def test_the_report_has_as_many_figures_as_the_design_says() -> None:
    assert len(EVERY_FIGURE) == 38
    assert {"latency_ns.p99.9", "attack.lag_ns.max", "status_codes.404", "errors"} < set(EVERY_FIGURE)


@pytest.mark.parametrize("path", EVERY_FIGURE)
def test_every_figure_of_the_report_can_be_named_and_is_measured(figures: Figures, path: str) -> None:
    objective = parse_objective(an_objective_on(path))

    told: typing.Any = figures.model_dump()
    for key in path.split(".", path.count(".") if path.startswith("attack") else 1):
        told = told[key]
    assert objective.path == path
    assert measure(figures, objective.path) == (4 if path == "errors" else told)


@pytest.mark.parametrize("path", EVERY_FIGURE)
def test_a_figure_that_was_not_measured_is_neither_met_nor_missed(path: str) -> None:
    nothing = figures_of(measured_of([]), expected=100)

    [judged] = judge([parse_objective(an_objective_on(path))], "get-health", nothing)

    assert (judged.measured, judged.met) == (None, None)


@pytest.mark.parametrize("name", figure_names())
def test_every_name_leads_to_a_figure_of_the_report(name: str, figures: Figures) -> None:
    [path] = {
        one for one in EVERY_FIGURE if any(_parses(f"{name} < {value}", one) for value in ("1ms", "1%", "1/s", "1"))
    }

    assert measure(figures, path) is not None


def _parses(text: str, path: str) -> bool:
    try:
        return parse_objective(text).path == path
    except ValueError:
        return False


@pytest.mark.parametrize("name", LATENCIES)
def test_a_bare_latency_is_what_a_caller_who_comes_on_time_has_to_wait(name: str) -> None:
    assert parse_objective(f"{name} < 1ms").path == f"corrected_latency_ns.{name}"
    assert parse_objective(f"corrected.{name} < 1ms").path == f"corrected_latency_ns.{name}"
    assert parse_objective(f"raw.{name} < 1ms").path == f"latency_ns.{name}"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("rate", "rate_per_s"),
        ("throughput", "throughput_per_s"),
        ("sent_ratio", "attack.sent_ratio"),
        ("throttled_ratio", "attack.throttled_ratio"),
        ("lag.p99", "attack.lag_ns.p99"),
        ("start_skew", "attack.start_skew_ns"),
        ("duplicates", "attack.duplicates"),
    ],
)
def test_a_figure_has_a_short_name(name: str, path: str) -> None:
    assert path in EVERY_FIGURE
    assert parse_objective(an_objective_on(path).replace(path, name)).path == path


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("p99 < 50ms", 50_000_000),
        ("p99 < 1m30s", 90_000_000_000),
        ("p99 < 0.5µs", 500),
        ("p99<50ms", 50_000_000),
        ("success >= 99.9%", 0.999),
        ("success >= 99.9 %", 0.999),
        ("success >= 0.999", 0.999),
        ("success == 100%", 1),
        ("success >= 1", 1),
        ("rate >= 59.5", 59.5),
        ("rate >= 59.5/s", 59.5),
        ("errors == 0", 0),
        ("status_codes.503 = 0", 0),
        ("bytes_in > 1000", 1000),
    ],
)
def test_a_value_has_its_figures_unit(text: str, value: float) -> None:
    [bound] = parse_objective(text).bounds

    assert bound.value == value


@given(hundredths=st.integers(0, 10_000_000))
def test_a_percentage_is_the_share_as_exactly_as_a_number_can_be(hundredths: int) -> None:
    percent = f"{hundredths // 100_000}.{hundredths % 100_000:05}"

    [bound] = parse_objective(f"success >= {percent}%").bounds

    assert bound.value == float(Fraction(percent) / 100)


@pytest.mark.parametrize(
    ("sign", "below", "at", "above"),
    [
        ("<", True, False, False),
        ("<=", True, True, False),
        (">", False, False, True),
        (">=", False, True, True),
        ("==", False, True, False),
        ("=", False, True, False),
    ],
)
def test_a_bound_holds_as_its_sign_says(sign: str, below: bool, at: bool, above: bool) -> None:  # noqa: FBT001
    bound = Bound(sign, 5)

    assert (bound.holds(4), bound.holds(5), bound.holds(6)) == (below, at, above)


@given(low=st.integers(0, 50), high=st.integers(0, 50), measured=st.integers(0, 50))
def test_a_figure_lies_between_two_bounds(low: int, high: int, measured: int) -> None:
    objective = parse_objective(f"{low}ns < p50 <= {high}ns")

    assert all(bound.holds(measured) for bound in objective.bounds) == (low < measured <= high)


def test_two_bounds_may_come_the_other_way_round() -> None:
    assert parse_objective("20ms > p50 >= 5ms").bounds == (Bound("<", 20 * MS), Bound(">=", 5 * MS))


def test_an_objective_keeps_its_authors_words_without_the_target() -> None:
    objective = parse_objective(" get-health :  p99<50ms ")

    assert (objective.target, objective.text) == ("get-health", "p99<50ms")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "write a bound such as 'p99 < 50ms', 'success >= 99.9%' or '5ms < p50 < 20ms'"),
        ("p99", "write a bound such as"),
        ("p99 <", "write a bound such as"),
        ("< 50ms", "write a bound such as"),
        ("p99 =< 50ms", "write a bound such as"),
        ("p99 < < 50ms", "write a bound such as"),
        ("1ms < p50 < 2ms < 3ms", "write a bound such as"),
        ("p99 ≤ 50ms", "write a bound such as"),
        (": p99 < 50ms", "name a target before the colon, or leave the colon out"),
        ("p98 < 50ms", "there is no figure 'p98': use one such as p99, raw.p99, mean"),
        ("P99 < 50ms", "there is no figure 'P99'"),
        ("50ms > 20ms", "there is no figure '50ms'"),
        ("status_codes < 1", "there is no figure 'status_codes'"),
        ("status_codes.2xx < 1", "there is no figure 'status_codes.2xx'"),
        ("p99 < 50", "p99 is a time: '50' has no unit, write 50ms or 50s"),
        ("p99 < 50%", "p99 is a time: '50%' has no unit"),
        ("p99 < -5ms", "p99 is compared with '-5ms': give a duration such as 500ms, 60s or 1m30s"),
        ("lag.p99 < 5 ms", "lag.p99 is compared with '5 ms': give a duration such as"),
        ("success >= 99.9", "success is a share from 0 to 1: write 99.9% for '99.9'"),
        ("success >= 101%", "success is a share from 0% to 100%: '101%' is more"),
        ("success >= 99,9%", "success is compared with '99,9%': give a share such as 99.9% or 0.999"),
        ("success >= all", "success is compared with 'all': give a share such as"),
        ("rate >= 60/m", "rate is compared with '60/m': give requests a second, such as 60"),
        ("rate >= fast", "rate is compared with 'fast': give requests a second, such as 60"),
        ("errors == none", "errors is compared with 'none': give a count such as 0"),
        ("errors == nan", "errors is compared with 'nan': give a count such as 0"),
        ("errors < 1%", "errors is compared with '1%': give a count such as 0"),
    ],
)
def test_what_is_no_objective_is_refused_with_the_remedy(text: str, told: str) -> None:
    with pytest.raises(ValueError, match="^" + _literally(told)):
        parse_objective(text)


def _literally(text: str) -> str:
    return "".join(f"[{character}]" if character in ".()+*?$" else character for character in text)


@pytest.mark.parametrize(
    ("text", "measured", "met"),
    [
        ("raw.max <= 400ms", 400_000_000, True),
        ("raw.max < 400ms", 400_000_000, False),
        ("success >= 50%", 0.5, True),
        ("attack.sent_ratio >= 99%", 8 / 9, False),
        ("status_codes.404 == 2", 2, True),
        ("status_codes.418 == 0", 0, True),
        ("errors == 0", 4, False),
        ("1ms < raw.p50 < 20ms", 7_000_000, True),
        ("8ms < raw.p50 < 20ms", 7_000_000, False),
    ],
)
def test_an_objective_is_judged_by_what_was_measured(figures: Figures, text: str, measured: float, met: bool) -> None:  # noqa: FBT001
    assert judge([parse_objective(text)], "get-health", figures) == (
        Judged(objective=text, measured=measured, met=met),
    )


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("success >= 1%", ["get-health", "get-root"]),
        ("get-root: success >= 1%", ["get-root"]),
        ("overall: success >= 1%", ["overall"]),
    ],
)
def test_an_objective_is_on_each_target_or_on_one_or_on_all_together(
    figures: Figures, text: str, names: list[str]
) -> None:
    judged = [name for name in ("get-health", "get-root", "overall") if judge([parse_objective(text)], name, figures)]

    assert judged == names


@pytest.mark.parametrize("text", ["p99 < 50ms", "success >= 0%", "errors == 0", "status_codes.500 == 0", "rate > 0"])
def test_no_data_is_never_good_news(empty_figures: Figures, text: str) -> None:
    assert judge([parse_objective(text)], "get-health", empty_figures) == (
        Judged(objective=text, measured=None, met=None),
    )
