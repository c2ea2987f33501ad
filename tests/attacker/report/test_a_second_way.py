"""An independent check: every figure of a report is what another database finds in what vegeta itself decodes."""

from pathlib import Path
from typing import Any

import pytest

from attacker.measuring.sample import MeasuredShard
from attacker.report.statistics import figures_of
from attacker.results.rows import HeldRows
from tests.attacker.building import measured_of
from tests.attacker.corpus import KINDS, Corpus
from tests.attacker.report.second_way import SecondWay


def computed_here(corpus: Corpus, *, warmup_requests: int) -> dict[str, Any]:
    """Give the figures, with the number of failed requests in place of their classes."""
    shards = [
        MeasuredShard(rows=HeldRows(results), interval_ns=corpus.interval_ns, warmup_requests=warmup_requests)
        for results in corpus.results
    ]
    figures = figures_of(measured_of(shards), expected=None).model_dump()
    failed = sum(error["count"] for error in figures.pop("errors"))
    unknown = ("expected", "sent_ratio", "throttled_ratio")
    attack = {name: value for name, value in figures["attack"].items() if name not in unknown}
    return {name: value for name, value in figures.items() if name not in unknown} | {
        "attack": attack,
        "failed": failed,
    }


@pytest.mark.parametrize("warmup_requests", [0, 7], ids=["no warm-up", "a warm-up"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "one request"])
def test_every_figure_is_found_a_second_way_to_the_last_digit(
    corpus: dict[str, Corpus], tmp_path: Path, kind: str, warmup_requests: int
) -> None:
    one = corpus[kind]

    by_sql = SecondWay(one.files, one.interval_ns, warmup_requests).figures(tmp_path)

    assert computed_here(one, warmup_requests=warmup_requests) == by_sql


def test_the_figures_of_one_request_are_found_a_second_way(corpus: dict[str, Corpus], tmp_path: Path) -> None:
    one = corpus["one request"]

    by_sql = SecondWay(one.files, one.interval_ns, 0).figures(tmp_path)

    assert computed_here(one, warmup_requests=0) == by_sql
    assert (by_sql["requests"], by_sql["rate_per_s"]) == (1, None)


def test_a_stall_is_found_a_second_way(corpus: dict[str, Corpus], tmp_path: Path) -> None:
    one = corpus["held back"]

    by_sql = SecondWay(one.files, one.interval_ns, 0).figures(tmp_path)

    assert by_sql["attack"]["max_in_flight"] == 1
    assert by_sql["corrected_latency_ns"]["p99"] > 2 * by_sql["latency_ns"]["p99"]
    assert computed_here(one, warmup_requests=0)["corrected_latency_ns"] == by_sql["corrected_latency_ns"]
