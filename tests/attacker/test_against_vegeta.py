"""The contract with the reference: what vegeta computes exactly is computed of the same files to the last digit."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.attacker.by_vegeta import a_record, gob_of, reported
from tests.attacker.corpus import KINDS, Corpus
from tests.attacker.vegetas_formulas import exact_fields, exact_fields_told


@pytest.mark.parametrize("kind", KINDS)
def test_every_exact_field_of_vegetas_report_is_the_same_to_the_last_digit(
    corpus: dict[str, Corpus], kind: str
) -> None:
    told = reported(*corpus[kind].files)

    assert exact_fields(corpus[kind].results) == exact_fields_told(told)


def test_all_files_together_are_the_same_to_the_last_digit(corpus: dict[str, Corpus]) -> None:
    files = [file for one in corpus.values() for file in one.files]
    results = [results for one in corpus.values() for results in one.results]

    assert exact_fields(results) == exact_fields_told(reported(*files))


records = st.lists(
    st.builds(
        lambda at_ns, **fields: a_record(timestamp_ns=1_771_254_421_000_000_000 + at_ns, **fields),
        st.integers(0, 10**15),
        latency=st.integers(0, 3) | st.integers(0, 10**14),
        code=st.sampled_from([0, 199, 200, 302, 399, 400, 503]),
        bytes_in=st.integers(0, 2**40),
        bytes_out=st.integers(0, 2**40),
        error=st.sampled_from(["", "EOF", "503 Service Unavailable"]),
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=40)
@given(first=records, second=records)
def test_of_any_results_at_all_they_are_the_same_to_the_last_digit(
    tmp_path_factory: pytest.TempPathFactory, first: list[dict[str, object]], second: list[dict[str, object]]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    files = [folder / "first.gob", folder / "second.gob"]
    files[0].write_bytes(gob_of(first))
    files[1].write_bytes(gob_of(second))

    assert exact_fields(Corpus(files=tuple(files)).results) == exact_fields_told(reported(*files))


def test_each_kind_is_what_its_name_says(corpus: dict[str, Corpus]) -> None:
    codes = {kind: {code for one in corpus[kind].results for code in one.code.tolist()} for kind in KINDS}
    lengths = {kind: [len(one) for one in corpus[kind].results] for kind in KINDS}
    [bodies] = corpus["bodies"].results

    assert set(corpus) == set(KINDS)
    assert (codes["normal"], codes["5xx"], codes["timeouts"], codes["refused"]) == (
        {200},
        {200, 500, 503},
        {0, 200},
        {0},
    )
    assert (codes["redirects followed"], codes["redirects not followed"]) == ({200}, {200, 307})
    assert codes["everything at once"] == {0, 200, 302, 404, 500}
    assert (set(bodies.bytes_in.tolist()), set(bodies.bytes_out.tolist())) == ({0, 9999}, {300})
    assert lengths["one request"] == [1]
    assert sum(lengths["two names"]) == sum(lengths["two names in one file"])
    assert {name for one in corpus["two names in one file"].results for name in one.attack.to_list()} == {"one", "two"}
    assert lengths["duplicates in one file"] == [2 * lengths["normal"][0]]
