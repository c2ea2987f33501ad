"""Argo's artifact repository, read from what Argo leaves in a pod."""

import json
from pathlib import Path

import pytest

from attacker.repository import repository_of_this_pod


def test_the_bucket_is_the_one_that_argo_keeps_this_pods_log_in(tmp_path: Path) -> None:
    file = tmp_path / "template"
    location = {"archiveLogs": True, "gcs": {"bucket": "results", "key": "runs/load-test-1/argo/pod"}}
    file.write_text(json.dumps({"name": "report", "archiveLocation": location}))

    assert repository_of_this_pod(file) == "gs://results"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param('{"name": "report"}', id="no archive"),
        pytest.param('{"archiveLocation": {"s3": {"bucket": "results"}}}', id="another cloud"),
        pytest.param('{"archiveLocation": {"gcs": {"key": "runs"}}}', id="no bucket"),
        pytest.param('{"archiveLocation": {"gcs": {"bucket": ""}}}', id="an empty bucket"),
        pytest.param("", id="an empty file"),
    ],
)
def test_there_is_none_where_argo_keeps_nothing_in_google_cloud_storage(tmp_path: Path, content: str) -> None:
    file = tmp_path / "template"
    file.write_text(content)

    assert repository_of_this_pod(file) is None


def test_there_is_none_outside_of_a_pod(tmp_path: Path) -> None:
    assert repository_of_this_pod(tmp_path / "template") is None
