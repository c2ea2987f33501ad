"""A server that stands still for a second, and an attacker that waits for it: what vegeta says of it, and what is."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from attacker.__main__ import main
from tests.attacker.by_vegeta import attacked, reported
from tests.stalling import stalling_server

REPOSITORY = Path(__file__).parents[3]
RATE_PER_S, SECONDS = 500, 5


@dataclass(frozen=True, kw_only=True)
class Stalled:
    """An attack with ten workers at most."""

    results: Path
    true_p99_ns: int


@pytest.fixture(scope="module")
def stalled(tmp_path_factory: pytest.TempPathFactory) -> Stalled:
    folder = tmp_path_factory.mktemp("stalled")
    results = folder / "results.gob"
    with stalling_server(folder, at=RATE_PER_S, stall_s=1) as server:
        results.write_bytes(
            attacked([server.url], f"-rate={RATE_PER_S}", f"-duration={SECONDS}s", "-max-workers=10", "-timeout=30s")
        )
    interval_ns = 1_000_000_000 // RATE_PER_S
    return Stalled(results=results, true_p99_ns=server.true_latency_ns(interval_ns=interval_ns, share=0.99))


def by_this_project(stalled: Stalled, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["report", "--rate", str(RATE_PER_S), "--type", "json", str(stalled.results)]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def test_vegeta_reports_no_more_than_that_all_is_well(stalled: Stalled) -> None:
    told = reported(stalled.results)

    assert told["success"] == 1
    assert told["requests"] >= 0.99 * RATE_PER_S * SECONDS
    assert told["rate"] == pytest.approx(RATE_PER_S, rel=0.01)
    assert told["latencies"]["99th"] < stalled.true_p99_ns / 2


def test_the_corrected_latency_is_what_callers_waited_by_the_servers_own_log(
    stalled: Stalled, capsys: pytest.CaptureFixture[str]
) -> None:
    told = by_this_project(stalled, capsys)

    assert stalled.true_p99_ns > 900_000_000
    assert told["corrected_latency_ns"]["p99"] == pytest.approx(stalled.true_p99_ns, rel=0.05)
    assert told["latency_ns"]["p99"] < stalled.true_p99_ns / 2


def test_the_report_says_why_the_two_differ(stalled: Stalled, capsys: pytest.CaptureFixture[str]) -> None:
    told = by_this_project(stalled, capsys)

    assert str(told["omission"]).startswith("Corrected p99 is ")
    assert ", because requests were sent up to " in told["omission"]
    assert ", at most 10 under way at once: vegeta's clock starts only then." in told["omission"]


def test_the_command_that_made_the_readmes_run_makes_it_again() -> None:
    done = subprocess.run([REPOSITORY / "scripts" / "stall"], capture_output=True, text=True, check=True, timeout=100)

    assert [line for line in done.stdout.splitlines() if line.startswith("$ ")] == [
        "$ vegeta attack -rate=500 -duration=5s -max-workers=10 -targets=targets -output=results.gob",
        "$ vegeta report results.gob",
        "$ python -m attacker report results.gob --rate 500",
    ]
    assert "\nOmission      Corrected p99 is " in done.stdout
    assert "By the server's own log, 1 % of callers waited " in done.stdout
