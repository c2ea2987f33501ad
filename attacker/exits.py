"""The exit codes, and the errors that carry them."""

from enum import IntEnum

__all__ = ["Exit", "InvalidLoadTestError", "LoadTestError", "RunBrokenError"]


class Exit(IntEnum):
    """What a process of this project says by its exit code; 1 means FAIL and nothing else."""

    PASS = 0
    FAIL = 1
    USAGE = 2
    INVALID = 3
    BROKEN = 4
    INTERRUPTED = 130


class LoadTestError(Exception):
    """An error whose text is for the user: one line that names the thing, the value and the remedy."""

    exit = Exit.BROKEN


class InvalidLoadTestError(LoadTestError):
    """Wrong use: nothing was started. The user mends the load test or the call."""

    exit = Exit.USAGE


class RunBrokenError(LoadTestError):
    """The run itself broke: build, deploy, cluster, storage, a damaged file."""

    exit = Exit.BROKEN
