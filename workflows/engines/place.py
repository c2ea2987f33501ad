"""Where a run's folder goes: a local folder, or a bucket by way of one."""

from dataclasses import dataclass
from pathlib import Path

from attacker.bucket import Bucket
from attacker.exits import InvalidLoadTestError, RunBrokenError
from workflows.loadtest import LoadTest

__all__ = ["Place", "open_place"]


@dataclass(frozen=True, slots=True)
class Place:
    """The run folder on this machine, and the bucket that it is to be in at the end, if any."""

    folder: Path
    path: str
    """`runs/RUN`."""
    bucket: Bucket | None

    def deliver(self) -> str:
        """Bring the folder to where it was asked for.

        Returns:
            Where that is.

        Raises:
            RunBrokenError: the upload failed; the folder stays, and the text says where.
        """
        if self.bucket is None:
            return str(self.folder)
        try:
            self.bucket.upload(self.folder, self.path)
        except RunBrokenError as error:
            raise RunBrokenError(f"{error}; all that was measured is in {self.folder}") from error
        return self.bucket.address(self.path)


def open_place(loadtest: LoadTest, run: str, content: bytes) -> Place:
    """Make the run folder and write its first file, loadtest.json, wherever the results are to go.

    Raises:
        InvalidLoadTestError: that place cannot be written.
    """
    path = f"runs/{run}"
    bucket = None
    if loadtest.bucket is not None:
        try:
            bucket = Bucket.connect(*loadtest.bucket)
            bucket.probe(f"{path}/loadtest.json", content)
        except RunBrokenError as error:
            raise InvalidLoadTestError(f"results is {loadtest.results!r}: {error}") from error
    base = Path() if bucket else Path(loadtest.results).expanduser()
    folder = (base / path).absolute()
    try:
        folder.mkdir(parents=True)
        (folder / "loadtest.json").write_bytes(content)
    except OSError as error:
        place = "." if bucket else loadtest.results
        raise InvalidLoadTestError(
            f"results is {place!r}: {error.filename or folder}: {error.strerror}: give a folder that can be written"
        ) from error
    return Place(folder, path, bucket)
