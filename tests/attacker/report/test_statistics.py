import io
import json
import subprocess
from collections.abc import Sequence
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from attacker.evidence import LagFigures
from attacker.measuring.errors import normalise_error
from attacker.measuring.sample import MeasuredShard, Sample
from attacker.report.figures import Figures, LatencyFigures
from attacker.report.statistics import figures_of, lag_figures
from attacker.results.columns import Results
from attacker.results.gob import read_gob
from attacker.results.rows import HeldRows
from attacker.vegeta import find_vegeta
from tests.attacker.building import MS, START_NS, a_measured_shard, measured_of, measured_together, rows
from tests.attacker.report.a_report import an_error

HOUR_NS = 3_600_000_000_000
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999, "p99.99": 0.9999}

latencies = st.lists(st.integers(0, HOUR_NS) | st.integers(0, 5), min_size=1, max_size=60)
cuts = st.lists(st.integers(0, 60), max_size=5)
answers = st.lists(
    st.tuples(st.integers(0, 50), st.integers(0, HOUR_NS), st.sampled_from([0, 200, 302, 404, 500]), st.text("ab")),
    max_size=40,
)


def figures(*shards: MeasuredShard, expected: int | None = None) -> Figures:
    return figures_of(measured_of(shards), expected=expected)


def a_sample(results: Results) -> Sample:
    return Sample(shards=(a_measured_shard(results),))


def latency(results: Results) -> LatencyFigures:
    found = figures(a_measured_shard(results)).latency_ns
    assert found is not None
    return found


def split(results: Results, at: Sequence[int]) -> list[Results]:
    ends = sorted({0, len(results), *(min(one, len(results)) for one in at)})
    return [results[start:stop] for start, stop in pairwise(ends)]


def test_of_1_to_100_ms_each_percentile_is_the_latency_of_that_rank() -> None:
    found = latency(rows([ms * MS for ms in range(1, 101)]))

    assert found.model_dump() == {
        "min": 1 * MS,
        "mean": 50_500_000,
        "p50": 50 * MS,
        "p90": 90 * MS,
        "p95": 95 * MS,
        "p99": 99 * MS,
        "p99.9": 100 * MS,
        "p99.99": 100 * MS,
        "max": 100 * MS,
    }


# 0.999 x 1000 in floating point is not 999 everywhere: numpy's own percentile(99.9) takes the 1000th.
def test_the_rank_is_exact_where_the_share_divides_the_number_of_rows() -> None:
    found = latency(rows(range(1, 10_001)))

    assert (found.p99_9, found.p99_99) == (9990, 9999)


def test_a_percentile_between_two_modes_is_one_of_them_and_not_in_between() -> None:
    found = latency(rows([2 * MS] * 95 + [80 * MS] * 5))

    assert (found.p95, found.p99) == (2 * MS, 80 * MS)


@given(latency_ns=latencies)
def test_a_latencys_figures_are_numpys(latency_ns: list[int]) -> None:
    found = latency(rows(latency_ns)).model_dump()

    assert {name: found[name] for name in PERCENTILES} == {
        name: np.quantile(latency_ns, share, method="inverted_cdf") for name, share in PERCENTILES.items()
    }
    assert (found["min"], found["mean"], found["max"]) == (
        min(latency_ns),
        sum(latency_ns) // len(latency_ns),
        max(latency_ns),
    )


@given(latency_ns=latencies, at=cuts, order=st.randoms())
def test_the_percentiles_are_numpys_over_any_shards_in_any_order(
    latency_ns: list[int], at: list[int], order: Random
) -> None:
    shards = [a_measured_shard(part) for part in split(rows(latency_ns), at)]
    order.shuffle(shards)

    found = figures(*shards).latency_ns

    assert found is not None
    assert {name: found.model_dump()[name] for name in PERCENTILES} == {
        name: np.quantile(latency_ns, share, method="inverted_cdf") for name, share in PERCENTILES.items()
    }


@given(sent=answers, at=cuts, order=st.randoms())
def test_every_figure_is_the_same_over_any_shards_in_any_order(
    sent: list[tuple[int, int, int, str]], at: list[int], order: Random
) -> None:
    timestamps, latency_ns, codes, errors = zip(*sent, strict=True) if sent else ((), (), (), ())
    whole = rows(
        latency_ns, timestamp_ns=[START_NS + one for one in timestamps], seq=range(len(sent)), code=codes, error=errors
    )
    shards = [MeasuredShard(rows=HeldRows(part)) for part in split(whole, at)]
    order.shuffle(shards)

    of_shards, of_whole = figures(*shards), figures(MeasuredShard(rows=HeldRows(whole)))

    per_shard = {"shards": 0, "seq_gaps": 0}
    assert of_shards.attack.model_copy(update=per_shard) == of_whole.attack.model_copy(update=per_shard)
    assert of_shards.model_copy(update={"attack": None}) == of_whole.model_copy(update={"attack": None})


def test_a_rate_is_the_steps_between_the_requests_and_not_their_number() -> None:
    found = figures(a_measured_shard(rows([MS] * 11)))

    assert found.rate_per_s == 10


def test_the_throughput_is_successes_until_the_last_answer() -> None:
    found = figures(a_measured_shard(rows([0] * 10 + [1000 * MS], code=[500, *[200] * 10])))

    assert found.throughput_per_s == 5  # 10 successes in 2 s


@pytest.mark.parametrize("latency_ns", [[5 * MS], [0]], ids=["a request", "a request that took no time"])
def test_a_single_request_has_no_rate(latency_ns: list[int]) -> None:
    found = figures(a_measured_shard(rows(latency_ns)))

    assert (found.requests, found.rate_per_s) == (1, None)


def test_without_a_row_nothing_is_said_rather_than_zero(no_rows: Results) -> None:
    found = figures(a_measured_shard(no_rows), expected=100)

    assert (found.requests, found.expected, found.attack.sent, found.attack.sent_ratio) == (0, 100, 0, 0)
    nothing = (found.rate_per_s, found.throughput_per_s, found.success, found.latency_ns, found.corrected_latency_ns)
    assert nothing == (None,) * 5
    assert (found.attack.lag_ns, found.attack.start_skew_ns) == (None, None)


def test_without_a_shard_nothing_is_said_rather_than_zero() -> None:
    found = figures(expected=100)

    assert (found.requests, found.success, found.latency_ns, found.attack.throttled_ratio) == (0, None, None, None)


@pytest.fixture
def no_rows() -> Results:
    return rows([])


def test_success_is_counted_as_vegeta_does_unless_the_target_says_otherwise() -> None:
    shard = a_measured_shard(rows([MS] * 5, code=[0, 200, 302, 404, 500]))

    assert figures(shard).success == 2 / 5
    assert figures_of(measured_of([shard], is_success={404}.__contains__), expected=None).success == 1 / 5


def test_status_codes_are_counted_a_missing_answer_as_0() -> None:
    found = figures(a_measured_shard(rows([MS] * 5, code=[200, 0, 200, 503, 200])))

    assert found.status_codes == {"0": 1, "200": 3, "503": 1}


def test_bytes_are_added_up() -> None:
    found = figures(a_measured_shard(rows([MS] * 5)), a_measured_shard(rows([MS] * 5)))

    assert (found.bytes_in, found.bytes_out) == (150, 20)


def test_errors_are_counted_by_their_class_the_most_frequent_first_and_then_by_its_name() -> None:
    errors = ["EOF", "i/o timeout", "", "i/o timeout", "connection refused", ""]
    found = figures(a_measured_shard(rows([MS] * 6, code=[0, 0, 200, 0, 0, 200], error=errors)))

    assert found.errors == (
        an_error(**{"class": "timeout", "count": 2, "example": "i/o timeout"}),
        an_error(**{"class": "closed", "count": 1, "example": "EOF"}),
        an_error(**{"class": "refused", "count": 1, "example": "connection refused"}),
    )


def test_an_error_on_the_attackers_side_is_marked() -> None:
    errors = ["dial tcp 0.0.0.0:0->10.0.0.1:80: bind: address already in use", "EOF"]
    found = figures(a_measured_shard(rows([MS] * 2, code=0, error=errors)))

    assert {error.class_: error.fault for error in found.errors} == {"ports": "attacker", "closed": "api"}


def test_errors_that_differ_in_the_attackers_port_only_are_one() -> None:
    errors = [f"read tcp 10.1.2.3:{port}->10.0.0.1:80: connection reset by peer" for port in (54321, 54322)]

    found = figures(*(a_measured_shard(rows([MS], code=0, error=error)) for error in errors))

    assert found.errors == (
        an_error(**{"class": "reset", "count": 2, "example": "read tcp 10.0.0.1:80: connection reset by peer"}),
    )


def test_an_answer_that_was_not_expected_is_an_error_though_vegeta_gives_it_no_text() -> None:
    shard = a_measured_shard(rows([MS] * 3, code=[200, 204, 1200]))

    found = figures_of(measured_of([shard], is_success={200}.__contains__), expected=None)

    assert found.errors == (
        an_error(**{"class": "status", "count": 2, "example": "status 1200 is not the expected one"}),
    )


def test_an_expected_failure_is_no_error() -> None:
    shard = a_measured_shard(rows([MS], code=404, error="404 Not Found"))

    assert figures_of(measured_of([shard], is_success={404}.__contains__), expected=None).errors == ()


# A code above 999 was once taken for the code of another error's text.
def test_an_error_keeps_its_text_whatever_its_status_code() -> None:
    found = figures(a_measured_shard(rows([MS] * 4, code=[65535, 200, 999, 999], error=["odd", "", "late", "late"])))

    assert found.errors == (an_error(**{"class": "status", "count": 3, "example": "late"}),)


def test_the_warm_up_is_in_no_figure() -> None:
    results = rows([500 * MS] * 3 + [MS] * 10, code=[500] * 3 + [200] * 10)

    found = figures(a_measured_shard(results, warmup_requests=3), expected=10)

    assert (found.requests, found.success, found.attack.sent_ratio, found.attack.max_in_flight) == (10, 1, 1, 1)
    assert found.latency_ns is not None
    assert found.latency_ns.max == MS
    assert (found.bytes_in, found.status_codes, found.errors) == (150, {"200": 10}, ())


def test_a_request_of_the_warm_up_can_be_the_most_punctual_one() -> None:
    late = rows([MS] * 3, timestamp_ns=[START_NS, START_NS + 107 * MS, START_NS + 207 * MS])

    found = figures(a_measured_shard(late, warmup_requests=1)).attack

    assert found.lag_ns == LagFigures(p50=7 * MS, p99=7 * MS, max=7 * MS)


def test_a_shard_that_was_cut_off_in_its_warm_up_measured_nothing() -> None:
    found = figures(a_measured_shard(rows([MS] * 3), warmup_requests=5), expected=10)

    assert (found.requests, found.latency_ns, found.attack.lag_ns) == (0, None, None)


def test_the_corrected_latency_is_that_from_when_the_request_was_due() -> None:
    stalled = rows([1000 * MS, MS, MS], timestamp_ns=[START_NS, START_NS + 1000 * MS, START_NS + 1001 * MS])

    found = figures(a_measured_shard(stalled))

    assert found.latency_ns is not None
    assert found.corrected_latency_ns is not None
    assert (found.latency_ns.p50, found.corrected_latency_ns.p50) == (MS, 901 * MS)
    assert (found.latency_ns.min, found.corrected_latency_ns.min) == (MS, 802 * MS)
    assert found.attack.lag_ns == LagFigures(p50=801 * MS, p99=900 * MS, max=900 * MS)


@given(latency_ns=latencies)
def test_a_request_never_waited_less_than_vegeta_says(latency_ns: list[int]) -> None:
    sent = [START_NS + 100 * MS * seq + latency for seq, latency in enumerate(latency_ns)]

    found = figures(a_measured_shard(rows(latency_ns, timestamp_ns=sent)))

    assert found.latency_ns is not None
    assert found.corrected_latency_ns is not None
    raw, corrected = found.latency_ns.model_dump(), found.corrected_latency_ns.model_dump()
    assert all(corrected[name] >= raw[name] for name in raw)


def test_where_one_shards_schedule_is_unknown_nothing_is_corrected() -> None:
    found = figures(a_measured_shard(rows([MS])), MeasuredShard(rows=HeldRows(rows([MS]))))

    assert (found.corrected_latency_ns, found.attack.lag_ns) == (None, None)


def test_the_skew_is_how_far_apart_shards_started_but_for_their_planned_delay() -> None:
    def started(after_ns: int, delay_ns: int) -> MeasuredShard:
        sent = [START_NS + after_ns + seq * 100 * MS for seq in range(3)]
        return a_measured_shard(rows([MS] * 3, timestamp_ns=sent), delay_ns=delay_ns)

    found = figures(started(0, 0), started(50 * MS, 50 * MS), started(107 * MS, 100 * MS))

    assert found.attack.start_skew_ns == 7 * MS


def test_a_shard_without_rows_has_no_part_in_the_skew() -> None:
    found = figures(a_measured_shard(rows([MS])), a_measured_shard(rows([])))

    assert (found.attack.shards, found.attack.start_skew_ns) == (2, 0)


def test_gaps_and_duplicates_are_counted_over_all_shards() -> None:
    gapped = rows([MS] * 3, seq=[0, 2, 5])

    found = figures(a_measured_shard(gapped), a_measured_shard(gapped)).attack

    assert (found.seq_gaps, found.duplicates) == (6, 3)


@pytest.mark.parametrize(
    ("ratios", "worst"), [((0.1, 0.4, None), 0.4), ((None, None), None)], ids=["some known", "none known"]
)
def test_the_throttling_is_that_of_the_shard_that_waited_most(
    ratios: tuple[float | None, ...], worst: float | None
) -> None:
    shards = [a_measured_shard(rows([MS]), throttled_ratio=ratio) for ratio in ratios]

    assert figures(*shards).attack.throttled_ratio == worst


def test_what_was_sent_is_compared_with_what_was_expected() -> None:
    found = figures(a_measured_shard(rows([MS] * 98)), expected=100).attack

    assert (found.sent, found.sent_ratio) == (98, 0.98)


@given(first=latencies, second=latencies)
@example(first=[1], second=[HOUR_NS])
def test_overall_is_computed_over_all_targets_rows(first: list[int], second: list[int]) -> None:
    samples = [a_sample(rows(latency_ns)) for latency_ns in (first, second)]

    found = figures_of(measured_together(*samples), expected=None)

    assert found.latency_ns == latency(rows(first + second))
    assert (found.requests, found.attack.shards, found.attack.start_skew_ns) == (len(first + second), 2, 0)


def test_targets_that_are_attacked_in_turn_have_no_skew() -> None:
    samples = [a_sample(rows([MS]))] * 2

    assert figures_of(measured_together(*samples, simultaneous=False), expected=None).attack.start_skew_ns is None


def test_overall_nothing_is_corrected_where_one_targets_schedule_is_unknown() -> None:
    samples = [a_sample(rows([MS])), Sample(shards=(MeasuredShard(rows=HeldRows(rows([MS]))),))]

    assert figures_of(measured_together(*samples), expected=None).corrected_latency_ns is None


def test_each_targets_own_expectation_counts_overall() -> None:
    shard = a_measured_shard(rows([MS], code=404))
    samples = [Sample(shards=(shard,)), Sample(shards=(shard,), is_success={404}.__contains__)]

    assert figures_of(measured_together(*samples), expected=None).success == 0.5


def test_no_targets_at_all_have_figures_that_say_nothing() -> None:
    found = figures_of(measured_together(), expected=0)

    assert (found.requests, found.latency_ns, found.success, found.attack.sent_ratio) == (0, None, None, None)


def test_a_lag_without_rows_has_no_figures() -> None:
    assert lag_figures(None) is None


def test_what_vegeta_computes_exactly_is_the_same_to_the_digit(results_of_every_kind: bytes) -> None:
    command = [str(find_vegeta()), "report", "-type=json"]
    told = subprocess.run(command, input=results_of_every_kind, capture_output=True, check=True, timeout=30).stdout
    vegetas = json.loads(told)

    found = figures(
        MeasuredShard(rows=HeldRows(read_gob(io.BytesIO(results_of_every_kind), name="results.gob").results))
    )

    assert found.latency_ns is not None
    ours = (found.latency_ns.min, found.latency_ns.mean, found.latency_ns.max)
    assert ours == tuple(vegetas["latencies"][name] for name in ("min", "mean", "max"))
    assert (found.requests, found.success, found.status_codes) == (
        vegetas["requests"],
        vegetas["success"],
        vegetas["status_codes"],
    )
    assert (found.bytes_in, found.bytes_out) == (vegetas["bytes_in"]["total"], vegetas["bytes_out"]["total"])
    assert {error.example for error in found.errors} == {normalise_error(error) for error in vegetas["errors"]}
    assert found.throughput_per_s == pytest.approx(vegetas["throughput"])
    assert found.rate_per_s == pytest.approx(vegetas["rate"] * (found.requests - 1) / found.requests)
