"""Attack pods have the memory that recording takes, or there is no attack."""

import subprocess
import sys
from pathlib import Path

import pytest

from attacker.exits import InvalidLoadTestError
from attacker.vegeta import find_vegeta
from tests.attacker.by_vegeta import message_ends
from tests.workflows.submit_process import REPOSITORY
from workflows.attacker_memory import RECORDING_BYTES, check_attacker_memory
from workflows.loadtest_file import parse_loadtest


def test_a_load_test_that_says_nothing_has_enough_for_any_attack() -> None:
    check_attacker_memory(parse_loadtest({"rate": 100_000, "duration": "24h"}))


def test_pods_that_could_not_record_are_refused_with_what_would_do() -> None:
    with pytest.raises(InvalidLoadTestError) as refused:
        check_attacker_memory(parse_loadtest({"attacker_memory": "255Mi"}))

    assert str(refused.value) == "attacker_memory is 255Mi: to record an attack takes 256Mi: give 256Mi or more"
    check_attacker_memory(parse_loadtest({"attacker_memory": "256Mi"}))


# What is mapped of files is left out: the kernel takes it back where memory is short.
RECORD = """
import sys
from pathlib import Path
import attacker.pods.attack_pod
from attacker.recording import get_ready, record_rows
folder = Path(sys.argv[1])
get_ready(folder)
recorded = record_rows(folder / "results.gob", folder / "results.parquet", interval_ns=200_000, max_body=-1)
status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
peak, mapped = (int(status[name].split()[0]) for name in ("VmHWM", "RssFile"))
print(recorded.records, 1024 * (peak - mapped))
"""


def results_of(requests: int) -> bytes:
    rows = "".join(
        f"{1_800_000_000_000_000_000 + 200_000 * seq},200,{1_000_000 + 7919 * seq % 5_000_000},0,27,,,get-health,{seq},"
        "GET,http://loadtest-api.loadtest.svc:5000/health,\n"
        for seq in range(requests)
    )
    encode = [str(find_vegeta()), "encode", "-to=gob"]
    return subprocess.run(encode, input=rows.encode(), capture_output=True, check=True).stdout


def test_recording_many_requests_takes_no_more_than_what_is_reckoned_with(tmp_path: Path) -> None:
    results = results_of(200_000)
    _, _, _, types_end, *_ = message_ends(results[:2000])
    (tmp_path / "results.gob").write_bytes(results + results[types_end:] * 9)

    command = [sys.executable, "-c", RECORD, str(tmp_path)]
    told = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout

    records, peak_bytes = map(int, told.split())
    assert records == 2_000_000
    assert 0 < peak_bytes <= RECORDING_BYTES
