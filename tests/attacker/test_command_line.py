import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import typer

from attacker.__main__ import main
from attacker.command_line import exit_code_of
from attacker.exits import Exit, InvalidLoadTestError, LoadTestError, RunBrokenError
from tests.attacker.by_vegeta import attacked, message_ends
from tests.attacker.loopback import loopback

REPOSITORY = Path(__file__).parents[2]
TARGET_KEYS = (
    "name requests expected rate_per_s throughput_per_s success bytes_in bytes_out latency_ns corrected_latency_ns "
    "status_codes errors attack omission objectives"
)
LATENCY_KEYS = "min mean p50 p90 p95 p99 p99.9 p99.99 max"
COMMAND = [sys.executable, "-m", "attacker", "report"]


@pytest.fixture
def results_file(small_results: bytes, tmp_path: Path) -> Path:
    return written(tmp_path / "results.gob", small_results)


@pytest.fixture
def cut_file(small_results: bytes, tmp_path: Path) -> Path:
    return written(tmp_path / "cut.gob", small_results[:-10])


def written(file: Path, content: bytes) -> Path:
    file.write_bytes(content)
    return file


def reported(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run the real program."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], cwd=REPOSITORY, input=stdin, capture_output=True, check=False, timeout=60
    )


def told(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """Run the program in this process; returns exit code, stdout and stderr."""
    code = main(["report", *map(str, arguments)])
    return (code, *capsys.readouterr())


def figures(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, Any]:
    code, out, err = told(capsys, "--type", "json", *arguments)
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    return found


def test_a_report_is_text_on_stdout_and_ends_in_0(results_file: Path) -> None:
    done = reported(results_file)

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"Requests")
    assert b"Status Codes" in done.stdout


def test_a_dash_is_standard_input(small_results: bytes) -> None:
    done = reported("--type", "json", "-", stdin=small_results)

    assert (done.returncode, done.stderr) == (0, b"")
    assert (json.loads(done.stdout)["name"], json.loads(done.stdout)["requests"]) == ("standard input", 3)


def test_nothing_on_standard_input_is_told_of() -> None:
    done = reported("-")

    assert (done.returncode, done.stdout) == (4, b"")
    assert done.stderr == (
        b"attacker: standard input: byte 0: the file is empty: nothing was measured, or nothing was kept\n"
    )


def test_a_reader_that_has_left_is_no_failure(results_file: Path) -> None:
    out, into = os.pipe()
    os.close(out)

    done = subprocess.run(
        [*COMMAND, str(results_file)], cwd=REPOSITORY, stdout=into, stderr=subprocess.PIPE, check=False, timeout=60
    )
    os.close(into)

    assert (done.returncode, done.stderr) == (0, b"")


def test_a_reader_that_has_left_keeps_the_exit_code(cut_file: Path) -> None:
    out, into = os.pipe()
    os.close(out)

    done = subprocess.run([*COMMAND, str(cut_file)], cwd=REPOSITORY, stdout=into, stderr=into, check=False, timeout=60)
    os.close(into)

    assert done.returncode == 3


def test_a_reader_may_leave_after_the_first_line(results_file: Path) -> None:
    command = [*COMMAND, "--type", "html", str(results_file)]

    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        first_line = program.stdout.readline()
        program.stdout.close()
        complaints = program.stderr.read()

    assert first_line.strip().lower() == b"<!doctype html>"
    assert (program.returncode, complaints) == (0, b"")


def test_html_is_one_page_on_the_file(capsys: pytest.CaptureFixture[str], results_file: Path) -> None:
    code, page, err = told(capsys, "--type", "html", results_file)

    assert (code, err) == (0, "")
    assert "results.gob" in page
    assert page.rstrip().endswith("</html>")


def test_json_is_an_element_of_the_reports_targets(capsys: pytest.CaptureFixture[str], results_file: Path) -> None:
    found = figures(capsys, results_file)

    assert set(found) == set(TARGET_KEYS.split())
    assert list(found["latency_ns"]) == LATENCY_KEYS.split()
    assert (found["name"], found["requests"], found["expected"]) == ("results.gob", 3, None)
    assert found["status_codes"] == {"200": 2, "404": 1}
    assert found["errors"] == [{"class": "http_4xx", "fault": "api", "count": 1, "example": "404 Not Found"}]


def test_several_files_are_shards_of_one_target(
    capsys: pytest.CaptureFixture[str], results_file: Path, results_of_every_kind: bytes, tmp_path: Path
) -> None:
    other = written(tmp_path / "other.gob", results_of_every_kind)

    found = figures(capsys, results_file, other)

    assert (found["name"], found["attack"]["shards"]) == ("results.gob, other.gob", 2)
    assert found["requests"] == 3 + figures(capsys, other)["requests"]


def test_without_a_rate_nothing_is_said_of_lag(capsys: pytest.CaptureFixture[str], results_file: Path) -> None:
    found = figures(capsys, results_file)

    assert (found["corrected_latency_ns"], found["attack"]["lag_ns"]) == (None, None)


def test_with_a_rate_latencies_are_corrected(capsys: pytest.CaptureFixture[str], results_file: Path) -> None:
    found = figures(capsys, "--rate", "20/s", results_file)

    assert list(found["corrected_latency_ns"]) == LATENCY_KEYS.split()
    assert set(found["attack"]["lag_ns"]) == {"p50", "p99", "max"}
    assert found["corrected_latency_ns"]["p99"] >= found["latency_ns"]["p99"]


@pytest.mark.parametrize("kind", ["text", "json", "html"])
def test_a_cut_file_is_reported_as_far_as_it_goes_with_a_doubt_and_3(
    capsys: pytest.CaptureFixture[str], cut_file: Path, small_results: bytes, kind: str
) -> None:
    *_, last_but_one, end = message_ends(small_results)

    code, out, err = told(capsys, "--type", kind, cut_file)

    assert code == 3
    assert out != ""
    assert err == (
        f"attacker: {cut_file}: the last record is cut off after {end - 10 - last_but_one} bytes: "
        "at least one request is missing\n"
    )


def test_a_cut_files_complete_records_are_in_the_report(capsys: pytest.CaptureFixture[str], cut_file: Path) -> None:
    code, out, _ = told(capsys, "--type", "json", cut_file)

    assert (code, json.loads(out)["requests"]) == (3, 2)


def test_a_file_cut_in_its_first_record_has_no_figures(
    capsys: pytest.CaptureFixture[str], small_results: bytes, tmp_path: Path
) -> None:
    code, out, err = told(capsys, "--type", "json", written(tmp_path / "cut.gob", small_results[:250]))

    assert (code, json.loads(out)["requests"], json.loads(out)["success"]) == (3, 0, None)
    assert "at least one request is missing" in err


def test_a_file_given_twice_is_doubted(capsys: pytest.CaptureFixture[str], results_file: Path) -> None:
    code, _, err = told(capsys, results_file, results_file)

    assert code == 3
    assert err == "attacker: 3 requests are in the files twice: give each file once\n"


@pytest.mark.parametrize(
    ("content", "byte", "what"),
    [
        pytest.param(b"", 0, "the file is empty", id="empty"),
        pytest.param(b"GET http://api:5000/\n", 0, "this is no vegeta results file", id="foreign"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_byte_and_4(
    capsys: pytest.CaptureFixture[str], results_file: Path, tmp_path: Path, content: bytes, byte: int, what: str
) -> None:
    unreadable = written(tmp_path / "unreadable.gob", content)

    code, out, err = told(capsys, results_file, unreadable)

    assert (code, out) == (4, "")
    assert err.startswith(f"attacker: {unreadable}: byte {byte}: {what}")
    assert err.count("\n") == 1


def test_a_damaged_file_is_named_with_the_byte_and_4(
    capsys: pytest.CaptureFixture[str], small_results: bytes, tmp_path: Path
) -> None:
    begins = message_ends(small_results)[-2]
    damaged = small_results[:begins] + b"\x01" + small_results[begins + 1 :]

    code, _, err = told(capsys, written(tmp_path / "damaged.gob", damaged))

    assert code == 4
    assert f"damaged.gob: byte {begins}: a damaged record: give a results file that vegeta wrote" in err


def test_of_several_damaged_files_the_first_that_is_given_is_named(
    capsys: pytest.CaptureFixture[str], small_results: bytes, tmp_path: Path
) -> None:
    whole = written(tmp_path / "whole.gob", small_results)
    damaged = [written(tmp_path / name, b"no results") for name in ("one.gob", "another.gob")]

    code, out, err = told(capsys, whole, *damaged)

    assert (code, out) == (4, "")
    assert f"attacker: {damaged[0]}: byte 0: this is no vegeta results file" in err


@pytest.mark.parametrize(
    ("name", "why"),
    [("nowhere.gob", "No such file or directory"), (".", "Is a directory")],
    ids=["missing", "a folder"],
)
def test_a_file_that_cannot_be_opened_is_wrong_use(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, why: str
) -> None:
    code, out, err = told(capsys, tmp_path / name)

    assert (code, out) == (2, "")
    assert err == f"attacker: {tmp_path / name}: {why}: give a results file that vegeta wrote\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["--rate", "fast", "-"], "--rate is 'fast': give requests a second, such as 60", id="no rate"),
        pytest.param(["--rate", "0", "-"], "--rate is '0': give a rate above zero", id="no requests"),
        pytest.param(["--type", "xml", "-"], "'xml' is not one of 'text', 'json', 'html'", id="an unknown type"),
        pytest.param([], "Missing argument 'FILES...'", id="no file"),
        pytest.param(["--fast", "-"], "No such option: --fast", id="an unknown option"),
    ],
)
def test_wrong_use_is_2_and_tells_the_remedy(
    capsys: pytest.CaptureFixture[str], arguments: Sequence[str], words: str
) -> None:
    code, out, err = told(capsys, *arguments)

    assert (code, out) == (2, "")
    assert err.startswith("attacker: ")
    assert words in err


def test_a_stall_that_a_capped_attacker_hides_is_in_the_corrected_latency(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with loopback(stall_at=500, stall_s=1) as server:
        content = attacked([server.url], "-rate=500/s", "-duration=4s", "-max-workers=10")

    found = figures(capsys, "--rate", "500/s", written(tmp_path / "results.gob", content))

    raw_p99_ns, corrected_p99_ns = found["latency_ns"]["p99"], found["corrected_latency_ns"]["p99"]
    assert corrected_p99_ns > 800_000_000
    assert raw_p99_ns < corrected_p99_ns / 2
    assert found["attack"]["max_in_flight"] <= 10


def ended(error: BaseException) -> int:
    """Run a command that ends so."""
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    def end() -> None:
        raise error

    return exit_code_of(app, [], program="attacker")


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        pytest.param(typer.Exit(3), 3, "", id="an exit code"),
        pytest.param(typer.Exit(Exit.FAIL), 1, "", id="FAIL"),
        pytest.param(
            InvalidLoadTestError("one\ntwo"), 2, "attacker: one\nattacker: two\n", id="wrong use, told in two lines"
        ),
        pytest.param(RunBrokenError("gone"), 4, "attacker: gone\n", id="a broken run"),
        pytest.param(LoadTestError("gone"), 4, "attacker: gone\n", id="another error"),
        pytest.param(KeyboardInterrupt(), 130, "", id="Ctrl-C"),
        pytest.param(typer.Abort(), 130, "attacker: interrupted\n", id="an abort"),
        pytest.param(
            typer.BadParameter("no"), 2, "attacker: Invalid value: no See attacker --help.\n", id="a bad parameter"
        ),
    ],
)
def test_each_end_has_its_exit_code(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, words: str
) -> None:
    assert (ended(error), capsys.readouterr().err) == (code, words)


def test_a_defect_is_4_and_not_1_which_means_fail_and_tells_where_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    code = ended(ZeroDivisionError("division by zero"))

    assert code == 4
    assert capsys.readouterr().err.startswith(
        "attacker: this is a defect of the program: ZeroDivisionError: division by zero in test_command_line.py:"
    )


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_tells_of_each_command(capsys: pytest.CaptureFixture[str], option: str) -> None:
    code = main([option])

    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    assert "report" in out


def test_a_process_that_leaves_has_told_all_it_had_to_tell_and_ends_with_its_code() -> None:
    leaving = "import atexit; from attacker.command_line import leave; atexit.register(print, 'last'); leave(3)"

    ended = subprocess.run([sys.executable, "-c", leaving], cwd=REPOSITORY, capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "last\n", "")
