"""What the README tells is so."""

from dataclasses import fields
from pathlib import Path

import pytest

from attacker.exits import Exit
from attacker.report.errors import ErrorClass, fault_of, meaning_of
from attacker.report.objectives import parse_objective
from attacker.sending import Sending
from workflows.loadtest_file import parse_loadtest, read_yaml

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
JAPANESE = (REPOSITORY / "README.ja.md").read_text(encoding="utf-8")
STALL = README.partition("$ scripts/stall\n")[2].partition("```")[0]
OBJECTIVES = README.partition("| objective | meaning |")[2].partition("\n\n")[0]


@pytest.mark.parametrize("code", Exit)
@pytest.mark.parametrize("text", [README, JAPANESE], ids=["English", "Japanese"])
def test_it_tells_each_exit_code(code: Exit, text: str) -> None:
    assert f"\n| {code:d} |" in text


@pytest.mark.parametrize("objective", [part for part in OBJECTIVES.split("`")[1::2] if " " in part])
def test_each_objective_that_it_shows_can_be_read(objective: str) -> None:
    assert parse_objective(objective).bounds


@pytest.mark.parametrize("kind", ErrorClass)
def test_it_tells_each_class_of_errors_its_meaning_and_whose_fault_it_is(kind: ErrorClass) -> None:
    assert f"\n| `{kind}` | {meaning_of(kind)} | {fault_of(kind)} |\n" in README


@pytest.mark.parametrize("option", [field.name for field in fields(Sending)])
@pytest.mark.parametrize("text", [README, JAPANESE], ids=["English", "Japanese"])
def test_it_tells_each_way_of_sending(option: str, text: str) -> None:
    assert f"`{option}`" in text or f"`--{option}`" in text


@pytest.mark.parametrize(
    "words",
    [
        "$ vegeta attack -rate=500 -duration=5s -max-workers=10 ",
        "Success       [ratio]                           100.00%\n",
        "$ python -m attacker report results.gob --rate 500\n",
        "\nOmission      Corrected p99 is 9",
        "\nBy the server's own log, 1 % of callers waited 9",
    ],
)
def test_it_shows_a_run_on_a_server_that_stands_still(words: str) -> None:
    assert words in STALL


@pytest.mark.parametrize("file", sorted((REPOSITORY / "examples").glob("*.yaml")), ids=lambda file: file.name)
def test_each_example_is_a_load_test(file: Path) -> None:
    assert parse_loadtest(read_yaml(file)).targets


@pytest.mark.parametrize("path", ["docs/report.png", "docs/scale.md", "README.ja.md", "examples/loadtest.yaml"])
def test_what_it_links_to_is_there(path: str) -> None:
    assert f"({path})" in README
    assert (REPOSITORY / path).exists()
