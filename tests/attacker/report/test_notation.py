import pytest
from hypothesis import given
from hypothesis import strategies as st

from attacker.report.figures import Checked, Judged
from attacker.report.notation import (
    MISSING,
    bytes_text,
    checked,
    count,
    measured,
    moment,
    plain,
    printable,
    rate,
    share,
    span,
)
from tests.attacker.report.a_report import a_rule


def test_what_is_missing_is_a_dash_and_never_0() -> None:
    unknown = Judged(objective="p99 < 50ms", measured=None, met=None)

    assert {write(None) for write in (bytes_text, count, plain, rate, share, span)} == {MISSING}
    assert measured(unknown) == MISSING


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (0, "0%"),
        (1, "100%"),
        (0.5, "50%"),
        (0.9558333, "95.58%"),
        (0.999, "99.9%"),
        (0.9999996, "99.99996%"),
        (0.0000004, "0.00004%"),
    ],
)
def test_a_share_is_a_percentage(ratio: float, text: str) -> None:
    assert share(ratio) == text


@given(wrong=st.integers(1, 10**7 - 1))
def test_a_share_is_never_rounded_to_all_or_nothing(wrong: int) -> None:
    assert share(1 - wrong / 10**7) not in {"0%", "100%"}


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (0.5, "0.5"), (59.983, "59.98"), (60.0, "60"), (12_345.6, "12,346"), (1_234_567.0, "1,234,567")],
)
def test_a_number_has_four_figures_and_its_whole_part_in_full(number: float, text: str) -> None:
    assert plain(number) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (54_321, "54.3 kB"), (999_600, "1 MB"), (7 * 10**18, "7,000 PB")],
)
def test_a_size_is_in_the_unit_that_suits_it(size_bytes: int, text: str) -> None:
    assert bytes_text(size_bytes) == text


@pytest.mark.parametrize(
    ("iso", "text"),
    [
        pytest.param("2026-02-16T15:07:01Z", "2026-02-16 15:07:01 UTC", id="in UTC"),
        pytest.param("2026-02-16T16:07:01.5+01:00", "2026-02-16 15:07:01 UTC", id="elsewhere"),
        pytest.param("yesterday", "yesterday", id="in words"),
    ],
)
def test_a_moment_is_in_utc(iso: str, text: str) -> None:
    assert moment(iso) == text


@pytest.mark.parametrize(
    ("objective", "value", "text"),
    [
        pytest.param("p99 < 50ms", 11_412_345, "11.4ms", id="a latency"),
        pytest.param("p99 < 50ms", 50_000_400, "50.0004ms", id="a latency that would be rounded to its bound"),
        pytest.param("p99 <= 50ms", 50_000_000, "50ms", id="a latency that is its bound"),
        pytest.param("5ms < raw.p50 < 20ms", 20_000_001, "20.000001ms", id="one of two bounds"),
        pytest.param("lag.p99 < 1ms", 443_000, "443\N{MICRO SIGN}s", id="a lag"),
        pytest.param("success >= 99%", 0.98996, "98.996%", id="a share that would be rounded to its bound"),
        pytest.param("sent_ratio >= 0.99", 0.95, "95%", id="a share"),
        pytest.param("rate >= 59", 58.99999, "58.99999", id="a rate that would be rounded to its bound"),
        pytest.param("errors == 0", 12_345, "12,345", id="a count"),
        pytest.param("as it was", 12_345, "12,345", id="what is no objective"),
    ],
)
def test_what_was_measured_has_the_objectives_unit_and_is_told_from_its_bound(
    objective: str, value: float, text: str
) -> None:
    assert measured(Judged(objective=objective, measured=value, met=True)) == text


def test_what_would_break_a_document_or_a_terminal_is_replaced() -> None:
    assert printable("\x1b[31m é\t☃ \x00\ud800") == "\ufffd[31m é\t☃ \ufffd\ufffd"


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (a_rule(), "12.3ms"),
        (a_rule(threshold="sent_ratio >= 99%", measured=0.98765), "98.77%"),
        (a_rule(threshold="dns_errors <= 0%", measured=0.5), "50%"),
        (a_rule(threshold="clock_spread <= 500ms", measured=1_500_000), "1.5ms"),
        (a_rule(threshold="it came to its end", measured=2), "2"),
        (a_rule(measured=None), MISSING),
    ],
)
def test_what_a_rule_of_validity_compares_is_written_in_its_own_unit(rule: Checked, text: str) -> None:
    assert checked(rule) == text
