"""What an engine can do as plain JSON, so that it is known where the engine is not.

A worker that can run an engine writes down its card, and what only the running engine knows;
whoever plans for the engine reads both.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from audiostory_core.engines.card import CardFile
from audiostory_core.engines.foley.speech.cues import Cues, plain
from audiostory_core.engines.protocol import Capabilities
from audiostory_core.stem import SEPARATE_STEMS, Stem
from audiostory_core.story.shape import SHAPES

UNKNOWN = "unknown"  # a text of a card that an older version has not written down


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


def offer_of(capabilities: Capabilities) -> dict[str, Any]:
    """Return what an engine can do as JSON, less its revision."""
    manners = capabilities.manners
    return _before_cards(capabilities) | {
        "card": capabilities.card.model_dump(mode="json"),
        "longest_clip_s": capabilities.longest_clip_s,
        "parameters": dict(capabilities.parameters),
        "manners": manners and {"names": list(manners.names), "words": list(manners.words)},
    }


def capabilities_of(name: str, revision: str, offer: dict[str, Any]) -> Capabilities:
    """Return what `offer_of` was made of, also by an older or a newer version of it."""
    manners = offer["manners"]
    return Capabilities(
        card=_read_card(name, offer),
        revision=revision,
        longest_clip_s=offer["longest_clip_s"],
        parameters=offer["parameters"],
        manners=manners and OfferedManners(tuple(manners["names"]), tuple(manners["words"])),
    )


def _before_cards(capabilities: Capabilities) -> dict[str, Any]:
    """Return what drivers read that are older than cards in offers; nothing is to be added."""
    card = capabilities.card
    return {
        "controllable_duration": card.limits.controllable_duration,
        "speech": Stem.DIALOGUE in card.stems,
        "music": Stem.MUSIC in card.stems,
        "needs_condition": card.needs_condition,
        "sample_rate": card.limits.sample_rate,
        "languages": list(card.languages),
        "stems": list(card.stems),
        "composite": card.composite,
        "continuous": list(card.continuous),
    }


def _read_card(name: str, offer: dict[str, Any]) -> CardFile:
    """Return an offer's card, less the fields that only a newer version knows."""
    if "card" in offer:
        try:
            return CardFile.model_validate_json(json.dumps(offer["card"]), extra="ignore")
        except ValidationError:  # a newer version has given one of our fields another meaning
            return _card_before(name, offer)
    return _card_before(name, offer)


def _card_before(name: str, offer: dict[str, Any]) -> CardFile:
    """Return the card of an offer that has none: shapes were the engine's own matter then."""
    makes = {Stem.DIALOGUE: offer["speech"], Stem.MUSIC: offer["music"]}
    stems = offer.get("stems", [stem for stem in SEPARATE_STEMS if makes.get(stem, True)])
    written = {
        "name": name,
        "title": name,
        "description": UNKNOWN,
        "entry": f"{UNKNOWN}:{UNKNOWN}",
        "stems": stems,
        "composite": offer.get("composite", True),
        "continuous": offer.get("continuous", []),
        "shapes": SHAPES,
        "languages": offer["languages"],
        "needs_condition": offer["needs_condition"],
        "limits": {
            "longest_clip_s": offer["longest_clip_s"],
            "controllable_duration": offer["controllable_duration"],
            "sample_rate": offer["sample_rate"],
        },
    }
    return CardFile.model_validate_json(json.dumps(written))
