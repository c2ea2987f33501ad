"""Reading rows for whoever measures them: all shards, or a share of them."""

from collections.abc import Iterator, Sequence

from attacker.exits import LoadTestError
from attacker.report.duplicates import ALWAYS, Window, count_duplicates
from attacker.report.looks import Closer, Places, Question, Scale, ShardPiece, Spread
from attacker.report.outline import Outline, outline_of
from attacker.report.sample import Sample
from attacker.report.sweeping import each

__all__ = ["Here"]


class Here:
    """Reads rows in this process, by two threads."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples

    def outlines(self) -> Sequence[Sequence[Outline]]:
        """Outline each target's shards, in their order."""
        shards = [
            (target, number) for target, sample in enumerate(self._samples) for number in range(len(sample.shards))
        ]
        made: dict[tuple[int, int], Outline | LoadTestError] = {}

        def outline(_: object, place: tuple[int, int]) -> None:
            target, number = place
            try:
                made[place] = outline_of(self._samples[target].shards[number], self._samples[target])
            except LoadTestError as error:
                made[place] = error

        each(shards, outline, object)
        return [
            [_or_raise(made[target, number]) for number in range(len(sample.shards))]
            for target, sample in enumerate(self._samples)
        ]

    def spread(self, scale: Scale) -> Spread:
        """Count all rows in wide bins."""
        first, *others = each(self._pieces(), Spread.take, lambda: Spread(scale))
        for other in others:
            first.join(other)
        return first

    def closer(self, question: Question) -> Closer:
        """Look closer at chosen bins and cells."""
        places = Places.of(question)
        first, *others = each(self._pieces(), Closer.take, lambda: Closer(question, places))
        for other in others:
            first.join(other)
        return first

    def duplicates(self, outlines: Sequence[Sequence[Outline]], window: Window = ALWAYS) -> Sequence[int]:
        """Count each target's duplicates, over all of its shards."""
        rows = sum(outline.rows for of_target in outlines for outline in of_target)
        spans = [[outline.moments_ns for outline in of_target] for of_target in outlines]
        return count_duplicates(self._samples, rows, window=window, spans=spans)

    def _pieces(self) -> Iterator[ShardPiece]:
        for target, sample in enumerate(self._samples):
            for number, shard in enumerate(sample.shards):
                for piece in range(shard.rows.pieces):
                    yield ShardPiece(sample, shard, target, number, piece)


def _or_raise(outline: Outline | LoadTestError) -> Outline:
    """Of several files that cannot be read, tell of the first one given, not of the one that was read first."""
    if isinstance(outline, LoadTestError):
        raise outline
    return outline
