"""A Google Cloud Storage bucket, or its emulator at STORAGE_EMULATOR_HOST."""

import mimetypes
import os
import re
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

from attacker.exits import RunBrokenError

__all__ = ["AT_ONCE", "Bucket", "parse_address"]

AT_ONCE = 8
"""So many files are read or written at the same time: requests keeps ten connections."""

_TIMEOUT_S = 15.0
_RETRY_S = 20.0
_LAST = ("shard.json", "report.json")
_ADDRESS = re.compile(r"gs://(?P<bucket>[a-z0-9][a-z0-9._-]{1,220}[a-z0-9])(?:/(?P<prefix>.*))?", re.ASCII)


def parse_address(text: str) -> tuple[str, str]:
    """Read `gs://BUCKET/PREFIX` as bucket and prefix.

    Raises:
        ValueError: it is something else.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise ValueError("give a bucket and perhaps a prefix, such as gs://my-bucket/load-tests")
    return match["bucket"], (match["prefix"] or "").strip("/")


@dataclass(frozen=True, slots=True)
class Bucket:
    """A place for files: a bucket and the prefix of every name in it. Every method but `connect` asks the server."""

    name: str
    prefix: str
    _objects: Any

    @classmethod
    def connect(cls, name: str, prefix: str, *, patience_s: float = 0) -> "Bucket":
        """Find the bucket's client; nothing is asked of the server yet.

        Args:
            name: the bucket's.
            prefix: of every name in it.
            patience_s: how long credentials are waited for: a new pod's node needs seconds to have them.

        Raises:
            RunBrokenError: there are no credentials.
        """
        from google.auth.exceptions import DefaultCredentialsError  # noqa: PLC0415  (a third of a second)

        until = time.monotonic() + patience_s
        while True:
            try:
                return cls(name, prefix.strip("/"), _new_client().bucket(name))
            except (DefaultCredentialsError, OSError) as error:
                if time.monotonic() >= until:
                    remedy = "run 'gcloud auth application-default login'"
                    raise RunBrokenError(f"gs://{name}: there are no Google credentials here: {remedy}") from error
                time.sleep(1)

    def address(self, path: str) -> str:
        """Give the gs:// address of a file."""
        return f"gs://{self.name}/{self._full(path)}"

    def probe(self, path: str, data: bytes) -> None:
        """Write a file, without patience: can this bucket be written to?

        Raises:
            RunBrokenError: it does not exist, may not be written, or does not answer.
        """
        self._write(path, data, retry=None)

    def write(self, path: str, data: bytes) -> datetime | None:
        """Write a file.

        Returns:
            When it was made, by the server's clock; None where it does not say.

        Raises:
            RunBrokenError: it could not be written.
        """
        return self._write(path, data, retry=_patiently())

    def create(self, path: str, data: bytes) -> bool:
        """Write a file unless it is there; of several writers at once, one succeeds.

        Returns:
            False where it is there, or where so many write it that the server cannot say yet: look again.

        Raises:
            RunBrokenError: it could not be written.
        """
        from google.api_core.exceptions import PreconditionFailed, TooManyRequests  # noqa: PLC0415

        try:
            self._write(path, data, retry=_unless_crowded(), if_generation_match=0)
        except RunBrokenError as error:
            if isinstance(error.__cause__, PreconditionFailed | TooManyRequests):
                return False
            raise
        return True

    def read(self, path: str) -> bytes | None:
        """Read a file; None where there is none.

        Raises:
            RunBrokenError: it could not be read, or there is no such bucket.
        """
        from google.api_core.exceptions import NotFound  # noqa: PLC0415

        with self._explained(f"reading {self._full(path)}"):
            try:
                content: bytes = self._blob(path).download_as_bytes(timeout=_TIMEOUT_S, retry=_patiently())
            except NotFound:
                self.names(path)  # where it is the bucket that is missing, this says so
                return None
            return content

    def read_range(self, path: str, begin: int, end: int) -> bytes:
        """Read a file's bytes from one place up to another.

        Raises:
            RunBrokenError: they could not be read.
        """
        with self._explained(f"reading {self._full(path)}"):
            content: bytes = self._blob(path).download_as_bytes(
                start=begin, end=end - 1, timeout=_TIMEOUT_S, retry=_patiently()
            )
            return content

    def names(self, prefix: str) -> tuple[str, ...]:
        """List the files whose paths begin so.

        Raises:
            RunBrokenError: they could not be listed, or there is no such bucket.
        """
        return tuple(self.sizes(prefix))

    def sizes(self, prefix: str) -> dict[str, int]:
        """List the files whose paths begin so, in the order of their names, with how many bytes each has.

        Raises:
            RunBrokenError: they could not be listed, or there is no such bucket.
        """
        with self._explained(f"listing {self._full(prefix)}"):
            found = self._objects.client.list_blobs(
                self._objects,
                prefix=self._full(prefix),
                fields="items(name,size),nextPageToken",
                timeout=_TIMEOUT_S,
                retry=_patiently(),
            )
            return {one.name.removeprefix(self._full("")): int(one.size or 0) for one in found}

    def delete(self, path: str) -> None:
        """Remove a file, if it is there.

        Raises:
            RunBrokenError: it could not be removed.
        """
        from google.api_core.exceptions import NotFound  # noqa: PLC0415

        with self._explained(f"removing {self._full(path)}"):
            try:
                self._blob(path).delete(timeout=_TIMEOUT_S, retry=_patiently())
            except NotFound:
                return

    def clear(self, prefix: str) -> None:
        """Remove the files whose paths begin so, several at a time.

        Raises:
            RunBrokenError: one could not be removed.
        """
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            list(pool.map(self.delete, self.names(prefix)))

    def upload(self, folder: Path, path: str) -> None:
        """Write a folder's files, a shard's evidence and then the report last: where that is, the rest is too.

        Raises:
            RunBrokenError: a file could not be written.
        """
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        for file in sorted(files, key=lambda file: _LAST.index(file.name) if file.name in _LAST else -1):
            self._write(f"{path}/{file.relative_to(folder).as_posix()}", file, retry=_patiently())

    def download(self, path: str, into: Path) -> tuple[str, ...]:
        """Read a tree of files, several at a time, into a folder. What cannot be read does not stop the rest.

        Returns:
            What could not be read and why, a line each.

        Raises:
            RunBrokenError: the files could not be listed.
        """
        return tuple(self.fetch(self.names(f"{path}/"), path, into).values())

    def fetch(self, names: Iterable[str], path: str, into: Path) -> dict[str, str]:
        """Read the files of such names, all under a path, into a folder. What cannot be read does not stop the rest.

        Returns:
            Why it could not be read, for each file that could not.
        """
        files = [name for name in names if not name.endswith("/")]
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            troubles = pool.map(lambda name: self._fetch(name, into, name.removeprefix(f"{path}/")), files)
            return {name: trouble for name, trouble in zip(files, troubles, strict=True) if trouble}

    def _fetch(self, name: str, into: Path, relative: str) -> str | None:
        """Read one file; returns what went wrong, if anything."""
        from google.api_core.exceptions import NotFound  # noqa: PLC0415

        file = into / relative
        if not {"", ".", ".."}.isdisjoint(relative.split("/")):
            return f"{self.address(name)}: its name leads out of the folder: remove it"
        try:
            with self._explained(f"reading {self._full(name)}"):
                file.parent.mkdir(parents=True, exist_ok=True)
                self._blob(name).download_to_filename(file, timeout=_TIMEOUT_S, retry=_patiently())
        except RunBrokenError as error:
            if file.is_file():
                file.unlink()
            gone = isinstance(error.__cause__, NotFound)
            return f"gs://{self.name}: {self._full(name)} is not there any more" if gone else str(error)
        return None

    def _write(self, path: str, data: bytes | Path, *, retry: Any, **conditions: int) -> datetime | None:
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        options = {"content_type": kind, "timeout": _TIMEOUT_S, "retry": retry, **conditions}
        with self._explained(f"writing {self._full(path)}"):
            blob = self._blob(path)
            if isinstance(data, Path):
                blob.upload_from_filename(data, **options)
            else:
                blob.upload_from_string(data, **options)
            made: datetime | None = blob.time_created
            return made

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        """Say in one line what went wrong, and what to do about it."""
        from google.api_core.exceptions import Forbidden, GoogleAPIError, NotFound, Unauthorized  # noqa: PLC0415
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415
        from google.cloud.storage.exceptions import DataCorruption  # noqa: PLC0415
        from requests import RequestException  # noqa: PLC0415

        try:
            yield
        except NotFound as error:
            raise RunBrokenError(f"gs://{self.name}: there is no such bucket: create it, or name another") from error
        except (Forbidden, Unauthorized) as error:
            raise RunBrokenError(
                f"gs://{self.name}: {doing} is not allowed: grant roles/storage.objectUser on it"
            ) from error
        except (GoogleAPIError, GoogleAuthError, DataCorruption, RequestException, OSError) as error:
            raise RunBrokenError(
                f"gs://{self.name}: {doing} failed ({_in_words(error)}): try again when it answers"
            ) from error

    def _blob(self, path: str) -> Any:
        return self._objects.blob(self._full(path))

    def _full(self, path: str) -> str:
        return f"{self.prefix}/{path}" if self.prefix else path


def _new_client() -> Any:
    from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415
    from google.cloud import storage  # noqa: PLC0415

    # Else each client asks for the bucket's metadata in a thread of its own, for traces that nobody collects.
    os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    if os.environ.get("STORAGE_EMULATOR_HOST"):
        return storage.Client(project="emulated", credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]
    return storage.Client()  # type: ignore[no-untyped-call]


def _patiently() -> Any:
    """Try again for a while, at what may pass."""
    from google.cloud.storage.retry import DEFAULT_RETRY  # noqa: PLC0415

    return DEFAULT_RETRY.with_timeout(_RETRY_S)


def _unless_crowded() -> Any:
    """Try again for a while, but not where others write the same file: whoever waits for that hears of it late."""
    from google.cloud.storage.exceptions import InvalidResponse  # noqa: PLC0415
    from google.cloud.storage.retry import _should_retry  # noqa: PLC0415

    def may_pass(error: Exception) -> bool:
        crowded = isinstance(error, InvalidResponse) and error.response.status_code == HTTPStatus.TOO_MANY_REQUESTS
        return not crowded and bool(_should_retry(error))  # type: ignore[no-untyped-call]

    return _patiently().with_predicate(may_pass)


def _in_words(error: Exception) -> str:
    from google.api_core.exceptions import RetryError  # noqa: PLC0415
    from requests import ConnectionError as NotConnectedError  # noqa: PLC0415
    from requests import Timeout  # noqa: PLC0415

    cause = (error.cause or error) if isinstance(error, RetryError) else error
    if isinstance(cause, NotConnectedError | Timeout):
        return "the storage server does not answer"
    return (str(cause).splitlines() or [type(cause).__name__])[0][:200]
