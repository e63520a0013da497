"""What a clip is conditioned on: 64 semantic and 8 residual tokens, read from the story so far.

A *window* of at most 12 sub-events or 150 s, what the model was trained on, is read in one pass:
instruction, reasoning, the last two sub-events before the window, and its own. So a revised scene
costs the reading of its own window, and no other is read again. A window is always read whole:
then the numbers are the same to the bit, whichever of its sub-events are requested.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import safetensors
import safetensors.torch
import torch

from audiostory_core.engines.protocol import ClipRequest, Condition
from audiostory_core.errors import BadInput, EngineFailed
from audiostory_core.model.generation import CARRIED, read_window, window_of, windows_of
from audiostory_core.model.grammar import Written, full_instruction, prompt_ids, segment_ids
from audiostory_core.model.network import Network
from audiostory_core.story.plan import StoryPlan, seconds_of
from audiostory_core.story.shape_words import worded

FORMAT = 1
SEMANTIC, RESIDUAL = "semantic_tokens", "residual_tokens"


class Conditioning:
    """Makes conditions, and reads them back.

    Args:
        network: its language model and bridge are loaded when a window is read.
    """

    def __init__(self, network: Network) -> None:
        self._network = network

    def conditions(
        self, plan: StoryPlan, places: Sequence[int], known: Mapping[int, Condition]
    ) -> Iterator[Mapping[int, Condition]]:
        """Yield the conditions of sub-events, a window at a time.

        Raises:
            BadInput: see `Engine.interleave`.
        """
        for place, condition in known.items():
            self._check_revision(place, json.loads(condition.data))
        for place in places:
            self._check_length(plan, place)
        for window in windows_of([event.duration_s for event in plan.sub_events]):
            wanted = [place for place in places if place in window]
            if wanted:
                yield self._read(plan, window, wanted)

    def read(self, request: ClipRequest) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the semantic tokens [64, 1024] and residual tokens [8, 1024] of a request.

        Raises:
            EngineFailed: if it has no condition, or one of other weights.
        """
        if request.condition is None or request.condition.tensors is None:
            raise EngineFailed("The clip has no condition that audiostory can read.")
        metadata: dict[str, Any] = json.loads(request.condition.data)
        if metadata.get("weights") != self._network.revision:
            raise EngineFailed(
                f"The clip is conditioned by the weights {str(metadata.get('weights'))[:12]}, but this "
                f"worker has {self._network.revision[:12]}. Start it with those weights."
            )
        try:
            tensors = safetensors.torch.load(request.condition.tensors)
            return tensors[SEMANTIC], tensors[RESIDUAL]
        except (safetensors.SafetensorError, KeyError) as error:
            raise EngineFailed(f"The condition of the clip cannot be read: {error}.") from error

    def _read(self, plan: StoryPlan, window: range, wanted: Sequence[int]) -> dict[int, Condition]:
        vocabulary = self._network.vocabulary
        first = max(window.start - CARRIED, 0)
        carried = self._written_scenes(plan, range(first, window.start))
        scenes = self._written_scenes(plan, window)
        instruction = full_instruction(plan.instruction, plan.duration_s)
        with self._network.reading() as (language_model, bridge):
            reading = window_of(
                vocabulary,
                prompt_ids(vocabulary, instruction),
                self._reasoning(plan),
                carried,
                scenes,
                longest=language_model.longest,
            )
            states = read_window(language_model, reading)
            with torch.inference_mode():
                kept = [states[place - window.start] for place in wanted]
                semantic, residual = bridge(
                    torch.stack([state.semantic for state in kept]).to(self._network.device),
                    torch.stack([state.residual for state in kept]).to(self._network.device),
                )
        shared = {
            "format": FORMAT,
            "weights": self._network.revision,
            "instruction": instruction,
            "reasoning": plan.reasoning,
            "carried": [written.caption for written in carried],
        }
        made = {}
        for at, place in enumerate(wanted):
            tensors = safetensors.torch.save(
                {
                    SEMANTIC: semantic[at].float().cpu().contiguous(),
                    RESIDUAL: residual[at].float().cpu().contiguous(),
                }
            )
            own = {
                "at": place - window.start,
                "caption": scenes[place - window.start].caption,
                "ids": " ".join(map(str, segment_ids(vocabulary, scenes[place - window.start]))),
                "tensors": hashlib.sha256(tensors).hexdigest(),
            }
            data = json.dumps(shared | own, sort_keys=True, ensure_ascii=False)
            made[place] = Condition(data.encode(), tensors)
        return made

    def _written_scenes(self, plan: StoryPlan, places: range) -> list[Written]:
        """Return sub-events as they are forced, their layers' shapes in words.

        Captions as the model wrote them are forced by the model's own ids.
        """
        ids = {} if plan.written is None else plan.written.captions
        is_own = plan.written is not None and plan.written.vocabulary == self._network.revision
        scenes = []
        for place in places:
            event = plan.sub_events[place]
            caption = worded(event.caption, event.layers)
            written = ids.get(caption) if is_own else None
            scenes.append(
                Written(
                    caption=caption,
                    caption_ids=None if written is None else tuple(map(int, written.split())),
                    duration_s=event.duration_s,
                )
            )
        return scenes

    def _reasoning(self, plan: StoryPlan) -> list[int]:
        vocabulary, written = self._network.vocabulary, plan.written
        if written is not None and written.vocabulary == self._network.revision:
            ids = [int(token) for token in written.reasoning.split()]
            if vocabulary.decode(ids).replace("\x00", "").strip() == plan.reasoning:
                return ids
        return vocabulary.encode_text(plan.reasoning)

    def _check_revision(self, place: int, metadata: Mapping[str, Any]) -> None:
        if metadata.get("weights") != self._network.revision:
            raise BadInput(
                "weights",
                self._network.revision[:12],
                f"are not those that conditioned scene {place + 1} ({str(metadata.get('weights'))[:12]})",
                "Name those weights, or revise scene 1 with --follow to make all scenes anew.",
            )

    def _check_length(self, plan: StoryPlan, place: int) -> None:
        longest_s = self._network.config.longest_s
        if plan.sub_events[place].duration_s > longest_s:
            raise BadInput(
                f"sub_events.{place + 1}.duration_s",
                seconds_of(plan.sub_events[place].samples),
                f"is longer than the {longest_s:g} s that audiostory makes at once",
                "Split it into sub-events, the later ones with continues: true.",
            )
