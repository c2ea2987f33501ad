"""What the README tells is so."""

from pathlib import Path

import pytest

from attacker.exits import Exit
from attacker.report.objectives import parse_objective
from workflows.loadtest_file import parse_loadtest, read_yaml

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
JAPANESE = (REPOSITORY / "README.ja.md").read_text(encoding="utf-8")
OBJECTIVES = README.partition("| objective | meaning |")[2].partition("\n\n")[0]


@pytest.mark.parametrize("code", Exit)
@pytest.mark.parametrize("text", [README, JAPANESE], ids=["English", "Japanese"])
def test_it_tells_each_exit_code(code: Exit, text: str) -> None:
    assert f"\n| {code:d} |" in text


@pytest.mark.parametrize("objective", [part for part in OBJECTIVES.split("`")[1::2] if " " in part])
def test_each_objective_that_it_shows_can_be_read(objective: str) -> None:
    assert parse_objective(objective).bounds


@pytest.mark.parametrize("file", sorted((REPOSITORY / "examples").glob("*.yaml")), ids=lambda file: file.name)
def test_each_example_is_a_load_test(file: Path) -> None:
    assert parse_loadtest(read_yaml(file)).targets


@pytest.mark.parametrize("path", ["docs/report.png", "README.ja.md", "examples/loadtest.yaml"])
def test_what_it_links_to_is_there(path: str) -> None:
    assert f"({path})" in README
    assert (REPOSITORY / path).exists()
