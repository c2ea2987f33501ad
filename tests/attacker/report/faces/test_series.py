from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attacker.measuring.measured import Measured
from attacker.report.faces.series import distribution_of, time_series_of
from tests.attacker.plainly import nearest_rank
from tests.attacker.report.a_report import a_measurement, in_ns

latencies_ms = st.lists(st.integers(0, 10_000), min_size=1, max_size=300)


@pytest.fixture
def nothing_measured() -> Measured:
    return a_measurement([])


def test_nothing_measured_has_no_series(nothing_measured: Measured) -> None:
    assert time_series_of(nothing_measured) is None
    assert distribution_of(nothing_measured) is None


def test_a_bucket_holds_the_exact_percentiles_of_its_own_requests() -> None:
    # One request each 10 ms: 1…100 ms of latency over a second, in five buckets of twenty.
    series = time_series_of(a_measurement(range(1, 101), interval_ms=10))

    assert series is not None
    assert series.width_s == 0.2
    assert series.start_s.tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    assert series.n.tolist() == [20] * 5
    assert series.p50_ns.tolist() == in_ns([10, 30, 50, 70, 90]).tolist()
    assert series.p99_ns.tolist() == in_ns([20, 40, 60, 80, 100]).tolist()
    assert series.max_ns.tolist() == in_ns([20, 40, 60, 80, 100]).tolist()


@pytest.mark.parametrize(
    ("requests", "interval_ms", "width_s"),
    [
        pytest.param(1, 10, 0.1, id="a single request"),
        pytest.param(19, 1000, 30, id="too few requests for two buckets"),
        pytest.param(6000, 1, 0.1, id="a short run has fine buckets"),
        pytest.param(6000, 10, 0.5, id="a minute"),
        pytest.param(6000, 600, 30, id="an hour"),
        pytest.param(60, 86_400_000, 20 * 86_400, id="two months of a request a day"),
    ],
)
def test_buckets_are_as_fine_as_time_and_requests_allow(requests: int, interval_ms: float, width_s: float) -> None:
    series = time_series_of(a_measurement(np.ones(requests), interval_ms=interval_ms))

    assert series is not None
    assert series.width_s == width_s


@given(latencies_ms=latencies_ms, interval_ms=st.floats(0.01, 1e6))
def test_every_request_is_in_one_of_at_most_120_buckets(latencies_ms: list[int], interval_ms: float) -> None:
    series = time_series_of(a_measurement(latencies_ms, interval_ms=interval_ms))

    assert series is not None
    assert series.n.sum() == len(latencies_ms)
    assert len(series.n) <= max(1, min(120, len(latencies_ms) // 20))
    assert np.nanmax(series.max_ns) == in_ns(latencies_ms).max()


def test_a_request_counts_where_it_was_due_with_the_time_it_waited() -> None:
    # All forty are sent together at the end of the first 400 ms, in which they were due.
    lag_ms = [390 - 10 * seq for seq in range(40)]
    series = time_series_of(a_measurement([5] * 40, interval_ms=10, lag_ms=lag_ms))

    assert series is not None
    assert series.is_corrected
    assert series.n.tolist() == [20, 20]
    assert series.max_ns.tolist() == in_ns([395, 195]).tolist()


def test_without_a_schedule_a_request_counts_where_it_was_sent_as_vegeta_measured_it() -> None:
    series = time_series_of(a_measurement([5] * 40, interval_ms=10, lag_ms=None))

    assert series is not None
    assert not series.is_corrected
    assert series.max_ns.tolist() == in_ns([5, 5]).tolist()


def test_a_bucket_without_requests_has_no_latency_rather_than_none_of_it() -> None:
    # Four seconds of a request each 10 ms, of which the middle two are missing.
    series = time_series_of(a_measurement([5] * 400, interval_ms=10, missing=range(100, 300)))

    assert series is not None
    assert series.n.tolist() == [50, 50, 0, 0, 0, 0, 50, 50]
    assert np.isnan(series.p50_ns[2:6]).all()
    assert np.isnan(series.error_share[2:6]).all()


def test_errors_are_a_share_of_their_buckets_requests() -> None:
    series = time_series_of(a_measurement([5] * 40, interval_ms=10, code=[503] * 5 + [200] * 35))

    assert series is not None
    assert series.error_share.tolist() == [0.25, 0]


def test_a_constant_rate_is_the_same_in_every_bucket_the_last_and_shorter_one_included() -> None:
    series = time_series_of(a_measurement([5] * 90, interval_ms=10))

    assert series is not None
    assert series.n.tolist() == [50, 40]
    assert series.rate_per_s.tolist() == pytest.approx([100, 100])


def test_one_moment_has_no_rate() -> None:
    series = time_series_of(a_measurement([5]))

    assert series is not None
    assert np.isnan(series.rate_per_s).all()


def test_the_distribution_is_the_nearest_rank_at_each_share() -> None:
    distribution = distribution_of(a_measurement(range(1, 1001), lag_ms=[2] * 1000))

    assert distribution is not None
    assert distribution.corrected_ns is not None
    at = distribution.share.tolist().index
    assert distribution.latency_ns[[0, at(0.9), at(0.99), at(0.999)]].tolist() == in_ns([1, 900, 990, 999]).tolist()
    assert distribution.corrected_ns[[0, at(0.9), at(0.99), at(0.999)]].tolist() == in_ns([3, 902, 992, 1001]).tolist()


@pytest.mark.parametrize(("requests", "last_share"), [(1, 0), (10, 0.9), (99, 0.9895), (100, 0.99), (20_000, 0.9999)])
def test_the_distribution_ends_where_the_requests_can_no_longer_tell(requests: int, last_share: float) -> None:
    distribution = distribution_of(a_measurement(np.arange(requests)))

    assert distribution is not None
    assert distribution.share[-1] == pytest.approx(last_share, abs=5e-4)


def test_without_a_schedule_there_is_no_corrected_distribution() -> None:
    distribution = distribution_of(a_measurement(lag_ms=None))

    assert distribution is not None
    assert distribution.corrected_ns is None


@given(latencies_ms=latencies_ms)
def test_every_point_of_the_distribution_is_an_exact_order_statistic(latencies_ms: list[int]) -> None:
    distribution = distribution_of(a_measurement(latencies_ms))
    ordered = np.sort(in_ns(latencies_ms))

    assert distribution is not None
    ranked = [nearest_rank(ordered, Fraction(share).limit_denominator(10**7)) for share in distribution.share[1:]]
    assert distribution.latency_ns.tolist() == [ordered[0], *ranked]
