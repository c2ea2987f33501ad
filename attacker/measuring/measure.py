"""Measuring: from the rows of shards to every number of a report, exact, in bounded memory, whoever reads the rows.

Rows are looked at a few times, each time with a narrower question (see `ranks` and `in_flight`); a `Reader` answers
them, be it by reading all rows itself or by putting together what others answer on their share of them.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from attacker.measuring.buckets import MOST_BUCKETS, Buckets, buckets_over
from attacker.measuring.duplicates import ALWAYS, Window
from attacker.measuring.errors import Failure
from attacker.measuring.in_flight import InFlightSearch, cells_over, room_for
from attacker.measuring.looks import KINDS, Closer, Question, Scale, Spread
from attacker.measuring.measured import GRID, PERCENTILES, BucketValues, Measured, Ordered
from attacker.measuring.outline import Outline, Outlines, Span, success_table
from attacker.measuring.ranks import RankSearch, WideCounts, most_bits, rank_of
from attacker.measuring.sample import MeasuredShard, Sample
from attacker.results.columns import Ints

__all__ = ["Reader", "measure"]

_IN_A_BUCKET = (Fraction(50, 100), Fraction(99, 100))
_OF_LAG = (PERCENTILES["p50"], PERCENTILES["p99"])
_NO_RANKS = np.empty(0, np.int64)


class Reader(Protocol):
    """Who answers questions on all rows of all targets' shards."""

    def outlines(self) -> Outlines:
        """Outline each shard; asked first."""

    def spread(self, scale: Scale) -> Spread:
        """Count all rows in wide bins."""

    def closer(self, question: Question) -> Closer:
        """Look closer at chosen bins and cells."""

    def duplicates(self, outlines: Outlines, window: Window) -> Sequence[int]:
        """Count each target's duplicates among the rows that were sent in a window, over all of its shards."""


def measure(
    samples: Sequence[Sample], reader: Reader, *, simultaneous: bool = True
) -> tuple[tuple[Measured, ...], Measured]:
    """Measure each target, and all together; of a shard whose rows cannot be read, only that is told.

    Args:
        samples: the targets.
        reader: reads their rows.
        simultaneous: all targets were to start at one instant, so that their skew means something.

    Raises:
        RunBrokenError: rows that could be read cannot be read again.
    """
    by_place = reader.outlines()
    duplicates = reader.duplicates(by_place, ALWAYS)
    outlines = [
        [by_place[target, number] for number in range(len(sample.shards))] for target, sample in enumerate(samples)
    ]
    outlined = [_outlined(*one) for one in zip(samples, outlines, duplicates, strict=True)]
    whole = _joined(outlined, simultaneous=simultaneous)
    if not whole.requests:
        return tuple(outlined), whole
    searches = _Searches(outlined, whole, reader.spread(scale := _scale(outlines, outlined)), scale)
    while not searches.are_over:
        searches.learn(reader.closer(searches.question))
    return tuple(searches.completed(number) for number in range(len(outlined))), searches.all_completed()


def _outlined(sample: Sample, outlines: Sequence[Outline], duplicates: int) -> Measured:
    """Say of a target what its shards' outlines tell."""
    codes, failures = Counter[int](), Counter[Failure]()
    for outline in outlines:
        codes.update(outline.codes)
        failures.update(outline.failures)
    sent_ns = _span_of(outline.sent_ns for outline in outlines)
    succeeds = success_table(sample.is_success)
    started = [one for one in zip(sample.shards, outlines, strict=True) if one[1].origin_ns is not None]
    return Measured(
        shards=len(outlines),
        requests=sum(outline.counted for outline in outlines),
        successes=sum(times for status, times in codes.items() if succeeds[status]),
        sent_ns=sent_ns,
        ended_ns=_span_of(outline.ended_ns for outline in outlines),
        due_ns=_span_of(_due_ns(*one) for one in started) if sample.is_scheduled else sent_ns,
        bytes_in=sum(outline.bytes_in for outline in outlines),
        bytes_out=sum(outline.bytes_out for outline in outlines),
        codes=codes,
        failures=failures,
        is_scheduled=sample.is_scheduled,
        origins_ns=tuple((outline.origin_ns or 0) - shard.delay_ns for shard, outline in started),
        seq_gaps=sum(outline.seq_gaps for outline in outlines),
        duplicates=duplicates,
        throttled_ratio=_largest(shard.throttled_ratio for shard in sample.shards),
        troubles={number: outline.trouble for number, outline in enumerate(outlines) if outline.trouble},
    )


def _due_ns(shard: MeasuredShard, outline: Outline) -> Span:
    """Tell when the first and the last request of a shard that count were due."""
    if outline.seq.first is None or outline.seq.last is None:
        return Span()
    origin_ns, interval_ns = outline.origin_ns or 0, shard.interval_ns or 0
    return Span(first=origin_ns + outline.seq.first * interval_ns, last=origin_ns + outline.seq.last * interval_ns)


def _joined(targets: Sequence[Measured], *, simultaneous: bool) -> Measured:
    """Put several targets together; where they were not to start together, there is no skew to tell."""
    return Measured(
        shards=sum(one.shards for one in targets),
        requests=sum(one.requests for one in targets),
        successes=sum(one.successes for one in targets),
        sent_ns=_span_of(one.sent_ns for one in targets),
        ended_ns=_span_of(one.ended_ns for one in targets),
        due_ns=_span_of(one.due_ns for one in targets),
        bytes_in=sum(one.bytes_in for one in targets),
        bytes_out=sum(one.bytes_out for one in targets),
        codes=sum((Counter(one.codes) for one in targets), Counter[int]()),
        failures=sum((Counter(one.failures) for one in targets), Counter[Failure]()),
        is_scheduled=all(one.is_scheduled for one in targets),
        origins_ns=tuple(origin_ns for one in targets for origin_ns in one.origins_ns) if simultaneous else (),
        seq_gaps=sum(one.seq_gaps for one in targets),
        duplicates=sum(one.duplicates for one in targets),
        throttled_ratio=_largest(one.throttled_ratio for one in targets),
    )


def _span_of(spans: Iterable[Span]) -> Span:
    whole = Span()
    for span in spans:
        whole.join(span)
    return whole


def _largest(ratios: Iterable[float | None]) -> float | None:
    return max((ratio for ratio in ratios if ratio is not None), default=None)


def _scale(outlines: Sequence[Sequence[Outline]], targets: Sequence[Measured]) -> Scale:
    """Choose bins, buckets and cells for what is to be counted; there is at least one row."""
    sent_ns, rows = _span_of(one.sent_ns for one in targets), sum(one.requests for one in targets)
    return Scale(
        origins_ns=tuple(tuple(outline.origin_ns for outline in of_target) for of_target in outlines),
        buckets=tuple(_buckets(one) for one in targets),
        cells=cells_over(sent_ns.first or 0, sent_ns.last or 0, series=len(targets), rows=rows),
        bits=most_bits(KINDS * len(targets), rows),
        bucket_bits=most_bits(MOST_BUCKETS * len(targets), rows),
        left_out=tuple((target, number) for target, one in enumerate(targets) for number in one.troubles),
    )


def _buckets(target: Measured) -> Buckets | None:
    if target.due_ns.first is None or target.due_ns.last is None:
        return None
    return buckets_over(target.due_ns.first, target.due_ns.last, target.requests)


class _Searches:
    """All that is searched for in the rows, from the first counts on."""

    def __init__(self, targets: Sequence[Measured], whole: Measured, spread: Spread, scale: Scale) -> None:
        self._scale = scale
        self._bucket_facts = spread.bucket_facts
        # Of a single target, all together is the same.
        self._measured = [*targets, whole] if len(targets) > 1 else list(targets)
        self._whole = whole
        self._facts = self._with_all(spread.facts)
        counts = self._with_all(spread.counts, only_sums=True)
        self._ranks = RankSearch(
            WideCounts(scale.bits, counts, self._facts[:, 0], self._facts[:, 1]),
            [ranks for number in range(len(self._measured)) for ranks in self._wanted(number)],
        )
        self._sizes = spread.bucket_counts.sum(axis=1)
        self._bucket_ranks = RankSearch(
            WideCounts(scale.bucket_bits, spread.bucket_counts, spread.bucket_facts[:, 0], spread.bucket_facts[:, 1]),
            [_ranks(_IN_A_BUCKET, int(n)) for n in self._sizes],
        )
        self._in_flight = [
            InFlightSearch(scale.cells, starts, ends, int(before), room=room_for(len(self._measured)))
            for starts, ends, before in zip(
                _with_sum(spread.starts), _with_sum(spread.ends), _with_sum(spread.ended_before), strict=True
            )
        ]

    @property
    def are_over(self) -> bool:
        """Is all found?"""
        return self._ranks.is_over and self._bucket_ranks.is_over and all(one.is_over for one in self._in_flight)

    @property
    def question(self) -> Question:
        """Where to look next."""
        return Question(
            scale=self._scale,
            slots=self._ranks.slots,
            bucket_slots=self._bucket_ranks.slots,
            chosen=tuple(one.cells for one in self._in_flight),
        )

    def learn(self, closer: Closer) -> None:
        """Take in what was found there in all rows."""
        self._ranks.learn(closer.found)
        self._bucket_ranks.learn(closer.bucket_found)
        for search, moments in zip(self._in_flight, closer.moments, strict=True):
            if not search.is_over:
                search.learn(moments)

    def completed(self, number: int) -> Measured:
        """Say of a target all there is to say."""
        return replace(self._ordered(number), buckets=self._bucket_values(number))

    def all_completed(self) -> Measured:
        """Say of all targets together all there is to say, but for buckets."""
        last = self._ordered(len(self._measured) - 1)
        return replace(last, origins_ns=self._whole.origins_ns)

    def _ordered(self, number: int) -> Measured:
        latency_ns, corrected_ns, lag_ns = (self._order(number, kind) for kind in range(KINDS))
        return replace(
            self._measured[number],
            max_in_flight=self._in_flight[number].most,
            latency_ns=latency_ns,
            corrected_ns=corrected_ns,
            lag_ns=lag_ns,
        )

    def _order(self, number: int, kind: int) -> Ordered | None:
        series = KINDS * number + kind
        n = self._measured[number].requests
        if not n or (kind and not self._measured[number].is_scheduled):
            return None
        smallest, largest, upper, lower = (int(one) for one in self._facts[series])
        by_rank = self._ranks.values[series]
        return Ordered(n=n, total=(upper << 32) + lower, smallest=smallest, largest=largest, by_rank=by_rank)

    def _bucket_values(self, number: int) -> BucketValues | None:
        buckets = self._scale.buckets[number]
        if buckets is None:
            return None
        rows = range(MOST_BUCKETS * number, MOST_BUCKETS * number + buckets.number)
        n = self._sizes[rows]
        facts = self._bucket_facts[rows]
        p50_ns, p99_ns = (np.array([self._value_in(row, share) for row in rows], np.int64) for share in _IN_A_BUCKET)
        return BucketValues(buckets=buckets, n=n, p50_ns=p50_ns, p99_ns=p99_ns, max_ns=facts[:, 1], failed=facts[:, 2])

    def _value_in(self, row: int, share: Fraction) -> int:
        n = int(self._sizes[row])
        return self._bucket_ranks.values[row][rank_of(share, n)] if n else 0

    def _wanted(self, number: int) -> tuple[Ints, Ints, Ints]:
        """Tell the ranks of a target's latency, corrected latency and lag; all together are in no plot."""
        one, n = self._measured[number], self._measured[number].requests
        is_target = number < len(self._scale.buckets)
        shares = (*PERCENTILES.values(), *(share for share in GRID if is_target and (1 - share) * n >= 1))
        latency = _ranks(shares, n)
        return (latency, latency, _ranks(_OF_LAG, n)) if one.is_scheduled else (latency, _NO_RANKS, _NO_RANKS)

    def _with_all(self, of_series: Ints, *, only_sums: bool = False) -> Ints:
        """Put all targets' series together behind theirs, where there are several."""
        if len(self._measured) == len(self._scale.buckets):
            return of_series
        by_kind = of_series.reshape(len(self._scale.buckets), KINDS, -1)
        together = by_kind.sum(axis=0)
        if not only_sums:
            together[:, 0], together[:, 1] = by_kind[:, :, 0].min(axis=0), by_kind[:, :, 1].max(axis=0)
        return np.concatenate([of_series, together])


def _with_sum(of_targets: npt.NDArray[np.signedinteger[Any]]) -> npt.NDArray[np.signedinteger[Any]]:
    several = len(of_targets) > 1
    return np.concatenate([of_targets, of_targets.sum(axis=0, keepdims=True)]) if several else of_targets


def _ranks(shares: Iterable[Fraction], n: int) -> Ints:
    return np.array([rank_of(share, n) for share in shares], np.int64) if n else _NO_RANKS
