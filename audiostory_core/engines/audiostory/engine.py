"""The AudioStory network as an engine: windows of the story are read, clips are denoised.

Source: AudioStory, arXiv 2508.20088, and its released inference code.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import torch

from audiostory_core.engines.audiostory.conditioning import Conditioning
from audiostory_core.engines.card import read_card
from audiostory_core.engines.protocol import (
    UNWATCHED,
    Capabilities,
    ClipRequest,
    ClipResult,
    Condition,
    ProgressListener,
    Waveform,
)
from audiostory_core.errors import BadInput, EngineFailed
from audiostory_core.model.network import Network
from audiostory_core.model.synthesizer import Synthesizer
from audiostory_core.stem import Stem
from audiostory_core.story.plan import SAMPLE_RATE, SpeechLayer, StoryPlan
from audiostory_core.story.stems import stem_view

CARD = read_card(Path(__file__).parent, "shipped", is_shipped=True)
DENOISING = 0.95  # share of a clip's work; the rest is decoding
MAX_LOSS_DB = 6.0  # that a clip is turned down by without a word


@dataclass(frozen=True)
class Recipe:
    """What the clips of one pass through the DiT have in common."""

    steps: int
    guidance: float
    precision: str


class AudioStory:
    """Makes clips with the AudioStory network; implements `Engine`.

    Of `ClipRequest.parameters` it reads `steps`, `guidance` and `precision`. A clip depends on its
    condition, length, seed and these alone: the caption is in the condition.

    Args:
        network: of this process; closed with the engine.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._conditioning = Conditioning(network)
        self._capabilities = Capabilities.of(
            CARD,
            network.revision,
            longest_clip_s=network.config.longest_s,
            parameters=CARD.defaults | {"precision": network.precision},
        )

    @property
    def capabilities(self) -> Capabilities:
        """What the network can do; its revision is that of the weights."""
        return self._capabilities

    def interleave(
        self,
        plan: StoryPlan,
        places: Sequence[int],
        known: Mapping[int, Condition],
        stem: Stem = Stem.COMPOSITE,
    ) -> Iterator[Mapping[int, Condition]]:
        """Read the story window by window: captions as they are approved, no token is decoded.

        Of a stem, the scenes that it is heard in are read, in the words of its layers; the others
        get no condition.

        Raises:
            BadInput: if a sub-event is longer than a clip can be, the story too long for the
                language model's context, or conditioned by other weights.
        """
        if stem is Stem.COMPOSITE:
            yield from self._conditioning.conditions(plan, places, known)
            return
        events = {
            place: event.model_copy(update=stem_view(event, stem, None, plan.version)._asdict())
            for place, event in enumerate(plan.sub_events)
        }
        heard = [place for place, event in events.items() if event.caption]
        alone = plan.model_copy(update={"sub_events": tuple(events[place] for place in heard)})
        at = {place: index for index, place in enumerate(heard)}
        known_alone = {at[place]: known[place] for place in known if place in at}
        wanted = [at[place] for place in places if place in at]
        for part in self._conditioning.conditions(alone, wanted, known_alone):
            yield {heard[index]: condition for index, condition in part.items()}

    def synthesize(
        self, requests: Sequence[ClipRequest], watch: ProgressListener = UNWATCHED
    ) -> list[ClipResult]:
        """Make one clip per request, in order, as many at once as fit into memory.

        The noise of a clip is drawn from its own seed, so that it is the same in any batch.

        Raises:
            EngineFailed: if a request is not for these weights, too long, or if even a clip alone
                does not fit into memory.
            Cancelled: if `watch` says so, between two denoising steps.
        """
        conditions = [self._conditioning.read(request) for request in requests]
        for request in requests:
            self._check_length(request)
        progress = Progress(watch, len(requests))
        made: dict[int, Waveform] = {}
        order = sorted(range(len(requests)), key=lambda at: repr(_recipe_of(requests[at])))
        for recipe, group in groupby(order, key=lambda at: _recipe_of(requests[at])):
            synthesizer = self._synthesizer(recipe.precision)
            batch = Batch(synthesizer, recipe, requests, conditions, progress)
            made |= batch.make(list(group))
        return [_result(request, made[at]) for at, request in enumerate(requests)]

    def close(self) -> None:
        """Release the memory of the network."""
        self._network.close()

    def _synthesizer(self, precision: str) -> Synthesizer:
        try:
            return self._network.synthesizer(precision)
        except BadInput as error:
            raise EngineFailed(str(error)) from error

    def _check_length(self, request: ClipRequest) -> None:
        longest_s = self._capabilities.longest_clip_s
        if request.samples > round(longest_s * SAMPLE_RATE):
            raise EngineFailed(
                f"The clip is {request.samples / SAMPLE_RATE:g} s long; audiostory makes at most "
                f"{longest_s:g} s at once, tail included. Split the scene."
            )


class Progress:
    """Reports how far the clips of a batch are; a share never falls, even if work is redone.

    Args:
        watch: gets the reports.
        count: clips of the batch.
    """

    def __init__(self, watch: ProgressListener, count: int) -> None:
        self._watch = watch
        self._shares = [0.0] * count

    def step(self, places: Sequence[int], share: float) -> None:
        """Report that some clips are done to a share; raises `Cancelled` if all are cancelled."""
        for at in places:
            self._shares[at] = max(self._shares[at], share)
            self._watch.step(at, self._shares[at])


@dataclass(frozen=True)
class Batch:
    """Clips that are denoised together, or by halves where memory does not allow it."""

    synthesizer: Synthesizer
    recipe: Recipe
    requests: Sequence[ClipRequest]
    conditions: Sequence[tuple[torch.Tensor, torch.Tensor]]  # semantic and residual tokens
    progress: Progress

    def make(self, places: Sequence[int]) -> dict[int, Waveform]:
        """Return the clips of some requests."""
        try:
            return self._make(places)
        except (torch.OutOfMemoryError, MemoryError) as error:
            if len(places) == 1:
                raise EngineFailed(
                    f"There is not enough memory on {self.synthesizer.device} for one clip. Close "
                    "what else uses it, or use AUDIOSTORY_PRECISION=bfloat16."
                ) from error
        # Out of the handler, whose traceback holds the tensors of the attempt.
        if self.synthesizer.device.type == "cuda":
            torch.cuda.empty_cache()
        half = len(places) // 2
        return self.make(places[:half]) | self.make(places[half:])

    def _make(self, places: Sequence[int]) -> dict[int, Waveform]:
        semantic = torch.stack([self.conditions[at][0] for at in places])  # [B, 64, 1024]
        residual = torch.stack([self.conditions[at][1] for at in places])  # [B, 8, 1024]
        requests = [self.requests[at] for at in places]
        latents = self.synthesizer.sample(
            self.synthesizer.fuse(semantic, residual),
            [request.samples / SAMPLE_RATE for request in requests],
            [request.seed for request in requests],
            steps=self.recipe.steps,
            guidance=self.recipe.guidance,
            on_step=lambda done, steps: self.progress.step(places, DENOISING * done / steps),
        )
        waveforms = self.synthesizer.decode(latents, [request.samples for request in requests])
        self.progress.step(places, 1.0)
        return dict(zip(places, waveforms, strict=True))


def _recipe_of(request: ClipRequest) -> Recipe:
    parameters = CARD.defaults | dict(request.parameters)
    return Recipe(
        steps=int(parameters["steps"]),
        guidance=float(parameters["guidance"]),
        precision=str(parameters.get("precision", "float32")),
    )


def _result(request: ClipRequest, waveform: Waveform) -> ClipResult:
    """Return a clip within [-1, 1], which the network does not keep to by itself."""
    peak = float(np.abs(waveform).max(initial=0.0))
    warnings = []
    if peak > 1.0:
        waveform = waveform / np.float32(peak)
        loss_db = 20 * math.log10(peak)
        if loss_db > MAX_LOSS_DB:
            warnings.append(f"made {loss_db:.1f} dB too loud, and turned down")
    return ClipResult(
        waveform=waveform,
        matched=(request.caption,),
        unmatched=tuple(_unspoken(request)),
        warnings=tuple(warnings),
    )


def _unspoken(request: ClipRequest) -> Iterator[str]:
    """Yield the lines that are heard as voices at most: the network does not speak words."""
    for layer in request.layers:
        if isinstance(layer, SpeechLayer):
            yield f"not spoken: “{layer.words}”"
