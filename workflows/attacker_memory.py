"""What an attack pod needs of memory: as much for any attack, for it records its rows piece by piece."""

from attacker.exits import InvalidLoadTestError
from workflows.loadtest import LoadTest
from workflows.quantity import bytes_of

__all__ = ["RECORDING_BYTES", "check_attacker_memory"]

RECORDING_BYTES = 256 << 20
"""What recording takes, however many requests there were."""


def check_attacker_memory(loadtest: LoadTest) -> None:
    """Refuse an attack whose results its pods could not record: the kernel would end them, and all would be lost.

    Raises:
        InvalidLoadTestError: with the memory that is enough.
    """
    if bytes_of(loadtest.attacker_memory) < RECORDING_BYTES:
        enough = f"{RECORDING_BYTES >> 20}Mi"
        raise InvalidLoadTestError(
            f"attacker_memory is {loadtest.attacker_memory}: to record an attack takes {enough}: give {enough} or more"
        )
