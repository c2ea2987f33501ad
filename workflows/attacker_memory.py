"""What an attack pod needs of memory: once its attack is over, it holds all that it measured to record it."""

from collections.abc import Sequence

from attacker.exits import InvalidLoadTestError
from attacker.plan import Shard
from workflows.loadtest import LoadTest
from workflows.quantity import bytes_of

__all__ = ["A_REQUEST_BYTES", "PROGRAM_BYTES", "check_attacker_memory"]

PROGRAM_BYTES = 160 << 20
"""Of the program, whatever it records."""
A_REQUEST_BYTES = 320
"""Of each request, at the moment that most is held of it."""
_MIB = 1 << 20


def check_attacker_memory(loadtest: LoadTest, shards: Sequence[Shard]) -> None:
    """Refuse an attack whose results its pods could not record: the kernel would end them, and all would be lost.

    Raises:
        InvalidLoadTestError: with the memory that is enough.
    """
    requests = max(shard.warmup_requests + shard.requests for shard in shards)
    needed_mib = -(-(PROGRAM_BYTES + A_REQUEST_BYTES * requests) // _MIB)
    if needed_mib * _MIB > bytes_of(loadtest.attacker_memory):
        raise InvalidLoadTestError(
            f"attacker_memory is {loadtest.attacker_memory}: to record the {requests:,} requests of a shard takes "
            f"{needed_mib}Mi; give attacker_memory {needed_mib}Mi, or more shards"
        )
