"""A bucket, on a real emulator of Google Cloud Storage."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from attacker.bucket import Bucket
from attacker.exits import RunBrokenError
from tests.loopback import a_free_port, storage_emulator


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with storage_emulator("results", tmp_path / "emulator.log") as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        yield url


def test_a_folder_is_uploaded_as_the_tree_that_it_is_with_its_content_types(storage: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    (folder / "shards" / "a").mkdir(parents=True)
    (folder / "report.html").write_text("<p>")
    (folder / "shards" / "a" / "shard.json").write_text("{}")

    Bucket.connect("results", "/pre/fix/").upload(folder, "runs/1")

    stored = httpx.get(f"{storage}/storage/v1/b/results/o").json()["items"]
    assert {one["name"]: one["contentType"] for one in stored} == {
        "pre/fix/runs/1/report.html": "text/html",
        "pre/fix/runs/1/shards/a/shard.json": "application/json",
    }


@pytest.mark.usefixtures("storage")
def test_a_bucket_that_does_not_exist_is_said_to() -> None:
    with pytest.raises(RunBrokenError, match="gs://elsewhere: there is no such bucket: create it, or name another"):
        Bucket.connect("elsewhere", "").probe("file", b"")


def test_storage_that_does_not_answer_is_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{a_free_port()}")

    with pytest.raises(RunBrokenError, match="the storage server does not answer"):
        Bucket.connect("results", "").probe("file", b"")


@pytest.mark.parametrize(("prefix", "address"), [("", "gs://results/a/b"), ("x/", "gs://results/x/a/b")])
@pytest.mark.usefixtures("storage")
def test_an_address_is_that_of_gsutil(prefix: str, address: str) -> None:
    assert Bucket.connect("results", prefix).address("a/b") == address
