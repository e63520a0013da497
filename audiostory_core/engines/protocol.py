"""The one door between the studio and whatever makes sound.

An engine knows nothing of stories in a database, positions or takes: what it reads is in the
request, so that equal requests may share one clip.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from audiostory_core.engines.card import Card, CardFile
from audiostory_core.stem import SeparateStem, Stem
from audiostory_core.story.plan import CastMember, Layer, StoryPlan
from audiostory_core.story.shape import ClipShape

Waveform = NDArray[np.float32]  # [C, N], in [-1, 1]


class Manners(Protocol):
    """The ways of speaking that an engine knows."""

    @property
    def names(self) -> tuple[str, ...]:
        """A word for each."""
        ...

    @property
    def words(self) -> tuple[str, ...]:
        """What names one of them: words, or beginnings of words that end with `*`."""
        ...

    def knows(self, text: str) -> bool:
        """Tell whether the text names one of them."""
        ...


@dataclass(frozen=True)
class Capabilities:
    """What an engine that runs can do: its card, and what only it knows."""

    card: CardFile
    revision: str  # changes whenever the same request could sound different
    longest_clip_s: float  # of a rendered clip, tail included
    parameters: Mapping[str, Any]  # a story may set; with defaults
    manners: Manners | None = None  # None: the words of a manner are the network's to understand

    @classmethod
    def of(cls, card: CardFile, revision: str, **known: Any) -> Self:
        """Return what a card says, with fields that only the running engine knows."""
        fields: dict[str, Any] = {
            "longest_clip_s": card.limits.longest_clip_s,
            "parameters": card.defaults,
        }
        written = card.written if isinstance(card, Card) else card
        return cls(written, revision, **(fields | known))

    @property
    def name(self) -> str:
        """The engine's."""
        return self.card.name

    @property
    def languages(self) -> tuple[str, ...]:
        """Those of stories; empty: any."""
        return self.card.languages

    @property
    def stems(self) -> tuple[SeparateStem, ...]:
        """What it makes."""
        return self.card.stems

    @property
    def composite(self) -> bool:
        """Whether a clip may hold several stems at once."""
        return self.card.composite

    @property
    def continuous(self) -> tuple[SeparateStem, ...]:
        """The stems that sound in every scene, also where no layer asks for them."""
        return self.card.continuous


@dataclass(frozen=True)
class Condition:
    """What a clip must know of the story around it, in the engine's own format.

    Args:
        data: small enough for a row; if there are tensors it names them by their content.
        tensors: a safetensors file of what is too large for a row. An engine that is given the
            conditions of other sub-events does not get theirs.
    """

    data: bytes
    tensors: bytes | None = None

    @property
    def id(self) -> str:
        """Content address of the condition."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True)
class ClipRequest:
    """Everything an engine reads to make one clip.

    One of a single stem has that stem's layers alone. Its caption describes them, for engines that
    read text, and adds no sounds; only a scene without layers is all in its caption.
    """

    caption: str
    layers: tuple[Layer, ...]
    samples: int  # to render at 44.1 kHz, tail included
    seed: int  # 0 … 2**63 - 1
    language: str
    cast: tuple[CastMember, ...] = ()
    condition: Condition | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    version: int = 1  # of the plan; from 2 on a caption adds no sounds to layers
    stem: Stem = Stem.COMPOSITE
    shape: ClipShape | None = None  # the studio's to see to; no engine gets it
    say: Mapping[str, str] = field(default_factory=dict)  # readings of words that its lines have


@dataclass(frozen=True)
class ClipResult:
    """A clip and what the engine has to say about it."""

    waveform: Waveform  # [2, request.samples] at 44.1 kHz
    matched: tuple[str, ...] = ()  # what was made, e.g. "rain: rain on tin roofs"
    unmatched: tuple[str, ...] = ()  # words of the request that could not be made
    warnings: tuple[str, ...] = ()  # e.g. a line of speech too long for its scene
    is_silence: bool = False  # the request asks for silence, and that is what was made


class ProgressListener(Protocol):
    """Someone who follows the making of a batch of clips and may lose interest in it."""

    def step(self, index: int, done: float) -> None:
        """Report that request `index` of the batch is done to a share of 0 … 1.

        An engine calls it from the thread that called `synthesize`: at least once per denoising
        step, or every 250 ms of work. For one request `done` never falls, and ends at 1.

        Raises:
            Cancelled: if no clip of the batch is wanted any more.
        """
        ...


class NullListener:
    """No listener, and the clips are wanted to the end; implements `ProgressListener`."""

    def step(self, index: int, done: float) -> None:
        """Go on."""


UNWATCHED = NullListener()


class Engine(Protocol):
    """Something that turns clip requests into waveforms."""

    @property
    def capabilities(self) -> Capabilities:
        """What this engine can do."""
        ...

    def interleave(
        self,
        plan: StoryPlan,
        places: Sequence[int],
        known: Mapping[int, Condition],
        stem: Stem = Stem.COMPOSITE,
    ) -> Iterator[Mapping[int, Condition]]:
        """Make the conditions of some sub-events, each from what comes before it in the story.

        The caller may stop after any part, and request the rest later. Stems are conditioned
        independently of each other. The conditions of a stem depend on what it sounds like, and
        not on what only another stem says: where the words of a line change, those of music and
        effects stay equal to the byte.

        Args:
            plan: the whole story, with the layers of all stems.
            places: of the sub-events to condition, from 0, ascending.
            known: conditions of this stem that this engine has made before, by place; at least
                those of the sub-events next to `places`, as far as they have one of this engine.
            stem: that the conditions are for.

        Yields:
            Conditions by place, in order, as many at once as the engine makes at once.

        Raises:
            BadInput: if the story does not fit the engine, or was conditioned by other weights.
            EngineFailed: if the conditions cannot be made now.
        """
        ...

    def synthesize(
        self, requests: Sequence[ClipRequest], watch: ProgressListener = UNWATCHED
    ) -> list[ClipResult]:
        """Make one clip per request, in order; equal requests give bit-identical waveforms.

        Args:
            requests: the batch.
            watch: gets how far each clip is.

        Raises:
            EngineFailed: if a clip cannot be made; no clip of the batch is returned then.
            Cancelled: if `watch` says so; the engine can be used on as if the batch had not been.
        """
        ...

    def close(self) -> None:
        """Release helper processes and device memory."""
        ...
