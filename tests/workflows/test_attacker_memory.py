"""Attack pods have the memory that recording takes, or there is no attack."""

import subprocess
import sys
from pathlib import Path

import pytest

from attacker.exits import InvalidLoadTestError
from attacker.vegeta import find_vegeta
from tests.workflows.submit_process import REPOSITORY
from workflows.attacker_memory import A_REQUEST_BYTES, PROGRAM_BYTES, check_attacker_memory
from workflows.loadtest import LoadTest
from workflows.loadtest_file import parse_loadtest
from workflows.steps.plan import plan


def checked(**fields: object) -> None:
    loadtest = parse_loadtest(fields)
    check_attacker_memory(loadtest, plan(loadtest, base_url=""))


def test_a_load_test_that_says_nothing_has_enough() -> None:
    checked(**{name: LoadTest.model_fields[name].default for name in ("rate", "duration")})


def test_a_shard_of_more_requests_than_its_pod_can_record_is_refused_with_what_would_do() -> None:
    with pytest.raises(InvalidLoadTestError) as refused:
        checked(rate=5000, duration="1000s")

    assert str(refused.value) == (
        "attacker_memory is 1Gi: to record the 5,000,000 requests of a shard takes 1686Mi; "
        "give attacker_memory 1686Mi, or more shards"
    )
    checked(rate=5000, duration="1000s", attacker_memory="1686Mi")
    checked(rate=5000, duration="1000s", shards=2)


def test_the_warm_up_is_recorded_too() -> None:
    checked(rate=5000, duration="500s")
    with pytest.raises(InvalidLoadTestError, match="5,000,000 requests of a shard"):
        checked(rate=5000, duration="500s", warmup="500s")


RECORD = """
import sys
from pathlib import Path
from attacker.attack import Attack, Attacker, record
from tests.attacker.building import a_shard
folder = Path(sys.argv[1])
attack = Attack(shard=a_shard(), command=(), start_at_ns=0, started_ns=0, ended_ns=1, exit_code=0, interrupted=False,
                throttled_ratio=None)
record(Attacker(vegeta=folder, vegeta_version="", cpus=1, run="the-run"), attack, folder)
[peak] = [line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
print(peak)
"""


def peak_bytes(folder: Path, *, requests: int) -> int:
    """Record so many requests in a process of its own; returns the most memory that it had."""
    folder.mkdir()
    rows = "".join(
        f"{1_800_000_000_000_000_000 + 200_000 * seq},200,{1_000_000 + 7919 * seq % 5_000_000},0,27,,,get-health,{seq},"
        "GET,http://loadtest-api.loadtest.svc:5000/health,\n"
        for seq in range(requests)
    )
    encode = [str(find_vegeta()), "encode", "-to=gob", f"-output={folder / 'results.gob'}"]
    subprocess.run(encode, input=rows, text=True, check=True)
    command = [sys.executable, "-c", RECORD, str(folder)]
    return 1024 * int(subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout)


def test_recording_takes_what_is_reckoned_with(tmp_path: Path) -> None:
    few, many = 100_000, 600_000

    least, most = peak_bytes(tmp_path / "few", requests=few), peak_bytes(tmp_path / "many", requests=many)

    assert most <= PROGRAM_BYTES + A_REQUEST_BYTES * many
    assert (most - least) / (many - few) <= A_REQUEST_BYTES
