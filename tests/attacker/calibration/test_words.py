import json

import pytest

from attacker.calibration.search import Calibration, Limit
from attacker.calibration.words import HEADING, render_calibration, render_calibration_json, render_step
from tests.attacker.calibration.test_search import a_step


def test_each_step_is_a_line_of_the_table_with_its_evidence() -> None:
    holds = render_step(a_step(max_in_flight=1234))
    fails = render_step(a_step(rate_per_s=32_000, delay_p99_ns=196_000_000, sent_ratio=0.9149, server_busy_ratio=0.4))

    assert [HEADING, holds, fails] == [
        "      rate  for    sent  lag p99  delay p99  in flight  server",
        "   1,000/s   1s    100%    1.1ms      1.5ms      1,234      2%  holds",
        "  32,000/s   1s   91.4%    1.1ms      196ms          4     40%  too few sent; delay above 5ms",
    ]


def test_a_step_tells_that_its_processor_was_taken_away() -> None:
    assert render_step(a_step(throttled_ratio=0.25)).endswith("  holds, throttled in 25% of periods")


def test_what_was_not_measured_is_a_dash() -> None:
    line = render_step(a_step(delay_p99_ns=None, lag_p99_ns=None, sent_ratio=0.0))

    assert line.split()[3:5] == ["\N{EN DASH}", "\N{EN DASH}"]


def test_it_tells_the_rate_by_which_measure_and_how_to_use_it() -> None:
    told = render_calibration(Calibration(rate_per_s=4200, limit=Limit.ATTACKER, steps=()), cpus=1)

    assert told == (
        "An attacker of 1 CPU carries 4,200/s: 99% and more were sent, and p99 from due to answered was 5ms or less.\n"
        "Use it: --shard-rate 4200, and --shards auto for as many attackers as a rate takes."
    )


def test_it_tells_that_the_server_was_the_limit() -> None:
    told = render_calibration(Calibration(rate_per_s=90_000, limit=Limit.SERVER, steps=()), cpus=8)

    assert "It may carry more: above, the server was busy 90% of the time and more, and set the limit." in told


def test_without_a_trustworthy_rate_it_is_invalid_and_offers_none() -> None:
    told = render_calibration(Calibration(rate_per_s=None, limit=Limit.ATTACKER, steps=()), cpus=0.1)

    assert told.startswith("INVALID  An attacker of 0.1 CPU has no trustworthy rate here")
    assert "--shard-rate" not in told


@pytest.mark.parametrize("rate_per_s", [4200, None])
def test_as_json_it_tells_all_that_was_found(rate_per_s: int | None) -> None:
    found = Calibration(rate_per_s=rate_per_s, limit=Limit.ATTACKER, steps=(a_step(delay_p99_ns=6_000_000),))

    told = json.loads(render_calibration_json(found, cpus=0.5))

    assert (told["rate_per_s"], told["limit"], told["cpus"]) == (rate_per_s, "attacker", 0.5)
    assert told["criterion"] == {"delay_p99_ns": 5_000_000, "sent_ratio": 0.99}
    assert told["steps"][0] == {
        "rate_per_s": 1000,
        "duration_ns": 1_000_000_000,
        "sent_ratio": 1.0,
        "lag_p99_ns": 1_100_000,
        "delay_p99_ns": 6_000_000,
        "max_in_flight": 4,
        "failures": 0,
        "server_busy_ratio": 0.02,
        "throttled_ratio": None,
        "exit_code": 0,
        "faults": ["delay above 5ms"],
    }
