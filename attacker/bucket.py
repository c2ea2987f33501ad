"""A Google Cloud Storage bucket, or its emulator at STORAGE_EMULATOR_HOST."""

import mimetypes
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attacker.exits import RunBrokenError

__all__ = ["Bucket"]

_TIMEOUT_S = 15.0
_RETRY_S = 20.0


@dataclass(frozen=True, slots=True)
class Bucket:
    """A place for files: a bucket and the prefix of every name in it."""

    name: str
    prefix: str
    _objects: Any

    @classmethod
    def connect(cls, name: str, prefix: str) -> "Bucket":
        """Find the bucket's client; nothing is asked of the server yet.

        Raises:
            RunBrokenError: there are no credentials.
        """
        from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415  (a third of a second)
        from google.auth.exceptions import DefaultCredentialsError  # noqa: PLC0415
        from google.cloud import storage  # noqa: PLC0415

        emulated = bool(os.environ.get("STORAGE_EMULATOR_HOST"))
        try:
            client = (
                storage.Client(project="emulated", credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]
                if emulated
                else storage.Client()  # type: ignore[no-untyped-call]
            )
        except (DefaultCredentialsError, OSError) as error:
            raise RunBrokenError(
                f"gs://{name}: there are no Google credentials here: run 'gcloud auth application-default login'"
            ) from error
        return cls(name, prefix.strip("/"), client.bucket(name))  # type: ignore[no-untyped-call]

    def address(self, path: str) -> str:
        """Give the gs:// address of a file."""
        return f"gs://{self.name}/{self._full(path)}"

    def probe(self, path: str, data: bytes) -> None:
        """Write a file, without patience: can this bucket be written to?

        Raises:
            RunBrokenError: it does not exist, may not be written, or does not answer.
        """
        self._write(path, data, retry=None)

    def upload(self, folder: Path, path: str) -> None:
        """Write a folder's files, its own report last: where that is, the rest is too.

        Raises:
            RunBrokenError: a file could not be written.
        """
        from google.cloud.storage.retry import DEFAULT_RETRY  # noqa: PLC0415

        files = sorted(file for file in folder.rglob("*") if file.is_file())
        for file in sorted(files, key=lambda file: file.name == "report.json"):
            self._write(
                f"{path}/{file.relative_to(folder).as_posix()}", file, retry=DEFAULT_RETRY.with_timeout(_RETRY_S)
            )

    def _write(self, path: str, data: bytes | Path, *, retry: Any) -> None:
        from google.api_core.exceptions import Forbidden, GoogleAPIError, NotFound  # noqa: PLC0415
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415
        from requests import RequestException  # noqa: PLC0415

        blob = self._objects.blob(self._full(path))
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        try:
            if isinstance(data, Path):
                blob.upload_from_filename(data, content_type=kind, timeout=_TIMEOUT_S, retry=retry)
            else:
                blob.upload_from_string(data, content_type=kind, timeout=_TIMEOUT_S, retry=retry)
        except NotFound as error:
            raise RunBrokenError(f"gs://{self.name}: there is no such bucket: create it, or name another") from error
        except Forbidden as error:
            raise RunBrokenError(
                f"gs://{self.name}: writing {self._full(path)} is not allowed: grant roles/storage.objectUser on it"
            ) from error
        except (GoogleAPIError, GoogleAuthError, RequestException, OSError) as error:
            raise RunBrokenError(
                f"gs://{self.name}: writing {self._full(path)} failed ({_in_words(error)}): try again when it answers"
            ) from error

    def _full(self, path: str) -> str:
        return f"{self.prefix}/{path}" if self.prefix else path


def _in_words(error: Exception) -> str:
    from requests import ConnectionError as NotConnectedError  # noqa: PLC0415
    from requests import Timeout  # noqa: PLC0415

    if isinstance(error, NotConnectedError | Timeout):
        return "the storage server does not answer"
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
