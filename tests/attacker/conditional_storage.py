"""The storage emulator with one thing more that Google's service does: of several who create a file, one succeeds.

The emulator's package passes over `ifGenerationMatch`; it serves one request at a time, so a look before is enough.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

from tests.loopback import a_free_port, refuses, wait_until

__all__ = ["conditional_storage"]


@contextmanager
def conditional_storage(bucket: str, log: Path) -> Iterator[str]:
    """Run it with one bucket; yields its URL."""
    port = a_free_port()
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.attacker.conditional_storage", str(port), bucket],
            cwd=Path(__file__).parents[2],
            stdout=stream,
            stderr=stream,
            env=os.environ | {"PYTHONWARNINGS": "ignore"},
        )
    try:
        wait_until(lambda: not refuses(port))
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(10)


def _serve(port: int, bucket: str) -> None:
    from gcp_storage_emulator.exceptions import NotFound  # noqa: PLC0415  (only the process needs the package)
    from gcp_storage_emulator.handlers import objects  # noqa: PLC0415

    insert: Callable[..., None] = objects.insert

    def insert_where_told(request: Any, response: Any, storage: Any) -> None:
        name = request.query.get("name", [None])[0] or request.data["meta"]["name"]
        if request.query.get("ifGenerationMatch") == ["0"]:
            try:
                storage.get_file_obj(request.params["bucket_name"], name)
            except NotFound:
                pass
            else:
                response.status = HTTPStatus.PRECONDITION_FAILED
                return
        insert(request, response, storage)

    objects.insert = insert_where_told  # before the server puts the function into its table
    from gcp_storage_emulator.server import create_server  # noqa: PLC0415

    create_server("127.0.0.1", port, in_memory=True, default_bucket=bucket).run()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    _serve(int(sys.argv[1]), sys.argv[2])
