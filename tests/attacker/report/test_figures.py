"""What a report's figures are written as."""

from datetime import datetime, timedelta, timezone

from attacker.report.figures import written_moment


def test_a_moment_is_written_in_utc_as_kubernetes_writes_it() -> None:
    in_tokyo = datetime(2026, 2, 17, 0, 7, 1, 999_999, tzinfo=timezone(timedelta(hours=9)))

    assert written_moment(in_tokyo) == "2026-02-16T15:07:01Z"
