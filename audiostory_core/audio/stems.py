"""Stems heard together: chains of equal length, each by its gain, added up.

Neither knows a database nor what a stem is about.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audiostory_core.audio.balance import Balance
from audiostory_core.audio.mixdown import Chain, MixSegment, Silence, Source, check_range
from audiostory_core.audio.pcm import Waveform
from audiostory_core.stem import Stem
from audiostory_core.story.plan import CHANNELS

Place = tuple[Path | None, int, int]  # file, offset, samples; no file is silence


def open_source(
    chains: Mapping[str, Sequence[Place]],
    balance: Mapping[str, Any] | None = None,
    is_intact: Callable[[Path], bool] | None = None,
) -> "Chain | StemSum":
    """Open what a mix is read from.

    Args:
        chains: the segments of each stem in order, by its name; what is no stem has no sound.
        balance: of the stems, as `Balance.as_json` returned it; None where there is one chain.
        is_intact: see `Chain`.
    """
    opened = {
        name: Chain(
            [
                Silence(samples) if path is None else MixSegment(path, offset, samples)
                for path, offset, samples in places
            ],
            is_intact,
        )
        for name, places in chains.items()
        if name in set(Stem)
    }
    if balance is None:
        [chain] = opened.values()
        return chain
    stems = {Stem(name): chain for name, chain in opened.items()}
    return StemSum(stems, Balance.from_json(balance))


def recipe_of(source: Source) -> dict[str, Any]:
    """Return the arguments of `open_source` that open a source again, for JSON: paths as text."""
    stems = source.stems.items() if isinstance(source, StemSum) else [(Stem.COMPOSITE, source)]
    chains = {
        stem.value: [
            (None, 0, part.samples)
            if isinstance(part, Silence)
            else (str(part.path), part.offset, part.samples)
            for part in chain.parts
        ]
        for stem, chain in stems
        if isinstance(chain, Chain)
    }
    balance = source.balance.as_json() if isinstance(source, StemSum) else None
    return {"chains": chains, "balance": balance}


class StemSum:
    """Stems that sound at once: a source.

    Args:
        stems: of equal length; they are added in this order, and closed with the sum.
        balance: how loud each is.
        origin: the sample of the story at which the sources begin, where they are a part of it.

    Raises:
        ValueError: if the lengths differ.
    """

    def __init__(self, stems: Mapping[Stem, Source], balance: Balance, origin: int = 0) -> None:
        lengths = {source.samples for source in stems.values()}
        if len(lengths) > 1:
            raise ValueError(f"stems of different lengths: {sorted(lengths)} samples")
        self.stems = dict(stems)
        self.balance = balance
        self._origin = origin
        self._samples = max(lengths, default=0)

    @property
    def samples(self) -> int:
        """See `Source`."""
        return self._samples

    @property
    def segments(self) -> tuple[MixSegment, ...]:
        """See `Source`."""
        return tuple(segment for source in self.stems.values() for segment in source.segments)

    def stem(self, stem: Stem) -> Source:
        """Return what one stem adds to the sum, gain and ducking included."""
        return StemSum({stem: self.stems[stem]}, self.balance, self._origin)

    def read(self, start: int, stop: int) -> Waveform:
        """See `Source`."""
        check_range(start, stop, self.samples)
        total = np.zeros((CHANNELS, stop - start), np.float32)
        for stem, source in self.stems.items():
            stretch = source.read(start, stop)
            stretch *= self.balance.gain(stem, self._origin + start, self._origin + stop)
            total += stretch
        return total

    def close(self) -> None:
        """See `Source`."""
        for source in self.stems.values():
            source.close()

    def copy(self) -> "StemSum":
        """See `Source`."""
        stems = {stem: source.copy() for stem, source in self.stems.items()}
        return StemSum(stems, self.balance, self._origin)


@dataclass(frozen=True)
class InMemory:
    """A [2, N] waveform that is at hand: a source."""

    waveform: Waveform

    @property
    def samples(self) -> int:
        """See `Source`."""
        return self.waveform.shape[1]

    @property
    def segments(self) -> tuple[MixSegment, ...]:
        """See `Source`."""
        return ()

    def read(self, start: int, stop: int) -> Waveform:
        """See `Source`."""
        check_range(start, stop, self.samples)
        return self.waveform[:, start:stop].astype(np.float32)

    def close(self) -> None:
        """See `Source`."""

    def copy(self) -> "InMemory":
        """See `Source`."""
        return self
