import io
import re
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from attacker.duration import Duration
from attacker.exits import InvalidLoadTestError
from attacker.plan import AUTO, MOST_SHARDS, Load, Shard, plan
from attacker.rate import Rate, parse_rate
from attacker.results.gob import read_gob
from attacker.vegeta import attack_command, find_vegeta
from tests.attacker.building import a_load, a_target
from tests.attacker.loopback import Loopback

SECOND_NS = 1_000_000_000

loads = st.builds(
    a_load,
    rate=st.builds(Rate, st.integers(1, 100_000), st.integers(100_000, 100 * SECOND_NS)),
    warmup=st.builds(Duration, st.integers(0, 100 * SECOND_NS)),
    duration=st.builds(Duration, st.integers(0, 10_000 * SECOND_NS)),
    shards=st.integers(1, 50),
).filter(lambda load: load.rate.requests_in(load.duration) >= load.shard_count)


def planned(load: Load) -> tuple[Shard, ...]:
    return plan([a_target()], load, base_url="http://api:5000")


@given(load=loads)
def test_the_shards_requests_add_up_to_the_targets(load: Load) -> None:
    shards = planned(load)

    assert sum(shard.requests for shard in shards) == load.rate.requests_in(load.duration)
    assert sum(shard.warmup_requests for shard in shards) == load.rate.requests_in(load.warmup)


@given(load=loads)
def test_the_shards_shares_differ_by_one_request_at_most(load: Load) -> None:
    requests = [shard.requests for shard in planned(load)]

    assert 1 <= min(requests) <= max(requests) <= min(requests) + 1


@given(load=loads)
def test_the_shards_rates_add_up_to_the_targets(load: Load) -> None:
    assert sum(shard.rate.per_s for shard in planned(load)) == pytest.approx(load.rate.per_s, rel=1e-9)


@given(load=loads)
def test_the_shards_of_a_target_take_turns(load: Load) -> None:
    delays = [shard.delay_ns for shard in planned(load)]

    assert delays == [index * load.rate.interval_ns for index in range(load.shard_count)]
    assert max(delays) < planned(load)[0].rate.interval_ns + load.shard_count


def test_each_target_is_attacked_by_as_many_shards_with_names_of_their_own() -> None:
    targets = [a_target(name="one", url="/one"), a_target(name="two", url="http://other/two")]

    shards = plan(targets, a_load(shards=2), base_url="http://api:5000/")

    assert [(shard.name, shard.target.url) for shard in shards] == [
        ("one-0", "http://api:5000/one"),
        ("one-1", "http://api:5000/one"),
        ("two-0", "http://other/two"),
        ("two-1", "http://other/two"),
    ]


def test_a_single_shard_has_its_targets_name() -> None:
    assert [shard.name for shard in planned(a_load())] == ["get-health"]


@pytest.mark.parametrize(
    ("load", "told"),
    [
        pytest.param(
            a_load(rate=Rate(1, 2 * SECOND_NS), duration=Duration.of_seconds(1)),
            "duration is 1s: at 1/2s that is 0 requests for 1 shard; give a longer duration, a higher rate or fewer",
            id="no request",
        ),
        pytest.param(
            a_load(duration=Duration(300_000_000), shards=4),
            "duration is 300ms: at 10/s that is 3 requests for 4 shards; give",
            id="fewer requests than shards",
        ),
        pytest.param(a_load(duration=Duration(0)), "duration is 0s: at 10/s that is 0 requests", id="no time"),
    ],
)
def test_a_shard_with_nothing_to_send_is_refused(load: Load, told: str) -> None:
    with pytest.raises(InvalidLoadTestError, match=f"^{told}"):
        planned(load)


@given(load=loads, shard_rate=st.builds(Rate, st.integers(1, 100_000), st.integers(1, 100 * SECOND_NS)))
def test_auto_is_the_fewest_shards_of_which_none_has_more_than_it_carries(load: Load, shard_rate: Rate) -> None:
    needed = load.rate.over(shard_rate)
    assume(needed <= min(MOST_SHARDS, load.rate.requests_in(load.duration)))

    shards = planned(replace(load, shards=AUTO, shard_rate=shard_rate))

    assert len(shards) == needed
    assert needed == 1 or exactly(load.rate) / (needed - 1) > exactly(shard_rate)
    assert max(exactly(shard.rate) for shard in shards) <= exactly(shard_rate)


def exactly(rate: Rate) -> Fraction:
    return Fraction(rate.requests, rate.per_ns)


@pytest.mark.parametrize(
    ("rate", "shards", "told"),
    [
        pytest.param(
            "10001/s",
            2,
            "rate is 10001/s: that takes 3 shards of 5000/s (shard_rate), and shards is 2: give shards 3, or auto",
            id="more than the shards carry",
        ),
        pytest.param(
            "5000001/s",
            AUTO,
            "rate is 5000001/s: that takes 1001 shards of 5000/s (shard_rate), and 1000 are the most: give a lower",
            id="more than the most shards carry",
        ),
    ],
)
def test_a_rate_that_the_shards_do_not_carry_is_refused_with_what_would(rate: str, shards: Any, told: str) -> None:
    load = a_load(rate=parse_rate(rate), shards=shards, shard_rate=parse_rate("5000"))

    with pytest.raises(InvalidLoadTestError, match=f"^{re.escape(told)}"):
        planned(load)


def test_a_rate_that_the_shards_just_carry_is_planned() -> None:
    assert len(planned(a_load(rate=parse_rate("10000"), shards=2, shard_rate=parse_rate("5000")))) == 2


def test_more_shards_than_the_rate_takes_are_planned_as_they_are_asked_for() -> None:
    assert len(planned(a_load(shards=3, shard_rate=parse_rate("5000")))) == 3


def test_nobody_knows_how_many_shards_a_rate_takes_where_nobody_has_calibrated() -> None:
    with pytest.raises(
        InvalidLoadTestError, match=r"^shards is auto, but shard_rate is not given: .*attacker calibrate"
    ):
        planned(a_load(shards=AUTO))


def hits_of_vegeta(shard: Shard, late_ns: Sequence[int]) -> int:
    """Count what vegeta sends where it wakes this late for each hit in turn, the last delay being that of all others.

    Source: Attack in vegeta's lib/attack.go, ConstantPacer in lib/pacer.go.
    """
    elapsed_ns, hits = 0, 0
    while elapsed_ns <= shard.duration.ns:
        behind = hits < shard.rate.requests * (elapsed_ns // shard.rate.per_ns)
        due_ns = elapsed_ns if behind else (hits + 1) * shard.rate.interval_ns
        elapsed_ns = max(elapsed_ns, due_ns) + late_ns[min(hits, len(late_ns) - 1)]
        hits += 1
    return hits


short_loads = st.builds(
    a_load,
    rate=st.builds(Rate, st.integers(1, 1000), st.integers(1_000_000, 100 * SECOND_NS)),
    warmup=st.builds(Duration, st.integers(0, SECOND_NS)),
    duration=st.just(Duration.of_seconds(1)),
    shards=st.integers(1, 5),
).filter(lambda load: load.shard_count <= load.rate.requests_in(load.duration) <= 2000)


@given(load=short_loads, late=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=20))
@example(load=a_load(rate=Rate(7, SECOND_NS), duration=Duration.of_seconds(1)), late=[0])
def test_vegeta_sends_exactly_the_planned_requests_where_it_is_less_than_an_interval_late(
    load: Load, late: list[float]
) -> None:
    shard = planned(load)[0]
    late_ns = [int(share * shard.rate.interval_ns) for share in late]

    assert hits_of_vegeta(shard, late_ns) == shard.warmup_requests + shard.requests


@given(load=short_loads, late_ns=st.lists(st.integers(0, 2 * SECOND_NS), min_size=1, max_size=20))
def test_vegeta_never_sends_more_than_was_planned_however_late_it_is(load: Load, late_ns: list[int]) -> None:
    shard = planned(load)[0]

    assert hits_of_vegeta(shard, late_ns) <= shard.warmup_requests + shard.requests


def test_a_duration_is_never_zero_which_vegeta_takes_for_ever() -> None:
    load = a_load(rate=Rate(SECOND_NS, SECOND_NS), duration=Duration(1))

    assert planned(load)[0].duration.ns > 0


def sent_by_vegeta(shards: Sequence[Shard], folder: Path) -> list[int]:
    """Attack with all shards at once; returns how many requests each sent."""
    vegeta = find_vegeta()
    processes = []
    for shard in shards:
        targets, output = folder / f"{shard.name}.jsonl", folder / f"{shard.name}.gob"
        targets.write_text(shard.target.as_vegeta_json())
        command = attack_command(vegeta, shard, targets=targets, output=output, cpus=1)
        processes.append(subprocess.Popen(command))
    assert [process.wait(30) for process in processes] == [0] * len(shards)
    return [
        len(read_gob(io.BytesIO((folder / f"{shard.name}.gob").read_bytes()), name=shard.name).results)
        for shard in shards
    ]


@pytest.mark.parametrize(
    ("rate", "duration_ms", "shards"),
    [("7/s", 1000, 1), ("7/s", 1000, 3), ("20/3s", 900, 2), ("300/s", 700, 1), ("300/s", 1000, 3)],
)
def test_the_real_vegeta_sends_exactly_the_planned_requests(
    loopback_api: Loopback, tmp_path: Path, rate: str, duration_ms: int, shards: int
) -> None:
    load = a_load(
        rate=parse_rate(rate),
        duration=Duration(duration_ms * 1_000_000),
        warmup=Duration(150_000_000),
        shards=shards,
    )
    all_shards = plan([a_target(url="/")], load, base_url=loopback_api.url)
    wanted = [shard.warmup_requests + shard.requests for shard in all_shards]

    # Where the machine stands still for a whole interval at the very end, vegeta stops early; not three times running.
    attempts = [sent_by_vegeta(all_shards, tmp_path)]
    attempts += [sent_by_vegeta(all_shards, tmp_path) for _ in range(2) if wanted not in attempts]

    assert wanted in attempts
    assert all(sent <= most for attempt in attempts for sent, most in zip(attempt, wanted, strict=True))
