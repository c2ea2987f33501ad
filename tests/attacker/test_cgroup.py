from pathlib import Path

import pytest

from attacker.cgroup import Throttling, read_oom_kills, read_throttling

V2_STAT = "usage_usec 171717\nuser_usec 1\nsystem_usec 2\nnr_periods 120\nnr_throttled 30\nthrottled_usec 99\n"
V1_STAT = "nr_periods 120\nnr_throttled 30\nthrottled_time 99000\n"
V2 = "0::/kubepods/pod7/container\n"
V1 = "12:memory:/pod7\n4:cpu,cpuacct:/pod7\n0::/\n"


def a_machine(root: Path, *, cgroup: str, stat: str, at: str) -> tuple[Path, Path]:
    """Make a /proc/self/cgroup and a mount with one cpu.stat; returns both."""
    membership, mount = root / "cgroup", root / "mount"
    membership.write_text(cgroup)
    (mount / at).mkdir(parents=True)
    (mount / at / "cpu.stat").write_text(stat)
    return membership, mount


@pytest.mark.parametrize(
    ("cgroup", "stat", "at"),
    [
        pytest.param(V2, V2_STAT, "kubepods/pod7/container", id="version 2"),
        pytest.param(V2, V2_STAT, "", id="version 2, mounted from the container on"),
        pytest.param("0::/\n", V2_STAT, "", id="version 2, in a namespace of its own"),
        pytest.param("0::/../../other\n", V2_STAT, "", id="version 2, moved out of its namespace"),
        pytest.param(V1, V1_STAT, "cpu/pod7", id="version 1"),
        pytest.param(V1, V1_STAT, "cpu", id="version 1, mounted from the container on"),
    ],
)
def test_the_counters_of_this_processs_group_are_read(tmp_path: Path, cgroup: str, stat: str, at: str) -> None:
    membership, mount = a_machine(tmp_path, cgroup=cgroup, stat=stat, at=at)

    assert read_throttling(membership, mount) == Throttling(periods=120, throttled=30)


def test_its_own_group_comes_before_the_whole_machines(tmp_path: Path) -> None:
    membership, mount = a_machine(tmp_path, cgroup=V2, stat=V2_STAT, at="kubepods/pod7/container")
    (mount / "cpu.stat").write_text(V2_STAT.replace("120", "999"))

    assert read_throttling(membership, mount) == Throttling(periods=120, throttled=30)


@pytest.mark.parametrize(
    ("cgroup", "stat"),
    [
        pytest.param("0::/\n", "usage_usec 171717\nuser_usec 1\nsystem_usec 2\n", id="a group without a quota"),
        pytest.param("0::/\n", "nr_periods many\nnr_throttled few\n", id="what are no counters"),
        pytest.param("0::/\n", "nr_periods 120 of 130\n", id="what are no pairs"),
        pytest.param("12:memory:/pod7\n", V1_STAT, id="no group for the CPU"),
        pytest.param("", V1_STAT, id="no group at all"),
    ],
)
def test_where_there_are_no_counters_nothing_is_said(tmp_path: Path, cgroup: str, stat: str) -> None:
    membership, mount = a_machine(tmp_path, cgroup=cgroup, stat=stat, at="")

    assert read_throttling(membership, mount) is None


def test_where_the_kernel_shows_no_groups_nothing_is_said(tmp_path: Path) -> None:
    assert read_throttling(tmp_path / "nothing", tmp_path) is None


def test_on_this_machine_reading_gives_counters_or_nothing() -> None:
    assert isinstance(read_throttling(), Throttling | None)


def test_the_ratio_is_of_the_periods_since_the_start() -> None:
    start, end = Throttling(periods=100, throttled=40), Throttling(periods=140, throttled=50)

    assert end.ratio_since(start) == 0.25


def test_where_no_quota_was_enforced_there_is_no_ratio() -> None:
    assert Throttling(periods=0, throttled=0).ratio_since(Throttling(periods=0, throttled=0)) is None


@pytest.mark.parametrize(
    ("cgroup", "file", "text"),
    [
        pytest.param(V2, "kubepods/pod7/container/memory.events", "low 0\noom 4\noom_kill 3\n", id="version 2"),
        pytest.param(V2, "memory.events", "low 0\noom 4\noom_kill 3\n", id="version 2, mounted from the container on"),
        pytest.param(
            V1, "memory/pod7/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", id="version 1"
        ),
        pytest.param(
            V1, "memory/memory.oom_control", "under_oom 0\noom_kill 3\n", id="version 1, from the container on"
        ),
    ],
)
def test_processes_that_were_killed_for_want_of_memory_are_counted(
    tmp_path: Path, cgroup: str, file: str, text: str
) -> None:
    (tmp_path / "cgroup").write_text(cgroup)
    (tmp_path / "mount" / file).parent.mkdir(parents=True)
    (tmp_path / "mount" / file).write_text(text)

    assert read_oom_kills(tmp_path / "cgroup", tmp_path / "mount") == 3


def test_where_the_kernel_counts_no_such_processes_nothing_is_said(tmp_path: Path) -> None:
    assert read_oom_kills(tmp_path / "nothing", tmp_path) is None
