"""What the README and the pages beside it tell is so."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from attacker.calibration.search import Calibration, Limit, Step
from attacker.calibration.words import HEADING, render_calibration, render_step
from attacker.duration import Duration
from attacker.exits import Exit, InvalidLoadTestError
from attacker.measuring.errors import ErrorClass, fault_of, meaning_of
from attacker.report.objectives import parse_objective
from attacker.report.validity.rules import RULES, Rule, thresholds_of
from attacker.sending import Sending
from workflows.loadtest_file import parse_loadtest, read_yaml

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
JAPANESE = (REPOSITORY / "README.ja.md").read_text(encoding="utf-8")
STALL = README.partition("$ scripts/stall\n")[2].partition("```")[0]
VALIDITY = (REPOSITORY / "docs" / "validity.md").read_text(encoding="utf-8")
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


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.name)
def test_each_rule_of_validity_is_told_with_its_threshold_its_note_and_its_reason(rule: Rule) -> None:
    threshold = f"`{rule.threshold}`" if re.search("[<>]", rule.threshold) else rule.threshold
    note = f" {rule.note} " if rule.note else " "

    assert f"\n| `{rule.name}` | {threshold} |{note}| {rule.reason} |\n" in VALIDITY


def test_no_other_rule_is_told() -> None:
    assert len(re.findall(r"^\| `\w+` \|", VALIDITY, re.MULTILINE)) == len(RULES)
    assert f"\n{ {15: 'Fifteen'}[len(RULES)] } rules decide" in README


@pytest.mark.parametrize("text", [README, JAPANESE], ids=["English", "Japanese"])
def test_each_changed_threshold_that_it_shows_can_be_read(text: str) -> None:
    shown = re.findall(r"--validity '([^']+)'", text)

    assert shown != []
    assert thresholds_of(shown)


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


def test_it_shows_a_calibration_as_it_is_printed() -> None:
    step = Step(
        rate_per_s=4200,
        duration=Duration.of_seconds(2),
        sent_ratio=0.9991,
        lag_p99_ns=2_090_000,
        delay_p99_ns=3_160_000,
        max_in_flight=28,
        failures=0,
        server_busy_ratio=0.07,
        throttled_ratio=None,
        exit_code=0,
    )
    found = render_calibration(Calibration(rate_per_s=4200, limit=Limit.ATTACKER, steps=(step,)), cpus=1)

    assert f"attacker calibrate\n{HEADING}\n" in README
    assert f"\n{render_step(step)}\n{found}\n" in README


def test_it_shows_how_a_rate_that_is_not_carried_is_refused() -> None:
    with pytest.raises(InvalidLoadTestError) as refusal:
        parse_loadtest({"rate": 10_000, "shard_rate": 4200})

    assert f"\n$ scripts/run --local --rate 10000 --shard-rate 4200\nsubmit: {refusal.value}\n" in README


@pytest.mark.parametrize("file", sorted((REPOSITORY / "examples").glob("*.yaml")), ids=lambda file: file.name)
def test_each_example_is_a_load_test(file: Path) -> None:
    assert parse_loadtest(read_yaml(file)).targets


@pytest.mark.parametrize(
    "path",
    [
        "docs/report.png",
        "docs/argo.png",
        "docs/benchmarks.md",
        "docs/scale.md",
        "docs/validity.md",
        "README.ja.md",
        "examples/loadtest.yaml",
    ],
)
def test_what_it_links_to_is_there(path: str) -> None:
    assert f"({path})" in README
    assert (REPOSITORY / path).exists()
