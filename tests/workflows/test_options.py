"""The command line's options follow from the load test's fields."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from workflows.loadtest import LoadTest
from workflows.options import option_name

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def help_text() -> str:
    command = [sys.executable, "workflows/submit.py", "--help"]
    return subprocess.run(
        command, cwd=REPOSITORY, check=True, capture_output=True, text=True, env={"COLUMNS": "200"}
    ).stdout


@pytest.mark.parametrize("field", LoadTest.model_fields)
def test_each_field_has_an_option_with_its_description(field: str, help_text: str) -> None:
    assert f" {option_name(field)} " in help_text.replace("/", " ")
    assert str(LoadTest.model_fields[field].description)[:40] in help_text


def test_a_repeated_option_is_in_the_singular() -> None:
    assert [option_name(field) for field in ("targets", "objectives", "root_certs", "shards", "api_url")] == [
        "--target",
        "--objective",
        "--root-cert",
        "--shards",
        "--api-url",
    ]


# Rich once took "[default: 60]" for markup of its own, and left it out.
@pytest.mark.parametrize(
    ("option", "default"),
    [("--keepalive", "yes"), ("--h2c", "no"), ("--workers", "10"), ("--max-body", "-1"), ("--rate", "60")],
)
def test_a_default_is_told(option: str, default: str, help_text: str) -> None:
    [line] = [line for line in help_text.splitlines() if re.search(rf"^\W*{option}\b", line)]

    assert f"[default: {default}]" in line


def test_the_template_in_k8s_is_the_one_that_render_makes() -> None:
    command = [sys.executable, "workflows/submit.py", "render"]
    rendered = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout

    assert (REPOSITORY / "k8s/loadtest/workflowtemplate-load-test.yaml").read_text() == rendered, (
        "run: python workflows/submit.py render > k8s/loadtest/workflowtemplate-load-test.yaml"
    )
