"""Reading rows for whoever measures them: all shards, or a share of them."""

from collections.abc import Callable, Collection, Iterator, Sequence, Sized
from functools import partial
from typing import TypeVar

from attacker.exits import LoadTestError, RunBrokenError
from attacker.measuring.duplicates import ALWAYS, Suspects, Window, count_duplicates
from attacker.measuring.looks import Closer, Lookup, Question, Scale, ShardPiece, Spread
from attacker.measuring.outline import Outline, Outlines, Place, outline_of
from attacker.measuring.sample import Sample
from attacker.measuring.sweeping import each

__all__ = ["Here"]

Look = TypeVar("Look", Spread, Closer)


class Here:
    """Reads rows in this process, by two threads."""

    def __init__(self, samples: Sequence[Sample], *, share: Collection[Place] | None = None) -> None:
        """Name what is to be read.

        Args:
            samples: all targets, with all of their shards.
            share: the shards to answer for; without it, all.
        """
        every = ((target, number) for target, sample in enumerate(samples) for number in range(len(sample.shards)))
        self._samples = samples
        # Who reads everything, and knows beforehand how much, need not read it again to notice what is there twice.
        sizes = [len(shard.rows) if isinstance(shard.rows, Sized) else None for one in samples for shard in one.shards]
        rows = None if share is not None or None in sizes else sum(size or 0 for size in sizes)
        self._noticed = None if rows is None else Suspects(rows)
        self._share = tuple(place for place in every if share is None or place in share)

    def outlines(self) -> Outlines:
        """Outline each shard of the share; where its rows cannot be read, the outline says so."""
        made: dict[Place, Outline | LoadTestError] = {}

        def outline(_: object, place: Place) -> None:
            sample = self._samples[place[0]]
            notice = partial(self._noticed.notice, place[0]) if self._noticed else None
            try:
                made[place] = outline_of(sample.shards[place[1]], sample, also=notice)
            except RunBrokenError as error:
                made[place] = Outline(trouble=str(error))
            except LoadTestError as error:
                made[place] = error

        each(self._share, outline, object)
        return {place: _or_raise(made[place]) for place in self._share}

    def spread(self, scale: Scale) -> Spread:
        """Count the share's rows in wide bins."""
        return self._looked_at(lambda spread, work: spread.take(scale, work), lambda: Spread.nothing(scale), scale)

    def closer(self, question: Question) -> Closer:
        """Look closer at chosen bins and cells."""
        return self._looked_at(Lookup(question).take, lambda: Closer.nothing(question), question.scale)

    def duplicates(self, outlines: Outlines, window: Window) -> Sequence[int]:
        """Count each target's duplicates, over all of its shards, whatever the share."""
        noticed, self._noticed = self._noticed if window == ALWAYS else None, None
        return count_duplicates(self._samples, outlines, window=window, noticed=noticed)

    def _looked_at(self, take: Callable[[Look, ShardPiece], None], start: Callable[[], Look], scale: Scale) -> Look:
        looks = each(self._pieces(scale), take, start)
        for other in looks[1:]:
            looks[0].join(other)
        return looks[0]

    def _pieces(self, scale: Scale) -> Iterator[ShardPiece]:
        for target, number in self._share:
            if (target, number) in scale.left_out:
                continue
            sample = self._samples[target]
            for piece in range(sample.shards[number].rows.pieces):
                yield ShardPiece(sample, sample.shards[number], target, number, piece)


def _or_raise(outline: Outline | LoadTestError) -> Outline:
    """Of several files that cannot be read, tell of the first one given, not of the one that was read first."""
    if isinstance(outline, LoadTestError):
        raise outline
    return outline
