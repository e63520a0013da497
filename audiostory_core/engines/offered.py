"""What an engine can do as plain JSON, so that it is known where the engine is not.

A worker that can run an engine writes it down; whoever plans for the engine reads it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from audiostory_core.engines.foley.speech.cues import Cues, plain
from audiostory_core.engines.protocol import Capabilities
from audiostory_core.stem import SEPARATE_STEMS, SeparateStem, Stem

COPIED = (
    "longest_clip_s",
    "controllable_duration",
    "speech",
    "music",
    "needs_condition",
    "sample_rate",
)


@dataclass(frozen=True)
class OfferedManners:
    """The ways of speaking of an engine that is elsewhere; implements `Manners`."""

    names: tuple[str, ...]
    words: tuple[str, ...]

    def knows(self, text: str) -> bool:
        """Tell whether the text names one of them."""
        return bool(self._cues.spans(plain(text)))

    @cached_property
    def _cues(self) -> Cues:
        return Cues.of(self.words)


def card_of(capabilities: Capabilities) -> dict[str, Any]:
    """Return what an engine can do as JSON, less its name and revision."""
    manners = capabilities.manners
    return {
        **{name: getattr(capabilities, name) for name in COPIED},
        "parameters": dict(capabilities.parameters),
        "languages": list(capabilities.languages),
        "stems": list(capabilities.stems),
        "composite": capabilities.composite,
        "continuous": list(capabilities.continuous),
        "manners": manners and {"names": list(manners.names), "words": list(manners.words)},
    }


def capabilities_of(name: str, revision: str, card: dict[str, Any]) -> Capabilities:
    """Return what `card_of` was made of, also by a version that knew of no stems."""
    manners = card["manners"]
    return Capabilities(
        name=name,
        revision=revision,
        **{copied: card[copied] for copied in COPIED},
        parameters=card["parameters"],
        languages=tuple(card["languages"]),
        manners=manners and OfferedManners(tuple(manners["names"]), tuple(manners["words"])),
        stems=_stems(card["stems"]) if "stems" in card else _stems_before(card),
        composite=card.get("composite", True),
        continuous=_stems(card.get("continuous", ())),
    )


def _stems(names: Collection[str]) -> tuple[SeparateStem, ...]:
    return tuple(stem for stem in SEPARATE_STEMS if stem in names)


def _stems_before(card: dict[str, Any]) -> tuple[SeparateStem, ...]:
    """Return the stems of an offer older than they are."""
    makes = {Stem.DIALOGUE: card["speech"], Stem.MUSIC: card["music"]}
    return tuple(stem for stem in SEPARATE_STEMS if makes.get(stem, True))
