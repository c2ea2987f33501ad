"""A bucket, on a real emulator of Google Cloud Storage."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from attacker.bucket import Bucket, parse_address
from attacker.exits import RunBrokenError
from tests.attacker.conditional_storage import conditional_storage
from tests.loopback import a_free_port, answering, storage_emulator


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


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    with conditional_storage("results", tmp_path / "emulator.log") as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        yield Bucket.connect("results", "pre/fix")


@pytest.mark.parametrize("content", [b"", b"\0\r\n\xff" * 1000], ids=["nothing", "bytes"])
def test_a_file_is_read_as_it_was_written(bucket: Bucket, content: bytes) -> None:
    bucket.write("a/b", content)

    assert bucket.read("a/b") == content


def test_of_a_file_that_is_not_there_nothing_is_read(bucket: Bucket) -> None:
    assert bucket.read("a/b") is None


def test_a_file_is_created_once(bucket: Bucket) -> None:
    assert [bucket.create("go", b"first"), bucket.create("go", b"second")] == [True, False]
    assert bucket.read("go") == b"first"


def test_of_several_who_create_a_file_at_once_one_succeeds(bucket: Bucket) -> None:
    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(lambda who: bucket.create("go", bytes([who])), range(8)))

    assert created.count(True) == 1
    assert bucket.read("go") == bytes([created.index(True)])


def test_the_names_are_those_under_a_prefix_without_the_buckets_own(bucket: Bucket) -> None:
    for path in ("a/b", "a/c/d", "ab", "e"):
        bucket.write(path, b"")

    assert bucket.names("a/") == ("a/b", "a/c/d")
    assert bucket.names("") == ("a/b", "a/c/d", "ab", "e")
    assert bucket.names("f") == ()


def test_a_file_is_removed_and_may_be_gone_already(bucket: Bucket) -> None:
    bucket.write("a", b"")

    bucket.delete("a")
    bucket.delete("a")

    assert bucket.names("") == ()


def test_a_range_of_a_file_is_read_without_the_rest(bucket: Bucket) -> None:
    bucket.write("a/b", bytes(range(200)))

    assert [bucket.read_range("a/b", 0, 3), bucket.read_range("a/b", 150, 200)] == [b"\0\1\2", bytes(range(150, 200))]


def test_a_range_of_a_file_that_is_not_there_is_told_of(bucket: Bucket) -> None:
    with pytest.raises(RunBrokenError, match="gs://results: "):
        bucket.read_range("a/b", 0, 3)


def test_each_files_size_is_told(bucket: Bucket) -> None:
    bucket.write("b/c", b"12345")
    bucket.write("b/a", b"")

    assert list(bucket.sizes("b").items()) == [("b/a", 0), ("b/c", 5)]


def test_what_is_under_a_prefix_is_removed_and_nothing_else(bucket: Bucket) -> None:
    for path in ("a/1/b", "a/2", "ab"):
        bucket.write(path, b"")

    bucket.clear("a/")
    bucket.clear("a/")

    assert bucket.names("") == ("ab",)


def test_a_tree_comes_back_as_it_was_uploaded(bucket: Bucket, tmp_path: Path) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    files = {f"shards/{shard}/{file}": bytes([shard]) * 5000 for shard in range(10) for file in ("a.parquet", "b")}
    for path, content in files.items():
        (there / path).parent.mkdir(parents=True, exist_ok=True)
        (there / path).write_bytes(content)
    bucket.upload(there, "runs/1")
    bucket.write("runs/10/elsewhere", b"")

    troubles = bucket.download("runs/1", here)

    assert troubles == ()
    assert {str(file.relative_to(here)): file.read_bytes() for file in here.rglob("*") if file.is_file()} == files


def test_what_cannot_be_downloaded_is_told_and_does_not_stop_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = ("../outside", "/outside", "a/./b", "folder/", "forbidden", "gone", "good", "taken")
    listed = json.dumps({"items": [{"name": f"runs/1/{path}"} for path in paths]}).encode()
    statuses = {"forbidden": 403, "gone": 404}
    here = tmp_path / "here"
    (here / "taken").mkdir(parents=True)

    def answer(_method: str, path: str, _body: bytes) -> tuple[int, bytes]:
        if "/o?" in path:
            return 200, listed
        return next((status for name, status in statuses.items() if name in path), 200), b"content"

    with answering(answer) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        troubles = Bucket.connect("results", "").download("runs/1", here)

    assert [trouble.partition(" (")[0] for trouble in troubles] == [
        "gs://results/runs/1/../outside: its name leads out of the folder: remove it",
        "gs://results/runs/1//outside: its name leads out of the folder: remove it",
        "gs://results/runs/1/a/./b: its name leads out of the folder: remove it",
        "gs://results: reading runs/1/forbidden is not allowed: grant roles/storage.objectUser on it",
        "gs://results: runs/1/gone is not there any more",
        "gs://results: reading runs/1/taken failed",
    ]
    assert {file.name: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == {"good": b"content"}


def test_where_a_shards_evidence_is_its_rows_are_too(bucket: Bucket, tmp_path: Path) -> None:
    for name in ("a/shard.json", "a/results.parquet", "z/zzz", "report.json", "report.html"):
        (tmp_path / "run" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / name).write_text(name)

    bucket.upload(tmp_path / "run", "runs/1")

    stored = httpx.get(f"{os.environ['STORAGE_EMULATOR_HOST']}/storage/v1/b/results/o").json()["items"]
    in_time = [one["name"].removeprefix("pre/fix/runs/1/") for one in sorted(stored, key=lambda one: one["generation"])]
    assert in_time == ["a/results.parquet", "report.html", "z/zzz", "a/shard.json", "report.json"]


def test_what_fails_for_a_moment_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([(503, b""), (429, b""), (200, b"{}")])
    with answering(lambda *_: next(answers)) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        Bucket.connect("results", "").write("file", b"")

    assert next(answers, None) is None


def test_who_creates_a_file_in_a_crowd_does_not_wait_for_the_server_to_say_whose_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = iter([(503, b""), (429, b"")])
    with answering(lambda *_: next(answers)) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        created = Bucket.connect("results", "").create("file", b"")

    assert not created


@pytest.mark.parametrize(
    ("ask", "doing"),
    [
        (lambda bucket: bucket.read("a"), "reading a"),
        (lambda bucket: bucket.write("a", b""), "writing a"),
        (lambda bucket: bucket.create("a", b""), "writing a"),
        (lambda bucket: bucket.names("a"), "listing a"),
    ],
    ids=["read", "write", "create", "names"],
)
def test_what_is_not_allowed_is_said_in_one_line(
    ask: Callable[[Bucket], object], doing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(lambda *_: (403, b"{}")) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        bucket = Bucket.connect("results", "")

        with pytest.raises(RunBrokenError, match=f"^gs://results: {doing} is not allowed: grant roles/storage.object"):
            ask(bucket)


@pytest.mark.parametrize(
    "ask",
    [
        lambda bucket: bucket.read("a"),
        lambda bucket: bucket.create("a", b""),
        lambda bucket: bucket.names("a"),
        lambda bucket: bucket.download("a", Path("nowhere")),
    ],
    ids=["read", "create", "names", "download"],
)
@pytest.mark.usefixtures("storage")
def test_whatever_is_asked_of_it_a_bucket_that_does_not_exist_is_said_to(ask: Callable[[Bucket], object]) -> None:
    elsewhere = Bucket.connect("elsewhere", "")

    with pytest.raises(RunBrokenError, match="gs://elsewhere: there is no such bucket: create it, or name another"):
        ask(elsewhere)


def test_credentials_that_are_not_there_yet_are_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = tmp_path / "credentials.json"
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(credentials))
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "a-project")
    secret = {"client_id": "i", "client_secret": "s", "refresh_token": "t", "type": "authorized_user"}
    with pytest.raises(RunBrokenError, match="gs://results: there are no Google credentials here: run 'gcloud auth"):
        Bucket.connect("results", "")
    coming = threading.Timer(0.3, lambda: credentials.write_text(json.dumps(secret)))
    coming.start()

    assert Bucket.connect("results", "x", patience_s=30).address("a") == "gs://results/x/a"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("gs://my-bucket", ("my-bucket", "")),
        ("gs://my-bucket/", ("my-bucket", "")),
        ("gs://my-bucket/load/tests/", ("my-bucket", "load/tests")),
    ],
)
def test_an_address_is_read(text: str, place: tuple[str, str]) -> None:
    assert parse_address(text) == place


@pytest.mark.parametrize("text", ["", "results", "gs://", "gs:///a", "s3://my-bucket", "gs://My-Bucket"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="give a bucket and perhaps a prefix, such as gs://my-bucket/load-tests"):
        parse_address(text)
