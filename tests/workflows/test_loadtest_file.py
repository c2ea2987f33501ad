"""Load tests from YAML files."""

from pathlib import Path

import pytest

from attacker.exits import InvalidLoadTestError
from workflows.loadtest_file import parse_loadtest, read_yaml


@pytest.fixture
def loadtest_yaml(tmp_path: Path) -> Path:
    return tmp_path / "loadtest.yaml"


def test_a_later_layer_beats_an_earlier_one(loadtest_yaml: Path) -> None:
    loadtest_yaml.write_text("rate: 30\nduration: 1m30s\n")

    loadtest = parse_loadtest(read_yaml(loadtest_yaml), {"rate": "10"})

    assert (str(loadtest.rate), str(loadtest.duration)) == ("10/s", "90s")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"rate: 1\nrate: 2\n", "line 2, column 1: the key 'rate' stands twice: mend the YAML", id="twice"),
        pytest.param(b"a: [", "line 1, column 5: expected the node content", id="no YAML"),
        pytest.param(b"- a\n", "it holds a list: give fields, such as 'rate: 60'", id="a list"),
        pytest.param(b"\xff\xfe", "it is not UTF-8: give a YAML file", id="another encoding"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_place(loadtest_yaml: Path, content: bytes, message: str) -> None:
    loadtest_yaml.write_bytes(content)

    with pytest.raises(InvalidLoadTestError) as refusal:
        read_yaml(loadtest_yaml)

    assert str(refusal.value).startswith(f"{loadtest_yaml}: {message}")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidLoadTestError, match=r"nowhere.yaml: No such file or directory: give a YAML file"):
        read_yaml(tmp_path / "nowhere.yaml")


def test_an_empty_file_is_the_default_load_test(loadtest_yaml: Path) -> None:
    loadtest_yaml.write_text("")

    assert parse_loadtest(read_yaml(loadtest_yaml)) == parse_loadtest()
