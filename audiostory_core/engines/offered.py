"""What an engine can do as plain JSON, so that it is known where the engine is not.

A worker that can run an engine writes it down; whoever plans for the engine reads it.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from audiostory_core.engines.foley.speech.cues import Cues, plain
from audiostory_core.engines.protocol import Capabilities

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
        "manners": manners and {"names": list(manners.names), "words": list(manners.words)},
    }


def capabilities_of(name: str, revision: str, card: dict[str, Any]) -> Capabilities:
    """Return what `card_of` was made of."""
    manners = card["manners"]
    return Capabilities(
        name=name,
        revision=revision,
        **{copied: card[copied] for copied in COPIED},
        parameters=card["parameters"],
        languages=tuple(card["languages"]),
        manners=manners and OfferedManners(tuple(manners["names"]), tuple(manners["words"])),
    )
