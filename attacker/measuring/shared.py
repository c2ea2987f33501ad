"""Rows that several readers share out: each answers for its own, and the answers are joined, in a tree of any shape.

A question is narrow and the same for all; an answer is as large as what was counted, however many rows it is on. Only
duplicates are not looked for by share: a row's twin may be in anybody's, so each looks at all rows of some time.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np

from attacker.measuring.duplicates import Window
from attacker.measuring.looks import Closer, Question, Scale, Spread
from attacker.measuring.measure import Reader
from attacker.measuring.outline import Outlines, Span
from attacker.measuring.packing import pack, unpack

__all__ = ["Ask", "AtOnce", "Readers", "Shared", "answered"]

Ask = Callable[[bytes], bytes]
"""Somebody who reads a share, near or far: a packed question in, the packed answer out."""


def answered(reader: Reader, question: bytes) -> bytes:
    """Answer a packed question by a reader. Raises RunBrokenError where it is none, or rows cannot be read."""
    asked = unpack(question)
    if asked is None:
        return pack(reader.outlines())
    if isinstance(asked, Scale):
        return pack(reader.spread(asked))
    if isinstance(asked, Question):
        return pack(reader.closer(asked))
    outlines, window = asked
    return pack(tuple(reader.duplicates(unpack(outlines.tobytes()), window)))


class Readers(Protocol):
    """Several who read a share each."""

    @property
    def number(self) -> int:
        """How many there are."""

    def ask(self, questions: Sequence[bytes]) -> Iterator[bytes]:
        """Ask each its own packed question, all before any answer is taken; gives the answers in the same order."""


class AtOnce:
    """Readers that answer as soon as they are asked, by a thread each."""

    def __init__(self, readers: Sequence[Ask]) -> None:
        """Name who is to be asked."""
        self._readers = tuple(readers)

    @property
    def number(self) -> int:
        """How many there are."""
        return len(self._readers)

    def ask(self, questions: Sequence[bytes]) -> Iterator[bytes]:
        """Ask all at once."""
        with ThreadPoolExecutor(len(self._readers)) as threads:
            yield from threads.map(lambda ask, question: ask(question), self._readers, questions)


class Shared:
    """A reader that asks others, and joins what they say."""

    def __init__(self, readers: Readers) -> None:
        """Name who is to be asked; every shard is of exactly one's share."""
        self._readers = readers

    def outlines(self) -> Outlines:
        """Outline each shard."""
        parts = self._ask([pack(None)] * self._readers.number)
        return {place: outline for part in parts for place, outline in part.items()}

    def spread(self, scale: Scale) -> Spread:
        """Count all rows in wide bins."""
        spread: Spread = self._joined(scale)
        return spread

    def closer(self, question: Question) -> Closer:
        """Look closer at chosen bins and cells."""
        closer: Closer = self._joined(question)
        return closer

    def duplicates(self, outlines: Outlines, window: Window) -> Sequence[int]:
        """Count each target's duplicates, each reader those of another part of the window."""
        parts = _parts(window, outlines, self._readers.number)
        packed = np.frombuffer(pack(outlines), np.uint8)  # once: of many shards, it takes a second
        counts = self._ask([pack((packed, part)) for part in parts])
        return tuple(map(sum, zip(*counts, strict=True)))

    def _joined(self, question: object) -> Any:
        answers = self._ask([pack(question)] * self._readers.number)
        joined = next(answers)
        for answer in answers:
            joined.join(answer)
        return joined

    def _ask(self, questions: Sequence[bytes]) -> Iterator[Any]:
        """Ask all; of the answers, which are large, no more than one is unpacked at a time."""
        return (unpack(answer) for answer in self._readers.ask(questions))


def _parts(window: Window, outlines: Outlines, number: int) -> Sequence[Window]:
    """Cut a window into as many, so that about as much was sent in each."""
    sent_ns = Span()
    for outline in outlines.values():
        sent_ns.join(outline.moments_ns)
    first_ns = max(window.from_ns, sent_ns.first or 0)
    last_ns = max(first_ns, min(window.until_ns, sent_ns.last or 0))
    ends = [window.from_ns, *(first_ns + (last_ns - first_ns) * part // number for part in range(1, number))]
    return [Window(*one) for one in zip(ends, [*ends[1:], window.until_ns], strict=True)]
